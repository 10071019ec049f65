//! What a request presents: a token in its header, else the cookie of a signed-in browser.

use actix_web::{HttpMessage, HttpRequest};
use mai_organization::{
    audit_log::ActorKind,
    client_organization::{
        ApiTokenModel, Error as OrganizationError, MemberRole, Role as StoredRole, SessionKind, SessionModel,
        Standing, TokenRefusal, TokenScope, api_tokens::TOKEN_PREFIX,
    },
};
use secrecy::SecretString;

use super::{
    Api, ApiError,
    caller::{BrowserSession, Caller, Role, actor},
    cookie,
};
use crate::{
    gateway::identity::bearer,
    open_webui::session::{OpenWebuiRefusal, OpenWebuiRole, OpenWebuiSessions, OpenWebuiUser},
    settings::same_secret,
};

/// Whoever sent a request. A header goes before the cookie, which a browser sends unasked.
pub(super) async fn caller(request: &HttpRequest, api: &Api) -> Result<Caller, ApiError> {
    match (bearer(request), cookie::session(request, api)) {
        (Some(token), _) => by_token(request, api, token).await,
        (None, Some(session)) => by_session(request, api, session, cookie::presented(request)).await,
        (None, None) => Err(ApiError::unauthorized(
            "an API token is needed, in the header `Authorization: Bearer …`, or a session",
        )),
    }
}

/// Whoever sent a form of ours, with the proof that a field of it has.
pub(super) async fn of_form(request: &HttpRequest, api: &Api, proof: &str) -> Result<Caller, ApiError> {
    let session = cookie::session(request, api);
    let session = session.ok_or_else(|| ApiError::unauthorized("a session is needed"))?;
    by_session(request, api, session, proof).await
}

/// Whoever has a token. Tokens that we never made count as failed attempts of their address, and once there
/// were too many, no token is looked at from there for the rest of the minute: else the bound would not keep
/// anybody from the right guess.
async fn by_token(request: &HttpRequest, api: &Api, token: &str) -> Result<Caller, ApiError> {
    let address = request.peer_addr().ok_or_else(ApiError::misconfigured)?.ip();
    api.attempts.check(address).map_err(ApiError::too_many_attempts)?;
    let outcome = known_token(request, api, token).await;
    outcome.map_err(|refusal| match refusal {
        TokenProblem::Unknown(refusal) => {
            api.attempts.failed(address);
            refusal
        }
        TokenProblem::Other(refusal) => refusal,
    })
}

/// Why a token does not open what was asked for.
enum TokenProblem {
    /// It may be a guess.
    Unknown(ApiError),
    /// We know it, or nobody can tell.
    Other(ApiError),
}

impl<E: Into<ApiError>> From<E> for TokenProblem {
    fn from(refusal: E) -> Self {
        Self::Other(refusal.into())
    }
}

async fn known_token(request: &HttpRequest, api: &Api, token: &str) -> Result<Caller, TokenProblem> {
    if api.admin_token.as_ref().is_some_and(|ours| same_secret(token, ours)) {
        let actor = actor(ActorKind::ResellerToken, "", request);
        return Ok(Caller { role: Role::Reseller, actor, session: None });
    }
    let is_jwt = !token.starts_with(TOKEN_PREFIX) && token.split('.').count() == 3;
    let token = SecretString::from(token);
    if let Some(open_webui) = api.open_webui.as_ref().filter(|_| is_jwt) {
        let user = open_webui.user(&token).await?;
        let role = Role::try_from(standing(api, open_webui, &user).await?)?;
        let actor = actor(ActorKind::OpenWebui, user.id.as_str(), request);
        return Ok(Caller { role, actor, session: None });
    }
    let model = match api.services.api_token_db.verify(&token).await {
        Err(unknown @ OrganizationError::Token(TokenRefusal::Unknown)) => {
            return Err(TokenProblem::Unknown(unknown.into()));
        }
        other => other?,
    };
    let caller = Caller {
        role: Role::try_from(standing_of(&model))?,
        actor: actor(ActorKind::ApiToken, &model.id, request),
        session: None,
    };
    if model.scope == TokenScope::Read && !request.method().is_safe() {
        return Err(refused(request, caller, ApiError::read_only_token()).into());
    }
    Ok(caller)
}

fn standing_of(token: &ApiTokenModel) -> Standing {
    Standing { role: token.role, client_org_id: token.client_org_id.clone(), user_id: token.user_id.clone() }
}

async fn by_session(
    request: &HttpRequest,
    api: &Api,
    token: SecretString,
    proof: &str,
) -> Result<Caller, ApiError> {
    let model = api.services.session_db.find(&token).await?;
    let standing = match model.kind {
        SessionKind::OpenWebui => confirmed(api, &model).await?,
        SessionKind::Password | SessionKind::Link => model.standing(),
    };
    let owner = model.actor();
    let checked =
        if request.method().is_safe() { Ok(()) } else { cookie::check(request, api, &token, proof) };
    let session = BrowserSession { model, csrf_token: cookie::proof(&token) };
    let caller = Caller {
        role: Role::try_from(standing)?,
        actor: actor(owner.kind(), owner.id(), request),
        session: Some(Box::new(session)),
    };
    match checked {
        Ok(()) => Ok(caller),
        Err(refusal) => Err(refused(request, caller, refusal)),
    }
}

/// A known caller whose request is refused nevertheless, which the audit log is to know.
fn refused(request: &HttpRequest, caller: Caller, refusal: ApiError) -> ApiError {
    request.extensions_mut().insert(caller);
    refusal
}

/// What the owner of a session of Open WebUI may do now. The session ends with the one there.
async fn confirmed(api: &Api, session: &SessionModel) -> Result<Standing, ApiError> {
    let over = || ApiError::unauthorized("the session has ended; please sign in again");
    let open_webui = api.open_webui.as_ref().ok_or_else(over)?;
    let token = match api.services.session_db.open_webui_token(session) {
        Ok(token) => token.ok_or_else(over)?,
        // Another master key has sealed it; whoever signs in again gets along with the new one.
        Err(OrganizationError::Secret(cause)) => {
            tracing::warn!(error = %cause, "the token behind a session cannot be opened");
            return Err(over());
        }
        Err(other) => return Err(other.into()),
    };
    match open_webui.user(&token).await {
        Ok(user) => standing(api, open_webui, &user).await,
        Err(OpenWebuiRefusal::Unavailable) => Err(OpenWebuiRefusal::Unavailable.into()),
        Err(refusal) => {
            api.services.session_db.revoke(&session.owner(), &session.id).await?;
            Err(refusal.into())
        }
    }
}

/// What a user of Open WebUI may do here: what Open WebUI says, else what the member's row says.
pub(super) async fn standing(
    api: &Api,
    open_webui: &OpenWebuiSessions,
    user: &OpenWebuiUser,
) -> Result<Standing, ApiError> {
    let id = open_webui.organization();
    let directory = api.directory.current();
    if directory.organization(id).is_none_or(|organization| !organization.is_active) {
        return Err(ApiError::inactive_organization(
            "there is no active organization for the users of Open WebUI",
        ));
    }
    let member = api.services.member_db.get(id, &user.id).await?;
    if member.as_ref().is_some_and(|member| !member.is_active) {
        return Err(ApiError::inactive_member("the member no longer belongs to the organization"));
    }
    let role = match (user.role, member.map(|member| member.role)) {
        (Some(OpenWebuiRole::Admin), _) | (None, Some(MemberRole::Admin)) => StoredRole::Admin,
        (Some(OpenWebuiRole::User), _) | (None, Some(MemberRole::Member)) => StoredRole::Member,
        (Some(OpenWebuiRole::Pending), _) | (None, Some(MemberRole::Pending)) => {
            return Err(ApiError::forbidden("nobody has let this user of Open WebUI in yet"));
        }
        (None, None) => {
            return Err(ApiError::forbidden("this user of Open WebUI is no member of the organization yet"));
        }
    };
    Ok(Standing { role, client_org_id: Some(id.clone()), user_id: Some(user.id.clone()) })
}
