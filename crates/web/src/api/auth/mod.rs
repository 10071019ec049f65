//! `/api/v1/auth`: signing in and out, and the sessions of whoever is signed in.

use actix_web::{HttpRequest, HttpResponse};
use mai_organization::{audit_log::ActorKind, client_organization::SessionModel};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    attempts::Attempt,
    caller::{BrowserSession, Caller, Role},
    cookie,
};

mod session;
mod sign_in;

/// What is below `/api/v1/auth`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(sign_in::sign_in)
        .service(sign_in::open_link)
        .service(sign_in::sign_in_by_open_webui)
        .service(session::who_calls)
        .service(session::list_sessions)
        .service(session::end_session)
        .service(session::sign_out)
        .service(session::sign_out_everywhere)
        .service(session::change_password);
}

/// Who is signed in, and what that person may do.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SignedIn {
    success: bool,
    /// `password`, `link` or `open_webui` for a browser; for a token `api_token`, `reseller_token` or
    /// `open_webui`.
    kind: &'static str,
    /// `reseller`, `admin` or `member`.
    role: &'static str,
    /// The organization; null for the reseller.
    client_org_id: Option<String>,
    /// Who it is among the members, where that is known.
    user_id: Option<String>,
    /// The account; null where there is none of ours.
    account: Option<Account>,
    /// The id of the session; null for a token.
    session_id: Option<String>,
    /// When the session ends in any case, in Unix seconds; null for a token.
    expires_at: Option<i64>,
    /// The header `X-CSRF-Token` of every change that a browser sends; null for a token.
    csrf_token: Option<String>,
}

/// The account of whoever is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnAccount)]
struct Account {
    id: String,
    email: String,
    name: String,
    /// Whether a password was chosen; without one only a link signs in.
    has_password: bool,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedOut)]
struct Done {
    success: bool,
    message: &'static str,
}

impl SignedIn {
    async fn of(caller: &Caller, api: &Api) -> Result<Self, ApiError> {
        let (role, organization, user) = match &caller.role {
            Role::Reseller => ("reseller", None, None),
            Role::Admin(organization) => ("admin", Some(organization), None),
            Role::Member(organization, user) => ("member", Some(organization), Some(user)),
        };
        let session = caller.session.as_deref();
        let model = session.map(|session| &session.model);
        let account = match model.and_then(|session| session.account_id.as_deref()) {
            Some(id) => api.services.account_db.get(id).await?,
            None => None,
        };
        let account = account.map(|row| Account {
            id: row.id,
            email: row.email,
            name: row.name,
            has_password: row.password_hash.is_some(),
        });
        let token_user = || match caller.actor.kind() {
            ActorKind::OpenWebui => Some(caller.actor.id().to_owned()),
            _ => None,
        };
        let own = model.and_then(|session| session.user_id.as_ref()).or(user);
        Ok(Self {
            success: true,
            kind: model.map_or(caller.actor.kind().as_str(), |session| session.kind.as_str()),
            role,
            client_org_id: organization.map(ToString::to_string),
            user_id: own.map(ToString::to_string).or_else(token_user),
            account,
            session_id: model.map(|session| session.id.clone()),
            expires_at: model.map(|session| session.expires_at.seconds()),
            csrf_token: session.map(|session| session.csrf_token.clone()),
        })
    }
}

/// The answer to whoever has just been signed in: who that is, and the cookie.
async fn welcome(
    request: &HttpRequest,
    api: &Api,
    created: mai_organization::client_organization::CreatedSession,
) -> Result<HttpResponse, ApiError> {
    let cookie = cookie::set(request, api, &created.token, created.model.expires_at);
    let caller = Caller {
        role: Role::try_from(created.model.standing())?,
        actor: created.model.actor(),
        session: Some(Box::new(BrowserSession {
            csrf_token: cookie::proof(&created.token),
            model: created.model,
        })),
    };
    let body = SignedIn::of(&caller, api).await?;
    Ok(HttpResponse::Ok().insert_header(cookie).insert_header(NOT_KEPT).json(body))
}

/// What is secret is kept by nobody on the way.
const NOT_KEPT: (&str, &str) = ("cache-control", "no-store");

/// Begins an attempt to sign in, of the address that the connection comes from.
pub(crate) fn attempt<'a>(request: &HttpRequest, api: &'a Api) -> Result<Attempt<'a>, ApiError> {
    let address = request.peer_addr().ok_or_else(ApiError::misconfigured)?.ip();
    api.attempts.begin(address).map_err(ApiError::too_many_attempts)
}

/// The session of a caller who has one.
fn own_session(caller: &Caller) -> Result<&SessionModel, ApiError> {
    let none = || ApiError::wrong_state("a token has no session; revoke the token instead");
    caller.session.as_ref().map(|session| &session.model).ok_or_else(none)
}
