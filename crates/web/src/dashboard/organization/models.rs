//! Usage by model.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::{ModelUsage, stats::models::ModelSort};

use super::{
    Here,
    list::{List, Texts, dearest},
};
use crate::{
    api::ApiError,
    dashboard::{
        address::encoded_part,
        frame::{Frame, Link, SHARED, Tab},
        table::{Head, Sortable, Sorting, listing},
        visit::{Visit, page},
    },
};

pub(super) const COLUMNS: [Sortable<ModelSort>; 5] = [
    ("cost", ModelSort::Cost, true),
    ("name", ModelSort::Name, false),
    ("tokens", ModelSort::Tokens, true),
    ("requests", ModelSort::Requests, true),
    ("days", ModelSort::DaysUsed, true),
];

#[derive(Template)]
#[template(path = "models.html")]
struct Page {
    frame: Frame,
    list: List<Row>,
}

struct Row {
    name: String,
    provider: String,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Models).await?;
    let range = here.range(visit)?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let usage = &visit.api.services.client_usage_db;
    let listed = usage.models(&here.id, range.asked(), listing(visit, sorting)).await?;
    let mut frame = here.frame(visit).await?;
    here.freshness(visit, &mut frame, &listed.conversion).await?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, name, tokens, requests, days] = COLUMNS;
    let heads = vec![
        head("model", name),
        Head::plain(frame.t("provider"), false),
        head("tokens", tokens),
        head("requests", requests),
        head("cost", by_cost),
        Head::plain(frame.t("share"), true),
        head("days-used", days),
    ];
    let row = |model: ModelUsage| Row {
        name: model.model_name.to_string(),
        provider: model.provider.unwrap_or_else(|| frame.t("unknown")),
    };
    let ranking = dearest(&frame, &listed, |model| model.model_name.to_string());
    let texts = Texts { count: "models-count", search: "models-search" };
    let list = List::of(visit, &frame, range, listed, (texts, heads), row)?;
    page(&Page { list: List { ranking, views: views(visit, &here, false), ..list }, frame })
}

/// The two views of the tab.
pub(super) fn views(visit: &Visit, here: &Here, by_provider: bool) -> Vec<Link> {
    let models = Tab::Models.path(&here.id);
    let providers = format!("/organizations/{}/providers", encoded_part(here.id.as_str()));
    let link = |path: String, key: &str, is_current: bool| Link {
        href: visit.address.sharing(path, &SHARED).link(),
        label: visit.language.text(key),
        is_current,
    };
    vec![link(models, "tab-models", !by_provider), link(providers, "tab-providers", by_provider)]
}
