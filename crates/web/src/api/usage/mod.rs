//! Statistics of usage. Figures come from the daily tables, each answer from one snapshot of them; raw cost
//! and profit are shown to the reseller only.

use chrono::{DateTime, SecondsFormat};
use mai_organization::usage_tracking::{
    DayRange, Days, Listing, Order as ListOrder, Position, SortKey, Totals, stats::costs::profit,
};
use mai_primitives::{Pln, UnixTime};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    ApiError,
    asked::day,
    json_money::{JsonPln, JsonUsd},
    paging::{self, Order},
};

mod conversion;
mod costs;
mod daily;
mod engagement;
pub(super) mod export;
mod fleet;
mod legacy;
mod models;
mod own;
mod summary;
mod today;
mod trend;
mod users;

use self::conversion::{Conversion, DayRate};
pub(super) use self::conversion::{ExchangeRateInfo, NO_RATE};

/// The longest text to search for, in characters.
const LONGEST_SEARCH: usize = 200;

/// What is below `/api/v1/usage-tracking`.
pub(super) fn usage_tracking(config: &mut ServiceConfig<'_>) {
    config
        .service(summary::usage_summary)
        .service(today::today_usage)
        .service(today::real_time)
        .service(own::my_usage)
        .service(users::usage_by_user)
        .service(models::usage_by_model)
        .service(models::usage_by_provider)
        .service(daily::daily_usage)
        .service(trend::trend)
        .service(engagement::engagement)
        .service(costs::cost_analytics)
        .service(export::export_usage);
}

/// What is below `/api/v1/client-organizations`.
pub(super) fn client_organizations(config: &mut ServiceConfig<'_>) {
    config
        .service(legacy::my_organization)
        .service(legacy::my_organization_today)
        .service(legacy::client_summary)
        .service(legacy::client_today)
        .service(fleet::billing)
        .service(users::by_user)
        .service(models::by_model)
        .service(export::export_client);
}

/// Which organization and which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RangeQuery {
    /// Which organization; only a reseller needs to name one.
    client_org_id: Option<String>,
    /// The first day, `YYYY-MM-DD`; by default the first of the last day's month.
    start_date: Option<String>,
    /// The last day, `YYYY-MM-DD`; by default today.
    end_date: Option<String>,
}

impl RangeQuery {
    fn days(&self) -> Result<Days, ApiError> {
        days(self.start_date.as_deref(), self.end_date.as_deref())
    }
}

/// The days of a query.
fn days(start: Option<&str>, end: Option<&str>) -> Result<Days, ApiError> {
    Ok(Days { start: day("start_date", start)?, end: day("end_date", end)? })
}

/// Refuses a query that names another organization than the path.
fn named_by_path(in_path: &str, in_query: Option<&str>) -> Result<(), ApiError> {
    match in_query {
        Some(other) if other != in_path => {
            Err(ApiError::field("client_org_id", "the path names another organization"))
        }
        _ => Ok(()),
    }
}

/// The days that an answer is about.
#[derive(Serialize, ToSchema)]
struct Period {
    /// The first day.
    #[schema(format = Date)]
    start: String,
    /// The last day.
    #[schema(format = Date)]
    end: String,
}

impl From<DayRange> for Period {
    fn from(range: DayRange) -> Self {
        Self { start: range.from().to_string(), end: range.to().to_string() }
    }
}

/// What was used.
#[derive(Serialize, ToSchema)]
struct Sums {
    /// Tokens of prompts and answers.
    total_tokens: i64,
    /// Generations.
    total_requests: i64,
    /// What the client is charged.
    markup_cost: JsonUsd,
    /// The same in złoty: the sum of the rounded days, each by its own rate. Null while no rate is known.
    cost_pln: Option<JsonPln>,
    /// What OpenRouter charged; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_cost: Option<JsonUsd>,
    /// The difference of the two; for the reseller only.
    #[serde(skip_serializing_if = "Option::is_none")]
    profit: Option<JsonUsd>,
}

impl Sums {
    fn new(totals: &Totals, cost_pln: Option<Pln>, sees_raw_cost: bool) -> Result<Self, ApiError> {
        Ok(Self {
            total_tokens: totals.tokens,
            total_requests: totals.requests,
            markup_cost: JsonUsd(totals.markup_cost),
            cost_pln: cost_pln.map(JsonPln),
            raw_cost: sees_raw_cost.then_some(JsonUsd(totals.raw_cost)),
            profit: if sees_raw_cost { Some(JsonUsd(profit(totals)?)) } else { None },
        })
    }
}

/// An instant in UTC as RFC 3339.
pub(super) fn instant(at: UnixTime) -> String {
    let at = DateTime::from_timestamp(at.seconds(), 0).unwrap_or(DateTime::UNIX_EPOCH);
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Which part of a list a query asks for.
struct ListAsked<S> {
    search: Option<String>,
    sort: S,
    order: Option<Order>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl<S> ListAsked<S> {
    /// The part of the list. Names are sorted ascending where no order is asked for, and figures
    /// descending. Without a limit everything is listed, as the original does.
    fn listing(self, sorts_texts: bool) -> Result<Listing<S>, ApiError> {
        let descending = self.order.map_or(!sorts_texts, |order| order == Order::Desc);
        if self.search.as_deref().is_some_and(|text| text.chars().count() > LONGEST_SEARCH) {
            return Err(ApiError::field("search", format!("must have at most {LONGEST_SEARCH} characters")));
        }
        Ok(Listing {
            search: self.search,
            sort: self.sort,
            order: if descending { ListOrder::Descending } else { ListOrder::Ascending },
            after: self.cursor.map(|cursor| position(&cursor, sorts_texts)).transpose()?,
            limit: self.limit.map_or(Ok(usize::MAX), |limit| paging::limit(Some(limit)))?,
        })
    }
}

/// A place in a list as its cursor keeps it: a number or a text, requests, and an id.
type CursorKey = (Option<i64>, Option<String>, i64, String);

fn position(cursor: &str, sorts_texts: bool) -> Result<Position, ApiError> {
    let (number, text, requests, id) = paging::decode::<CursorKey>(cursor)?;
    let key = match (number, text) {
        (Some(number), None) if !sorts_texts => SortKey::Number(number),
        (None, Some(text)) if sorts_texts => SortKey::Text(text),
        _ => return Err(ApiError::field("cursor", "must be of a list that is sorted in the same way")),
    };
    Ok(Position { key, requests, id })
}

/// Where the next page begins.
fn next_cursor(next: Option<Position>) -> Result<Option<String>, ApiError> {
    let encode = |Position { key, requests, id }: Position| {
        let key: CursorKey = match key {
            SortKey::Number(number) => (Some(number), None, requests, id),
            SortKey::Text(text) => (None, Some(text), requests, id),
        };
        paging::encode(&key)
    };
    next.map(encode).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_a_place_and_fits_lists_of_the_same_kind_only() {
        for (key, sorts_texts) in [(SortKey::Number(-5), false), (SortKey::Text("łódź".into()), true)] {
            let place = Position { key, requests: 7, id: "a:b".into() };
            let cursor = next_cursor(Some(place.clone())).unwrap().unwrap();
            assert_eq!(position(&cursor, sorts_texts), Ok(place));
            assert!(position(&cursor, !sorts_texts).is_err());
        }
        for wrong in ["", "x", "W10", "WzEsMiwzXQ"] {
            assert!(position(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn instants_are_in_utc() {
        assert_eq!(instant(UnixTime::from_seconds(1_784_116_800)), "2026-07-15T12:00:00Z");
    }

    #[test]
    fn raw_cost_is_shown_where_it_may_be_seen() {
        let totals = Totals::default();
        let json = |sees| serde_json::to_value(Sums::new(&totals, None, sees).unwrap()).unwrap();
        assert_eq!(json(true)["raw_cost"], 0);
        assert!(json(false).get("raw_cost").is_none() && json(false).get("profit").is_none());
    }
}
