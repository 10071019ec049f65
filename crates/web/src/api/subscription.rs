//! What an organization pays for its seats, in the original's fields.

use actix_web::{HttpResponse, get, web};
use mai_billing::{BillingMonth, OrganizationSubscription, SeatLine};
use mai_organization::global_settings::SubscriptionTier;
use mai_primitives::{OrganizationId, UserId, ratio};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::Asked,
    caller::Caller,
    error::ReadRefusals,
    json_money::{JsonDecimal, JsonPln},
    usage::instant,
};

/// How many decimals a share of a month has: those of the original's numbers.
const SHARE_PLACES: u32 = 16;

/// The subscription of a month.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionBilling)]
struct Answer {
    success: bool,
    subscription_data: Data,
    #[schema(value_type = String)]
    client_id: OrganizationId,
    organization_name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionData)]
struct Data {
    /// The month that was asked for, by default the present one.
    current_month: Figures,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionMonth)]
struct Figures {
    /// 1 to 12.
    month: u32,
    year: i32,
    /// `YYYY-MM`.
    iso_month: String,
    days_in_month: u32,
    /// How many users need a seat.
    total_users: usize,
    /// What each of them costs for the whole month.
    current_tier_price_pln: JsonPln,
    /// The sum of `monthly_cost_pln`.
    total_cost_pln: JsonPln,
    tier_breakdown: Vec<ShownTier>,
    user_details: Vec<ShownLine>,
    /// Whether the month is over and can no longer change.
    is_frozen: bool,
    #[schema(format = DateTime)]
    frozen_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ShownTier {
    /// Such as `1-3 users` or `20+ users`.
    tier_range: String,
    price_per_user_pln: JsonPln,
    /// Whether it holds for the month.
    is_current_tier: bool,
    from: u32,
    /// Null for the last tier.
    to: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionUser)]
struct ShownLine {
    #[schema(value_type = String)]
    user_id: UserId,
    /// The user's name; the id where none is known.
    user_name: String,
    /// The user's address; null where none is known.
    user_email: Option<String>,
    /// The organization's day on which the user was added; null where nobody knows.
    #[schema(format = Date)]
    created_date: Option<String>,
    /// For how many days of the month the user pays, the day of adding included.
    days_remaining_when_added: u32,
    /// That part of the month, above 0 and at most 1.
    billing_proportion: JsonDecimal,
    /// Rounded half away from zero to the grosz.
    monthly_cost_pln: JsonPln,
}

impl ShownTier {
    fn new(tier: &SubscriptionTier, is_current_tier: bool) -> Self {
        let SubscriptionTier { from, to, price } = *tier;
        let range = to.map_or_else(|| format!("{from}+"), |to| format!("{from}-{to}"));
        Self {
            tier_range: format!("{range} users"),
            price_per_user_pln: JsonPln(price),
            is_current_tier,
            from,
            to,
        }
    }
}

impl ShownLine {
    fn new(line: SeatLine, month: BillingMonth) -> Self {
        let SeatLine { seat, days_charged, cost } = line;
        // A month has days, and a part of it fits.
        let proportion = ratio::decimal(days_charged, month.days(), SHARE_PLACES).unwrap_or_default();
        Self {
            user_name: seat.name.unwrap_or_else(|| seat.user_id.to_string()),
            user_email: seat.email,
            created_date: seat.added_on.map(|day| day.to_string()),
            days_remaining_when_added: days_charged,
            billing_proportion: JsonDecimal(proportion),
            monthly_cost_pln: JsonPln(cost),
            user_id: seat.user_id,
        }
    }
}

impl Answer {
    fn new(client_id: OrganizationId, month: OrganizationSubscription) -> Self {
        let OrganizationSubscription { organization_name, subscription } = month;
        let (month, current) = (subscription.month, subscription.current);
        let tiers = subscription.tiers.all().iter().enumerate();
        let current_month = Figures {
            month: month.number(),
            year: month.year(),
            iso_month: month.to_string(),
            days_in_month: month.days(),
            total_users: subscription.lines.len(),
            current_tier_price_pln: JsonPln(subscription.price_per_user),
            total_cost_pln: JsonPln(subscription.total),
            tier_breakdown: tiers.map(|(place, tier)| ShownTier::new(tier, Some(place) == current)).collect(),
            is_frozen: subscription.frozen_at.is_some(),
            frozen_at: subscription.frozen_at.map(instant),
            user_details: subscription.lines.into_iter().map(|line| ShownLine::new(line, month)).collect(),
        };
        Self { success: true, subscription_data: Data { current_month }, client_id, organization_name }
    }
}

async fn billing(
    api: &Api,
    organization: OrganizationId,
    month: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    let month = month.map(str::parse::<BillingMonth>).transpose()?;
    let subscription = api.subscription.month(&organization, month).await?;
    Ok(HttpResponse::Ok().json(Answer::new(organization, subscription)))
}

/// Which organization and month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// `YYYY-MM`; by default the present month.
    month: Option<String>,
}

/// What the caller's organization pays for its seats in a month.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(Query),
    responses((status = 200, description = "The subscription", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/my-organization/subscription-billing")]
pub(super) async fn subscription_billing(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let organization = caller.administered(query.client_org_id.as_deref())?;
    billing(&api, organization, query.month.as_deref()).await
}

/// Which client and month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ClientQuery {
    /// Which organization; only a reseller needs to name one.
    client_id: Option<String>,
    /// `YYYY-MM`; by default the present month.
    month: Option<String>,
}

/// The same of a named organization.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("admin"))),
    params(ClientQuery),
    responses((status = 200, description = "The subscription", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/subscription/billing")]
pub(super) async fn client_subscription(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: ClientQuery = asked.query()?;
    if caller.is_reseller() && query.client_id.is_none() {
        return Err(ApiError::field("client_id", "must name the organization"));
    }
    let organization = caller.administered(query.client_id.as_deref())?;
    billing(&api, organization, query.month.as_deref()).await
}
