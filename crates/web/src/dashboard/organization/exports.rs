//! Files of the same figures, from the API's own export.

use actix_web::HttpResponse;
use askama::Template;

use super::Here;
use crate::{
    api::ApiError,
    dashboard::{
        address::Address,
        frame::{Frame, Tab},
        range::Range,
        visit::{Visit, page},
    },
};

/// What there is a row for: the kind, its name and what it is good for.
const KINDS: [(&str, &str, &str); 6] = [
    ("daily", "export-daily", "export-daily-note"),
    ("by-user", "export-by-user", "export-by-user-note"),
    ("by-model", "export-by-model", "export-by-model-note"),
    ("by-user-daily", "export-by-user-daily", "export-by-user-daily-note"),
    ("by-model-daily", "export-by-model-daily", "export-by-model-daily-note"),
    ("generations", "export-generations", "export-generations-note"),
];

const FORMATS: [(&str, &str); 3] = [("csv", "CSV"), ("xlsx", "XLSX"), ("jsonl", "JSONL")];

#[derive(Template)]
#[template(path = "exports.html")]
struct Page {
    frame: Frame,
    range: Range,
    kinds: Vec<Kind>,
}

struct Kind {
    name: String,
    note: String,
    files: Vec<(String, &'static str)>,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Exports).await?;
    let range = here.range(visit)?;
    let frame = here.frame(visit).await?;
    let (from, to) = (range.from(), range.to());
    let kind = |(code, name, note): (&str, &str, &str)| Kind {
        name: frame.t(name),
        note: frame.t(note),
        files: FORMATS
            .map(|(format, label)| (file(here.id.as_str(), code, format, (&from, &to)), label))
            .into(),
    };
    page(&Page { kinds: KINDS.map(kind).into(), range, frame })
}

/// Where a file is; CSV with the mark by which Excel knows UTF-8.
fn file(organization: &str, kind: &str, format: &str, (from, to): (&str, &str)) -> String {
    let bom = if format == "csv" { "true" } else { "" };
    let address = Address::to("/api/v1/usage-tracking/my-organization/export");
    let asked = [
        ("client_org_id", organization),
        ("kind", kind),
        ("format", format),
        ("start_date", from),
        ("end_date", to),
        ("bom", bom),
    ];
    address.with(&asked).link()
}
