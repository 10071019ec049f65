//! API tokens, of an organization and of the reseller.

use actix_web::{HttpResponse, delete, get, post, web};
use mai_organization::client_organization::{ApiTokenModel, NewApiToken, Role as StoredRole, TokenScope};
use mai_primitives::{OrganizationId, UnixTime, UserId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ChangeRefusals, ReadRefusals, Refusals},
};

/// A token, without the token.
#[derive(Serialize, ToSchema)]
struct ApiToken {
    /// `token_…`
    id: String,
    /// The first characters of the token, by which people tell tokens apart.
    token_prefix: String,
    /// What people call it.
    name: String,
    /// `reseller`, `admin` or `member`.
    role: &'static str,
    scope: Scope,
    /// The organization; null for the reseller.
    client_org_id: Option<String>,
    /// The member whose token it is.
    user_id: Option<String>,
    /// When it was last used, in Unix seconds and at most about a minute late; null means never.
    last_used_at: Option<i64>,
    /// From when on it does not work, in Unix seconds; null means never.
    expires_at: Option<i64>,
    /// When it was taken back, in Unix seconds; null means it was not.
    revoked_at: Option<i64>,
    /// Unix seconds.
    created_at: i64,
}

/// Whether a token may change anything.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TokenScope)]
enum Scope {
    /// Everything that its role may.
    #[default]
    Full,
    /// What its role may read.
    Read,
}

impl From<ApiTokenModel> for ApiToken {
    fn from(row: ApiTokenModel) -> Self {
        Self {
            id: row.id,
            token_prefix: row.token_prefix,
            name: row.name,
            role: row.role.as_str(),
            scope: match row.scope {
                TokenScope::Full => Scope::Full,
                TokenScope::Read => Scope::Read,
            },
            client_org_id: row.client_org_id.map(|id| id.to_string()),
            user_id: row.user_id.map(|id| id.to_string()),
            last_used_at: row.last_used_at.map(UnixTime::seconds),
            expires_at: row.expires_at.map(UnixTime::seconds),
            revoked_at: row.revoked_at.map(UnixTime::seconds),
            created_at: row.created_at.seconds(),
        }
    }
}

/// Tokens, also those that no longer work, by the time they were made.
#[derive(Serialize, ToSchema)]
struct ApiTokens {
    success: bool,
    items: Vec<ApiToken>,
}

/// A new token. This is the only time that the token itself is there.
#[derive(Serialize, ToSchema)]
struct CreatedApiToken {
    success: bool,
    /// The token, for the header `Authorization: Bearer …`.
    token: String,
    api_token: ApiToken,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiTokenRevoked)]
struct Done {
    success: bool,
    message: &'static str,
}

/// A token of an organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganizationToken {
    /// What people call it, 1 to 200 characters.
    name: String,
    /// By default `admin`.
    #[serde(default)]
    role: OrganizationRole,
    /// By default `full`.
    #[serde(default)]
    scope: Scope,
    /// The member whose token it is; needed for the role `member`.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// From when on it does not work, in Unix seconds; without it never.
    expires_at: Option<i64>,
}

/// What a token may do within an organization.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TokenRole)]
enum OrganizationRole {
    #[default]
    Admin,
    Member,
}

/// A token of the reseller.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewResellerToken {
    /// What people call it, 1 to 200 characters.
    name: String,
    /// By default `full`.
    #[serde(default)]
    scope: Scope,
    /// From when on it does not work, in Unix seconds; without it never.
    expires_at: Option<i64>,
}

impl Scope {
    fn stored(self) -> TokenScope {
        match self {
            Self::Full => TokenScope::Full,
            Self::Read => TokenScope::Read,
        }
    }
}

async fn list(api: &Api, owner: Option<&OrganizationId>) -> Result<HttpResponse, ApiError> {
    let rows = api.services.api_token_db.list(owner).await?;
    let items = rows.into_iter().map(ApiToken::from).collect();
    Ok(HttpResponse::Ok().json(ApiTokens { success: true, items }))
}

async fn create(caller: &Caller, api: &Api, new: NewApiToken) -> Result<HttpResponse, ApiError> {
    let created = caller.services(api).api_token_db.create(new).await?;
    let token = created.token.expose_secret().to_owned();
    let answer = CreatedApiToken { success: true, token, api_token: created.model.into() };
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(answer))
}

async fn revoke(
    caller: &Caller,
    api: &Api,
    owner: Option<&OrganizationId>,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    caller.services(api).api_token_db.revoke(owner, id).await?;
    Ok(HttpResponse::Ok().json(Done { success: true, message: "API token revoked" }))
}

/// The API tokens of an organization.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    responses((status = 200, description = "All of them", body = ApiTokens), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/api-tokens")]
pub(super) async fn list_client_tokens(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    list(&api, Some(&organization)).await
}

/// Makes an API token of an organization. It is shown only this once.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = NewOrganizationToken,
    responses((status = 201, description = "It was made", body = CreatedApiToken), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/api-tokens")]
pub(super) async fn create_client_token(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let new: NewOrganizationToken = asked.json().await?;
    let new = NewApiToken {
        name: new.name,
        role: match new.role {
            OrganizationRole::Admin => StoredRole::Admin,
            OrganizationRole::Member => StoredRole::Member,
        },
        client_org_id: Some(organization),
        user_id: new.user_id,
        scope: new.scope.stored(),
        expires_at: new.expires_at.map(UnixTime::from_seconds),
    };
    create(&caller, &api, new).await
}

/// Takes an API token of an organization back, for good.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("token_id" = String, Path, description = "The token's id"),
    ),
    responses((status = 200, description = "It works no longer", body = Done), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}/api-tokens/{token_id}")]
pub(super) async fn revoke_client_token(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    revoke(&caller, &api, Some(&organization), asked.path("token_id")?).await
}

/// The API tokens of the reseller.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("reseller"))),
    responses((status = 200, description = "All of them", body = ApiTokens), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("")]
pub(super) async fn list_reseller_tokens(
    caller: Caller,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    list(&api, None).await
}

/// Makes an API token of the reseller. It is shown only this once.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("reseller"))),
    request_body = NewResellerToken,
    responses((status = 201, description = "It was made", body = CreatedApiToken), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("")]
pub(super) async fn create_reseller_token(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let new: NewResellerToken = asked.json().await?;
    let new = NewApiToken {
        name: new.name,
        role: StoredRole::Reseller,
        client_org_id: None,
        user_id: None,
        scope: new.scope.stored(),
        expires_at: new.expires_at.map(UnixTime::from_seconds),
    };
    create(&caller, &api, new).await
}

/// Takes an API token of the reseller back, for good.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("reseller"))),
    params(("token_id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "It works no longer", body = Done), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/{token_id}")]
pub(super) async fn revoke_reseller_token(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    revoke(&caller, &api, None, asked.path("token_id")?).await
}
