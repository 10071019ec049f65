//! `clients/{client_id}/members`: the people of an organization, and usage that is not theirs yet.

use actix_web::{HttpResponse, delete, get, patch, post, put, web};
use mai_organization::client_organization::{
    Change, Error as OrganizationError, MemberForm, MemberModel, MemberPatch, MemberQuery, MemberRole,
    MemberSource, openrouter_user_id,
};
use mai_primitives::{UserId, text::sortable};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::{ChangeRefusals, ReadRefusals, Refusals},
    paging::{self, Order},
};

mod assign;
pub(crate) mod import;

/// What is below `clients/{client_id}/members`. Names that are no ids of members come first.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_members)
        .service(create_member)
        .service(assign::unassigned_usage)
        .service(assign::assign_usage)
        .service(import::import_members)
        .service(get_member)
        .service(update_member)
        .service(add_external_id)
        .service(remove_external_id);
}

/// What a member may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MemberRole)]
enum Role {
    /// Everything of the organization.
    Admin,
    /// Their own usage and the organization's summary.
    Member,
    /// Nothing yet.
    Pending,
}

impl From<MemberRole> for Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Admin => Self::Admin,
            MemberRole::Member => Self::Member,
            MemberRole::Pending => Self::Pending,
        }
    }
}

impl From<Role> for MemberRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Member => Self::Member,
            Role::Pending => Self::Pending,
        }
    }
}

/// Where a member is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MemberSource)]
enum Source {
    /// The gateway saw a call.
    Gateway,
    /// The user registry of Open WebUI.
    OpenWebui,
    /// An imported file.
    Csv,
    /// This API.
    Api,
    /// The built-in demonstration.
    Demo,
}

impl From<MemberSource> for Source {
    fn from(source: MemberSource) -> Self {
        match source {
            MemberSource::Gateway => Self::Gateway,
            MemberSource::OpenWebui => Self::OpenWebui,
            MemberSource::Csv => Self::Csv,
            MemberSource::Api => Self::Api,
            MemberSource::Demo => Self::Demo,
        }
    }
}

impl From<Source> for MemberSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Gateway => Self::Gateway,
            Source::OpenWebui => Self::OpenWebui,
            Source::Csv => Self::Csv,
            Source::Api => Self::Api,
            Source::Demo => Self::Demo,
        }
    }
}

/// A member of an organization.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    /// With Open WebUI the id of its user.
    #[schema(value_type = String)]
    user_id: UserId,
    /// What people call the member.
    name: Option<String>,
    /// The member's address.
    email: Option<String>,
    role: Role,
    /// The list that named the member last, else where the member turned up first.
    source: Source,
    /// Whether the member still belongs to the organization.
    is_active: bool,
    /// Since when the member is known, in Unix seconds; for users of Open WebUI when they signed up.
    created_at: i64,
    /// Unix seconds.
    updated_at: i64,
}

impl From<MemberModel> for Member {
    fn from(row: MemberModel) -> Self {
        Self {
            user_id: row.user_id,
            name: row.name,
            email: row.email,
            role: row.role.into(),
            source: row.source.into(),
            is_active: row.is_active,
            created_at: row.created_at.seconds(),
            updated_at: row.updated_at.seconds(),
        }
    }
}

/// Which members.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those with this in the name, the address or the id, whatever the case of the letters.
    search: Option<String>,
    /// Only those of this role.
    #[param(inline)]
    role: Option<Role>,
    /// Only active ones, or only inactive ones.
    active: Option<bool>,
    /// Only those who are known from there.
    #[param(inline)]
    source: Option<Source>,
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    #[serde(default)]
    order: Order,
    /// 1 to 500, by default 50.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// By what members are sorted.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[default]
    Name,
    Email,
    UserId,
    Role,
    CreatedAt,
    UpdatedAt,
}

/// A page of members.
#[derive(Serialize, ToSchema)]
struct Members {
    success: bool,
    items: Vec<Member>,
    /// How many members all pages have together.
    total: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// The members of an organization.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization"), Query),
    responses((status = 200, description = "A page of members", body = Members), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/members")]
async fn list_members(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let query: Query = asked.query()?;
    let limit = paging::limit(query.limit)?;
    let wanted = MemberQuery {
        search: query.search,
        role: query.role.map(MemberRole::from),
        is_active: query.active,
        source: query.source.map(MemberSource::from),
    };
    let rows = api.services.member_db.search(&organization, wanted).await?;
    let page = paging::page(rows, query.order, limit, query.cursor.as_deref(), |row| {
        // Whoever lacks what is sorted by comes last.
        let text = |text: Option<&str>| (text.is_none(), sortable(text.unwrap_or_default()), 0);
        let first = match query.sort {
            Sort::Name => text(row.name.as_deref()),
            Sort::Email => text(row.email.as_deref()),
            Sort::UserId => text(None),
            Sort::Role => text(Some(row.role.as_str())),
            Sort::CreatedAt => (false, String::new(), row.created_at.seconds()),
            Sort::UpdatedAt => (false, String::new(), row.updated_at.seconds()),
        };
        (first, row.user_id.to_string())
    })?;
    Ok(HttpResponse::Ok().json(Members {
        success: true,
        items: page.items.into_iter().map(Member::from).collect(),
        total: page.total,
        next_cursor: page.next_cursor,
    }))
}

/// A member with the ids that others know.
#[derive(Serialize, ToSchema)]
struct MemberDetails {
    success: bool,
    member: Member,
    /// What OpenRouter gets as `user`: that of the active mapping, else the id that is made of the member's.
    openrouter_user_id: String,
    /// Further ids under which usage is reported, and under which the member was registered before.
    external_user_ids: Vec<String>,
}

/// One member, active or not.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("user_id" = String, Path, description = "The member"),
    ),
    responses((status = 200, description = "The member", body = MemberDetails), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/clients/{client_id}/members/{user_id}")]
async fn get_member(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let user: UserId = asked.id("user_id")?;
    let members = &api.services.member_db;
    let row = members.get(&organization, &user).await?;
    let row = row.ok_or_else(|| ApiError::not_found("there is no such member"))?;
    let mapping = api.services.user_client_mapping_db.get_mapping(&organization, &user).await?;
    let mapped = mapping.filter(|mapping| mapping.is_active).map(|mapping| mapping.openrouter_user_id);
    let openrouter_user_id = match mapped {
        Some(id) => id,
        None => openrouter_user_id(&organization, &user).map_err(OrganizationError::from)?,
    };
    let external = members.external_ids(&organization, &user).await?;
    Ok(HttpResponse::Ok().json(MemberDetails {
        success: true,
        member: row.into(),
        openrouter_user_id: openrouter_user_id.to_string(),
        external_user_ids: external.iter().map(ToString::to_string).collect(),
    }))
}

/// A new member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMember {
    /// The id under which calls are counted for the member.
    #[schema(value_type = String)]
    user_id: UserId,
    /// 1 to 200 characters.
    name: Option<String>,
    /// The member's address.
    email: Option<String>,
    /// By default `member`.
    role: Option<Role>,
}

/// What was done to a member.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedMember)]
struct Changed {
    success: bool,
    message: &'static str,
    member: Member,
}

/// Makes a member.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("client_id" = String, Path, description = "The organization")),
    request_body = NewMember,
    responses((status = 201, description = "The member is there", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/clients/{client_id}/members")]
async fn create_member(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let new: NewMember = asked.json().await?;
    let form = MemberForm {
        user_id: new.user_id,
        name: new.name,
        email: new.email,
        role: new.role.map_or(MemberRole::Member, MemberRole::from),
        source: MemberSource::Api,
        is_active: true,
    };
    let row = caller.services(&api).member_db.create(&organization, form).await?;
    let member = Member::from(row);
    Ok(HttpResponse::Created().json(Changed { success: true, message: "Member created", member }))
}

/// A partial update: what is absent stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberPatch)]
struct Patch {
    /// 1 to 200 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Change<String>,
    /// The member's address.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email: Change<String>,
    role: Option<Role>,
    /// Whether the member belongs to the organization. Usage of an inactive member stays.
    is_active: Option<bool>,
}

/// Changes what the body names, all of it or nothing.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("user_id" = String, Path, description = "The member"),
    ),
    request_body = Patch,
    responses((status = 200, description = "The member was changed", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[patch("/clients/{client_id}/members/{user_id}")]
async fn update_member(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let user: UserId = asked.id("user_id")?;
    let patch: Patch = asked.json().await?;
    let patch = MemberPatch {
        name: patch.name,
        email: patch.email,
        role: patch.role.map(MemberRole::from),
        is_active: patch.is_active,
    };
    let row = caller.services(&api).member_db.update(&organization, &user, patch).await?;
    let member = Member::from(row);
    Ok(HttpResponse::Ok().json(Changed { success: true, message: "Member updated", member }))
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct ExternalIdDone {
    success: bool,
    message: &'static str,
}

/// Gives a member a further id: usage that is reported under it counts for the member from now on.
/// `members/assign` does the same for an id that has usage already.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("user_id" = String, Path, description = "The member"),
        ("external_user_id" = String, Path, description = "The further id"),
    ),
    responses((status = 200, description = "The member has it", body = ExternalIdDone), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[put("/clients/{client_id}/members/{user_id}/external-ids/{external_user_id}")]
async fn add_external_id(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let (user, external): (UserId, UserId) = (asked.id("user_id")?, asked.id("external_user_id")?);
    let is_new = caller.services(&api).member_db.add_external_id(&organization, &external, &user).await?;
    let message = if is_new { "External id added" } else { "The member has this external id" };
    Ok(HttpResponse::Ok().json(ExternalIdDone { success: true, message }))
}

/// Takes a further id from a member. Usage that was counted for the member stays.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(
        ("client_id" = String, Path, description = "The organization"),
        ("user_id" = String, Path, description = "The member"),
        ("external_user_id" = String, Path, description = "The further id"),
    ),
    responses((status = 200, description = "The member does not have it any more", body = ExternalIdDone), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/clients/{client_id}/members/{user_id}/external-ids/{external_user_id}")]
async fn remove_external_id(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let organization = caller.administered(Some(asked.path("client_id")?))?;
    let (user, external): (UserId, UserId) = (asked.id("user_id")?, asked.id("external_user_id")?);
    caller.services(&api).member_db.remove_external_id(&organization, &external, &user).await?;
    Ok(HttpResponse::Ok().json(ExternalIdDone { success: true, message: "External id removed" }))
}
