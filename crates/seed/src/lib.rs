//! Realistic usage made from a number: for the demonstration, for looking at the dashboard, and, at
//! any scale, for measuring.
//!
//! The same plan makes the same rows, byte for byte, on every machine and both databases; a day's rows
//! do not depend on how many other days or organizations are made. Everything adds up as metered usage
//! does: the organization's row of a day is the sum of its members' rows, of its models' rows and, as
//! far as the ledger goes back, of the generations.

mod daily;
mod error;
mod people;
mod random;
mod usage;
mod write;

use mai_organization::usage_tracking::record_generations;
use mai_primitives::{OrganizationCalendar, UsageDate};
use mai_storage::Storage;

pub use error::{Error, Result};

use daily::{DailyRows, booked_at};
use people::Organization;
use usage::{Days, Model};

/// How many days the ledger goes back where it is written at all; a cleanup would leave as many.
const LEDGER_DAYS: u64 = 60;

/// Up to this many members in all, the last days are booked generation by generation. Beyond, only the
/// daily rows are written, which is what dashboards read.
const LEDGER_MEMBERS: u64 = 100;

/// How many days of daily rows one transaction holds: some ten thousand rows with 50 members.
const DAYS_PER_TRANSACTION: u64 = 200;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedPlan {
    /// Everything follows from this number. Plans with different numbers can share a database.
    pub seed: u64,
    /// 1 to 100,000 organizations.
    pub organizations: u64,
    /// 1 to 10,000 members of each organization.
    pub users: u64,
    /// 1 to 4,000 days of usage, the last being `end`.
    pub days: u64,
    /// The last day. Usage of the whole day is made, up to its evening.
    pub end: UsageDate,
}

impl SeedPlan {
    /// One company of twelve, one of whom has left and one is new, with thirteen months of usage.
    pub const fn realistic(seed: u64, end: UsageDate) -> Self {
        Self { seed, organizations: 1, users: 12, days: 396, end }
    }

    /// The days of all organizations together: where the progress ends.
    pub const fn organization_days(&self) -> u64 {
        self.organizations.saturating_mul(self.days)
    }

    /// For how many of the last days the ledger is written.
    pub fn ledger_days(&self) -> u64 {
        if self.organizations.saturating_mul(self.users) <= LEDGER_MEMBERS {
            self.days.min(LEDGER_DAYS)
        } else {
            0
        }
    }

    fn check(&self) -> Result<()> {
        for (what, number, most) in [
            ("the number of organizations", self.organizations, 100_000),
            ("the number of users", self.users, 10_000),
            ("the number of days", self.days, 4_000),
        ] {
            if !(1..=most).contains(&number) {
                return Err(Error::Plan { what, most });
            }
        }
        Ok(())
    }
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeedReport {
    /// Organizations.
    pub organizations: u64,
    /// Members of all organizations.
    pub members: u64,
    /// Rows of the ledger.
    pub ledger_rows: u64,
    /// Rows of the three daily tables that were written without the ledger.
    pub daily_rows: u64,
}

/// Writes the plan into a migrated database. Blocks the calling thread.
///
/// Without a ledger a release build on two cores writes some 220,000 rows a second to SQLite and 90,000
/// to PostgreSQL: 1,000 organizations of 50 members over 400 days are 20 million rows.
///
/// `progress` is told after each transaction how many of [`SeedPlan::organization_days`] are done.
/// Where ledger rows are left out, the cleanup log says so, as after a cleanup. A seed that is there
/// already is a unique violation of the storage layer; what an error leaves behind is whole
/// organizations and whole days.
pub fn seed(storage: &Storage, plan: &SeedPlan, mut progress: impl FnMut(u64)) -> Result<SeedReport> {
    plan.check()?;
    let days = Days { seed: plan.seed, end: plan.end, calendar: OrganizationCalendar::parse(write::ZONE)? };
    let models = usage::models()?;
    let mut report = SeedReport::default();
    let mut done = 0;
    for number in 0..plan.organizations {
        let organization = people::organization(plan.seed, number, plan.users)?;
        storage.write_blocking(|conn| write::organization(conn, &days, &organization, plan.days - 1))?;
        report.organizations += 1;
        report.members += plan.users;
        let mut ages_left = plan.days;
        while ages_left > 0 {
            let ages = if ages_left > plan.ledger_days() {
                let ages = ages_left.saturating_sub(DAYS_PER_TRANSACTION).max(plan.ledger_days())..ages_left;
                report.daily_rows += write_daily(storage, &days, &organization, &models, ages.clone())?;
                ages
            } else {
                report.ledger_rows += book(storage, &days, &organization, &models, ages_left - 1)?;
                ages_left - 1..ages_left
            };
            done += ages.end - ages.start;
            progress(done);
            ages_left = ages.start;
        }
    }
    if plan.ledger_days() < plan.days {
        storage.write_blocking(|conn| write::cleanup_log(conn, &days, plan.ledger_days()))?;
    }
    Ok(report)
}

/// Writes the daily rows of some days, the oldest first, and returns how many.
fn write_daily(
    storage: &Storage,
    days: &Days,
    organization: &Organization,
    models: &[Model],
    ages: std::ops::Range<u64>,
) -> Result<u64> {
    let mut rows = DailyRows::default();
    for age in ages.rev() {
        rows.add(days, organization, models, &days.requests(organization, models, age), age)?;
    }
    storage.write_blocking(|conn| write::daily_rows(conn, &rows))?;
    Ok(u64::try_from(rows.count()).unwrap_or(u64::MAX))
}

/// Books the generations of one day as the gateway does and returns how many.
fn book(
    storage: &Storage,
    days: &Days,
    organization: &Organization,
    models: &[Model],
    age: u64,
) -> Result<u64> {
    let requests = days.requests(organization, models, age);
    let Some(now) = booked_at(&requests) else { return Ok(0) };
    let generations = write::generations(days, organization, models, &requests, age)?;
    storage.write_blocking(|conn| {
        record_generations(conn, &organization.id, &generations, now)?;
        Ok::<_, Error>(())
    })?;
    Ok(u64::try_from(generations.len()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
