//! How USD became PLN, as answers tell it.

use chrono::{DateTime, Utc};
use mai_organization::{
    exchange_rates::{CurrentRate, RateOrigin, warsaw},
    usage_tracking::{self, ClientDailyUsageModel},
};
use mai_primitives::UsageDate;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Api, json_money::JsonUsdPln};

/// What people are told while there is no rate.
pub(in crate::api) const NO_RATE: &str =
    "no exchange rate of NBP is known yet; amounts are shown in USD only, and PLN follows by itself";

/// A rate, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct ExchangeRateInfo {
    /// PLN for one USD.
    usd_pln: JsonUsdPln,
    /// The day of NBP's table; null for the configured rate.
    #[schema(format = Date)]
    effective_date: Option<String>,
    /// The number of NBP's table; null for the configured rate.
    table_no: Option<String>,
    /// `current`: the table of the day itself. `working_day`: the last one before. `holiday_skip`: the last
    /// one before a day that has none. `fallback`: the configured rate, while no table is known.
    rate_source: &'static str,
    /// Whether it is the configured rate, with which nothing is billed.
    is_fallback: bool,
}

impl ExchangeRateInfo {
    /// A rate as that of a day. `has_no_table` says that the day is known to have no table of its own.
    pub(in crate::api) fn of(rate: &CurrentRate, day: UsageDate, has_no_table: bool) -> Self {
        let (effective_date, table_no) = match &rate.origin {
            RateOrigin::Nbp { table_no, effective_date } => (Some(*effective_date), Some(table_no.clone())),
            RateOrigin::Fallback => (None, None),
        };
        let rate_source = match effective_date {
            None => "fallback",
            Some(effective_date) if effective_date == day => "current",
            Some(_) if has_no_table => "holiday_skip",
            Some(_) => "working_day",
        };
        Self {
            usd_pln: JsonUsdPln(rate.rate),
            effective_date: effective_date.map(|date| date.to_string()),
            table_no,
            rate_source,
            is_fallback: rate.is_fallback(),
        }
    }

    /// The present rate.
    pub(super) fn present(rate: &CurrentRate, now: DateTime<Utc>) -> Self {
        Self::of(rate, warsaw().usage_date(now), false)
    }

    /// The day of NBP's table.
    pub(super) fn date(&self) -> Option<String> {
        self.effective_date.clone()
    }
}

/// How the costs of an answer became PLN.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlnConversion)]
pub(super) struct Conversion {
    /// Whether a rate is known; without one every amount in PLN is null.
    pln_conversion_available: bool,
    /// Why there is no PLN, and what helps; only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pln_conversion_message: Option<&'static str>,
    /// Whether some days, such as today, were converted by the present rate, because they have none of their
    /// own yet.
    is_estimated: bool,
    /// How many days with usage those are.
    days_estimated: i64,
    /// The present rate. Each day that is over keeps its own.
    exchange_rate: Option<JsonUsdPln>,
    /// The present rate, and what proves it.
    exchange_rate_info: Option<ExchangeRateInfo>,
}

impl Conversion {
    /// The conversion as it is shown.
    pub(super) fn new(api: &Api, conversion: &usage_tracking::Conversion) -> Self {
        let current = conversion.current.as_ref();
        Self {
            pln_conversion_available: current.is_some(),
            pln_conversion_message: current.is_none().then_some(NO_RATE),
            is_estimated: current.is_some() && conversion.days_estimated > 0,
            days_estimated: conversion.days_estimated,
            exchange_rate: current.map(|current| JsonUsdPln(current.rate)),
            exchange_rate_info: current.map(|rate| ExchangeRateInfo::present(rate, api.clock.now())),
        }
    }
}

/// The rate of a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayExchangeRate)]
pub(super) struct DayRate {
    /// The rate of the day: its own, or the present one while it has none.
    exchange_rate_used: Option<JsonUsdPln>,
    /// The day of NBP's table that has the rate; null for the configured rate.
    #[schema(format = Date)]
    exchange_rate_date: Option<String>,
    /// The number of that table.
    exchange_rate_table_no: Option<String>,
    /// Whether it is the present rate, because the day has none of its own yet.
    is_estimated: bool,
    /// Whether it is the configured rate.
    is_fallback: bool,
}

impl DayRate {
    /// The rate of a stored day.
    pub(super) fn of(row: &ClientDailyUsageModel, current: Option<&CurrentRate>) -> Self {
        Self::new(row.rate(current).as_ref(), row.usd_pln_rate.is_some())
    }

    /// A rate, and whether it is the day's own.
    pub(super) fn new(rate: Option<&CurrentRate>, is_final: bool) -> Self {
        let table = rate.and_then(|rate| match &rate.origin {
            RateOrigin::Nbp { table_no, effective_date } => {
                Some((table_no.clone(), effective_date.to_string()))
            }
            RateOrigin::Fallback => None,
        });
        let (table_no, date) = table.unzip();
        Self {
            exchange_rate_used: rate.map(|rate| JsonUsdPln(rate.rate)),
            exchange_rate_date: date,
            exchange_rate_table_no: table_no,
            is_estimated: rate.is_some() && !is_final,
            is_fallback: rate.is_some_and(CurrentRate::is_fallback),
        }
    }
}

#[cfg(test)]
mod tests {
    use mai_primitives::UsdPlnRate;

    use super::*;

    #[test]
    fn a_rate_says_where_it_comes_from() {
        let day = |text: &str| UsageDate::parse(text).unwrap();
        let rate = UsdPlnRate::parse("3.637").unwrap();
        let origin = RateOrigin::Nbp { table_no: "225/A/NBP/2026".into(), effective_date: day("2026-11-20") };
        let friday = CurrentRate { rate, origin };
        let source = |date: &str, has_no_table| ExchangeRateInfo::of(&friday, day(date), has_no_table);
        assert_eq!(source("2026-11-20", false).rate_source, "current");
        assert_eq!(source("2026-11-21", true).rate_source, "holiday_skip");
        assert_eq!(source("2026-11-23", false).rate_source, "working_day");
        let json = serde_json::to_string(&source("2026-11-20", false)).unwrap();
        assert!(json.contains(r#""usd_pln":3.6370,"effective_date":"2026-11-20""#), "{json}");
        let fallback = ExchangeRateInfo::of(&CurrentRate::fallback(rate), day("2026-11-20"), false);
        assert_eq!((fallback.rate_source, fallback.is_fallback, fallback.table_no), ("fallback", true, None));
    }
}
