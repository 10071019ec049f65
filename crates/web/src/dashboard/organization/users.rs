//! Usage by member.

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::usage_tracking::{
    UserUsage,
    stats::users::{Activity, UserSort},
};

use super::{
    Here, choices,
    list::{List, Texts},
};
use crate::{
    api::ApiError,
    dashboard::{
        format,
        frame::{Frame, Link, Tab},
        table::{Head, Sortable, Sorting, listing},
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
    list: List<Row>,
    activities: Vec<Link>,
}

struct Row {
    name: String,
    email: String,
    id: String,
    is_inactive: bool,
    is_unregistered: bool,
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
    here.freshness(visit, &mut frame, &listed.conversion).await?;
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [by_cost, name, tokens, requests, days, last] = COLUMNS;
    let heads = vec![
        head("user", name),
        head("tokens", tokens),
        head("requests", requests),
        head("cost", by_cost),
        Head::plain(frame.t("share"), true),
        head("days-active", days),
        head("last-activity", last),
    ];
    let texts = Texts { count: "users-count", search: "users-search" };
    let list =
        List::of(visit, &frame, range, listed, (texts, heads), |user| row(visit, &frame, &here, &user))?;
    page(&Page { list, activities: choices(visit, "activity", code, &ACTIVITIES), frame })
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
        last: user.last_activity.map(at),
        id: user.user_id.to_string(),
    }
}
