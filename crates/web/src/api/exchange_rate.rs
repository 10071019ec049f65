//! `exchange-rate/USD/PLN`: what NBP says that a dollar is worth. It is read from the database; NBP is asked
//! in the background only.

use actix_web::{HttpResponse, get, web};
use mai_organization::exchange_rates::{DayRatePolicy, warsaw};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, ApiError,
    asked::{Asked, day},
    caller::Caller,
    error::ReadRefusals,
    json_money::JsonUsdPln,
    usage::{ExchangeRateInfo, NO_RATE},
};

/// Which day's rate.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// The day, `YYYY-MM-DD`; by default today in Warsaw.
    date: Option<String>,
    /// `same_day_or_before`, which is the default, or `before_day`.
    policy: Option<String>,
}

/// What one USD was worth on a day.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeRate)]
struct Answer {
    success: bool,
    currency_from: &'static str,
    currency_to: &'static str,
    /// The day that was asked about.
    #[schema(format = Date)]
    date: String,
    /// Which table counts for the day.
    policy: &'static str,
    /// PLN for one USD.
    rate: JsonUsdPln,
    #[serde(flatten)]
    info: ExchangeRateInfo,
    /// Whether it is the rate of that day for good. False while it is not known whether NBP publishes a table
    /// that counts; the present rate stands in.
    is_final: bool,
}

/// The mid rate of NBP's table A for a day.
#[utoipa::path(
    tag = "usage",
    extensions(("x-access" = json!("member"))),
    params(Query),
    responses((status = 200, description = "The rate", body = Answer), ReadRefusals),
    security(("bearer" = []), ("session" = [])),
)]
#[get("/exchange-rate/USD/PLN")]
pub(super) async fn exchange_rate(
    _caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    let query: Query = asked.query()?;
    let today = warsaw().usage_date(api.clock.now());
    let date = day("date", query.date.as_deref())?.unwrap_or(today);
    if date > today {
        return Err(ApiError::field("date", "must not be in the future"));
    }
    let policy = query.policy.as_deref().map_or(Ok(DayRatePolicy::default()), str::parse);
    let policy = policy.map_err(|reason: String| ApiError::field("policy", reason))?;
    let found = api.services.exchange_rate_db.rate_of(date, policy).await?;
    let rate = found.rate.ok_or_else(|| ApiError::no_exchange_rate(NO_RATE))?;
    let has_no_table = found.is_final && policy == DayRatePolicy::SameDayOrBefore;
    Ok(HttpResponse::Ok().json(Answer {
        success: true,
        currency_from: "USD",
        currency_to: "PLN",
        date: date.to_string(),
        policy: policy.as_str(),
        rate: JsonUsdPln(rate.rate),
        info: ExchangeRateInfo::of(&rate, date, has_no_table),
        is_final: found.is_final,
    }))
}
