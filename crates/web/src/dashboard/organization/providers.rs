//! Usage by provider: the models of one author together.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::stats::models::ProviderUsage;
use mai_primitives::{Usd, display};

use super::{
    Here,
    models::{COLUMNS, TOP, views},
};
use crate::{
    api::ApiError,
    dashboard::{
        charts,
        figures::{Amount, Item, Notice, Ranked, cost, ranking, rate_notices, top},
        format,
        frame::{Frame, Link, Tab},
        range::Range,
        table::{Head, Pager, Search, Sorting, listing, paged},
        visit::{Visit, page},
    },
};

#[derive(Template)]
#[template(path = "providers.html")]
struct Page {
    frame: Frame,
    range: Range,
    notices: Vec<Notice>,
    ranking: Vec<Ranked>,
    search: Search,
    views: Vec<Link>,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    tokens: String,
    requests: String,
    cost: Amount,
}

struct Row {
    name: String,
    slug: String,
    models: String,
    tokens: String,
    requests: String,
    cost: Amount,
    share: String,
    width: i64,
    days: String,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Models).await?;
    let range = here.range(visit)?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let usage = &visit.api.services.client_usage_db;
    let listed = usage.providers(&here.id, range.asked(), listing(visit, sorting)).await?;
    let mut frame = here.frame_titled(visit, "tab-providers").await?;
    here.freshness(visit, &mut frame, None, &listed.conversion);
    let totals = listed.page.matched_totals;
    let is_whole = listed.page.matched_totals == listed.page.totals;
    let pln = if is_whole { listed.cost_pln } else { listed.page.matched_pln };
    let count = i64::try_from(listed.page.matched).unwrap_or(i64::MAX);
    let items =
        listed.page.items.iter().map(|provider| Item::new(name(&frame, provider), cost(&provider.totals)));
    let ranked = ranking(top(items.collect(), TOP, frame.t("other")), cost(&listed.page.totals), |nanos| {
        display::usd(Usd::from_nanos(nanos))
    });
    let (providers, pager) = paged(listed.page.items, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, by_name, tokens, requests, days] = COLUMNS;
    let page_ = Page {
        views: views(visit, &here, true),
        heads: vec![
            head("provider", by_name),
            Head::plain(frame.t("models-used"), true),
            head("tokens", tokens),
            head("requests", requests),
            head("cost", by_cost),
            Head::plain(frame.t("share"), true),
            head("days-used", days),
        ],
        notices: rate_notices(&frame, &listed.conversion),
        ranking: ranked,
        search: Search::of(visit, &frame.t("providers-search")),
        rows: providers.into_iter().map(|provider| row(&frame, &provider)).collect(),
        pager,
        count: frame.language.count("providers-count", count),
        tokens: frame.number(totals.tokens),
        requests: frame.number(totals.requests),
        cost: Amount::new(totals.markup_cost, pln),
        range,
        frame,
    };
    page(&page_)
}

fn name(frame: &Frame, provider: &ProviderUsage) -> String {
    provider.name.clone().unwrap_or_else(|| frame.t("unknown"))
}

fn row(frame: &Frame, provider: &ProviderUsage) -> Row {
    Row {
        name: name(frame, provider),
        slug: provider.slug.clone().unwrap_or_default(),
        models: frame.number(provider.models_used),
        tokens: frame.number(provider.totals.tokens),
        requests: frame.number(provider.totals.requests),
        cost: Amount::new(provider.totals.markup_cost, provider.cost_pln),
        share: provider.share_ppm.map(format::percent).unwrap_or_default(),
        width: provider.share_ppm.map_or(0, |ppm| charts::width(ppm, 1_000_000)),
        days: frame.number(provider.days_used),
    }
}
