//! `POST chat/completions`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use http::{HeaderValue, Method};
use mai_capture::{Call, ExchangeId, UpstreamRequest, upstream::Pieces};
use mai_openrouter::{GenerationRequest, rewrite_user};
use mai_organization::client_organization::{GatewayKeyEntry, OrganizationEntry, openrouter_user_id};
use mai_primitives::{ModelName, UnixTime, UserId};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Gateway, GatewayError, body, headers,
    identity::{Sender, authenticate},
};

/// Passes a chat completion on, streamed or not, and meters it.
pub(super) async fn chat_completions(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    match pass_on(&request, payload, &gateway).await {
        Ok(answer) => answer,
        Err(error) => error.response(),
    }
}

async fn pass_on(
    request: &HttpRequest,
    payload: web::Payload,
    gateway: &Gateway,
) -> Result<HttpResponse, GatewayError> {
    if gateway.stopping.has_begun() {
        return Err(GatewayError::Stopping);
    }
    let started = gateway.clock.now();
    let directory = gateway.directory.current();
    let key = authenticate(&directory, request, UnixTime::from(started))?;
    let organization = Arc::clone(&key.organization);
    let provider_key = provider_key(&organization)?;
    let whole = body::read(payload, body::announced_length(request), gateway.body_limit).await?;
    let chat = GenerationRequest::parse(&whole)?;
    let sender = Sender::of(request, key, chat.user.as_deref())?;
    let call = new_call(&organization, key, sender, &chat, started)?;
    let pieces = rewrite_user(whole, &chat, call.openrouter_user.as_str());
    let upstream = UpstreamRequest {
        method: Method::POST,
        path: "/chat/completions".to_owned(),
        headers: headers::to_upstream(request.headers()),
        authorization: authorization(provider_key)?,
        title: HeaderValue::from_str(&organization.name).ok(),
        body: Pieces::from(pieces),
    };
    let answer = gateway.proxy.send(call, upstream, organization.drain_on_disconnect).await?;
    Ok(body::answer(answer))
}

fn new_call(
    organization: &OrganizationEntry,
    key: &GatewayKeyEntry,
    sender: Sender,
    chat: &GenerationRequest,
    started: chrono::DateTime<chrono::Utc>,
) -> Result<Call, GatewayError> {
    let known = organization.openrouter_user_ids.get(&sender.user);
    let is_somebody = sender.user.as_str() != UserId::UNATTRIBUTED;
    let openrouter_user = match known {
        Some(id) => id.clone(),
        None => openrouter_user_id(&organization.id, &sender.user).map_err(GatewayError::User)?,
    };
    Ok(Call {
        exchange: ExchangeId::new(),
        organization: organization.id.clone(),
        openrouter_user,
        new_member: (known.is_none() && is_somebody).then_some(sender.said),
        user: sender.user,
        requested_model: chat.model.as_deref().and_then(|name| ModelName::new(name).ok()),
        markup_rate: organization.markup_rate,
        started_at: UnixTime::from(started),
        usage_date: organization.calendar.usage_date(started),
        streamed: chat.stream,
        gateway_key_id: Some(key.id.clone()),
    })
}

/// The key to buy with, or why there is none.
pub(super) fn provider_key(organization: &OrganizationEntry) -> Result<&SecretString, GatewayError> {
    match &organization.provider_key {
        Some(key) => Ok(key),
        None if organization.provider_key_error => Err(GatewayError::UnreadableProviderKey),
        None => Err(GatewayError::NoProviderKey),
    }
}

/// `Bearer …` with a provider key, marked so that no log shows it.
pub(super) fn authorization(provider_key: &SecretString) -> Result<HeaderValue, GatewayError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", provider_key.expose_secret()))
        .map_err(|_| GatewayError::NoProviderKey)?;
    value.set_sensitive(true);
    Ok(value)
}
