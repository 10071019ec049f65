//! The refusals that the description of the API names, by what a route does.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, schema::Type,
    },
};

/// What a route that only reads may refuse with.
pub(crate) struct ReadRefusals;

/// What a route that changes something and takes no body may refuse with.
pub(crate) struct ChangeRefusals;

/// What a route that takes a body may refuse with.
pub(crate) struct Refusals;

impl IntoResponses for ReadRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[400, 401, 403, 404, 429, 503])
    }
}

impl IntoResponses for ChangeRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[400, 401, 403, 404, 409, 429, 503])
    }
}

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&[400, 401, 403, 404, 408, 409, 413, 415, 429, 503])
    }
}

fn described(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    statuses.iter().map(|status| (status.to_string(), refusal(*status).into())).collect()
}

fn refusal(status: u16) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let refusal = ResponseBuilder::new().description(meaning(status)).content("application/json", body);
    if !matches!(status, 429 | 503) {
        return refusal.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer);
    let header = HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("After how many seconds it is worth asking again, where that is known"));
    refusal.header("Retry-After", header.build()).build()
}

const fn meaning(status: u16) -> &'static str {
    match status {
        401 => "No token, or one that opens nothing",
        403 => "The caller is known and may not do this",
        404 => "There is no such thing, or it is another organization's",
        408 => "The body did not come in time",
        409 => "Something else has what must be unique, or is in another state",
        413 => "The body is too large",
        415 => "The body is compressed",
        429 => "Too many requests",
        503 => "The database, or a service behind us, cannot be reached",
        _ => "The request cannot be used; `code` and `field` say why",
    }
}
