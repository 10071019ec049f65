//! Usage of users who are no registered members, and giving it to members.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::{
    client_organization::{MemberQuery, external_ids::is_of_nobody},
    usage_tracking::{Assignment, query::UserSums, verify::Days},
};
use mai_primitives::UserId;
use serde::Deserialize;

use super::{super::Here, View};
use crate::{
    api::ApiError,
    dashboard::{
        address::Address,
        figures::{Amount, Notice},
        format,
        forms::onward,
        frame::{Frame, Link, SHARED, Tab},
        range::Range,
        table::{Pager, Search, paged},
        told::{Told, answer, on_page},
        visit::Visit,
    },
};

/// How many members are suggested while an id is typed.
const SUGGESTED: usize = 500;

const DONE: [&str; 1] = ["unassigned-done"];
const TEXTS: [(&str, &str); 3] = [
    ("to_user_id", "unassigned-target-unfit"),
    ("from_user_id", "unassigned-origin-unfit"),
    ("wrong_state", "unassigned-wrong-state"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/members/unassigned", web::get().to(async |visit: Visit| visit.answer(list).await))
        .route("/members/unassigned/assign", web::post().to(assign));
}

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    from_user_id: String,
    #[serde(default)]
    to_user_id: String,
}

#[derive(Template)]
#[template(path = "member_unassigned.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    range: Range,
    notices: Vec<Notice>,
    chosen: Option<Chosen>,
    search: Search,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
}

/// The user whose usage is to be given to a member.
struct Chosen {
    user: String,
    /// What will be moved.
    text: String,
    typed: String,
    /// Ids and names of members.
    members: Vec<(String, String)>,
    action: String,
    cancel: String,
}

struct Row {
    user: String,
    openrouter_user: String,
    tokens: String,
    requests: String,
    cost: Amount,
    days: String,
    last: String,
    assign: String,
}

async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let here = Here::open(visit, Tab::Members).await?;
    let chosen = visit.address.get("assign").map(str::to_owned);
    show(visit, &here, Told::default(), chosen.map(|user| (user, String::new()))).await
}

async fn show(
    visit: &Visit,
    here: &Here,
    told: Told,
    chosen: Option<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let frame = here.frame_titled(visit, "members-unassigned").await?;
    let range = here.range(visit)?;
    let usage = &visit.api.services.client_usage_db;
    let (from, to) = (range.days.from(), range.days.to());
    let mut found = usage.get_unassigned_usage(&here.id, Some(from), Some(to)).await?;
    let wanted = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
    found.retain(|row| row.user_id.as_str().to_lowercase().contains(&wanted));
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let chosen = match chosen {
        Some((user, typed)) => Some(choose(visit, here, &frame, &range, user, typed).await?),
        None => None,
    };
    let (shown, pager) = paged(found, &visit.address, &frame)?;
    let page = Page {
        views: View::Unassigned.links(here, &frame),
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        chosen,
        search: Search::of(visit, &frame.t("unassigned-search")),
        rows: shown.into_iter().map(|row| shown_row(visit, &frame, here, &row)).collect(),
        pager,
        count: frame.language.count("users-count", count),
        range,
        frame,
    };
    answer(&page, told.refusal)
}

fn shown_row(visit: &Visit, frame: &Frame, here: &Here, row: &UserSums) -> Row {
    let calendar = here.organization.calendar;
    Row {
        openrouter_user: row.openrouter_user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        tokens: frame.number(row.totals.tokens),
        requests: frame.number(row.totals.requests),
        cost: Amount::new(row.totals.markup_cost, row.cost_pln),
        days: frame.number(row.days_active),
        last: format::instant(frame.language, calendar, row.last_activity),
        assign: visit.address.with(&[("assign", row.user_id.as_str())]).link(),
        user: row.user_id.to_string(),
    }
}

async fn choose(
    visit: &Visit,
    here: &Here,
    frame: &Frame,
    range: &Range,
    user: String,
    typed: String,
) -> Result<Chosen, ApiError> {
    let query = MemberQuery { is_active: Some(true), ..MemberQuery::default() };
    let members = visit.api.services.member_db.search(&here.id, query).await?;
    let suggested = members.into_iter().take(SUGGESTED).map(|member| {
        let id = member.user_id.to_string();
        (id, member.name.or(member.email).unwrap_or_default())
    });
    let text = if is_nobody(here, &user)? {
        frame.with("unassigned-some", &range.label)
    } else {
        frame.with("unassigned-whole", &user)
    };
    let action = format!("{}/assign", visit.address.path());
    Ok(Chosen {
        text,
        typed,
        members: suggested.collect(),
        // Just these days, also when a new one begins meanwhile.
        action: Address::to(action).with(&[("start_date", &range.from()), ("end_date", &range.to())]).link(),
        cancel: visit.address.with(&[("assign", "")]).link(),
        user,
    })
}

/// Whether usage under an id is of nobody in particular, which is given away by days.
fn is_nobody(here: &Here, user: &str) -> Result<bool, ApiError> {
    let user = UserId::new(user).map_err(|error| ApiError::field("from_user_id", error))?;
    Ok(is_of_nobody(&here.id, &user)?)
}

async fn assign(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &SHARED);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let here = Here::sent(visit, Tab::Members, &form.csrf_token).await?;
        let range = here.range(visit)?;
        let given = async {
            let id =
                |field, text: &str| UserId::new(text.trim()).map_err(|error| ApiError::field(field, error));
            let days = if is_nobody(&here, &form.from_user_id)? {
                Days { from: Some(range.days.from()), to: Some(range.days.to()) }
            } else {
                Days::default()
            };
            let to = id("to_user_id", &form.to_user_id)?;
            let known = visit.api.services.member_db.get(&here.id, &to).await?;
            if known.is_none() {
                return Err(ApiError::field("to_user_id", "there is no such member"));
            }
            let assignment =
                Assignment { from: id("from_user_id", &form.from_user_id)?, to, days, merge: false };
            Ok(here.caller.services(&visit.api).client_usage_db.assign(&here.id, assignment).await?)
        };
        match given.await {
            Ok(_) => Ok(onward(&visit.address, "unassigned-done")),
            Err(refusal) => {
                let chosen = UserId::new(&form.from_user_id).is_ok();
                let chosen = chosen.then_some((form.from_user_id, form.to_user_id));
                show(visit, &here, Told::refused(refusal), chosen).await
            }
        }
    };
    visit.answer(work).await
}
