//! Usage by model.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::{ModelUsage, stats::models::ModelSort};
use mai_primitives::{Usd, display};

use super::Here;
use crate::{
    api::ApiError,
    dashboard::{
        address::encoded_part,
        charts,
        figures::{Amount, Item, Notice, Ranked, cost, ranking, rate_notices, top},
        format,
        frame::{Frame, Link, SHARED, Tab},
        range::Range,
        table::{Head, Pager, Search, Sortable, Sorting, listing, paged},
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

/// How many have a bar of their own.
pub(super) const TOP: usize = 8;

#[derive(Template)]
#[template(path = "models.html")]
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
    provider: String,
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
    let listed = usage.models(&here.id, range.asked(), listing(visit, sorting)).await?;
    let mut frame = here.frame(visit).await?;
    here.freshness(visit, &mut frame, None, &listed.conversion);
    let totals = listed.page.matched_totals;
    let is_whole = listed.page.matched_totals == listed.page.totals;
    let pln = if is_whole { listed.cost_pln } else { listed.page.matched_pln };
    let count = i64::try_from(listed.page.matched).unwrap_or(i64::MAX);
    let items =
        listed.page.items.iter().map(|model| Item::new(model.model_name.to_string(), cost(&model.totals)));
    let ranked = ranking(top(items.collect(), TOP, frame.t("other")), cost(&listed.page.totals), |nanos| {
        display::usd(Usd::from_nanos(nanos))
    });
    let (models, pager) = paged(listed.page.items, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, name, tokens, requests, days] = COLUMNS;
    let page_ = Page {
        views: views(visit, &here, false),
        heads: vec![
            head("model", name),
            Head::plain(frame.t("provider"), false),
            head("tokens", tokens),
            head("requests", requests),
            head("cost", by_cost),
            Head::plain(frame.t("share"), true),
            head("days-used", days),
        ],
        notices: rate_notices(&frame, &listed.conversion),
        ranking: ranked,
        search: Search::of(visit, &frame.t("models-search")),
        rows: models.into_iter().map(|model| row(&frame, model)).collect(),
        pager,
        count: frame.language.count("models-count", count),
        tokens: frame.number(totals.tokens),
        requests: frame.number(totals.requests),
        cost: Amount::new(totals.markup_cost, pln),
        range,
        frame,
    };
    page(&page_)
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

fn row(frame: &Frame, model: ModelUsage) -> Row {
    Row {
        name: model.model_name.to_string(),
        provider: model.provider.unwrap_or_else(|| frame.t("unknown")),
        tokens: frame.number(model.totals.tokens),
        requests: frame.number(model.totals.requests),
        cost: Amount::new(model.totals.markup_cost, model.cost_pln),
        share: model.share_ppm.map(format::percent).unwrap_or_default(),
        width: model.share_ppm.map_or(0, |ppm| charts::width(ppm, 1_000_000)),
        days: frame.number(model.days_used),
    }
}
