//! Making, changing, replacing and taking back gateway keys.

use actix_web::{HttpResponse, web};
use mai_organization::client_organization::{
    Change, CreatedGatewayKey, GatewayKeyModel, GatewayKeyPatch, NewGatewayKey,
};
use mai_primitives::{UnixTime, UsageDate, UserId};
use secrecy::SecretString;
use serde::Deserialize;

use super::{super::super::Here, bare, found, render};
use crate::{
    api::{ApiError, gateway_keys as service},
    dashboard::{
        forms::{onward, refused},
        frame::Tab,
        visit::Visit,
    },
};

const TEXTS: [(&str, &str); 6] = [
    ("name", "keys-unfit-name"),
    ("user_id", "keys-unfit-member"),
    ("requests_per_minute", "keys-unfit-rate"),
    ("expires_at", "keys-unfit-expiry"),
    ("identity_secret", "keys-unfit-secret"),
    ("id", "keys-is-revoked"),
];

/// What a form of the page sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Form {
    csrf_token: String,
    /// `create`, `update`, `rotate` or `revoke`.
    act: String,
    key_id: String,
    name: String,
    user_id: String,
    is_open_webui: Option<String>,
    is_trusted_client: Option<String>,
    identity_secret: String,
    /// Whether the present secret is taken away.
    forgets_secret: Option<String>,
    requests_per_minute: String,
    /// The last day on which the key works, as `YYYY-MM-DD`.
    last_day: String,
    grace_seconds: String,
}

/// What stands in the form of a key, the secret excepted.
#[derive(Default)]
pub(super) struct Typed {
    /// The key that is changed; empty for a new one.
    pub(super) key_id: String,
    pub(super) name: String,
    pub(super) user_id: String,
    pub(super) is_open_webui: bool,
    pub(super) is_trusted_client: bool,
    /// Whether there is a secret that can be taken away.
    pub(super) has_secret: bool,
    pub(super) requests_per_minute: String,
    pub(super) last_day: String,
}

impl Typed {
    /// A key as it is.
    pub(super) fn of_key(here: &Here, key: &GatewayKeyModel) -> Self {
        Self {
            key_id: key.id.clone(),
            name: key.name.clone(),
            user_id: key.user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            is_open_webui: key.is_open_webui,
            is_trusted_client: key.is_trusted_client,
            has_secret: key.identity_secret.is_some(),
            requests_per_minute: key.requests_per_minute.map(|rate| rate.to_string()).unwrap_or_default(),
            last_day: last_day(here, key.expires_at),
        }
    }

    fn of_form(form: Form, has_secret: bool) -> Self {
        let is_of_a_key = form.act == "update";
        Self {
            key_id: if is_of_a_key { form.key_id } else { String::new() },
            name: form.name,
            user_id: form.user_id,
            is_open_webui: form.is_open_webui.is_some(),
            is_trusted_client: form.is_trusted_client.is_some(),
            has_secret: is_of_a_key && has_secret,
            requests_per_minute: form.requests_per_minute,
            last_day: form.last_day,
        }
    }
}

/// The last day on which a key works, as a field has it; the end of a day is the first instant of the next one.
fn last_day(here: &Here, expires_at: Option<UnixTime>) -> String {
    let day = expires_at.and_then(|at| here.organization.calendar.day_at(at.plus_seconds(-1)));
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// What was done.
enum Done {
    /// With a key to show.
    Made(Box<CreatedGatewayKey>),
    /// By the text that says so.
    Changed(&'static str),
}

/// `POST …/keys`
pub(in super::super) async fn change(visit: Visit, form: web::Form<Form>) -> HttpResponse {
    let form = form.into_inner();
    let work = async |visit: &Visit| {
        let here = Here::sent(visit, Tab::Limits, &form.csrf_token).await?;
        let refusal = match apply(visit, &here, &form).await {
            Ok(Done::Changed(text)) => return Ok(onward(&bare(visit), text)),
            Ok(Done::Made(made)) => {
                let shown = (Typed::default(), Some(*made));
                return render(visit, &here, shown, Vec::new(), HttpResponse::Created().finish()).await;
            }
            Err(refusal) => refusal,
        };
        let answer = HttpResponse::from_error(refusal.clone());
        let notice = refused(&here.frame(visit).await?, refusal, &TEXTS)?;
        let keys = visit.api.services.gateway_key_db.list(&here.id).await?;
        let has_secret = keys.iter().any(|key| key.id == form.key_id && key.identity_secret.is_some());
        render(visit, &here, (Typed::of_form(form, has_secret), None), vec![notice], answer).await
    };
    visit.answer(work).await
}

async fn apply(visit: &Visit, here: &Here, form: &Form) -> Result<Done, ApiError> {
    let keys = here.caller.services(&visit.api).gateway_key_db;
    match form.act.as_str() {
        "create" => {
            let made = keys.create(&here.id, new(here, form)?).await?;
            Ok(Done::Made(Box::new(made)))
        }
        "update" => {
            let rows = keys.list(&here.id).await?;
            let patch = patch(here, form, found(&rows, &form.key_id)?)?;
            keys.update(&here.id, &form.key_id, patch).await?;
            Ok(Done::Changed("keys-changed"))
        }
        "rotate" => {
            let unfit = |_| ApiError::field("grace_seconds", "must be 0 to 2592000");
            let grace = form.grace_seconds.parse().map_err(unfit)?;
            let made = service::rotate(&here.caller, &visit.api, &here.id, &form.key_id, grace).await?;
            Ok(Done::Made(Box::new(made)))
        }
        "revoke" => {
            keys.revoke(&here.id, &form.key_id).await?;
            Ok(Done::Changed("keys-revoked-done"))
        }
        _ => Err(ApiError::field("act", "must be create, update, rotate or revoke")),
    }
}

fn new(here: &Here, form: &Form) -> Result<NewGatewayKey, ApiError> {
    let user = Some(form.user_id.trim()).filter(|id| !id.is_empty());
    let user = user.map(UserId::new).transpose().map_err(|error| ApiError::field("user_id", error))?;
    Ok(NewGatewayKey {
        name: form.name.clone(),
        user_id: user,
        is_trusted_client: form.is_trusted_client.is_some(),
        is_open_webui: form.is_open_webui.is_some(),
        identity_secret: secret(form),
        requests_per_minute: rate(form)?,
        expires_at: expiry(here, form)?,
    })
}

/// The day stays as it is where the field still shows it: a key may end within a day.
fn patch(here: &Here, form: &Form, key: &GatewayKeyModel) -> Result<GatewayKeyPatch, ApiError> {
    let is_same_day = form.last_day.trim() == last_day(here, key.expires_at);
    Ok(GatewayKeyPatch {
        name: Some(form.name.clone()),
        is_trusted_client: Some(form.is_trusted_client.is_some()),
        is_open_webui: Some(form.is_open_webui.is_some()),
        identity_secret: match secret(form) {
            Some(secret) => Change::Set(secret),
            None if form.forgets_secret.is_some() => Change::Clear,
            None => Change::Keep,
        },
        requests_per_minute: rate(form)?.map_or(Change::Clear, Change::Set),
        expires_at: match expiry(here, form)? {
            _ if is_same_day => Change::Keep,
            Some(at) => Change::Set(at),
            None => Change::Clear,
        },
    })
}

fn secret(form: &Form) -> Option<SecretString> {
    (!form.identity_secret.is_empty()).then(|| SecretString::from(form.identity_secret.as_str()))
}

fn rate(form: &Form) -> Result<Option<i64>, ApiError> {
    let text = Some(form.requests_per_minute.trim()).filter(|text| !text.is_empty());
    let unfit = |_| ApiError::field("requests_per_minute", "must be 1 to 1000000");
    text.map(str::parse).transpose().map_err(unfit)
}

/// The instant at which the last day is over.
fn expiry(here: &Here, form: &Form) -> Result<Option<UnixTime>, ApiError> {
    let text = Some(form.last_day.trim()).filter(|text| !text.is_empty());
    let day = text.map(UsageDate::parse).transpose();
    let day = day.map_err(|error| ApiError::field("expires_at", error))?;
    Ok(day.map(|day| here.organization.calendar.start_of(day.plus_days(1))))
}
