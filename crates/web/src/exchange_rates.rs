//! Keeps the exchange rates up to date and gives each day that is over its own.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Datelike, Utc, Weekday};
use mai_capture::causes;
use mai_organization::{
    ClientUsageTable, OrganizationServices,
    exchange_rates::{self, NbpClient, NbpError, NbpSettings, RateUpdater, Update, warsaw},
    usage_tracking::{self, FixedRates},
};
use mai_primitives::Clock;
use mai_storage::Storage;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// From when on NBP's table of the day may be there, in seconds of the Warsaw day: 11:45.
const OPENS: i64 = (11 * 60 + 45) * 60;

/// How often the table of the day is asked for while it is awaited.
const AWAITED: Duration = Duration::from_secs(15 * 60);

/// How often it is looked else.
const USUAL: Duration = Duration::from_secs(60 * 60);

/// The first pause after a failure; it doubles up to [`AWAITED`].
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// What one round has done.
#[derive(Debug, Clone)]
pub struct Round {
    /// What was fetched.
    pub update: Update,
    /// Which days were given their rates.
    pub fixed: FixedRates,
}

/// Why a round is not complete. What was done before stays, and the next one goes on.
#[derive(Debug, Error)]
pub enum RoundError {
    /// NBP or the stored tables.
    #[error("the exchange rates could not be brought up to date")]
    Rates(#[from] exchange_rates::Error),
    /// The days.
    #[error("days could not be given their exchange rates")]
    Days(#[from] usage_tracking::Error),
}

/// Brings the rates up to date, in the background and for whoever wants it now.
#[derive(Clone)]
pub struct RateKeeper {
    updater: RateUpdater,
    usage: ClientUsageTable,
    clock: Arc<dyn Clock>,
}

impl RateKeeper {
    /// A keeper that asks NBP at `base_url`.
    pub fn new(
        base_url: &str,
        storage: Storage,
        services: &OrganizationServices,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NbpError> {
        let nbp = NbpClient::new(NbpSettings::at(base_url))?;
        let updater = RateUpdater::new(storage, nbp, Arc::clone(&clock));
        Ok(Self { updater, usage: services.client_usage_db.clone(), clock })
    }

    /// Who asks NBP, for the daily run.
    pub fn updater(&self) -> RateUpdater {
        self.updater.clone()
    }

    /// Fetches the tables that are missing, from the first day without a rate on, and gives each day that is
    /// over, and whose table is certain, its rate. Where NBP is away, the days are given what is known.
    ///
    /// It may be run at any time, again, and by several processes at once.
    pub async fn run_once(&self) -> Result<Round, RoundError> {
        let today = warsaw().usage_date(self.clock.now());
        let first = self.usage.first_day_without_rate().await?.unwrap_or(today);
        let update = self.updater.bring_up_to_date(first).await;
        let fixed = self.usage.fix_daily_rates().await?;
        Ok(Round { update: update?, fixed })
    }

    /// Runs round after round until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut failures = 0_u32;
        while let Some(outcome) = stop.run_until_cancelled(self.run_once()).await {
            let now = self.clock.now();
            let has_todays_table = match outcome {
                Ok(round) => {
                    if failures > 0 {
                        info!("the exchange rates are up to date again");
                    }
                    failures = 0;
                    tell(&round);
                    round.update.known.is_some_and(|known| known.contains(warsaw().usage_date(now)))
                }
                Err(cause) => {
                    if failures == 0 {
                        warn!(error = %causes(&cause), "PLN is shown by the rates that are stored");
                    }
                    failures = failures.saturating_add(1);
                    false
                }
            };
            let pause = pause(now, has_todays_table, failures);
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

/// What a person should know of a round.
fn tell(Round { update, fixed }: &Round) {
    for differing in &update.differing {
        error!(
            effective_date = %differing.stored.effective_date,
            stored = %differing.stored.rate,
            received = %differing.received.rate,
            stored_table = differing.stored.table_no,
            received_table = differing.received.table_no,
            "NBP tells another rate than is stored; what is stored stays, and a person should look at it"
        );
    }
    for late in &update.late {
        warn!(
            effective_date = %late.effective_date,
            table = late.table_no,
            "NBP has a table of a day that had none; days that were given the one before keep it"
        );
    }
    if fixed.days > 0 {
        info!(days = fixed.days, organizations = fixed.organizations, "days were given their exchange rates");
    }
}

/// How long to wait for the next round.
fn pause(now: DateTime<Utc>, has_todays_table: bool, failures: u32) -> Duration {
    if let Some(doublings) = failures.checked_sub(1) {
        return AWAITED.min(AFTER_FAILURE.saturating_mul(1 << doublings.min(4)));
    }
    let today = warsaw().usage_date(now);
    if has_todays_table || matches!(today.date().weekday(), Weekday::Sat | Weekday::Sun) {
        return USUAL;
    }
    // The clocks are changed on Sundays only.
    let until_open = OPENS - (now.timestamp() - warsaw().start_of(today).seconds());
    match u64::try_from(until_open) {
        Ok(seconds) if seconds > 0 => USUAL.min(Duration::from_secs(seconds)),
        _ => AWAITED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(now: &str, has_todays_table: bool, failures: u32) -> u64 {
        pause(now.parse().unwrap(), has_todays_table, failures).as_secs() / 60
    }

    #[test]
    fn the_table_of_the_day_is_asked_for_often_while_it_is_awaited() {
        // Friday 2026-11-20, in winter time, and Wednesday 2026-07-15, in summer time.
        for (now, has_table, expected) in [
            ("2026-11-20T08:00:00Z", false, 60),
            ("2026-11-20T10:00:00Z", false, 45),
            ("2026-11-20T10:44:00Z", false, 1),
            ("2026-11-20T10:45:00Z", false, 15),
            ("2026-11-20T20:00:00Z", false, 15),
            ("2026-11-20T11:30:00Z", true, 60),
            ("2026-07-15T09:00:00Z", false, 45),
            ("2026-07-15T09:45:00Z", false, 15),
            // A Saturday, and the Sunday on which the clocks are changed.
            ("2026-11-21T11:00:00Z", false, 60),
            ("2026-10-25T11:00:00Z", false, 60),
        ] {
            assert_eq!(minutes(now, has_table, 0), expected, "{now}");
        }
    }

    #[test]
    fn failures_are_followed_by_growing_pauses() {
        let pauses: Vec<u64> =
            (1..=6).map(|failures| minutes("2026-11-20T08:00:00Z", false, failures)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        assert_eq!(minutes("2026-11-20T08:00:00Z", false, u32::MAX), 15);
    }
}
