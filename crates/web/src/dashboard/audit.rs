//! The audit log as a page: who changed what. The reseller sees all of it, an administrator what is about the own
//! organization, without what is confidential.

use std::collections::HashMap;

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::audit_log::{ActorKind, AuditEntryModel, AuditQuery};
use mai_primitives::{OrganizationCalendar, OrganizationId, UsageDate};

use super::{
    cursor::{self, CURSOR, Leafing},
    details,
    figures::Notice,
    format,
    frame::Frame,
    visit::{Visit, page},
};
use crate::api::{ApiError, audit_log::details_for, paging};

/// What actions are about: how they begin, and the text for it.
const SUBJECTS: [(&str, &str); 21] = [
    ("organization", "log-of-organization"),
    ("member", "log-of-member"),
    ("mapping", "log-of-mapping"),
    ("account", "log-of-account"),
    ("session", "log-of-session"),
    ("sign_in_link", "log-of-sign-in-link"),
    ("open_webui", "log-of-open-webui"),
    ("api_token", "log-of-api-token"),
    ("gateway_key", "log-of-gateway-key"),
    ("provider_key", "log-of-provider-key"),
    ("master_key", "log-of-master-key"),
    ("usage_limit", "log-of-usage-limit"),
    ("usage", "log-of-usage"),
    ("generation", "log-of-generation"),
    ("statement", "log-of-statement"),
    ("billing_profile", "log-of-billing-profile"),
    ("subscription", "log-of-subscription"),
    ("alert_destination", "log-of-alert-destination"),
    ("anomaly", "log-of-anomaly"),
    ("batch", "log-of-batch"),
    ("settings", "log-of-settings"),
];

/// What the page of a log needs beside its entries.
pub(crate) struct Scope {
    /// Whose entries; none for all.
    pub(crate) organization: Option<OrganizationId>,
    /// Whose days and times.
    pub(crate) calendar: OrganizationCalendar,
    /// Whether confidential details, the check of the chain and the export are there.
    pub(crate) is_reseller: bool,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    notices: Vec<Notice>,
    filter: Filter,
    subjects: Vec<(String, String, bool)>,
    rows: Vec<Row>,
    leafing: Leafing,
    is_reseller: bool,
    /// The page itself with a check of the chain.
    verify: String,
}

/// What is asked for.
struct Filter {
    path: String,
    actor: String,
    from: String,
    to: String,
    today: String,
    clear: Option<String>,
}

struct Row {
    at: String,
    ago: String,
    who: String,
    actor: Option<(String, String)>,
    remote: Option<String>,
    what: String,
    action: (String, String),
    about: Option<(String, String)>,
    target: String,
    is_ok: bool,
    result: String,
    details: Vec<(String, String)>,
    seq: String,
    hash: Option<String>,
}

/// The page.
pub(crate) async fn show(visit: &Visit, frame: Frame, scope: Scope) -> Result<HttpResponse, ApiError> {
    let asked = &visit.address;
    let (from, to) = (day(visit, "from")?, day(visit, "to")?);
    let query = AuditQuery {
        organization: scope.organization.clone(),
        action: asked.get("action").map(str::to_owned),
        actor: asked.get("actor").map(str::to_owned),
        before: cursor::asked(visit).map(paging::decode).transpose()?,
        from: from.map(|day| scope.calendar.start_of(day)),
        to: to.map(|day| scope.calendar.start_of(day.plus_days(1))),
        limit: cursor::rows_to_read(),
    };
    let entries = visit.api.services.audit_log_db.list(query).await?;
    let (entries, leafing) = cursor::cut(&asked.with(&[("verify", "")]), entries, |entry| entry.seq)?;
    let people = people(visit, &scope, &entries).await?;
    let rows = entries.into_iter().map(|entry| row(visit, &frame, &scope, &people, entry));
    let text = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    let is_filtered = ["action", "actor", "from", "to"].iter().any(|name| asked.get(name).is_some());
    let clear = [("action", ""), ("actor", ""), ("from", ""), ("to", ""), (CURSOR, ""), ("verify", "")];
    let page_ = Page {
        notices: chain(visit, &frame, &scope).await?,
        subjects: subjects(&frame, asked.get("action")),
        rows: rows.collect::<Result<_, _>>()?,
        leafing,
        filter: Filter {
            path: asked.path().to_owned(),
            actor: text("actor"),
            from: text("from"),
            to: text("to"),
            today: scope.calendar.usage_date(visit.api.clock.now()).to_string(),
            clear: is_filtered.then(|| asked.with(&clear).link()),
        },
        verify: asked.with(&[("verify", "1"), (CURSOR, "")]).link(),
        is_reseller: scope.is_reseller,
        frame,
    };
    page(&page_)
}

fn day(visit: &Visit, name: &'static str) -> Result<Option<UsageDate>, ApiError> {
    let parsed = visit.address.get(name).map(UsageDate::parse).transpose();
    parsed.map_err(|_| ApiError::field(name, "must be a day as YYYY-MM-DD"))
}

/// What a check of the whole chain has found, where it was asked for.
async fn chain(visit: &Visit, frame: &Frame, scope: &Scope) -> Result<Vec<Notice>, ApiError> {
    if !scope.is_reseller || visit.address.get("verify").is_none() {
        return Ok(Vec::new());
    }
    let notice = match visit.api.services.audit_log_db.verify().await? {
        Ok(verified) => {
            let entries = frame.language.count("log-unbroken", verified.entries);
            let text = if verified.entries == 0 {
                entries
            } else {
                format!("{entries} {}", frame.with("log-head", &verified.head))
            };
            Notice { kind: "info", text }
        }
        Err(broken) => {
            tracing::error!(error = %broken, "the audit log is broken");
            Notice { kind: "bad", text: frame.with("log-broken", &broken.to_string()) }
        }
    };
    Ok(vec![notice])
}

/// The choice of actions. One that is none of ours stands there as it was asked for.
fn subjects(frame: &Frame, chosen: Option<&str>) -> Vec<(String, String, bool)> {
    let mut all: Vec<_> = SUBJECTS
        .into_iter()
        .map(|(code, key)| (code.to_owned(), frame.language.text(key), chosen == Some(code)))
        .collect();
    all.sort_by_cached_key(|(_, label, _)| label.to_lowercase());
    if let Some(other) = chosen.filter(|code| !all.iter().any(|(known, ..)| known == code)) {
        all.insert(0, (other.to_owned(), other.to_owned(), true));
    }
    all
}

/// The names of the accounts that a page of entries tells of. An administrator learns those of the own organization.
async fn people(
    visit: &Visit,
    scope: &Scope,
    entries: &[AuditEntryModel],
) -> Result<HashMap<String, String>, ApiError> {
    let mut names = HashMap::new();
    let accounts = &visit.api.services.account_db;
    for entry in entries.iter().filter(|entry| entry.actor_kind == ActorKind::Account) {
        if names.contains_key(&entry.actor_id) {
            continue;
        }
        let account = accounts.get(&entry.actor_id).await?;
        let may_be_known =
            |theirs: &Option<OrganizationId>| scope.is_reseller || *theirs == scope.organization;
        let name = account.filter(|account| may_be_known(&account.client_org_id)).map(|account| account.name);
        names.insert(entry.actor_id.clone(), name.unwrap_or_default());
    }
    Ok(names)
}

/// What an actor is.
pub(crate) const fn kind(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::System => "log-by-system",
        ActorKind::CommandLine => "log-by-command-line",
        ActorKind::ResellerToken => "log-by-reseller-token",
        ActorKind::Account => "log-by-account",
        ActorKind::ApiToken => "log-by-api-token",
        ActorKind::OpenWebui => "log-by-open-webui",
        ActorKind::Link => "log-by-link",
        ActorKind::Stranger => "log-by-stranger",
    }
}

fn row(
    visit: &Visit,
    frame: &Frame,
    scope: &Scope,
    people: &HashMap<String, String>,
    entry: AuditEntryModel,
) -> Result<Row, ApiError> {
    let link = |changes: &[(&str, &str)]| {
        let all: Vec<_> = changes.iter().copied().chain([(CURSOR, ""), ("verify", "")]).collect();
        visit.address.with(&all).link()
    };
    let details = details_for(&entry, scope.is_reseller)?;
    let subject = entry.action.split('.').next().unwrap_or_default();
    let known = SUBJECTS.into_iter().find(|(code, _)| *code == subject);
    let name = people.get(&entry.actor_id).filter(|name| !name.is_empty());
    Ok(Row {
        at: format::instant(frame.language, scope.calendar, entry.created_at),
        ago: format::ago(frame.language, visit.now(), entry.created_at),
        who: name.cloned().unwrap_or_else(|| frame.t(kind(entry.actor_kind))),
        actor: (!entry.actor_id.is_empty())
            .then(|| (link(&[("actor", &entry.actor_id)]), entry.actor_id.clone())),
        remote: entry.remote,
        what: known.map_or_else(|| frame.t("log-of-request"), |(_, key)| frame.language.text(key)),
        action: (link(&[("action", &entry.action)]), entry.action),
        about: entry.client_org_id.filter(|_| scope.organization.is_none()).map(|id| {
            let name = visit.known(&id).map_or_else(|_| id.to_string(), |known| known.name.clone());
            (super::frame::Tab::Audit.path(&id), name)
        }),
        target: entry.target,
        is_ok: entry.result == "ok",
        result: entry.result,
        details: details::pairs(frame, scope.calendar, &details),
        seq: frame.number(entry.seq),
        hash: scope.is_reseller.then_some(entry.hash),
    })
}
