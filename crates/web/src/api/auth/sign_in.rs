//! The three ways to get a session: a password, a link, and a session of Open WebUI.

use actix_web::{HttpResponse, post, web};
use mai_organization::audit_log::ActorKind;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Api, ApiError, SignedIn, attempt, cookie, welcome};
use crate::api::{asked::Asked, caller::actor, credentials::standing, error::Refusals};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The address of the account.
    email: String,
    /// Its password.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Signs in with address and password: the answer sets the cookie `mai_session`.
///
/// An unknown address, a wrong password and a locked account are refused alike. After five wrong
/// passwords an account is locked for a quarter of an hour, and longer with each further one.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("public"))),
    request_body = Credentials,
    responses((status = 200, description = "Signed in", body = SignedIn), Refusals),
)]
#[post("/sign-in")]
pub(super) async fn sign_in(asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let request = asked.request.clone();
    cookie::same_origin(&request, &api)?;
    let wanted: Credentials = asked.json().await?;
    let attempt = attempt(&request, &api)?;
    let services = api.services.acting_as(&actor(ActorKind::Stranger, "", &request));
    let session = services.account_db.sign_in(&wanted.email, &wanted.password).await?;
    attempt.succeeded();
    welcome(&request, &api, session).await
}

/// What came with a link, or a session token of Open WebUI.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PresentedToken)]
struct Token {
    /// The token.
    #[schema(value_type = String, format = Password)]
    token: SecretString,
}

/// Signs in with a one-time link, by what stands behind its `#`: the answer sets the cookie
/// `mai_session`. For an hour the account's password may be chosen without the present one.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("public"))),
    request_body = Token,
    responses((status = 200, description = "Signed in", body = SignedIn), Refusals),
)]
#[post("/link")]
pub(super) async fn open_link(asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let request = asked.request.clone();
    cookie::same_origin(&request, &api)?;
    let wanted: Token = asked.json().await?;
    let attempt = attempt(&request, &api)?;
    let services = api.services.acting_as(&actor(ActorKind::Stranger, "", &request));
    let session = services.sign_in_link_db.redeem(&wanted.token).await?;
    attempt.succeeded();
    welcome(&request, &api, session).await
}

/// Signs in with a session token of Open WebUI: the answer sets the cookie `mai_session`. The session
/// ends with the one there.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("public"))),
    request_body = Token,
    responses((status = 200, description = "Signed in", body = SignedIn), Refusals),
)]
#[post("/open-webui")]
pub(super) async fn sign_in_by_open_webui(
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let request = asked.request.clone();
    cookie::same_origin(&request, &api)?;
    let wanted: Token = asked.json().await?;
    let none = || ApiError::not_configured("set WEBUI_SECRET_KEY to sign in with Open WebUI");
    let open_webui = api.open_webui.as_ref().ok_or_else(none)?;
    let attempt = attempt(&request, &api)?;
    let stranger = actor(ActorKind::Stranger, "", &request);
    let checked = async {
        let user = open_webui.user(&wanted.token).await?;
        let standing = standing(&api, open_webui, &user).await?;
        Ok::<_, ApiError>((user, standing))
    };
    let (user, standing) = match checked.await {
        Ok(checked) => checked,
        Err(refusal) => {
            let id = open_webui.organization();
            let log = &api.services.audit_log_db;
            log.record(&stranger, Some(id), "open_webui.sign_in", "", refusal.code).await?;
            return Err(refusal);
        }
    };
    let services = api.services.acting_as(&stranger);
    let session = services.session_db.create_open_webui(standing, &wanted.token, user.ends_at).await?;
    attempt.succeeded();
    welcome(&request, &api, session).await
}
