//! The description of the API, OpenAPI 3.1, made from the handlers themselves.
//!
//! `docs/openapi.json` is this description; `cargo xtask openapi` writes it, and a test compares the two.
//! Each operation has `x-access`: `public`, `member`, `admin` or `reseller`, the least that its caller
//! must be; the test of roles reads it.

use std::sync::OnceLock;

use actix_web::{App, HttpResponse, get};
use bytes::Bytes;
use utoipa::{
    OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_actix_web::AppExt;

use super::ApiError;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "mAI Usage",
        description = "Usage, organizations and keys of the metered OpenRouter gateway. Money is in US dollars \
                       with exact digits; days are the organization's own. Answers have `success`; a refusal \
                       has a stable `code`.",
    ),
    servers((url = "/")),
    // What the routes only refer to.
    components(schemas(super::error::ErrorBody<'_>, super::paging::Order)),
    tags(
        (name = "usage", description = "Statistics of one organization"),
        (name = "reports", description = "Usage that others report"),
        (name = "organizations", description = "Organizations, keys and members"),
        (name = "access", description = "Signing in, accounts and tokens"),
        (name = "statements", description = "What organizations owe for months that are over"),
        (name = "alerts", description = "What was noticed, who hears of it, and what became of that"),
        (name = "operations", description = "Pending generations, the audit log, health"),
    ),
)]
struct Base;

/// The whole description.
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) =
        App::new().into_utoipa_app().openapi(base()).configure(super::routes).split_for_parts();
    document.paths.paths.sort_keys();
    document
}

fn base() -> utoipa::openapi::OpenApi {
    let mut base = Base::openapi();
    let components = base.components.get_or_insert_default();
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(
            Http::builder()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("The reseller's token, an API token, or a session token of Open WebUI"))
                .build(),
        ),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "mai_session",
            "A signed-in browser; changes need the header `X-CSRF-Token` as well",
        ))),
    );
    base
}

/// The description of this API.
#[utoipa::path(
    tag = "operations",
    extensions(("x-access" = json!("public"))),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
#[get("/api/openapi.json")]
pub(super) async fn openapi_json() -> Result<HttpResponse, ApiError> {
    // Made once: it is some 200 KB, and anybody may ask for it.
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    if TEXT.get().is_none() {
        let text = serde_json::to_vec(&document()).map_err(|error| ApiError::internal(&error, None))?;
        TEXT.get_or_init(|| Bytes::from(text));
    }
    let text = TEXT.get().cloned().ok_or_else(ApiError::misconfigured)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(text))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn the_checked_in_description_is_that_of_the_handlers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let checked_in: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let made = serde_json::to_value(document()).unwrap();
        assert!(checked_in == made, "docs/openapi.json is out of date; run `cargo xtask openapi`");
    }

    #[test]
    fn the_index_of_the_documentation_has_every_path() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
        let index = std::fs::read_to_string(path).unwrap();
        for path in document().paths.paths.keys() {
            let path = path.trim_start_matches("/api/v1/");
            assert!(index.contains(&format!("`{path}`")), "docs/api.md lacks {path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::to_value(document()).unwrap();
        let text = document.to_string();
        let start = "\"$ref\":\"#";
        let targets = text.split(start).skip(1).map(|rest| rest.split('"').next().unwrap());
        let lost: BTreeSet<&str> = targets.filter(|target| document.pointer(target).is_none()).collect();
        assert!(lost.is_empty(), "{lost:?}; a type of a query needs `#[param(inline)]` where it is used");
    }

    /// The description keeps one of two types of a name, and says nothing.
    #[test]
    fn no_two_types_have_one_name() {
        let mut names = BTreeSet::new();
        for text in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api"))) {
            // A type that is only ever shown where it is used needs no name.
            let schemas = text
                .split("#[derive(")
                .skip(1)
                .filter(|rest| rest.split(")]").next().is_some_and(|derived| derived.contains("ToSchema")));
            for item in schemas {
                let head = item.split(" {\n").next().unwrap_or_default();
                let after = |mark: &str| head.split(mark).nth(1);
                let name = after("schema(as = ").or(after("struct ")).or(after("enum ")).unwrap_or_default();
                let name = name.split([')', '<', '(', ',', ' ']).next().unwrap_or_default();
                assert!(names.insert(name.to_owned()) || name == "Sort", "two types are called `{name}`");
            }
        }
        assert!(names.len() > 100, "{names:?}");
    }

    /// The texts of all modules below a folder.
    fn sources(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| {
                if path.is_dir() { sources(&path) } else { vec![std::fs::read_to_string(path).unwrap()] }
            })
            .collect()
    }

    #[test]
    fn every_operation_says_who_may_call_it() {
        let document = serde_json::to_value(document()).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let access = operation["x-access"].as_str();
                let known = ["public", "member", "admin", "reseller"];
                assert!(access.is_some_and(|access| known.contains(&access)), "{method} {path}");
                let secured = operation.get("security").is_some();
                assert_eq!(secured, access != Some("public"), "{method} {path}");
            }
        }
    }
}
