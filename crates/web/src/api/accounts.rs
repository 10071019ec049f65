//! `/api/v1/accounts`: the people who sign in with a password, as those who let them in see them.

use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use mai_organization::client_organization::{
    AccountModel, AccountPatch, Change, NewAccount, Role as StoredRole, Standing,
};
use mai_primitives::{OrganizationId, UnixTime, UserId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, Role},
    error::{ChangeRefusals, ReadRefusals, Refusals},
    paging::{self, Order},
};

/// An account. Of its password only whether there is one is shown.
#[derive(Serialize, ToSchema)]
struct Account {
    /// `account_…`
    id: String,
    /// The address, in lower case.
    email: String,
    /// What people call the owner.
    name: String,
    role: AccountRole,
    /// The organization; null for the reseller.
    client_org_id: Option<String>,
    /// Who the owner is among the members.
    user_id: Option<String>,
    /// Whether the owner may sign in.
    is_active: bool,
    /// Whether a password was chosen; without one only a link signs in.
    has_password: bool,
    /// Until when no password is looked at, in Unix seconds; null when one is.
    locked_until: Option<i64>,
    /// Unix seconds; null before the first time.
    last_sign_in_at: Option<i64>,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds.
    updated_at: i64,
}

/// What the owner of an account may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AccountRole {
    Reseller,
    Admin,
    Member,
}

impl AccountRole {
    fn shown(role: StoredRole) -> Self {
        match role {
            StoredRole::Reseller => Self::Reseller,
            StoredRole::Admin => Self::Admin,
            StoredRole::Member => Self::Member,
        }
    }

    fn stored(self) -> StoredRole {
        match self {
            Self::Reseller => StoredRole::Reseller,
            Self::Admin => StoredRole::Admin,
            Self::Member => StoredRole::Member,
        }
    }
}

impl Account {
    fn shown(row: AccountModel, api: &Api) -> Self {
        let now = api.clock.now().into();
        Self {
            locked_until: row.locked_until.filter(|until| *until > now).map(UnixTime::seconds),
            role: AccountRole::shown(row.role),
            has_password: row.password_hash.is_some(),
            id: row.id,
            email: row.email,
            name: row.name,
            client_org_id: row.client_org_id.map(|id| id.to_string()),
            user_id: row.user_id.map(|id| id.to_string()),
            is_active: row.is_active,
            last_sign_in_at: row.last_sign_in_at.map(UnixTime::seconds),
            created_at: row.created_at.seconds(),
            updated_at: row.updated_at.seconds(),
        }
    }
}

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Those of this organization. Without it the reseller sees the own accounts.
    client_org_id: Option<String>,
    /// Only those whose address or name has this in it.
    search: Option<String>,
    #[serde(default)]
    order: Order,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of accounts, by address.
#[derive(Serialize, ToSchema)]
struct Accounts {
    success: bool,
    items: Vec<Account>,
    /// How many there are in all pages.
    total: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Whose accounts a caller means. None are the reseller's own.
fn owner(caller: &Caller, named: Option<&str>) -> Result<Option<OrganizationId>, ApiError> {
    match (&caller.role, named) {
        (Role::Reseller, None) => Ok(None),
        _ => caller.administered(named).map(Some),
    }
}

/// An account that the caller may change, and whose it is.
async fn administered(
    caller: &Caller,
    api: &Api,
    id: &str,
) -> Result<(AccountModel, Option<OrganizationId>), ApiError> {
    let own = if caller.is_reseller() { None } else { Some(caller.administered(None)?) };
    let account = api.services.account_db.get(id).await?;
    let account = account.filter(|account| own.is_none() || account.client_org_id == own);
    let account = account.ok_or_else(|| ApiError::not_found("there is no such account"))?;
    let organization = account.client_org_id.clone();
    Ok((account, organization))
}

/// The accounts of an organization, or of the reseller, by address.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "A page of accounts", body = Accounts), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("")]
pub(super) async fn list_accounts(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let owner = owner(&caller, query.client_org_id.as_deref())?;
    let limit = paging::limit(query.limit)?;
    let rows = api.services.account_db.list(owner.as_ref()).await?;
    let wanted = query.search.map(|text| text.to_lowercase());
    let found = rows.into_iter().filter(|row| {
        wanted
            .as_deref()
            .is_none_or(|wanted| row.email.contains(wanted) || row.name.to_lowercase().contains(wanted))
    });
    let page =
        paging::page(found.collect(), query.order, limit, query.cursor.as_deref(), |row| row.email.clone())?;
    Ok(HttpResponse::Ok().json(Accounts {
        success: true,
        items: page.items.into_iter().map(|row| Account::shown(row, &api)).collect(),
        total: page.total,
        next_cursor: page.next_cursor,
    }))
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount)]
struct New {
    /// The address, which no other account may have.
    email: String,
    /// What people call the owner, 1 to 200 characters.
    name: String,
    role: AccountRole,
    /// The organization; only the reseller needs to name it, and not for an account of the reseller.
    client_org_id: Option<String>,
    /// Who the owner is among the members; needed for the role `member`.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
}

/// What was done to an account.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountChanged)]
struct Changed {
    success: bool,
    message: &'static str,
    account: Account,
}

/// Makes an account. It has no password yet: a link lets its owner choose one. With an account of the
/// reseller the link of the first start ends; a session that began with it becomes that of the account.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    request_body(content = New, description = "The account"),
    responses((status = 201, description = "It was made", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("")]
pub(super) async fn create_account(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    // The role is looked at before the body is.
    owner(&caller, None)?;
    let new: New = asked.json().await?;
    let standing = Standing {
        role: new.role.stored(),
        client_org_id: owner(&caller, new.client_org_id.as_deref())?,
        user_id: new.user_id,
    };
    let new = NewAccount { email: new.email, name: new.name, standing };
    let row = caller.services(&api).account_db.create(new).await?;
    let account = Account::shown(row, &api);
    Ok(HttpResponse::Created().json(Changed { success: true, message: "Account created", account }))
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountPatch)]
struct Patch {
    /// 1 to 200 characters.
    name: Option<String>,
    /// Nobody becomes the reseller or ceases to be. Another role ends the owner's sessions and API tokens.
    role: Option<AccountRole>,
    /// Who the owner is among the members. Somebody else ends the owner's sessions and API tokens.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    user_id: Change<UserId>,
    /// Whether the owner may sign in.
    is_active: Option<bool>,
}

/// Changes an account.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(("account_id" = String, Path, description = "The account")),
    request_body = Patch,
    responses((status = 200, description = "It was changed", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/{account_id}")]
pub(super) async fn update_account(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (account, organization) = administered(&caller, &api, asked.path("account_id")?).await?;
    let patch: Patch = asked.json().await?;
    let patch = AccountPatch {
        name: patch.name,
        role: patch.role.map(AccountRole::stored),
        user_id: patch.user_id,
        is_active: patch.is_active,
    };
    let row = caller.services(&api).account_db.update(organization.as_ref(), &account.id, patch).await?;
    let account = Account::shown(row, &api);
    Ok(HttpResponse::Ok().json(Changed { success: true, message: "Account updated", account }))
}

/// Deactivates an account: its owner's sessions and links and the API tokens that the account made end, and
/// there is no way in. The last active account of the reseller stays.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(("account_id" = String, Path, description = "The account")),
    responses((status = 200, description = "It is inactive", body = Changed), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/{account_id}")]
pub(super) async fn deactivate_account(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (account, organization) = administered(&caller, &api, asked.path("account_id")?).await?;
    let patch = AccountPatch { is_active: Some(false), ..AccountPatch::default() };
    let row = caller.services(&api).account_db.update(organization.as_ref(), &account.id, patch).await?;
    let account = Account::shown(row, &api);
    Ok(HttpResponse::Ok().json(Changed { success: true, message: "Account deactivated", account }))
}

/// A link that signs in once.
#[derive(Serialize, ToSchema)]
struct SignInLink {
    success: bool,
    /// What the owner opens. It is shown only this once.
    link: String,
    /// What stands behind its `#`, for `POST /api/v1/auth/link`.
    token: String,
    /// From when on it does not work, in Unix seconds.
    expires_at: i64,
}

/// Makes a link with which the owner of an account signs in once and chooses a password. Earlier ones
/// work no longer.
#[utoipa::path(
    tag = "access",
    extensions(("x-access" = json!("admin"))),
    params(("account_id" = String, Path, description = "The account")),
    responses((status = 201, description = "The link, shown only this once", body = SignInLink), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/{account_id}/link")]
pub(super) async fn create_link(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let (account, organization) = administered(&caller, &api, asked.path("account_id")?).await?;
    let links = caller.services(&api).sign_in_link_db;
    let created = links.create(organization.as_ref(), &account.id).await?;
    let base = origin(&asked.request, &api);
    let answer = SignInLink {
        success: true,
        link: link(&base, created.token.expose_secret()),
        token: created.token.expose_secret().to_owned(),
        expires_at: created.expires_at.seconds(),
    };
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(answer))
}

/// Where whoever asks reaches the service: by the setting, else as the request has come.
pub(crate) fn origin(request: &HttpRequest, api: &Api) -> String {
    let connection = request.connection_info();
    let own = || format!("{}://{}", connection.scheme(), connection.host());
    api.public_url.clone().unwrap_or_else(own)
}

/// The address that signs in with a token. What stands behind the `#` is sent to no server, so no log of
/// a proxy has it.
pub(crate) fn link(base: &str, token: &str) -> String {
    format!("{base}/sign-in/link#{token}")
}
