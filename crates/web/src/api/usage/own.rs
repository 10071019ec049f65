//! `my-organization/my-usage`: what the caller used.

use actix_web::{HttpResponse, get, web};
use mai_organization::usage_tracking::Totals;
use mai_primitives::{OrganizationId, Pln, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Conversion, Period, Sums, days, instant};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, Role},
    error::ReadRefusals,
};

/// Whose usage and which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// Whose usage; for an administrator and the reseller, who have none of their own and see nothing
    /// without it. A member names nobody, or itself.
    user_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
}

/// A member's days.
#[derive(Serialize, ToSchema)]
#[schema(as = MyUsage)]
struct Answer {
    success: bool,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    /// Whose usage; null where nobody is named by a caller that is no member.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    period: Period,
    totals: Sums,
    /// Days with usage.
    days_active: usize,
    /// The days with usage, ascending. Which models a member used is not kept per day.
    days: Vec<OwnDay>,
    #[serde(flatten)]
    conversion: Conversion,
}

/// A day of a member.
#[derive(Serialize, ToSchema)]
struct OwnDay {
    /// The organization's local day.
    #[schema(format = Date)]
    date: String,
    #[serde(flatten)]
    sums: Sums,
    /// When usage was last added.
    #[schema(format = DateTime)]
    last_activity: String,
}

/// The usage of one member: one's own, or for an administrator that of anybody of the organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "The member's days", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/my-usage")]
pub(in crate::api) async fn my_usage(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.organization(query.client_org_id.as_deref())?;
    let user = whose(&caller, query.user_id.as_deref())?;
    let days = days(query.start_date.as_deref(), query.end_date.as_deref())?;
    let own = api.services.client_usage_db.own_usage(&organization, user.clone(), days).await?;
    let sees_raw_cost = caller.is_reseller();
    let day = |(row, cost_pln): (&mai_organization::ClientUserDailyUsageModel, &Option<Pln>)| {
        Ok(OwnDay {
            date: row.usage_date.to_string(),
            sums: Sums::new(&Totals::from(row), *cost_pln, sees_raw_cost)?,
            last_activity: instant(row.updated_at),
        })
    };
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        client_id: organization,
        user_id: user,
        period: own.range.into(),
        totals: Sums::new(&own.totals, own.cost_pln, sees_raw_cost)?,
        days_active: own.days.len(),
        days: own.days.iter().zip(&own.days_pln).map(day).collect::<Result<_, ApiError>>()?,
        conversion: Conversion::new(&api, &own.conversion),
    }))
}

/// A member asks about itself; others have no usage of their own and name somebody.
fn whose(caller: &Caller, named: Option<&str>) -> Result<Option<UserId>, ApiError> {
    let named = named.map(|id| UserId::new(id).map_err(|error| ApiError::field("user_id", error)));
    let named = named.transpose()?;
    match (&caller.role, named) {
        (Role::Member(_, own), Some(other)) if other != *own => {
            Err(ApiError::forbidden("a member sees its own usage only"))
        }
        (Role::Member(_, own), _) => Ok(Some(own.clone())),
        (Role::Admin(_) | Role::Reseller, named) => Ok(named),
    }
}
