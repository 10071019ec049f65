//! `GET /key` for the key of a caller and the management API `/keys`, both with usage from the ledger.

use crate::ledger::DAY_MS;
use crate::money::plain_text;
use crate::random::{alphanumeric, mix};
use crate::respond::{MockResponse, error, hex, json, not_found, quote, quote_option};
use crate::server::{State, query_value};
use chrono::{DateTime, Datelike};
use http::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A key made with `POST /keys`.
#[derive(Debug, Clone)]
struct Key {
    secret: String,
    name: String,
    disabled: bool,
    limit: Option<Decimal>,
    limit_reset: Option<String>,
    include_byok: bool,
    expires_at: Option<String>,
    created_ms: i64,
    updated_ms: Option<i64>,
}

impl Key {
    /// A key without name and limit.
    const fn new(secret: String, created_ms: i64) -> Self {
        Self {
            secret,
            name: String::new(),
            disabled: false,
            limit: None,
            limit_reset: None,
            include_byok: false,
            expires_at: None,
            created_ms,
            updated_ms: None,
        }
    }
}

#[derive(Default)]
struct Managed {
    by_hash: BTreeMap<String, Key>,
    /// Secrets of disabled and deleted keys.
    blocked: HashSet<String>,
    made: u64,
    /// The secret of the next key, where a test wants a certain one.
    next_secret: Option<String>,
    /// Methods that fail.
    failing: HashSet<Method>,
}

/// The keys of the account. A key that was never made here works too, as long as it looks like one.
#[derive(Default)]
pub(crate) struct Keys {
    managed: Mutex<Managed>,
    /// Methods whose answers are held.
    held: watch::Sender<HashSet<Method>>,
}

impl Keys {
    fn managed(&self) -> MutexGuard<'_, Managed> {
        self.managed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next key that is made gets this secret.
    pub(crate) fn set_next_secret(&self, secret: &str) {
        self.managed().next_secret = Some(secret.to_owned());
    }

    /// Requests with these methods fail from now on, and do nothing.
    pub(crate) fn set_failing(&self, methods: &[Method]) {
        self.managed().failing = methods.iter().cloned().collect();
    }

    /// Requests with these methods are answered later.
    pub(crate) fn hold(&self, methods: &[Method]) {
        self.held.send_replace(methods.iter().cloned().collect());
    }

    /// Waits until answers to a method are not held.
    pub(crate) async fn released(&self, method: &Method) {
        // It cannot be closed, because the sender is ours.
        let _ = self.held.subscribe().wait_for(|held| !held.contains(method)).await;
    }

    /// Name, secret, and whether it is disabled, of each key that was made and not deleted.
    pub(crate) fn all(&self) -> Vec<(String, String, bool)> {
        let managed = self.managed();
        managed.by_hash.values().map(|key| (key.name.clone(), key.secret.clone(), key.disabled)).collect()
    }

    /// Whether a key may be used for inference: it begins with `sk-or-` and is neither disabled nor deleted.
    pub(crate) fn usable(&self, secret: &str) -> bool {
        secret.starts_with("sk-or-") && !self.managed().blocked.contains(secret)
    }
}

/// `GET /key`.
pub(crate) fn own_key(state: &State, secret: &str) -> MockResponse {
    let management = secret == state.settings.management_key;
    let key = state.keys.managed().by_hash.get(&hash(secret)).cloned();
    let key = key.unwrap_or_else(|| Key::new(secret.to_owned(), 0));
    json(
        StatusCode::OK,
        format!(
            r#"{{"data":{{{},"is_free_tier":false,"is_management_key":{management},"is_provisioning_key":{management},"creator_user_id":"user_2mockAccountOfTheReseller","rate_limit":{{"requests":-1,"interval":"10s","note":"deprecated"}}}}}}"#,
            members(state, &key)
        ),
    )
}

/// `/keys` and `/keys/{hash}`; `rest` is the path behind `/keys`.
pub(crate) fn manage(
    state: &State,
    secret: Option<&str>,
    method: &Method,
    rest: &str,
    query: &str,
    body: &[u8],
) -> MockResponse {
    if secret != Some(state.settings.management_key.as_str()) {
        let status = if secret.is_some() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        return error(status, "Only management keys can perform this operation", None);
    }
    if state.keys.managed().failing.contains(method) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", None);
    }
    match (method.as_str(), rest.trim_matches('/')) {
        ("GET", "") => list(state, query),
        ("POST", "") => match fields(body) {
            Ok(fields) => create(state, &fields),
            Err(response) => *response,
        },
        ("GET", hash) => one(state, hash),
        ("PATCH", hash) => match fields(body) {
            Ok(fields) => change(state, hash, &fields),
            Err(response) => *response,
        },
        ("DELETE", hash) => {
            let mut managed = state.keys.managed();
            let Some(key) = managed.by_hash.remove(hash) else { return not_found() };
            managed.blocked.insert(key.secret);
            json(StatusCode::OK, r#"{"deleted":true}"#)
        }
        _ => not_found(),
    }
}

fn create(state: &State, fields: &Map<String, Value>) -> MockResponse {
    let now = (state.settings.now)();
    let mut managed = state.keys.managed();
    managed.made += 1;
    let made = managed.made;
    let secret = managed.next_secret.take();
    let secret =
        secret.unwrap_or_else(|| format!("sk-or-v1-{}", alphanumeric(mix(state.instance, 1), made, 64)));
    let mut key = Key::new(secret.clone(), now);
    apply(&mut key, fields);
    if key.name.is_empty() {
        return error(StatusCode::BAD_REQUEST, "Invalid request: name is required", None);
    }
    managed.by_hash.insert(hash(&secret), key.clone());
    drop(managed);
    json(StatusCode::CREATED, format!(r#"{{"data":{},"key":{}}}"#, object(state, &key), quote(&secret)))
}

fn list(state: &State, query: &str) -> MockResponse {
    let offset = query_value(query, "offset").and_then(|text| text.parse().ok()).unwrap_or(0);
    let disabled = query_value(query, "include_disabled") == Some("true");
    let keys: Vec<Key> = state.keys.managed().by_hash.values().cloned().collect();
    let shown = keys.iter().filter(|key| disabled || !key.disabled).skip(offset).take(100);
    let items: Vec<String> = shown.map(|key| object(state, key)).collect();
    json(StatusCode::OK, format!(r#"{{"data":[{}]}}"#, items.join(",")))
}

fn one(state: &State, hash: &str) -> MockResponse {
    let key = state.keys.managed().by_hash.get(hash).cloned();
    key.map_or_else(not_found, |key| json(StatusCode::OK, format!(r#"{{"data":{}}}"#, object(state, &key))))
}

fn change(state: &State, hash: &str, fields: &Map<String, Value>) -> MockResponse {
    let mut managed = state.keys.managed();
    let Some(key) = managed.by_hash.get_mut(hash) else { return not_found() };
    apply(key, fields);
    key.updated_ms = Some((state.settings.now)());
    let key = key.clone();
    if key.disabled {
        managed.blocked.insert(key.secret.clone());
    } else {
        managed.blocked.remove(&key.secret);
    }
    drop(managed);
    json(StatusCode::OK, format!(r#"{{"data":{}}}"#, object(state, &key)))
}

/// The members of a request object.
fn fields(body: &[u8]) -> Result<Map<String, Value>, Box<MockResponse>> {
    serde_json::from_slice(body).map_err(|problem| {
        Box::new(error(StatusCode::BAD_REQUEST, &format!("Invalid request body: {problem}"), None))
    })
}

/// Takes over the members that are there; an explicit null clears.
fn apply(key: &mut Key, fields: &Map<String, Value>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for (name, value) in fields {
        match name.as_str() {
            "name" => key.name = text(value).unwrap_or_default(),
            "disabled" => key.disabled = value.as_bool().unwrap_or(false),
            "limit" => {
                let number = value.to_string();
                key.limit = number.parse().or_else(|_| Decimal::from_scientific(&number)).ok();
            }
            "limit_reset" => key.limit_reset = text(value),
            "include_byok_in_limit" => key.include_byok = value.as_bool().unwrap_or(false),
            "expires_at" => key.expires_at = text(value),
            _ => {}
        }
    }
}

/// The key object of the management API.
fn object(state: &State, key: &Key) -> String {
    format!(
        r#"{{"hash":{},"name":{},"disabled":{},"created_at":{},"updated_at":{},"creator_user_id":"user_2mockAccountOfTheReseller","workspace_id":null,{}}}"#,
        quote(&hash(&key.secret)),
        quote(&key.name),
        key.disabled,
        quote_option(timestamp(key.created_ms).as_deref()),
        quote_option(key.updated_ms.and_then(timestamp).as_deref()),
        members(state, key)
    )
}

/// What both key objects have in common: label, limit and usage of the UTC day, week (from Monday) and month.
fn members(state: &State, key: &Key) -> String {
    let today = (state.settings.now)().div_euclid(DAY_MS);
    // 1970-01-01 was a Thursday.
    let monday = today - (today + 3).rem_euclid(7);
    let month =
        DateTime::from_timestamp_millis(today * DAY_MS).map_or(today, |time| today - i64::from(time.day0()));
    let periods = [("", i64::MIN), ("_daily", today), ("_weekly", monday), ("_monthly", month)];
    let usage = periods.map(|(name, since)| {
        let spend = state.ledger.spent_since(&key.secret, since);
        format!(r#""usage{name}":{},"byok_usage{name}":{}"#, plain_text(spend.usage), plain_text(spend.byok))
    });
    let since = match key.limit_reset.as_deref() {
        Some("daily") => today,
        Some("weekly") => monday,
        Some("monthly") => month,
        _ => i64::MIN,
    };
    let spend = state.ledger.spent_since(&key.secret, since);
    let counted = spend.usage + if key.include_byok { spend.byok } else { Decimal::ZERO };
    let number = |amount: Option<Decimal>| amount.map_or_else(|| "null".to_owned(), plain_text);
    format!(
        r#""label":{},"limit":{},"limit_remaining":{},"limit_reset":{},"include_byok_in_limit":{},"expires_at":{},{}"#,
        quote(&label(&key.secret)),
        number(key.limit),
        number(key.limit.map(|limit| (limit - counted).max(Decimal::ZERO))),
        quote_option(key.limit_reset.as_deref()),
        key.include_byok,
        quote_option(key.expires_at.as_deref()),
        usage.join(","),
    )
}

/// A secret as OpenRouter shows it: the beginning and the end.
fn label(secret: &str) -> String {
    let head: String = secret.chars().take(12).collect();
    let tail: String = secret.chars().skip(secret.chars().count().saturating_sub(3)).collect();
    format!("{head}...{tail}")
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

fn timestamp(unix_ms: i64) -> Option<String> {
    DateTime::from_timestamp_millis(unix_ms)
        .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string())
}
