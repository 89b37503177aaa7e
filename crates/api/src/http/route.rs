//! Every route: a path, a method, and what it does.

use axum::http::Method;

use crate::api::Form;

/// What a path does with one of its methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path, as OpenAPI writes it.
    pub path: &'static str,
    /// What happens.
    pub(super) action: Action,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Reads an operation from the body and carries it out.
    Operation(Form),
    /// Tells that the service answers.
    Health,
    /// Tells models and limits; on the root a browser gets the page.
    Info,
    /// Lists the models.
    Models,
    /// Tells of one of them.
    Model,
    /// Describes the routes.
    Document,
}

/// The page, or models and limits.
pub(super) const ROOT: &str = "/";

/// Every route.
pub const ROUTES: [Route; 18] = [
    Route::post(ROOT, Form::Invocation),
    Route::post("/invocations", Form::Invocation),
    Route::post("/similarity", Form::Similarity),
    Route::post("/embed", Form::Embed),
    Route::post("/rerank", Form::Rerank),
    Route::post("/predict", Form::Predict),
    Route::post("/tokenize", Form::Tokenize),
    Route::post("/v1/embeddings", Form::OpenAiEmbeddings),
    Route::post("/embeddings", Form::OpenAiEmbeddings),
    Route::post("/v1/rerank", Form::CohereRerank),
    Route::post("/v2/rerank", Form::CohereRerank),
    Route::get(ROOT, Action::Info),
    Route::get("/info", Action::Info),
    Route::get("/health", Action::Health),
    Route::get("/ping", Action::Health),
    Route::get("/v1/models", Action::Models),
    Route::get("/v1/models/{model}", Action::Model),
    Route::get("/openapi.json", Action::Document),
];

impl Route {
    const fn post(path: &'static str, form: Form) -> Self {
        Self { path, action: Action::Operation(form) }
    }

    const fn get(path: &'static str, action: Action) -> Self {
        Self { path, action }
    }

    /// The method; a path with GET has HEAD too.
    #[must_use]
    pub fn method(&self) -> Method {
        match self.action {
            Action::Operation(_) => Method::POST,
            _ => Method::GET,
        }
    }

    /// The path as the router matches it: the name of a model may hold slashes.
    pub(super) fn pattern(&self) -> String {
        self.path.replace('{', "{*")
    }

    /// The methods of a path, as the header `Allow` lists them.
    pub(super) fn allow(path: &str) -> &'static str {
        let has =
            |method| ROUTES.iter().any(|route| route.path == path && route.method() == method);
        match (has(Method::GET), has(Method::POST)) {
            (true, true) => "GET, HEAD, OPTIONS, POST",
            (true, false) => "GET, HEAD, OPTIONS",
            (false, _) => "OPTIONS, POST",
        }
    }
}
