//! Every route that costs money, by one way: authenticated, attributed, sent upstream and metered.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use http::{HeaderValue, Method};
use mai_capture::{
    Call, Delivery, ExchangeId, ProxyResponse, RequestBody, Reservation, Upload, UpstreamRequest,
};
use mai_openrouter::{GenerationRequest, Route, rewrite_user};
use mai_organization::client_organization::{GatewayKeyEntry, OrganizationEntry, openrouter_user_id};
use mai_primitives::{ModelName, UnixTime, UserId};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Gateway, GatewayError, body, headers,
    identity::{Sender, authenticate, require_active, task},
    upload,
};

/// Passes a call on, streamed or not, and meters it.
pub(super) async fn call(
    route: Route,
    request: HttpRequest,
    mut payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    match pass_on(route, &request, &mut payload, &gateway).await {
        // Upstream may answer before it has got the whole form.
        Ok(answer) if route == Route::Transcriptions => body::unread(body::answer(answer), payload),
        Ok(answer) => body::answer(answer),
        Err(error) => body::unread(error.response_on(route), payload),
    }
}

async fn pass_on(
    route: Route,
    request: &HttpRequest,
    payload: &mut web::Payload,
    gateway: &Gateway,
) -> Result<ProxyResponse, GatewayError> {
    if gateway.stopping.has_begun() {
        return Err(GatewayError::Stopping);
    }
    let started = gateway.clock.now();
    let directory = gateway.directory.current();
    let now = UnixTime::from(started);
    let key = authenticate(&directory, request, now)?;
    gateway.rates.take_for_key(key, started)?;
    let known = Sender::of_head(request, key, now)?;
    if let Some(sender) = &known {
        require_active(key, &sender.user)?;
        gateway.rates.take_for_member(key, &sender.user, started)?;
    }
    let organization = Arc::clone(&key.organization);
    let authorization = authorization(provider_key(&organization)?)?;
    let length = body::announced_length(request, gateway.body_limit)?;
    let upstream = |body| UpstreamRequest {
        method: Method::POST,
        path: route.path().to_owned(),
        headers: headers::to_upstream(request.headers()),
        authorization,
        title: HeaderValue::from_str(&organization.name).ok(),
        referer: organization.site_url.as_deref().and_then(|url| HeaderValue::from_str(url).ok()),
        body,
    };
    let delivery =
        Delivery { drain_on_disconnect: organization.drain_on_disconnect, shows_failures: key.is_open_webui };
    // Whom the head does not name, the body does. A form passes through while it is read, too late for that.
    let sender = |body_user: Option<&str>| -> Result<Sender, GatewayError> {
        if let Some(sender) = known {
            return Ok(sender);
        }
        let sender = Sender::of_body(body_user)?;
        require_active(key, &sender.user)?;
        gateway.rates.take_for_member(key, &sender.user, started)?;
        Ok(sender)
    };
    let task = task(request, key);
    if route == Route::Transcriptions && upload::is_form(request) {
        let scan = upload::scan(request)?;
        let mut call = Call { task, ..new_call(gateway, key, sender(None)?, started)? };
        let reservation = gateway.limits.reserve_for_form(&organization, &call)?;
        call.held = reservation.as_ref().and_then(Reservation::held);
        let (pieces, upload) = Upload::new(length);
        let answer =
            gateway.proxy.send(route, (call, reservation), upstream(RequestBody::Upload(upload)), delivery);
        return upload::pass(payload, pieces, scan, gateway.body_limit, answer).await;
    }
    let whole = body::read(payload, length, gateway.body_limit).await?;
    let asked = GenerationRequest::parse(&whole)?;
    let mut call = Call {
        requested_model: asked.model.as_deref().and_then(|name| ModelName::new(name).ok()),
        streamed: asked.stream,
        task,
        ..new_call(gateway, key, sender(asked.user.as_deref())?, started)?
    };
    let reservation = gateway.limits.reserve(&organization, &call, (route, &asked, &whole))?;
    call.held = reservation.as_ref().and_then(Reservation::held);
    let pieces = rewrite_user(whole, &asked, call.openrouter_user.as_str());
    Ok(gateway.proxy.send(route, (call, reservation), upstream(RequestBody::from(pieces)), delivery).await?)
}

/// A call of which only the sender is known.
fn new_call(
    gateway: &Gateway,
    key: &GatewayKeyEntry,
    sender: Sender,
    started: chrono::DateTime<chrono::Utc>,
) -> Result<Call, GatewayError> {
    let organization = &key.organization;
    let known = organization.openrouter_user_ids.get(&sender.user);
    let is_somebody = sender.user.as_str() != UserId::UNATTRIBUTED;
    let openrouter_user = match known {
        Some(id) => id.clone(),
        None => openrouter_user_id(&organization.id, &sender.user).map_err(GatewayError::User)?,
    };
    let is_news = is_somebody
        && (gateway.said.is_news(&organization.id, &sender.user, &sender.said) || known.is_none());
    Ok(Call {
        exchange: ExchangeId::new(),
        organization: organization.id.clone(),
        openrouter_user,
        new_member: is_news.then_some(sender.said),
        user: sender.user,
        requested_model: None,
        markup_rate: organization.markup_rate,
        started_at: UnixTime::from(started),
        usage_date: organization.calendar.usage_date(started),
        streamed: false,
        gateway_key_id: Some(key.id.clone()),
        task: None,
        held: None,
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
