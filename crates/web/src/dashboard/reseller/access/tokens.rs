//! The API tokens of the reseller.

use actix_web::{HttpResponse, web};
use askama::Template;
use mai_organization::client_organization::{ApiTokenModel, NewApiToken, Role, TokenScope};
use mai_primitives::{UnixTime, UsageDate};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{
    super::{frame, open, sent},
    views,
};
use crate::{
    api::{ApiError, caller::Caller},
    dashboard::{
        figures::Notice,
        format,
        forms::{Confirm, onward},
        frame::{Frame, Link, ResellerTab},
        table::{Pager, Search, paged},
        told::{Line, Once, Told, answer, on_page},
        visit::Visit,
    },
};

const KEPT: [&str; 3] = ["search", "page", "state"];
const DONE: [&str; 1] = ["api-token-revoked"];
const TEXTS: [(&str, &str); 2] = [("name", "account-name-unfit"), ("expires_at", "api-token-day-unfit")];
const STATES: [(&str, &str); 2] = [("valid", "api-tokens-valid"), ("all", "api-tokens-all")];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/access/tokens", web::get().to(async |visit: Visit| visit.answer(list).await))
        .route("/access/tokens/add", web::post().to(add))
        .route("/access/tokens/revoke", web::post().to(revoke));
}

#[derive(Default, Deserialize)]
struct Form {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    scope: String,
    /// The last day on which it works; none means always.
    #[serde(default)]
    until: String,
}

#[derive(Deserialize)]
struct OneForm {
    #[serde(default)]
    csrf_token: String,
    #[serde(default)]
    id: String,
}

#[derive(Template)]
#[template(path = "access_tokens.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    once: Option<Once>,
    confirm: Option<Confirm>,
    states: Vec<Link>,
    search: Search,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    /// Whether there is no token at all.
    is_bare: bool,
    typed: Form,
    today: String,
    action: String,
}

struct Row {
    name: String,
    prefix: String,
    scope: String,
    /// The class and the text.
    state: (&'static str, String),
    is_valid: bool,
    last: String,
    made: String,
    revoke: String,
}

async fn list(visit: &Visit) -> Result<HttpResponse, ApiError> {
    let caller = open(visit).await?;
    show(visit, &caller, Told::default(), Form::default()).await
}

async fn show(visit: &Visit, caller: &Caller, told: Told, typed: Form) -> Result<HttpResponse, ApiError> {
    let frame = frame(visit, caller, ResellerTab::Access).await?;
    let (all, code) = match visit.address.get("state") {
        None | Some("valid") => (false, "valid"),
        Some("all") => (true, "all"),
        Some(_) => return Err(ApiError::field("state", "must be valid or all")),
    };
    let now = visit.now();
    let mut found = visit.api.services.api_token_db.list(None).await?;
    let is_bare = found.is_empty();
    let asked = visit.address.get("confirm");
    let asked = found.iter().find(|row| asked == Some(row.id.as_str()) && is_valid(row, now));
    let confirm = asked.map(|row| confirm(visit, &frame, row));
    let wanted = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
    found.retain(|row| (all || is_valid(row, now)) && row.name.to_lowercase().contains(&wanted));
    // The latest first.
    found.reverse();
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(found, &visit.address, &frame)?;
    let page = Page {
        views: views(&frame, true),
        notices: told.notices(visit, &frame, &DONE, &TEXTS)?,
        once: told.once,
        confirm,
        states: states(visit, code),
        search: Search::of(visit, &frame.t("organizations-search")),
        rows: shown.into_iter().map(|row| shown_row(visit, &frame, row)).collect(),
        pager,
        count: frame.language.count("api-tokens-count", count),
        is_bare,
        typed,
        today: visit.api.time_zone.usage_date(visit.api.clock.now()).to_string(),
        action: visit.address.path().to_owned(),
        frame,
    };
    answer(&page, told.refusal)
}

fn states(visit: &Visit, chosen: &str) -> Vec<Link> {
    let link = |(code, key): (&str, &str)| Link {
        href: visit.address.with(&[("state", code), ("page", ""), ("confirm", "")]).link(),
        label: visit.language.text(key),
        is_current: code == chosen,
    };
    STATES.into_iter().map(link).collect()
}

fn is_valid(row: &ApiTokenModel, now: UnixTime) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| end > now)
}

fn shown_row(visit: &Visit, frame: &Frame, row: ApiTokenModel) -> Row {
    let now = visit.now();
    let at = |at| format::instant(frame.language, visit.api.time_zone, at);
    let state = match (row.revoked_at, row.expires_at) {
        (Some(end), _) => ("bad", frame.with("api-token-was-revoked", &at(end))),
        (None, Some(end)) if end <= now => ("warn", frame.with("api-token-expired", &at(end))),
        (None, Some(end)) => ("ok", frame.with("api-token-until", &at(end))),
        (None, None) => ("ok", frame.t("api-token-unbounded")),
    };
    Row {
        is_valid: is_valid(&row, now),
        state,
        scope: frame.language.text(match row.scope {
            TokenScope::Full => "people-scope-full",
            TokenScope::Read => "people-scope-read",
        }),
        last: row
            .last_used_at
            .map_or_else(|| frame.t("people-never"), |at| format::ago(frame.language, now, at)),
        made: at(row.created_at),
        revoke: visit.address.with(&[("confirm", &row.id)]).link(),
        prefix: format!("{}…", row.token_prefix),
        name: row.name,
    }
}

fn confirm(visit: &Visit, frame: &Frame, row: &ApiTokenModel) -> Confirm {
    Confirm {
        title: frame.with("api-token-revoke-title", &row.name),
        text: frame.with("api-token-revoke-text", &row.token_prefix),
        action: format!("{}/revoke", visit.address.path()),
        fields: vec![("id", row.id.clone())],
        submit: frame.t("people-revoke"),
        cancel: visit.address.with(&[("confirm", "")]).link(),
    }
}

/// The end of the last day, on the service's clock.
fn end_of(visit: &Visit, text: &str) -> Result<Option<UnixTime>, ApiError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let day = UsageDate::parse(text.trim());
    let day = day.map_err(|_| ApiError::field("expires_at", "must be a day as YYYY-MM-DD"))?;
    Ok(Some(visit.api.time_zone.start_of(day.plus_days(1))))
}

async fn add(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let form = form.into_inner();
        let caller = sent(visit, &form.csrf_token).await?;
        let made = async {
            let scope = form.scope.parse::<TokenScope>();
            let new = NewApiToken {
                name: form.name.clone(),
                role: Role::Reseller,
                client_org_id: None,
                user_id: None,
                scope: scope.map_err(|reason| ApiError::field("scope", reason))?,
                expires_at: end_of(visit, &form.until)?,
            };
            Ok::<_, ApiError>(caller.services(&visit.api).api_token_db.create(new).await?)
        };
        match made.await {
            Ok(made) => {
                let token = made.token.expose_secret().to_owned();
                let once = Once {
                    title: visit.language.with("api-token-made-title", &made.model.name),
                    text: visit.language.text("api-token-made-text"),
                    lines: vec![Line::new("api-token", visit.language.text("api-token"), token)],
                };
                show(visit, &caller, Told::once(once), Form::default()).await
            }
            Err(refusal) => show(visit, &caller, Told::refused(refusal), form).await,
        }
    };
    visit.answer(work).await
}

async fn revoke(visit: Visit, form: web::Form<OneForm>) -> HttpResponse {
    let visit = on_page(visit, 1, &KEPT);
    let work = async |visit: &Visit| {
        let caller = sent(visit, &form.csrf_token).await?;
        caller.services(&visit.api).api_token_db.revoke(None, &form.id).await?;
        Ok(onward(&visit.address, "api-token-revoked"))
    };
    visit.answer(work).await
}
