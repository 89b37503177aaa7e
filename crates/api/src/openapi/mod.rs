//! The OpenAPI document of the routes.

mod schemas;

use axum::http::{HeaderName, Method, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::PartialSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{
    ComponentsBuilder, Content, Header, InfoBuilder, LicenseBuilder, OpenApiBuilder, Paths, RefOr,
    Required, Response, ResponseBuilder,
};

use crate::dialect::{ErrorForm, Route, RouteSchema, routes};
use crate::http::headers::{COMPUTE_TYPE, NUMBERS, REQUEST_ID, SCORED_BY, TRUNCATED};
use crate::service::Service;

pub(crate) use schemas::{ObjectSchema, Schemas, any_of};

const JSON: &str = "application/json";

/// Returns the document of a service, with its limits.
pub(crate) fn document(service: &Service) -> Result<Box<RawValue>, serde_json::Error> {
    let mut schemas = Schemas::new(*service.limits(), service.about());
    let mut paths = Paths::new();
    for route in routes() {
        let method = match route.method {
            Method::POST => HttpMethod::Post,
            _ => HttpMethod::Get,
        };
        paths.add_path_operation(route.path, vec![method], operation(route, &mut schemas));
    }
    let info = InfoBuilder::new()
        .title("semblance")
        .version(service.about().version)
        .description(Some(
            "Sentence similarity, embeddings and reranking, with the routes of \
             text-embeddings-inference, OpenAI (embeddings) and Cohere (rerank).",
        ))
        .license(Some(
            LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ));
    let components = ComponentsBuilder::new().schemas_from_iter(schemas.into_named());
    let document =
        OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build()));
    to_raw_value(&document.build())
}

fn operation(route: &Route, schemas: &mut Schemas) -> Operation {
    let is_root = route.path == "/";
    let words = route.path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty());
    let root = is_root.then_some("root");
    let method = route.method.as_str().to_ascii_lowercase();
    let id: Vec<&str> = [method.as_str()].into_iter().chain(root).chain(words).collect();
    let operation =
        OperationBuilder::new().operation_id(Some(id.join("_"))).summary(Some(route.summary));
    let RouteSchema { body, reply, has_scorer, can_be_missing } = (route.schema)(schemas);
    let has_body = body.is_some();
    let operation = match body {
        Some(body) => {
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(JSON, Content::new(Some(body)));
            operation.request_body(Some(body.build()))
        }
        None => path_parameters(route.path).into_iter().fold(operation, |operation, name| {
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(String::schema()));
            operation.parameter(parameter.build())
        }),
    };
    let reply = ResponseBuilder::new()
        .description("The response.")
        .content(JSON, Content::new(Some(reply)));
    let reply = match is_root && !has_body {
        true => reply.content("text/html", Content::new(Some(String::schema()))),
        false => reply,
    };
    let reply = match has_body {
        true => headers(has_scorer)
            .into_iter()
            .fold(reply, |reply, (name, header)| reply.header(name, header)),
        false => reply,
    };
    let operation = operation.response("200", reply.build());
    statuses(route.errors, has_body, can_be_missing)
        .into_iter()
        .fold(operation, |operation, status| {
            operation.response(status.as_str(), error(status, route.errors, schemas))
        })
        .build()
}

/// Returns the names of the parameters in a path.
pub(crate) fn path_parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// Returns the headers of a response.
fn headers(has_scorer: bool) -> Vec<(String, Header)> {
    let header = |schema: RefOr<Schema>, description: &str| {
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    };
    let number = |(name, description): &(HeaderName, &str)| {
        (name.to_string(), header(u64::schema(), description))
    };
    let mut headers: Vec<_> = NUMBERS.iter().map(number).collect();
    let texts = "Indices of the truncated texts, if any. In a request with a query, 0 is the query \
                 and texts start at 1. Beyond 100 indices, the number of the omitted ones follows.";
    headers.extend([
        (COMPUTE_TYPE.to_string(), header(String::schema(), "`cpu`.")),
        (
            REQUEST_ID.to_string(),
            header(
                String::schema(),
                "The id of the request: the id from the client, or a generated one.",
            ),
        ),
        (TRUNCATED.to_string(), header(String::schema(), texts)),
    ]);
    if has_scorer {
        let about = "The kind of model that scored the texts of a rerank.";
        headers.push((SCORED_BY.to_string(), header(String::schema(), about)));
    }
    headers
}

/// Returns the statuses of the errors of a route.
fn statuses(form: &ErrorForm, has_body: bool, can_be_missing: bool) -> Vec<StatusCode> {
    let mut statuses = Vec::new();
    if has_body {
        statuses.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::SERVICE_UNAVAILABLE,
        ]);
        if form.field_status != StatusCode::BAD_REQUEST {
            statuses.push(form.field_status);
        }
    }
    if can_be_missing {
        statuses.push(StatusCode::NOT_FOUND);
    }
    statuses
}

fn error(status: StatusCode, form: &ErrorForm, schemas: &mut Schemas) -> Response {
    let texts_too_large = form.too_large_status == StatusCode::PAYLOAD_TOO_LARGE;
    let description = match status {
        StatusCode::BAD_REQUEST if form.field_status == status => {
            "A field is invalid, or the body is not JSON."
        }
        StatusCode::BAD_REQUEST => "The body is not JSON, or does not match its encoding.",
        StatusCode::NOT_FOUND => "The model does not exist, or no cross-encoder is configured.",
        StatusCode::PAYLOAD_TOO_LARGE if texts_too_large => {
            "There are too many texts, a text is too long, or the body or the response has too many \
             bytes."
        }
        StatusCode::PAYLOAD_TOO_LARGE => "The body or the response has too many bytes.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "The body is not JSON in UTF-8, or its content encoding is not gzip, zstd or identity."
        }
        StatusCode::TOO_MANY_REQUESTS => {
            "Too many requests are in progress. Retry after the time in Retry-After."
        }
        StatusCode::SERVICE_UNAVAILABLE => "The request took too long.",
        status if status == form.field_status => "A field is invalid.",
        _ => "The model or the code failed.",
    };
    let response = ResponseBuilder::new().description(description);
    response.content(JSON, Content::new(Some((form.schema)(schemas)))).build()
}
