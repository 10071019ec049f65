use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_generation_processing::query::complete_from;
use mai_primitives::{Clock, ManualClock, OrganizationId, UnixTime, UsageDate};
use mai_storage::{DbConnection, Storage, testing::TestDb};
use mai_usage_tracking::{
    Totals,
    schema::{
        client_daily_usage as days, client_model_daily_usage as models, client_user_daily_usage as users,
    },
    verify::check_days,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    batch, catch_up, clock, count_corrections, create_organization, day, do_run, dump, org, record, settings,
    used,
};
use crate::{Batch, RunStatus, StartedBy};

const ORGANIZATIONS: [&str; 2] = ["a", "b"];
const USERS: [&str; 3] = ["anna", "jan", "ewa"];
const MODELS: [&str; 3] = ["openai/o3", "openai/o4", "x-ai/grok"];

/// What was booked, by organization and day.
type Booked = BTreeMap<(OrganizationId, UsageDate), Totals>;

struct Year<'a> {
    storage: &'a Storage,
    clock: ManualClock,
    random: StdRng,
    booked: Booked,
    generations: u64,
    /// Rows that were made wrong and that the next run has to find.
    spoilt: usize,
}

impl Year<'_> {
    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }

    /// Books some usage of a day.
    fn use_on(&mut self, name: &str, date: UsageDate, count: u64) {
        for _ in 0..count {
            self.generations += 1;
            let user = USERS[self.random.random_range(0..USERS.len())];
            let model = MODELS[self.random.random_range(0..MODELS.len())];
            let nanos = self.random.random_range(0..5_000_000);
            let id = format!("g{}", self.generations);
            let new = used(name, &id, &date.to_string(), user, model, nanos);
            let price = new.markup_rate.apply(new.total_cost).unwrap();
            let totals = Totals { tokens: 15, requests: 1, raw_cost: new.total_cost, markup_cost: price };
            let sum = self.booked.entry((org(name), date)).or_default();
            *sum = sum.checked_add(totals).unwrap();
            record(self.storage, &[new], self.now());
        }
    }

    /// Makes a row of one of the three tables wrong, if there is one.
    fn spoil(&mut self, name: &str, date: UsageDate) {
        let (table, wrong) = (self.random.random_range(0..3), self.random.random_range(0..1_000_i64));
        let change = |conn: &mut DbConnection| {
            let changed = match table {
                0 => diesel::update(days::table.find((org(name), date)))
                    .set(days::raw_cost.eq(wrong - 1_000_000))
                    .execute(conn)?,
                1 => {
                    let row = users::table
                        .filter(users::client_org_id.eq(org(name)))
                        .filter(users::usage_date.eq(date))
                        .select(users::user_id)
                        .first::<String>(conn)
                        .optional()?;
                    let Some(user) = row else { return Ok(0) };
                    diesel::delete(users::table.find((org(name), date, user))).execute(conn)?
                }
                _ => {
                    let row = models::table
                        .filter(models::client_org_id.eq(org(name)))
                        .filter(models::usage_date.eq(date))
                        .select(models::model_name)
                        .first::<String>(conn)
                        .optional()?;
                    let Some(model) = row else { return Ok(0) };
                    diesel::update(models::table.find((org(name), date, model)))
                        .set(models::total_tokens.eq(models::total_tokens + 1))
                        .execute(conn)?
                }
            };
            Ok::<_, mai_storage::Error>(changed)
        };
        self.spoilt += self.storage.write_blocking(change).unwrap();
    }

    /// The daily rows are exactly what was booked, all year, and agree with the ledger as far as it goes.
    fn check(&self) {
        for name in ORGANIZATIONS {
            let stored = self.storage.read_blocking(|conn| {
                let complete = complete_from(conn)?;
                let wrong = check_days(conn, &org(name), day("2026-01-01"), day("2027-12-31"), complete)?;
                assert_eq!(wrong, []);
                Ok::<_, mai_usage_tracking::Error>(mai_usage_tracking::query::daily_rows(
                    conn,
                    &org(name),
                    day("2026-01-01"),
                    day("2027-12-31"),
                )?)
            });
            let stored: Booked = stored
                .unwrap()
                .iter()
                .map(|row| ((row.client_org_id.clone(), row.usage_date), Totals::from(row)))
                .collect();
            let booked: Booked = self
                .booked
                .iter()
                .filter(|((whose, _), _)| *whose == org(name))
                .map(|(k, v)| (k.clone(), *v))
                .collect();
            assert_eq!(stored, booked);
        }
    }
}

#[test]
fn a_year_with_random_usage() {
    TestDb::each(|storage| {
        let clock = clock("2026-01-01T00:00:00Z");
        for name in ORGANIZATIONS {
            create_organization(storage, name, &clock);
        }
        let batch = batch(storage, &clock, "p");
        let mut year = Year {
            storage,
            clock: clock.clone(),
            random: StdRng::seed_from_u64(7),
            booked: Booked::new(),
            generations: 0,
            spoilt: 0,
        };
        clock.set("2026-01-01T12:00:00Z".parse().unwrap());
        assert_eq!(catch_up(&batch).len(), 1, "the day before the year");
        let mut missed = Vec::new();
        let mut runs = 0;
        // The date that is processed at 13:00 of the next day.
        for number in 0..365 {
            let date = day("2026-01-01").plus_days(number);
            for name in ORGANIZATIONS {
                clock.set(at(settings().schedule.calendar.instant_of(date, "18:00:00".parse().unwrap())));
                let count = year.random.random_range(0..5);
                year.use_on(name, date, count);
                // Late usage of the days before, which were validated, and rows that go wrong.
                let late = date.minus_days(year.random.random_range(1..4));
                if number > 4 && year.random.random_ratio(1, 5) {
                    year.use_on(name, late, 1);
                    if year.random.random_ratio(1, 2) {
                        year.spoil(name, late);
                    }
                } else if year.random.random_ratio(1, 10) {
                    year.spoil(name, date);
                }
            }
            let due = settings().schedule.instant(date);
            let expected = if date.to_string() == "2026-03-28" { "2026-03-29T11:00:00Z" } else { "" };
            assert!(
                expected.is_empty() || at(due) == expected.parse::<chrono::DateTime<chrono::Utc>>().unwrap()
            );
            // Nobody is there on three days in a row, one of which has 25 hours.
            if ["2026-10-23", "2026-10-24", "2026-10-25"].contains(&date.to_string().as_str()) {
                missed.push(date);
                continue;
            }
            clock.set(at(due.plus_seconds(-1)));
            if missed.is_empty() {
                assert_eq!(catch_up(&batch), [], "{date} is not due yet");
            }
            clock.set(at(due));
            missed.push(date);
            let before = count_corrections(storage);
            let done = catch_up(&batch);
            assert_eq!(done.iter().map(|run| run.processing_date).collect::<Vec<_>>(), missed);
            assert!(done.iter().all(|run| run.status == RunStatus::Succeeded), "{done:?}");
            assert_eq!(done.last().unwrap().started_by, StartedBy::Schedule);
            runs += done.len();
            missed.clear();
            // A wrong row of an organization's day spoils no other table, so there is one entry at least.
            assert!(count_corrections(storage) >= before + year.spoilt, "{date}");
            year.spoilt = 0;
            if number % 40 == 0 || number == 364 {
                year.check();
                second_run_changes_nothing(&batch, storage, date);
            }
        }
        assert_eq!(runs, 365);
        assert!(count_corrections(storage) > 40, "rows of all tables were made wrong");
        year.check();
    });
}

fn second_run_changes_nothing(batch: &Batch, storage: &Storage, date: UsageDate) {
    let before = dump(storage);
    for is_forced in [false, true] {
        do_run(batch, &date.to_string(), is_forced);
        assert_eq!(dump(storage), before, "{date} {is_forced}");
    }
}

fn at(instant: UnixTime) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(instant.seconds(), 0).unwrap()
}
