//! `user-mappings`: the ids under which OpenRouter knows the members, on the original's paths.

use actix_web::{HttpResponse, delete, get, post, web};
use mai_organization::client_organization::{UserClientMappingForm, UserClientMappingModel};
use mai_primitives::{OpenRouterUserId, OrganizationId, UserId};
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

/// What is below `user-mappings`.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list_mappings).service(create_mapping).service(get_mapping).service(deactivate_mapping);
}

/// A mapping.
#[derive(Serialize, ToSchema)]
struct UserMapping {
    /// `{user_id}_{client_org_id}`
    id: String,
    /// The member as we know it.
    #[schema(value_type = String)]
    user_id: UserId,
    /// The organization.
    #[schema(value_type = String)]
    client_org_id: OrganizationId,
    /// What OpenRouter gets as `user`.
    #[schema(value_type = String)]
    openrouter_user_id: OpenRouterUserId,
    /// Whether the mapping is used.
    is_active: bool,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds.
    updated_at: i64,
}

impl From<UserClientMappingModel> for UserMapping {
    fn from(row: UserClientMappingModel) -> Self {
        Self {
            id: format!("{}_{}", row.user_id, row.client_org_id),
            user_id: row.user_id,
            client_org_id: row.client_org_id,
            openrouter_user_id: row.openrouter_user_id,
            is_active: row.is_active,
            created_at: row.created_at.seconds(),
            updated_at: row.updated_at.seconds(),
        }
    }
}

/// Which mappings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// The organization; the reseller must name one.
    client_id: Option<String>,
    #[serde(default)]
    order: Order,
    /// 1 to 500. Without it all mappings are in the answer.
    limit: Option<usize>,
    /// The header `x-next-cursor` of the page before.
    cursor: Option<String>,
}

/// The active mappings of an organization, by user id. The header `x-total-count` has their number, and
/// `x-next-cursor` is there while another page follows.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(ListQuery),
    responses(
        (
            status = 200,
            description = "The mappings",
            body = Vec<UserMapping>,
            headers(
                ("x-total-count" = i64, description = "How many there are on all pages"),
                ("x-next-cursor" = String, description = "Where the next page begins; absent on the last one"),
            ),
        ),
        ReadRefusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/user-mappings")]
async fn list_mappings(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.not_a_member()?;
    let query: ListQuery = asked.query()?;
    let organization = caller.administered(query.client_id.as_deref())?;
    let limit = match query.limit {
        Some(_) => paging::limit(query.limit)?,
        None => usize::MAX,
    };
    let rows = api.services.user_client_mapping_db.get_client_users(&organization).await?;
    let page =
        paging::page(rows, query.order, limit, query.cursor.as_deref(), |row| row.user_id.to_string())?;
    Ok(paging::bare_list::<_, UserMapping>(page))
}

/// Whose mapping.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OneQuery {
    /// The organization. The reseller need not name one while the user has a mapping in one only.
    client_id: Option<String>,
}

/// The active mapping of a user.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("user_id" = String, Path, description = "The member"), OneQuery),
    responses((status = 200, description = "The mapping", body = UserMapping), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/user-mappings/{user_id}")]
async fn get_mapping(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    let row = find(&caller, &asked, &api).await?;
    Ok(HttpResponse::Ok().json(UserMapping::from(row)))
}

/// The active mapping that a request is about.
async fn find(caller: &Caller, asked: &Asked, api: &Api) -> Result<UserClientMappingModel, ApiError> {
    caller.not_a_member()?;
    let query: OneQuery = asked.query()?;
    let unknown = || ApiError::not_found("the user has no active mapping");
    let mappings = &api.services.user_client_mapping_db;
    if caller.is_reseller() && query.client_id.is_none() {
        let user: UserId = asked.id("user_id")?;
        let mut rows = mappings.get_mappings_of_user(&user).await?.into_iter();
        return match (rows.next(), rows.next()) {
            (Some(row), None) => Ok(row),
            (None, _) => Err(unknown()),
            (Some(_), Some(_)) => {
                Err(ApiError::field("client_id", "is needed, as several organizations have such a user"))
            }
        };
    }
    let organization = caller.administered(query.client_id.as_deref())?;
    let user: UserId = asked.id("user_id")?;
    let row = mappings.get_mapping(&organization, &user).await?;
    row.filter(|row| row.is_active).ok_or_else(unknown)
}

/// A new mapping.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the fields are the original's")]
struct NewUserMapping {
    /// The member as we know it.
    #[schema(value_type = String)]
    user_id: UserId,
    /// The organization; an administrator may leave it out.
    client_org_id: Option<String>,
    /// What OpenRouter gets as `user`; without it, an id is made of the user's.
    #[schema(value_type = Option<String>)]
    openrouter_user_id: Option<OpenRouterUserId>,
}

/// What was done to a mapping.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedUserMapping)]
struct Changed {
    success: bool,
    message: &'static str,
    mapping: UserMapping,
}

/// Maps a user to an OpenRouter id.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    request_body = NewUserMapping,
    responses((status = 201, description = "The mapping is there", body = Changed), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/user-mappings")]
async fn create_mapping(caller: Caller, asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    caller.not_a_member()?;
    let new: NewUserMapping = asked.json().await?;
    let form = UserClientMappingForm {
        client_org_id: caller.administered(new.client_org_id.as_deref())?,
        user_id: new.user_id,
        openrouter_user_id: new.openrouter_user_id,
    };
    let row = caller.services(&api).user_client_mapping_db.create_mapping(form).await?;
    let mapping = UserMapping::from(row);
    Ok(HttpResponse::Created().json(Changed { success: true, message: "Mapping created", mapping }))
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct MappingDone {
    success: bool,
    message: &'static str,
}

/// Makes a mapping inactive. The user's calls then go by the id that is made of the user's own.
#[utoipa::path(
    tag = "organizations",
    extensions(("x-access" = json!("admin"))),
    params(("user_id" = String, Path, description = "The member"), OneQuery),
    responses((status = 200, description = "It is inactive", body = MappingDone), ChangeRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[delete("/user-mappings/{user_id}")]
async fn deactivate_mapping(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let row = find(&caller, &asked, &api).await?;
    let mappings = caller.services(&api).user_client_mapping_db;
    if !mappings.deactivate_mapping(&row.client_org_id, &row.user_id).await? {
        return Err(ApiError::not_found("the user has no active mapping"));
    }
    Ok(HttpResponse::Ok().json(MappingDone { success: true, message: "Mapping deactivated" }))
}
