//! What follows a request for a change.
//!
//! A change that was made holds for the gateway of this process before its answer is sent, so that a new
//! key opens it and a revoked one does not; other processes follow within a second.
//!
//! What was refused goes into the audit log: who tried to change what, and why not.
//! A change that was made has its entry from the service that made it, in the same transaction. Whoever
//! is not known leaves no entry here, or else strangers could fill the log; tried passwords have entries
//! of their own.

use std::time::Duration;

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
    web,
};
use mai_capture::causes;

use super::{
    Api, ApiError,
    caller::{Caller, Role},
};

/// How long an answer waits for the reading of limits that are new.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// Makes a change of organizations, members or keys hold here, before its answer.
pub(crate) async fn take_effect(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let changes = !request.method().is_safe();
    let response = next.call(request).await?;
    let api = response.request().app_data::<web::Data<Api>>().cloned();
    // Where the path names no organization, what was changed is told by what was not read yet.
    let path = response.request().match_info();
    let changed = path.get("client_id").or_else(|| path.get("organization"));
    if let Some(api) = api.filter(|_| changes && !is_refusal(response.status()))
        && let Err(error) = hold(&api, changed).await
    {
        // The change is made; the next refresh, in half a second, tells whether this lasts.
        tracing::warn!(error, "a change does not hold at the gateway yet");
    }
    Ok(response)
}

/// A page that was changed sends its reader on to another one, which is no refusal.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// A limit of which nothing was read yet would begin with a wrong sum, so that is read as well, unless it takes long:
/// whoever has changed something else should not wait for it.
async fn hold(api: &Api, changed: Option<&str>) -> Result<(), String> {
    api.directory.refresh(&api.storage, &api.master_key).await.map_err(|error| causes(&error))?;
    match tokio::time::timeout(READ_WITHIN, api.limits.read_changed(changed)).await {
        Ok(read) => read.map_err(|error| causes(&error)),
        Err(_) => {
            Err("new limits could not be read within a second; they are with the next reading".to_owned())
        }
    }
}

/// Writes an entry when a known caller was refused a change.
pub(crate) async fn audit_refusal(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let changes = !request.method().is_safe();
    let response = next.call(request).await?;
    if changes && is_refusal(response.status()) {
        write(&response).await;
    }
    Ok(response)
}

/// The stable code of a refusal that is no [`ApiError`], because its answer says more. It goes into the
/// response's extensions.
pub(crate) struct RefusalCode(pub(crate) &'static str);

async fn write<B>(response: &ServiceResponse<B>) {
    let request = response.request();
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(caller), Some(api)) = (caller, request.app_data::<web::Data<Api>>()) else { return };
    let own = response.response().extensions().get::<RefusalCode>().map(|code| code.0);
    let error = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let code = own.or(error.map(|error| error.code)).unwrap_or("failed");
    let pattern = request.match_pattern().unwrap_or_default();
    let action = format!("{} {pattern}", request.method());
    let organization = match &caller.role {
        Role::Admin(organization) | Role::Member(organization, _) => Some(organization),
        Role::Reseller => None,
    };
    let entry =
        api.services.audit_log_db.record(&caller.actor, organization, &action, request.path(), code).await;
    if let Err(error) = entry {
        tracing::error!(%error, code, action, "a refusal could not be written into the audit log");
    }
}
