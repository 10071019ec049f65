//! Gateway keys: the list, and what can be done with them. A key itself is shown once, in the answer to the form that
//! made it.

use std::collections::HashMap;

use actix_web::HttpResponse;
use askama::Template;
use mai_organization::client_organization::{CreatedGatewayKey, GatewayKeyModel, MemberModel};
use mai_primitives::{UnixTime, UserId};
use secrecy::ExposeSecret;

use super::{
    super::{Here, choices},
    PROPOSED, View,
};
use crate::{
    api::ApiError,
    dashboard::{
        address::Address,
        figures::Notice,
        format,
        forms::{Confirm, done},
        frame::{Frame, Link, Tab},
        open_webui::base_url,
        table::{Head, Pager, Search, Sortable, Sorting, paged},
        visit::{Visit, page_as},
    },
};

mod change;

use self::change::Typed;
pub(super) use self::change::change;

/// By what keys are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Created,
    Name,
}

const COLUMNS: [Sortable<Sort>; 2] = [("created", Sort::Created, true), ("name", Sort::Name, false)];

const STATES: [(&str, &str); 2] = [("usable", "keys-usable"), ("all", "keys-all")];

/// What the page may say was done.
const DONE: [&str; 2] = ["keys-changed", "keys-revoked-done"];

/// How long a replaced key may still work: seconds, and what is said about it.
const GRACES: [(u32, &str); 5] = [
    (0, "keys-grace-none"),
    (3_600, "keys-grace-hour"),
    (86_400, "keys-grace-day"),
    (604_800, "keys-grace-week"),
    (2_592_000, "keys-grace-month"),
];

#[derive(Template)]
#[template(path = "keys.html")]
struct Page {
    frame: Frame,
    views: Vec<Link>,
    notices: Vec<Notice>,
    made: Option<Made>,
    confirm: Option<Confirm>,
    replaced: Option<Replaced>,
    states: Vec<Link>,
    search: Search,
    heads: Vec<Head>,
    rows: Vec<Row>,
    pager: Pager,
    count: String,
    /// Whether no key was ever made.
    is_bare: bool,
    /// Where forms go, which is also where one goes who wants none of them.
    action: String,
    typed: Typed,
    members: Vec<(String, String)>,
    /// The first day on which a key may end.
    today: String,
}

/// A key that was just made.
struct Made {
    name: String,
    key: String,
    base: String,
    curl: String,
}

/// The key that is to be replaced.
struct Replaced {
    id: String,
    title: String,
    graces: Vec<(u32, String)>,
}

struct Row {
    name: String,
    prefix: String,
    whose: String,
    /// The texts of what is special about it.
    flags: Vec<String>,
    rate: String,
    created: String,
    expires: String,
    state: (&'static str, String),
    /// Links to change, replace and take back; none where it was taken back.
    links: Option<[String; 3]>,
}

/// `GET …/keys`
pub(super) async fn show(visit: Visit) -> HttpResponse {
    let work = async |visit: &Visit| {
        let here = Here::open(visit, Tab::Limits).await?;
        let rows = visit.api.services.gateway_key_db.list(&here.id).await?;
        let typed = match visit.address.get("edit") {
            Some(id) => Typed::of_key(&here, found(&rows, id)?),
            None => Typed::default(),
        };
        let notices = done(visit, &DONE).into_iter().collect();
        render(visit, &here, (typed, None), notices, HttpResponse::Ok().finish()).await
    };
    visit.answer(work).await
}

/// A key of an address.
fn found<'a>(rows: &'a [GatewayKeyModel], id: &str) -> Result<&'a GatewayKeyModel, ApiError> {
    rows.iter().find(|row| row.id == id).ok_or_else(|| ApiError::not_found("there is no such key"))
}

/// The page without what was asked on it.
fn bare(visit: &Visit) -> Address {
    visit.address.with(&[("edit", ""), ("rotate", ""), ("revoke", "")])
}

async fn render(
    visit: &Visit,
    here: &Here,
    (typed, made): (Typed, Option<CreatedGatewayKey>),
    notices: Vec<Notice>,
    answer: HttpResponse,
) -> Result<HttpResponse, ApiError> {
    let sorting = Sorting::of(&visit.address, &COLUMNS)?;
    let mut keys = visit.api.services.gateway_key_db.list(&here.id).await?;
    let members = visit.api.services.member_db.list(&here.id).await?;
    let names: HashMap<&str, &MemberModel> = members.iter().map(|one| (one.user_id.as_str(), one)).collect();
    let frame = here.frame_titled(visit, "keys-title").await?;
    let state = match visit.address.get("state") {
        None | Some("usable") => "usable",
        Some("all") => "all",
        Some(_) => return Err(ApiError::field("state", "must be usable or all")),
    };
    let bare = bare(visit);
    // A form that was sent is over with its question.
    let asks = visit.request.method().is_safe();
    let confirm = revocation(visit, &frame, &bare, &keys)?.filter(|_| asks);
    let replaced = replacement(visit, &frame, &keys)?.filter(|_| asks);
    let is_bare = keys.is_empty();
    let text = visit.address.get("search").map(str::to_lowercase).unwrap_or_default();
    keys.retain(|key| {
        let is_usable = key.revoked_at.is_none() && key.expires_at.is_none_or(|at| at > visit.now());
        let whose = whose(&frame, key, &names);
        let texts = [key.name.as_str(), &key.key_prefix, &whose];
        (state == "all" || is_usable) && texts.into_iter().any(|one| one.to_lowercase().contains(&text))
    });
    keys.sort_by_cached_key(|key| match sorting.by {
        Sort::Created => (String::new(), key.created_at),
        Sort::Name => (key.name.to_lowercase(), key.created_at),
    });
    if sorting.is_descending {
        keys.reverse();
    }
    let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    let (shown, pager) = paged(keys, &visit.address, &frame)?;
    let page_ = Page {
        views: View::Keys.links(visit, here),
        made: made.map(|made| Made::of(visit, made)),
        confirm,
        replaced,
        states: choices(visit, "state", state, &STATES),
        search: Search::of(visit, &frame.t("keys-search")),
        heads: heads(visit, &frame, sorting),
        rows: shown.into_iter().map(|key| row(visit, &frame, here, &bare, &names, key)).collect(),
        pager,
        count: frame.language.count("keys-count", count),
        is_bare,
        action: bare.link(),
        members: proposed(&members),
        today: here.today.to_string(),
        notices,
        typed,
        frame,
    };
    page_as(&page_, answer)
}

impl Made {
    fn of(visit: &Visit, made: CreatedGatewayKey) -> Self {
        let (base, key) = (base_url(visit), made.key.expose_secret().to_owned());
        let body = r#"{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}"#;
        let curl = format!(
            "curl '{base}/chat/completions' -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
             -d '{body}'"
        );
        Self { name: made.model.name, key, base, curl }
    }
}

fn heads(visit: &Visit, frame: &Frame, sorting: Sorting<Sort>) -> Vec<Head> {
    let head = |key: &str, column| sorting.head(&visit.address, frame.t(key), column);
    let [created, name] = COLUMNS;
    vec![
        head("keys-key", name),
        Head::plain(frame.t("keys-whose"), false),
        Head::plain(frame.t("keys-rate"), true),
        head("keys-created", created),
        Head::plain(frame.t("keys-expires"), true),
        Head::plain(frame.t("limits-state"), false),
        Head::plain(frame.t("limits-actions"), true),
    ]
}

/// What people call the owner of a key.
fn whose(frame: &Frame, key: &GatewayKeyModel, members: &HashMap<&str, &MemberModel>) -> String {
    let Some(user) = key.user_id.as_ref().map(UserId::as_str) else { return frame.t("organization") };
    let name = members.get(user).and_then(|member| member.name.as_deref());
    name.unwrap_or(user).to_owned()
}

/// Whether a key works, and until when it does.
fn state(frame: &Frame, key: &GatewayKeyModel, now: UnixTime) -> (&'static str, String) {
    let (class, word) = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => ("bad", "keys-revoked"),
        (None, Some(at)) if at <= now => ("bad", "keys-expired"),
        (None, Some(_)) => ("warn", "keys-expiring"),
        (None, None) => ("ok", "keys-active"),
    };
    (class, frame.language.text(word))
}

fn row(
    visit: &Visit,
    frame: &Frame,
    here: &Here,
    bare: &Address,
    members: &HashMap<&str, &MemberModel>,
    key: GatewayKeyModel,
) -> Row {
    let instant = |at| format::instant(frame.language, here.organization.calendar, at);
    let flags = [
        (key.is_open_webui, "keys-open-webui"),
        (key.is_trusted_client, "keys-trusted"),
        (key.identity_secret.is_some(), "keys-signed"),
    ];
    let links = ["edit", "rotate", "revoke"].map(|what| bare.with(&[(what, &key.id)]).link());
    Row {
        whose: whose(frame, &key, members),
        flags: flags
            .into_iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, text)| frame.language.text(text))
            .collect(),
        rate: key.requests_per_minute.map_or_else(|| "–".to_owned(), |rate| frame.number(rate)),
        created: instant(key.created_at),
        expires: key.expires_at.map_or_else(|| frame.t("keys-never"), instant),
        state: state(frame, &key, visit.now()),
        links: key.revoked_at.is_none().then_some(links),
        name: key.name,
        prefix: key.key_prefix,
    }
}

/// The question before a key is taken back.
fn revocation(
    visit: &Visit,
    frame: &Frame,
    bare: &Address,
    keys: &[GatewayKeyModel],
) -> Result<Option<Confirm>, ApiError> {
    let Some(id) = visit.address.get("revoke") else { return Ok(None) };
    let key = found(keys, id)?;
    let named = [("name", key.name.as_str()), ("prefix", &key.key_prefix)];
    Ok(Some(Confirm {
        title: frame.language.with_all("keys-revoke-title", &named),
        text: frame.t("keys-revoke-text"),
        action: bare.link(),
        fields: vec![("act", "revoke".to_owned()), ("key_id", key.id.clone())],
        submit: frame.t("keys-revoke"),
        cancel: bare.link(),
    }))
}

/// The question before a key is replaced.
fn replacement(visit: &Visit, frame: &Frame, keys: &[GatewayKeyModel]) -> Result<Option<Replaced>, ApiError> {
    let Some(id) = visit.address.get("rotate") else { return Ok(None) };
    let key = found(keys, id)?;
    let named = [("name", key.name.as_str()), ("prefix", &key.key_prefix)];
    Ok(Some(Replaced {
        id: key.id.clone(),
        title: frame.language.with_all("keys-rotate-title", &named),
        graces: GRACES.into_iter().map(|(seconds, text)| (seconds, frame.language.text(text))).collect(),
    }))
}

/// Active members, of whom a key may be.
fn proposed(members: &[MemberModel]) -> Vec<(String, String)> {
    let active = members.iter().filter(|member| member.is_active).take(PROPOSED);
    let said = |member: &MemberModel| member.name.clone().or_else(|| member.email.clone());
    active.map(|member| (member.user_id.to_string(), said(member).unwrap_or_default())).collect()
}
