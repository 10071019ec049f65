//! `clients/{client_id}/webhook-secret`: what an organization signs its usage reports with.

use actix_web::{HttpResponse, delete, post, web};
use mai_organization::client_organization::{Change, ClientOrganizationPatch, new_webhook_secret};
use mai_primitives::OrganizationId;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, ApiError, asked::Asked, caller::Caller, error::ChangeRefusals, gateway_keys::administered};

/// Makes a new secret in place of the one before.
pub(crate) async fn make(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
) -> Result<SecretString, ApiError> {
    let secret = new_webhook_secret()?;
    store(caller, api, organization, Change::Set(secret.clone())).await?;
    Ok(secret)
}

/// Puts another secret in place of the one before, or none.
pub(crate) async fn store(
    caller: &Caller,
    api: &Api,
    organization: &OrganizationId,
    webhook_secret: Change<SecretString>,
) -> Result<(), ApiError> {
    let patch = ClientOrganizationPatch { webhook_secret, ..ClientOrganizationPatch::default() };
    caller.services(api).client_organization_db.update(organization, patch).await?;
    Ok(())
}

/// A secret that was made. This is the only time that it is shown.
#[derive(Serialize, ToSchema)]
struct MadeSecret<'a> {
    success: bool,
    /// `mai-webhook-…`
    webhook_secret: &'a str,
}

/// Makes a new secret in place of the one before; from now on reports must be signed with it.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 201, description = "The secret", body = MadeSecret<'static>), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/webhook-secret")]
pub(super) async fn set_webhook_secret(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    let secret = make(&caller, &api, &organization).await?;
    let webhook_secret = secret.expose_secret();
    Ok(HttpResponse::Created().json(MadeSecret { success: true, webhook_secret }))
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct ClearedSecret {
    success: bool,
    message: &'static str,
}

/// Takes the secret away: reports need no signature any more.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "There is none any more", body = ClearedSecret), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}/webhook-secret")]
pub(super) async fn clear_webhook_secret(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = administered(&caller, &asked, &api).await?;
    store(&caller, &api, &organization, Change::Clear).await?;
    let message = "Reports need no signature any more";
    Ok(HttpResponse::Ok().json(ClearedSecret { success: true, message }))
}
