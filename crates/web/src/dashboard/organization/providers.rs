//! Usage by provider: the models of one author together.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::stats::models::ProviderUsage;

use super::{
    Here,
    list::{List, Texts, dearest},
    models::{COLUMNS, views},
};
use crate::{
    api::ApiError,
    dashboard::{
        frame::{Frame, Tab},
        table::{Head, Sorting, listing},
        visit::{Visit, page},
    },
};

#[derive(Template)]
#[template(path = "providers.html")]
struct Page {
    frame: Frame,
    list: List<Row>,
}

struct Row {
    name: String,
    slug: String,
    models: String,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Models).await?;
    let range = here.range(visit)?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let usage = &visit.api.services.client_usage_db;
    let listed = usage.providers(&here.id, range.asked(), listing(visit, sorting)).await?;
    let mut frame = here.frame_titled(visit, "tab-providers").await?;
    here.freshness(visit, &mut frame, &listed.conversion).await?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, by_name, tokens, requests, days] = COLUMNS;
    let heads = vec![
        head("provider", by_name),
        Head::plain(frame.t("models-used"), true),
        head("tokens", tokens),
        head("requests", requests),
        head("cost", by_cost),
        Head::plain(frame.t("share"), true),
        head("days-used", days),
    ];
    let name = |provider: &ProviderUsage| provider.name.clone().unwrap_or_else(|| frame.t("unknown"));
    let row = |provider: ProviderUsage| Row {
        name: name(&provider),
        models: frame.number(provider.models_used),
        slug: provider.slug.unwrap_or_default(),
    };
    let ranking = dearest(&frame, &listed, name);
    let texts = Texts { count: "providers-count", search: "providers-search" };
    let list = List::of(visit, &frame, range, listed, (texts, heads), row)?;
    page(&Page { list: List { ranking, views: views(visit, &here, true), ..list }, frame })
}
