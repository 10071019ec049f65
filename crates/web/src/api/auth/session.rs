//! What whoever is signed in does with the own sessions and the own password.

use actix_web::{HttpResponse, delete, get, post, web};
use mai_organization::client_organization::SessionModel;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Api, ApiError, Caller, Done, NOT_KEPT, SignedIn, cookie, own_session, welcome};
use crate::api::{
    asked::Asked,
    error::{ChangeRefusals, ReadRefusals, Refusals},
};

/// Who calls, and what a browser must send with its changes.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("member"))),
    responses((status = 200, description = "Who calls", body = SignedIn), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/session")]
pub(super) async fn who_calls(caller: Caller, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().insert_header(NOT_KEPT).json(SignedIn::of(&caller, &api).await?))
}

/// A signed-in browser.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenSession)]
struct OpenSession {
    id: String,
    /// `password`, `link` or `open_webui`.
    kind: &'static str,
    /// Whether it is the session of this request.
    is_current: bool,
    /// Unix seconds; at most about a minute late.
    last_seen_at: i64,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds.
    expires_at: i64,
}

/// The sessions of one owner, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenSessions)]
struct OpenSessions {
    success: bool,
    items: Vec<OpenSession>,
}

/// The caller's own sessions, the newest first. A token has none.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("member"))),
    responses((status = 200, description = "The sessions", body = OpenSessions), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/sessions")]
pub(super) async fn list_sessions(caller: Caller, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let own = caller.session.as_ref().map(|session| &session.model);
    let rows = match own {
        Some(own) => api.services.session_db.list(&own.owner()).await?,
        None => Vec::new(),
    };
    let shown = |row: SessionModel| OpenSession {
        kind: row.kind.as_str(),
        is_current: own.is_some_and(|own| own.id == row.id),
        last_seen_at: row.last_seen_at.seconds(),
        created_at: row.created_at.seconds(),
        expires_at: row.expires_at.seconds(),
        id: row.id,
    };
    Ok(HttpResponse::Ok().json(OpenSessions { success: true, items: rows.into_iter().map(shown).collect() }))
}

/// Ends one of the caller's own sessions.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("member"))),
    params(("session_id" = String, Path, description = "The session")),
    responses((status = 200, description = "It has ended", body = Done), ChangeRefusals),
    security(("session" = [])),
)]
#[delete("/sessions/{session_id}")]
pub(super) async fn end_session(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let owner = own_session(&caller)?.owner();
    caller.services(&api).session_db.revoke(&owner, asked.path("session_id")?).await?;
    Ok(HttpResponse::Ok().json(Done { success: true, message: "Session ended" }))
}

/// Ends the session of this request.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("member"))),
    responses((status = 200, description = "It has ended", body = Done), ChangeRefusals),
    security(("session" = [])),
)]
#[post("/sign-out")]
pub(super) async fn sign_out(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let session = own_session(&caller)?;
    caller.services(&api).session_db.revoke(&session.owner(), &session.id).await?;
    let cleared = cookie::clear(&asked.request, &api);
    Ok(HttpResponse::Ok().insert_header(cleared).json(Done { success: true, message: "Signed out" }))
}

/// Ends all of the caller's own sessions, in every browser.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("member"))),
    responses((status = 200, description = "They have ended", body = Done), ChangeRefusals),
    security(("session" = [])),
)]
#[post("/sign-out-everywhere")]
pub(super) async fn sign_out_everywhere(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let session = own_session(&caller)?;
    let sessions = caller.services(&api).session_db;
    sessions.revoke_all(session.client_org_id.as_ref(), &session.owner()).await?;
    let cleared = cookie::clear(&asked.request, &api);
    Ok(HttpResponse::Ok()
        .insert_header(cleared)
        .json(Done { success: true, message: "Signed out everywhere" }))
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The present one. Not needed within an hour after a link was opened.
    #[schema(value_type = Option<String>, format = Password)]
    current: Option<SecretString>,
    /// The new one, 12 to 256 characters.
    #[schema(value_type = String, format = Password)]
    new: SecretString,
}

/// Chooses another password. Every session of the account ends, and the answer sets the cookie of a new
/// one.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("member"))),
    request_body = NewPassword,
    responses((status = 200, description = "The password was changed", body = SignedIn), Refusals),
    security(("session" = [])),
)]
#[post("/password")]
pub(super) async fn change_password(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let session = own_session(&caller)?;
    let request = asked.request.clone();
    let wanted: NewPassword = asked.json().await?;
    let accounts = caller.services(&api).account_db;
    let created = accounts.change_password(session, wanted.current.as_ref(), &wanted.new).await?;
    welcome(&request, &api, created).await
}
