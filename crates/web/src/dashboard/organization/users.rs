//! Usage by member.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::{
    UserUsage,
    stats::users::{Activity, UserSort},
};

use super::{Here, choices};
use crate::{
    api::ApiError,
    dashboard::{
        figures::{Amount, Notice, rate_notices},
        format,
        frame::{Frame, Link, Tab},
        range::Range,
        table::{Head, Pager, Search, Sortable, Sorting, listing, paged},
        visit::{Visit, page},
    },
};

const COLUMNS: [Sortable<UserSort>; 6] = [
    ("cost", UserSort::Cost, true),
    ("name", UserSort::Name, false),
    ("tokens", UserSort::Tokens, true),
    ("requests", UserSort::Requests, true),
    ("days", UserSort::DaysActive, true),
    ("last", UserSort::LastActivity, true),
];

const ACTIVITIES: [(&str, &str); 3] =
    [("all", "users-all"), ("active", "users-active"), ("idle", "users-idle")];

#[derive(Template)]
#[template(path = "users.html")]
struct Page {
    frame: Frame,
    range: Range,
    notices: Vec<Notice>,
    activities: Vec<Link>,
    search: Search,
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
    email: String,
    id: String,
    is_inactive: bool,
    is_unregistered: bool,
    tokens: String,
    requests: String,
    cost: Amount,
    share: String,
    width: i64,
    days: String,
    last: Option<(String, String)>,
}

/// The page.
pub(super) async fn show(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Users).await?;
    let range = here.range(visit)?;
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let (activity, code) = match visit.address.get("activity") {
        None | Some("all") => (Activity::All, "all"),
        Some("active") => (Activity::Active, "active"),
        Some("idle") => (Activity::Idle, "idle"),
        Some(_) => return Err(ApiError::field("activity", "must be all, active or idle")),
    };
    let usage = &visit.api.services.client_usage_db;
    let listed = usage.users(&here.id, range.asked(), activity, listing(visit, sorting)).await?;
    let mut frame = here.frame(visit).await?;
    let last = listed.page.items.iter().filter_map(|user| user.last_activity).max();
    here.freshness(visit, &mut frame, last, &listed.conversion);
    let totals = listed.page.matched_totals;
    // The organization's rounded days where everybody is listed, as everywhere else.
    let is_whole = listed.page.matched_totals == listed.page.totals;
    let pln = if is_whole { listed.cost_pln } else { listed.page.matched_pln };
    let count = i64::try_from(listed.page.matched).unwrap_or(i64::MAX);
    let (users, pager) = paged(listed.page.items, &visit.address, &frame)?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, name, tokens, requests, days, last] = COLUMNS;
    let page_ = Page {
        heads: vec![
            head("user", name),
            head("tokens", tokens),
            head("requests", requests),
            head("cost", by_cost),
            Head::plain(frame.t("share"), true),
            head("days-active", days),
            head("last-activity", last),
        ],
        notices: rate_notices(&frame, &listed.conversion),
        activities: choices(visit, "activity", code, &ACTIVITIES),
        search: Search::of(visit, &frame.t("users-search")),
        rows: users.into_iter().map(|user| row(visit, &frame, &here, &user)).collect(),
        pager,
        count: frame.language.count("users-count", count),
        tokens: frame.number(totals.tokens),
        requests: frame.number(totals.requests),
        cost: Amount::new(totals.markup_cost, pln),
        range,
        frame,
    };
    page(&page_)
}

fn row(visit: &Visit, frame: &Frame, here: &Here, user: &UserUsage) -> Row {
    let calendar = here.organization.calendar;
    let at =
        |at| (format::ago(frame.language, visit.now(), at), format::instant(frame.language, calendar, at));
    Row {
        name: user.display_name().to_owned(),
        email: user.email().unwrap_or_default().to_owned(),
        is_inactive: user.member.as_ref().is_some_and(|member| !member.is_active),
        is_unregistered: user.member.is_none(),
        tokens: frame.number(user.totals.tokens),
        requests: frame.number(user.totals.requests),
        cost: Amount::new(user.totals.markup_cost, user.cost_pln),
        share: user.share_ppm.map(format::percent).unwrap_or_default(),
        width: user.share_ppm.map_or(0, |ppm| crate::dashboard::charts::width(ppm, 1_000_000)),
        days: frame.number(user.days_active),
        last: user.last_activity.map(at),
        id: user.user_id.to_string(),
    }
}
