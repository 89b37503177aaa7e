//! The routes as an OpenAPI document, made of their table and of the types they read and write.

mod request;

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::{HeaderName, Method, StatusCode};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, Content, Header, InfoBuilder, LicenseBuilder, OpenApiBuilder, Paths, Ref,
    RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::headers::{COMPUTE_TYPE, NUMBERS, REQUEST_ID, SCORED_BY, TRUNCATED};
use super::route::{Action, ROOT, ROUTES, Route};
use super::{Dialect, OpenAiError, TeiError};
use crate::api::cohere::RerankResponse;
use crate::api::openai::{EmbeddingList, ModelItem, ModelList};
use crate::api::tei::{Prediction, Rank};
use crate::api::{About, Form, Scorer, SimilarityResponse, Status, TokenOfText};
use crate::service::Service;
use request::{
    CohereRerankBody, EmbedBody, EmbeddingsBody, EventBody, InvokeBare, InvokeEmbed, InvokePredict,
    InvokeRerank, InvokeSimilarity, InvokeTokenize, PredictBody, RerankBody, SimilarityBody,
    TokenizeBody,
};

const JSON: &str = "application/json";

/// Embeddings, `[texts, dim]`.
type Rows = Vec<Vec<f32>>;

/// Returns the document of a service, with its limits.
pub(super) fn document(service: &Service) -> Bytes {
    let mut schemas = Schemas::default();
    let mut paths = Paths::new();
    for route in &ROUTES {
        let method = match route.method() {
            Method::POST => HttpMethod::Post,
            _ => HttpMethod::Get,
        };
        paths.add_path_operation(route.path, vec![method], operation(route, &mut schemas));
    }
    request::limit(&mut schemas.0, service);
    let info = InfoBuilder::new()
        .title("semblance")
        .version(service.about().version)
        .description(Some(
            "Sentence similarity: the routes of text-embeddings-inference, OpenAI's embeddings and \
             Cohere's rerank, over one model.",
        ))
        .license(Some(
            LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ));
    let components = ComponentsBuilder::new().schemas_from_iter(schemas.0);
    let document =
        OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build()));
    // Names and schemas are always JSON.
    document.build().to_json().unwrap_or_default().into()
}

/// The named schemas.
#[derive(Default)]
struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Returns where a type's schema is; it and what it holds are added.
    fn named<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.0.insert(T::name().into_owned(), T::schema());
        self.add_parts::<T>();
        Ref::from_schema_name(T::name()).into()
    }

    /// Returns a type's schema; what it holds is added.
    fn inline<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.add_parts::<T>();
        T::schema()
    }

    fn add_parts<T: ToSchema>(&mut self) {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        self.0.extend(parts);
    }
}

fn any_of<const N: usize>(schemas: [RefOr<Schema>; N]) -> RefOr<Schema> {
    let any = schemas.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    Schema::AnyOf(any.build()).into()
}

fn operation(route: &Route, schemas: &mut Schemas) -> Operation {
    let method = if route.method() == Method::POST { "post" } else { "get" };
    let words = route.path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty());
    let root = (route.path == ROOT).then_some("root");
    let id: Vec<&str> = [method].into_iter().chain(root).chain(words).collect();
    let operation =
        OperationBuilder::new().operation_id(Some(id.join("_"))).summary(Some(summary(route)));
    match route.action {
        Action::Operation(form) => {
            let (body, answer) = (body(form, schemas), answer(form, schemas));
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(JSON, Content::new(Some(body)));
            let answer = ResponseBuilder::new()
                .description("The answer.")
                .content(JSON, Content::new(Some(answer)));
            let answer = headers(form)
                .into_iter()
                .fold(answer, |answer, (name, header)| answer.header(name, header));
            let operation =
                operation.request_body(Some(body.build())).response("200", answer.build());
            let dialect = Dialect::of(route.path);
            errors(form, dialect).into_iter().fold(operation, |operation, status| {
                operation.response(status.as_str(), error(status, dialect, schemas))
            })
        }
        Action::Health => operation.response("200", json("It answers.", schemas.named::<Status>())),
        Action::Info => {
            let about = json("Models and limits.", schemas.named::<About>());
            let about = ResponseBuilder::from(about);
            let html = Content::new(Some(String::schema()));
            operation.response(
                "200",
                match route.path == ROOT {
                    true => about.content("text/html", html).build(),
                    false => about.build(),
                },
            )
        }
        Action::Models => {
            operation.response("200", json("The models.", schemas.named::<ModelList>()))
        }
        Action::Model => {
            let name = ParameterBuilder::new()
                .name("model")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some("Name of a model."))
                .schema(Some(String::schema()));
            operation
                .parameter(name.build())
                .response("200", json("The model.", schemas.named::<ModelItem>()))
                .response("404", error(StatusCode::NOT_FOUND, Dialect::of(route.path), schemas))
        }
        Action::Document => {
            let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
            operation.response("200", json("This document.", Schema::from(object.build()).into()))
        }
    }
    .build()
}

fn json(description: &str, schema: RefOr<Schema>) -> Response {
    let response = ResponseBuilder::new().description(description);
    response.content(JSON, Content::new(Some(schema))).build()
}

fn summary(route: &Route) -> &'static str {
    match route.action {
        Action::Operation(form) => match form {
            Form::Event | Form::Invocation => {
                "Answer an event of the function, or a body of text-embeddings-inference"
            }
            Form::Similarity => "Score texts against one",
            Form::Embed | Form::OpenAiEmbeddings => "Embed texts",
            Form::Rerank | Form::CohereRerank => "Order texts by their worth to a query",
            Form::Predict => "Score pairs with the cross-encoder",
            Form::Tokenize => "Tokenise texts",
        },
        Action::Health => "Tell that the service answers",
        Action::Info if route.path == ROOT => {
            "Tell models and limits, or show the page to a browser"
        }
        Action::Info => "Tell models and limits",
        Action::Models => "List the models",
        Action::Model => "Tell of a model",
        Action::Document => "Describe the routes",
    }
}

fn body(form: Form, schemas: &mut Schemas) -> RefOr<Schema> {
    match form {
        Form::Event | Form::Invocation => any_of([
            schemas.named::<EventBody>(),
            schemas.named::<InvokeSimilarity>(),
            schemas.named::<InvokeEmbed>(),
            schemas.named::<InvokeRerank>(),
            schemas.named::<InvokePredict>(),
            schemas.named::<InvokeTokenize>(),
            schemas.named::<InvokeBare>(),
        ]),
        Form::Similarity => schemas.named::<SimilarityBody>(),
        Form::Embed => schemas.named::<EmbedBody>(),
        Form::Rerank => schemas.named::<RerankBody>(),
        Form::Predict => schemas.named::<PredictBody>(),
        Form::Tokenize => schemas.named::<TokenizeBody>(),
        Form::OpenAiEmbeddings => schemas.named::<EmbeddingsBody>(),
        Form::CohereRerank => schemas.named::<CohereRerankBody>(),
    }
}

fn answer(form: Form, schemas: &mut Schemas) -> RefOr<Schema> {
    match form {
        Form::Event | Form::Invocation => any_of([
            schemas.named::<SimilarityResponse>(),
            schemas.inline::<Vec<f32>>(),
            schemas.inline::<Rows>(),
            schemas.inline::<Vec<Rank>>(),
            schemas.inline::<Vec<Prediction>>(),
            schemas.inline::<Vec<Vec<Prediction>>>(),
            schemas.inline::<Vec<Vec<TokenOfText>>>(),
            schemas.named::<About>(),
            schemas.named::<Status>(),
        ]),
        Form::Similarity => schemas.inline::<Vec<f32>>(),
        Form::Embed => schemas.inline::<Rows>(),
        Form::Rerank => schemas.inline::<Vec<Rank>>(),
        Form::Predict => {
            any_of([schemas.inline::<Vec<Prediction>>(), schemas.inline::<Vec<Vec<Prediction>>>()])
        }
        Form::Tokenize => schemas.inline::<Vec<Vec<TokenOfText>>>(),
        Form::OpenAiEmbeddings => schemas.named::<EmbeddingList>(),
        Form::CohereRerank => schemas.named::<RerankResponse>(),
    }
}

/// The headers of an answer.
fn headers(form: Form) -> Vec<(String, Header)> {
    let header = |schema: RefOr<Schema>, description: &str| {
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    };
    let number = |(name, description): &(HeaderName, &str)| {
        (name.to_string(), header(u64::schema(), description))
    };
    let mut headers: Vec<_> = NUMBERS.iter().map(number).collect();
    let texts = "Indices of the texts that were cut, if any were; where there is a query, it is 0 and \
                 texts follow. After the first 100 stands how many more there are.";
    headers.extend([
        (COMPUTE_TYPE.to_string(), header(String::schema(), "`cpu`.")),
        (REQUEST_ID.to_string(), header(String::schema(), "The caller's, or one that was made.")),
        (TRUNCATED.to_string(), header(String::schema(), texts)),
    ]);
    if matches!(form, Form::Event | Form::Invocation | Form::Rerank | Form::CohereRerank) {
        let scorer = header(Scorer::schema(), "What scored the texts, of a rerank.");
        headers.push((SCORED_BY.to_string(), scorer));
    }
    headers
}

/// The statuses that a request can be refused with.
fn errors(form: Form, dialect: Dialect) -> Vec<StatusCode> {
    let mut statuses = vec![
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if dialect == Dialect::Tei {
        statuses.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    if matches!(form, Form::Event | Form::Invocation | Form::Predict) {
        statuses.push(StatusCode::NOT_FOUND);
    }
    statuses
}

fn error(status: StatusCode, dialect: Dialect, schemas: &mut Schemas) -> Response {
    let schema = match dialect {
        Dialect::Tei => schemas.named::<TeiError>(),
        Dialect::OpenAi => schemas.named::<OpenAiError>(),
    };
    let description = match status {
        StatusCode::BAD_REQUEST if dialect == Dialect::OpenAi => {
            "A field is at fault, or the body."
        }
        StatusCode::BAD_REQUEST => "The body is not JSON, or not what its encoding says.",
        StatusCode::NOT_FOUND => "There is no such model, or no cross-encoder.",
        StatusCode::PAYLOAD_TOO_LARGE if dialect == Dialect::OpenAi => {
            "Body or answer have too many bytes."
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            "There are too many texts, a text is too long, or body or answer have too many bytes."
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body is not JSON in UTF-8, plain, gzip or zstd.",
        StatusCode::UNPROCESSABLE_ENTITY => "A field is at fault.",
        StatusCode::TOO_MANY_REQUESTS => {
            "Too many requests wait; Retry-After says when to try again."
        }
        StatusCode::SERVICE_UNAVAILABLE => "The answer took too long.",
        _ => "The model failed.",
    };
    json(description, schema)
}
