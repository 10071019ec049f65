//! Holds what we booked against what OpenRouter charged, and counts what still waits for its cost.
//!
//! What OpenRouter charged was read and stored before, by the reader of provider keys. Differences are
//! findings and no failure of the step.

use std::collections::BTreeMap;

use diesel::{dsl::min, prelude::*};
use mai_generation_processing::{
    PendingState, pending::count_by_state, schema::pending_generations as pending,
};
use mai_primitives::{OrganizationCalendar, OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::{DbConnection, Error as StorageError};
use mai_usage_tracking::drift::{self, DriftDay};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    step::{Context, Outcome},
};

/// How many UTC days are looked at, the last being the processing date: a call is looked up for 72 hours,
/// and a day's charges are known on the next one.
const DAYS: u64 = 7;
/// A day deviates from this difference on, and from this part of what was charged on: half a percent. The
/// ledger rounds each call to the nano-dollar.
const DEVIATION_NANOS: u64 = 10_000_000;
const DEVIATION_HUNDREDTHS_OF_PERCENT: u64 = 50;
/// How many deviations the result names.
const DEVIATIONS_SHOWN: usize = 50;

#[derive(Debug, Serialize)]
struct ReconcileResult {
    /// Generations whose cost is still asked for, and those for which a person is needed.
    pending: i64,
    unresolved: i64,
    /// When the oldest of both began, in Unix seconds.
    oldest_pending_started_at: Option<UnixTime>,
    /// UTC days with a reading of a provider key.
    days: Vec<ComparedDay>,
    /// Organizations and days on which both figures are known and differ by more than rounding.
    deviations: usize,
    deviations_shown: Vec<Deviation>,
}

/// A UTC day of all organizations of which both figures are known. Costs are decimal texts in USD.
#[derive(Debug, Serialize)]
struct ComparedDay {
    usage_date: UsageDate,
    organizations: usize,
    /// Organizations of which one figure is not known.
    unknown: usize,
    captured: String,
    billed: String,
    /// Captured in percent of billed, with two decimals; null where nothing was billed.
    ratio_percent: Option<String>,
}

#[derive(Debug, Serialize)]
struct Deviation {
    client_id: OrganizationId,
    usage_date: UsageDate,
    captured: String,
    billed: String,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let last = context.run.processing_date;
    let today = OrganizationCalendar::UTC.usage_date(context.clock.now());
    Outcome::done(context.storage.read(move |conn| reconcile(conn, last, today)).await?)
}

fn reconcile(conn: &mut DbConnection, last: UsageDate, today: UsageDate) -> Result<ReconcileResult> {
    let counted = count_by_state(conn)?;
    let count = |state| counted.get(&state).copied().unwrap_or_default();
    let oldest: Option<UnixTime> =
        pending::table.select(min(pending::started_at)).first(conn).map_err(StorageError::from)?;
    let compared = drift::days(conn, None, last.minus_days(DAYS - 1), today)?;
    let mut by_day: BTreeMap<UsageDate, Sum> = BTreeMap::new();
    let (mut deviations, mut shown) = (0, Vec::new());
    for day in compared.iter().filter(|day| day.usage_date <= last && !day.running) {
        let known = by_day.entry(day.usage_date).or_default().add(day)?;
        if let Some((captured, billed)) = known
            && deviates(day)
        {
            deviations += 1;
            if shown.len() < DEVIATIONS_SHOWN {
                shown.push(Deviation {
                    client_id: day.client_org_id.clone(),
                    usage_date: day.usage_date,
                    captured: captured.to_string(),
                    billed: billed.to_string(),
                });
            }
        }
    }
    Ok(ReconcileResult {
        pending: count(PendingState::Pending),
        unresolved: count(PendingState::Unresolved),
        oldest_pending_started_at: oldest,
        days: by_day.into_iter().map(|(date, sum)| sum.day(date)).collect(),
        deviations,
        deviations_shown: shown,
    })
}

fn deviates(day: &DriftDay) -> bool {
    let beyond_rounding =
        day.difference().is_some_and(|difference| difference.nanos().unsigned_abs() > DEVIATION_NANOS);
    // Without a ratio something was captured and nothing billed.
    let beyond_share =
        day.ratio().is_none_or(|ratio| ratio.abs_diff(10_000) > DEVIATION_HUNDREDTHS_OF_PERCENT);
    beyond_rounding && beyond_share
}

/// What all organizations have of a day.
#[derive(Default)]
struct Sum {
    organizations: usize,
    unknown: usize,
    captured: Usd,
    billed: Usd,
}

impl Sum {
    /// Adds an organization's day, and returns both figures where they are known.
    fn add(&mut self, day: &DriftDay) -> Result<Option<(Usd, Usd)>> {
        let (Some(captured), Some(billed)) = (day.captured, day.billed) else {
            self.unknown += 1;
            return Ok(None);
        };
        let out_of_range = || Error::OutOfRange("the charges of a day");
        self.organizations += 1;
        self.captured = self.captured.checked_add(captured).ok_or_else(out_of_range)?;
        self.billed = self.billed.checked_add(billed).ok_or_else(out_of_range)?;
        Ok(Some((captured, billed)))
    }

    fn day(self, usage_date: UsageDate) -> ComparedDay {
        ComparedDay {
            usage_date,
            organizations: self.organizations,
            unknown: self.unknown,
            captured: self.captured.to_string(),
            billed: self.billed.to_string(),
            ratio_percent: percent(self.captured, self.billed),
        }
    }
}

/// A share in percent with two decimals, to the nearest; none of nothing.
fn percent(part: Usd, whole: Usd) -> Option<String> {
    let (part, whole) = (i128::from(part.nanos()), i128::from(whole.nanos()));
    if whole <= 0 || part < 0 {
        return None;
    }
    let hundredths = (part * 20_000 + whole) / (2 * whole);
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_two_decimals() {
        let usd = Usd::from_nanos;
        assert_eq!(percent(usd(999), usd(1_000)).as_deref(), Some("99.90"));
        assert_eq!(percent(usd(2), usd(3)).as_deref(), Some("66.67"));
        assert_eq!(percent(usd(0), usd(3)).as_deref(), Some("0.00"));
        assert_eq!(percent(usd(1), usd(0)), None);
        assert_eq!(percent(usd(i64::MAX), usd(1)).map(|text| text.len()), Some(24));
    }
}
