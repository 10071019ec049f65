//! `POST sync/openrouter-usage`: looks up at once what still waits for its cost.
//!
//! The original meant to copy OpenRouter's list of generations, which OpenRouter never had. What is
//! missing here is known one by one, so it is asked for one by one.

use actix_web::{HttpResponse, post, web};
use mai_primitives::UnixTime;
use mai_storage::TransactionError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{Api, ApiError, asked::Asked, caller::Caller, error::Refusals};

/// The longest body.
const BODY_AT_MOST: usize = 4 * 1024;

/// The original's request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SyncRequest)]
struct Body {
    /// 1 to 30.
    #[serde(default = "one")]
    days_back: i64,
}

const fn one() -> i64 {
    1
}

/// The original's response, with the organization's id added.
#[derive(Serialize, ToSchema)]
#[schema(as = SyncAnswer)]
struct Answer<'a> {
    success: bool,
    status: &'static str,
    results: Vec<OfOrganization<'a>>,
    total_organizations: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SyncOfOrganization)]
struct OfOrganization<'a> {
    organization: &'a str,
    client_org_id: &'a str,
    /// How many generations are looked up now.
    synced_generations: usize,
    status: &'static str,
}

/// Makes the pending generations of the last days due, of every active organization.
#[utoipa::path(
    tag = "reports",
    extensions(("x-access" = json!("reseller"))),
    request_body = Body,
    responses((status = 200, description = "What is looked up now", body = Answer<'static>), Refusals),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/sync/openrouter-usage")]
pub(super) async fn look_up_pending(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    caller.reseller()?;
    let body = asked.body(BODY_AT_MOST).await?;
    let body = if body.is_empty() { &b"{}"[..] } else { &body[..] };
    let body: Body = serde_json::from_slice(body).map_err(|error| ApiError::invalid(error.to_string()))?;
    if !(1..=30).contains(&body.days_back) {
        return Err(ApiError::invalid("`days_back` must be a whole number from 1 to 30"));
    }
    let since = UnixTime::from(api.clock.now()).plus_seconds(-body.days_back * 86_400);
    let directory = api.directory.current();
    let mut organizations: Vec<_> = directory.organizations().filter(|one| one.is_active).collect();
    organizations.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    let services = caller.services(&api);
    let mut results = Vec::with_capacity(organizations.len());
    for one in organizations {
        let due = services.processed_generation_db.make_due(&one.id, since).await;
        let due = due.map_err(|error| ApiError::internal(&error, error.storage()))?;
        results.push(OfOrganization {
            organization: &one.name,
            client_org_id: one.id.as_str(),
            synced_generations: due,
            status: "success",
        });
    }
    let total_organizations = results.len();
    Ok(HttpResponse::Ok().json(Answer { success: true, status: "success", results, total_organizations }))
}
