//! `POST webhook/openrouter-usage`, in the original system's format.

use actix_web::{HttpRequest, HttpResponse, post, web};
use chrono::{DateTime, Utc};
use mai_organization::{
    client_organization::{Directory, GatewayKeyEntry, OrganizationEntry, WebhookSecret},
    generation_processing::UsageSource,
};
use mai_primitives::{UnixTime, UserId};
use secrecy::ExposeSecret;

use super::{
    event::{self, UsageEvent},
    report::{self, ReportedUsage, Who},
    signature,
};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    error::{ErrorBody, Refusals},
};

/// The longest body. A payload has some hundred bytes.
const BODY_AT_MOST: usize = 64 * 1024;
/// Where the signature of the body stands.
const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// Books one generation that an organization's program reports; the key in the body says whose it is.
#[utoipa::path(
    tag = "reports",
    extensions(("x-access" = json!("public"))),
    request_body(
        content = event::Body,
        example = json!({
            "api_key": "sk-or-v1-abc", "model": "openai/o3", "tokens_used": 120, "cost": 0.0123,
            "timestamp": "2026-11-20T10:00:00Z", "external_user": "anna", "request_id": "req-1",
        }),
    ),
    responses(
        (status = 200, description = "Booked, or known already", body = report::Answer<'static>),
        (status = 202, description = "Durable; booked when the database can be reached", body = report::Answer<'static>),
        (status = 422, description = "It cannot be booked as it is", body = ErrorBody<'static>),
        Refusals,
    ),
)]
#[post("/webhook/openrouter-usage")]
pub(super) async fn usage_event(asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let request = asked.request.clone();
    let body = asked.body(BODY_AT_MOST).await?;
    let event = UsageEvent::parse(&body).map_err(|error| ApiError::report(&error))?;
    let (directory, now) = (api.directory.current(), api.clock.now());
    let reporter = Reporter::of(&directory, event.api_key.expose_secret(), now.into())?;
    check_signature(&request, &body, reporter.organization)?;
    report::check_not_in_future(event.timestamp, now)?;

    let report = settled(&reporter, event, now)?;
    let reported = api.ingest.report(&report).await.map_err(|error| report::not_taken(&error))?;
    report::answer(&report, reported)
}

/// Whose key was presented.
struct Reporter<'a> {
    organization: &'a OrganizationEntry,
    /// The gateway key, where it was one and not the organization's OpenRouter key.
    key: Option<&'a GatewayKeyEntry>,
}

impl<'a> Reporter<'a> {
    fn of(directory: &'a Directory, api_key: &str, now: UnixTime) -> Result<Self, ApiError> {
        let works = |key: &&GatewayKeyEntry| !key.revoked && key.expires_at.is_none_or(|end| now < end);
        let key = directory.find_key(api_key).filter(works);
        let organization = key
            .map(|key| &key.organization)
            .or_else(|| directory.organization_by_provider_key(api_key))
            .ok_or_else(|| ApiError::unauthorized("the `api_key` belongs to no organization"))?;
        if !organization.is_active {
            return Err(ApiError::inactive_organization("the organization of this key is inactive"));
        }
        Ok(Self { organization, key })
    }

    /// As at the gateway, a key that belongs to a member reports for nobody else.
    fn who(&self, event: &UsageEvent) -> Result<Who, ApiError> {
        let member = self.key.and_then(|key| key.user_id.clone()).or_else(|| event.user_id.clone());
        let who = match (member, event.external_user.clone()) {
            (Some(member), sent) => Who::member(self.organization, member, sent),
            (None, Some(name)) => Who::outsider(self.organization, name),
            (None, None) => Who::member(self.organization, UserId::unattributed(), None),
        };
        who.map_err(|error| ApiError::invalid(error.to_string()))
    }
}

/// Organizations with a webhook secret sign what they send.
fn check_signature(
    request: &HttpRequest,
    body: &[u8],
    organization: &OrganizationEntry,
) -> Result<(), ApiError> {
    let secret = match &organization.webhook_secret {
        WebhookSecret::NotSet => return Ok(()),
        WebhookSecret::Set(secret) => secret,
        WebhookSecret::Unreadable => {
            return Err(ApiError::recording_unavailable(
                "the organization's webhook secret cannot be read; the operator has to set it again",
            ));
        }
    };
    let presented = request.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    match presented {
        Some(presented) if signature::is_valid(presented, body, secret) => Ok(()),
        Some(_) => Err(ApiError::signature("the signature is not that of this body")),
        None => Err(ApiError::signature(
            "this organization signs its reports: send `X-Webhook-Signature: sha256=…`",
        )),
    }
}

fn settled(
    reporter: &Reporter<'_>,
    event: UsageEvent,
    now: DateTime<Utc>,
) -> Result<mai_capture::record::Settled, ApiError> {
    let who = reporter.who(&event)?;
    let mut call = report::call(reporter.organization, who, report::started_at(event.timestamp, now));
    call.gateway_key_id = reporter.key.map(|key| key.id.clone());
    let usage = ReportedUsage {
        id: event.request_id,
        model: event.model,
        tokens: event.tokens,
        cost: event.cost,
        cost_text: event.cost_text,
    };
    Ok(report::settled(call, usage, UsageSource::Webhook))
}
