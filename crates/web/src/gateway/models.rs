//! `GET models`: upstream's list as it is. It costs nothing, so nothing is recorded.

use actix_web::{HttpRequest, HttpResponse, web};
use http::Method;
use mai_capture::{RequestBody, UpstreamRequest};
use mai_primitives::UnixTime;

use super::{
    Gateway, GatewayError, body, headers,
    identity::authenticate,
    metered::{authorization, provider_key},
};

/// Passes the list of models on.
pub(super) async fn models(request: HttpRequest, gateway: web::Data<Gateway>) -> HttpResponse {
    match pass_on(&request, &gateway).await {
        Ok(answer) => answer,
        Err(error) => error.response(),
    }
}

async fn pass_on(request: &HttpRequest, gateway: &Gateway) -> Result<HttpResponse, GatewayError> {
    let directory = gateway.directory.current();
    let key = authenticate(&directory, request, UnixTime::from(gateway.clock.now()))?;
    let provider_key = provider_key(&key.organization)?;
    let query = request.query_string();
    let path = if query.is_empty() { "/models".to_owned() } else { format!("/models?{query}") };
    let upstream = UpstreamRequest {
        method: Method::GET,
        path,
        headers: headers::to_upstream(request.headers()),
        authorization: authorization(provider_key)?,
        title: None,
        referer: None,
        body: RequestBody::empty(),
    };
    let answer = gateway.proxy.send_unmetered(upstream).await?;
    Ok(body::answer(answer))
}
