//! The organization's key at OpenRouter, which only the reseller sees, and never the key itself.

use std::time::Duration;

use actix_web::HttpResponse;
use askama::Template;
use mai_openrouter::ManagedKey;
use mai_organization::client_organization::ClientOrganizationModel;
use mai_primitives::{UnixTime, Usd, display};

use super::{super::Here, View};
use crate::{
    api::{ApiError, caller::unknown_organization},
    dashboard::{
        address::Address,
        figures::Notice,
        format,
        forms::{Confirm, done},
        frame::{Frame, Link, Tab},
        visit::{Visit, page_as},
    },
};

mod change;

use self::change::Typed;
pub(super) use self::change::change;

/// How long the page waits for OpenRouter before it is shown without what OpenRouter tells.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the page may say was done.
const DONE: [&str; 7] = [
    "provider-key-created",
    "provider-key-stored",
    "provider-key-forgotten",
    "provider-key-limited",
    "provider-key-is-disabled",
    "provider-key-is-enabled",
    "provider-key-removed",
];

/// When a limit begins again: OpenRouter's word and ours.
const RESETS: [(&str, &str); 4] = [
    ("", "provider-key-never"),
    ("daily", "provider-key-daily"),
    ("weekly", "provider-key-weekly"),
    ("monthly", "provider-key-monthly"),
];

#[derive(Template)]
#[template(path = "provider_key.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    confirm: Option<Confirm>,
    kind: Kind,
    /// The class and the text of where it stands.
    state: (&'static str, String),
    facts: Vec<(String, String)>,
    /// Whether OpenRouter refuses it; none where OpenRouter did not tell.
    is_disabled: Option<bool>,
    /// Whether it is asked for the key that takes the place of the present one.
    replaces: bool,
    action: String,
    ask: Asks,
    typed: Typed,
    resets: Vec<(&'static str, String)>,
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There is none.
    None,
    /// It was entered.
    Entered,
    /// It was made here through OpenRouter's management API.
    Managed,
}

impl Kind {
    fn of(organization: &ClientOrganizationModel) -> Self {
        if organization.openrouter_key_hash.is_some() {
            Self::Managed
        } else if organization.provider_key.sealed.is_some() {
            Self::Entered
        } else {
            Self::None
        }
    }
}

/// Links to the questions of the page.
struct Asks {
    replace: String,
    forget: String,
    disable: String,
    remove: String,
}

/// `GET …/provider-key`
pub(super) async fn show(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        let here = Here::open(visit, Tab::Limits).await?;
        here.caller.reseller()?;
        let notices = done(visit, &DONE).into_iter().collect();
        render(visit, &here, None, notices, HttpResponse::Ok().finish()).await
    };
    visit.answer(work).await
}

/// The page without what was asked on it.
fn bare(visit: &Visit) -> Address {
    visit.address.with(&[("ask", "")])
}

async fn render(
    visit: &Visit,
    here: &Here,
    typed: Option<Typed>,
    mut notices: Vec<Notice>,
    answer: HttpResponse,
) -> Result<HttpResponse, ApiError> {
    let row = visit.api.services.client_organization_db.get_any_by_id(&here.id).await?;
    let row = row.ok_or_else(unknown_organization)?;
    let frame = here.frame_titled(visit, "provider-key-title").await?;
    let kind = Kind::of(&row);
    let told = if kind == Kind::Managed { Some(ask_openrouter(visit, here).await) } else { None };
    let (key, failure) = match told {
        None => (None, None),
        Some(Ok(key)) => (key, None),
        Some(Err(reason)) => (None, Some(reason)),
    };
    if let Some(reason) = failure {
        notices.push(Notice { kind: "warning", text: frame.with("provider-key-untold", &reason) });
    }
    let asked = visit.address.get("ask").filter(|_| visit.request.method().is_safe());
    let is_disabled = key.as_ref().map(|key| key.disabled);
    let bare = bare(visit);
    let ask = |what: &str| bare.with(&[("ask", what)]).link();
    let page_ = Page {
        views: View::ProviderKey.links(visit, here),
        confirm: asked.and_then(|asked| confirm(&frame, here, &bare, kind, asked)),
        state: state(&frame, kind, is_disabled),
        facts: facts(&frame, here, &row, key.as_ref()),
        replaces: kind != Kind::None
            && (asked == Some("replace") || typed.as_ref().is_some_and(|typed| typed.is_new)),
        action: bare.link(),
        ask: Asks {
            replace: ask("replace"),
            forget: ask("forget"),
            disable: ask("disable"),
            remove: ask("remove"),
        },
        typed: typed.unwrap_or_else(|| {
            Typed::of_key(visit.language, key.as_ref().filter(|_| asked != Some("replace")))
        }),
        resets: RESETS.into_iter().map(|(code, text)| (code, frame.language.text(text))).collect(),
        kind,
        is_disabled,
        notices,
        frame,
    };
    page_as(&page_, answer)
}

/// What OpenRouter tells of the key, or why it does not.
async fn ask_openrouter(visit: &Visit, here: &Here) -> Result<Option<ManagedKey>, String> {
    let find = visit.api.provider_keys.find(&visit.api.services, &here.id);
    match tokio::time::timeout(PATIENCE, find).await {
        Ok(Ok(found)) => Ok(found.map(|(_, key)| key)),
        Ok(Err(error)) => Err(ApiError::from(error).message),
        Err(_) => Err(visit.language.text("provider-key-slow")),
    }
}

fn state(frame: &Frame, kind: Kind, is_disabled: Option<bool>) -> (&'static str, String) {
    match (kind, is_disabled) {
        (Kind::None, _) => ("bad", frame.t("provider-key-none")),
        (Kind::Entered, _) => ("ok", frame.t("provider-key-entered")),
        (Kind::Managed, None) => ("warn", frame.t("provider-key-unknown")),
        (Kind::Managed, Some(true)) => ("bad", frame.t("provider-key-disabled")),
        (Kind::Managed, Some(false)) => ("ok", frame.t("provider-key-enabled")),
    }
}

/// What is known of the key; what OpenRouter does not tell is left out.
fn facts(
    frame: &Frame,
    here: &Here,
    row: &ClientOrganizationModel,
    key: Option<&ManagedKey>,
) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |text: &str, value: Option<String>| {
        facts.extend(value.map(|value| (frame.language.text(text), value)));
    };
    add("provider-key-ends", row.provider_key.last4.as_ref().map(|last4| format!("…{last4}")));
    let Some(key) = key else { return facts };
    let usd = |amount: Option<Usd>| amount.map(display::usd);
    let word = |code: &str| {
        RESETS.iter().find(|(known, _)| *known == code).map(|(_, text)| frame.language.text(text))
    };
    let created = key.created_at.as_deref().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    let created = created.map(|at| {
        let at = UnixTime::from_seconds(at.timestamp());
        format::instant(frame.language, here.organization.calendar, at)
    });
    add("keys-name", Some(key.name.clone()));
    add("provider-key-limit", Some(usd(key.limit).unwrap_or_else(|| frame.t("tile-no-limit"))));
    add("provider-key-remaining", usd(key.limit_remaining));
    let reset = key.limit_reset.as_deref().unwrap_or_default();
    add("provider-key-reset", Some(word(reset).unwrap_or_else(|| reset.to_owned())));
    add("provider-key-usage", usd(key.usage));
    add("provider-key-usage-daily", usd(key.usage_daily));
    add("provider-key-usage-weekly", usd(key.usage_weekly));
    add("provider-key-usage-monthly", usd(key.usage_monthly));
    add("provider-key-byok", usd(key.byok_usage));
    add("provider-key-created-at", created);
    add("provider-key-hash", Some(key.hash.chars().take(12).collect()));
    facts
}

/// The question before something that stops calls.
fn confirm(frame: &Frame, here: &Here, bare: &Address, kind: Kind, asked: &str) -> Option<Confirm> {
    let (title, text, submit) = match (asked, kind) {
        ("disable", Kind::Managed) => {
            ("provider-key-disable-title", "provider-key-disable-text", "provider-key-disable")
        }
        ("remove", Kind::Managed) => {
            ("provider-key-remove-title", "provider-key-remove-text", "provider-key-remove")
        }
        ("forget", Kind::Entered) => {
            ("provider-key-forget-title", "provider-key-forget-text", "provider-key-forget")
        }
        _ => return None,
    };
    Some(Confirm {
        title: frame.language.with(title, &here.organization.name),
        text: frame.language.text(text),
        action: bare.link(),
        fields: vec![("act", asked.to_owned())],
        submit: frame.language.text(submit),
        cancel: bare.link(),
    })
}
