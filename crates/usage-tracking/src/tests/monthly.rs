//! The sums of months: every answer is that of the days, whatever changes the days changes the months, and a
//! wrong row is found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
    time::Duration,
};

use diesel::{connection::SimpleConnection as _, prelude::*};
use mai_generation_processing::UsageSource;
use mai_primitives::{Pln, UsageDate, UserId};
use mai_storage::{DbConnection, Storage, testing::TestDb};

use super::{
    NOON,
    assign::{add_member, user},
    books, clock, create_organization, day, give_rate, mismatches, on, org, rate, record, service, spoil,
    totals, used, wait, wrong_months,
};
use crate::{
    Assignment, ClientMonthlyUsageModel, Error, Listing, MonthlyKind, Totals,
    assign::assign,
    day_rates::fix,
    monthly::rebuild_month,
    query,
    rebuild::rebuild_day,
    schema::{client_daily_usage as days, client_monthly_usage as months, client_user_daily_usage as users},
    verify::{self, MismatchKind, check_organization},
};

fn rows(storage: &Storage) -> Vec<ClientMonthlyUsageModel> {
    let read = |conn: &mut DbConnection| {
        let sorted = months::table.order((months::kind.desc(), months::usage_month, months::name));
        Ok::<_, mai_storage::Error>(sorted.load(conn)?)
    };
    storage.read_blocking(read).unwrap()
}

/// Eleven weeks of usage, of which most days have rates.
fn fill(storage: &Storage) -> BTreeMap<UsageDate, i64> {
    let mut all = Vec::new();
    for index in 0..300_u64 {
        let user = ["anna", "ben", "cyd", "dora"][usize::try_from(index % 7 % 4).unwrap()];
        let model = ["openai/o3", "openai/x", "lab/x", "plain"][usize::try_from(index / 3 % 4).unwrap()];
        let nanos = i64::try_from(index * index * 7_919 % 90_000_000).unwrap();
        let date = day("2026-04-20").plus_days(index * 13 % 77).to_string();
        all.push(on(&date, used(&format!("gen-{index}"), user, model, 3, nanos)));
    }
    record(storage, &all);
    let mut rates = BTreeMap::new();
    // The last ones have none, and neither has one in May.
    for age in (0..70_u64).filter(|age| *age != 30) {
        let date = day("2026-04-20").plus_days(age);
        let steps = 36_000 + i64::try_from(age * 37).unwrap();
        give_rate(storage, &org("a"), &date.to_string(), steps);
        rates.insert(date, steps);
    }
    rates
}

/// Sums over the days of a range: totals, grosz where all days have rates, days, and days without a rate.
type Plain = (Totals, Option<i64>, BTreeSet<UsageDate>, i64);

fn plain<K: Ord>(
    rates: &BTreeMap<UsageDate, i64>,
    rows: impl Iterator<Item = (UsageDate, K, Totals)>,
) -> BTreeMap<K, Plain> {
    let mut sums: BTreeMap<K, Plain> = BTreeMap::new();
    for (date, key, totals) in rows {
        let sum = sums.entry(key).or_insert((Totals::default(), Some(0), BTreeSet::new(), 0));
        sum.0 = sum.0.checked_add(totals).unwrap();
        let grosz = rates.get(&date).map(|steps| {
            let product = i128::from(totals.markup_cost.nanos()) * i128::from(*steps);
            i64::try_from((product * 2 + 100_000_000_000) / 200_000_000_000).unwrap()
        });
        sum.1 = sum.1.zip(grosz).map(|(one, other)| one + other);
        if sum.2.insert(date) {
            sum.3 += i64::from(grosz.is_none());
        }
    }
    sums
}

#[test]
fn every_answer_is_the_sum_of_its_days() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-31T12:00:00Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        let rates = fill(storage);
        let books = books(storage);
        assert!(!rows(storage).is_empty());
        let ends = [
            "2026-04-01",
            "2026-04-20",
            "2026-04-30",
            "2026-05-01",
            "2026-05-17",
            "2026-05-31",
            "2026-06-01",
        ];
        let ends =
            ends.into_iter().chain(["2026-06-15", "2026-06-29", "2026-06-30", "2026-07-03", "2026-07-31"]);
        let ends: Vec<UsageDate> = ends.map(day).collect();
        for (index, from) in ends.iter().enumerate() {
            for to in &ends[index..] {
                let within = |date: UsageDate| *from <= date && date <= *to;
                let of_users = books.users.iter().filter(|row| within(row.usage_date));
                let of_users =
                    plain(&rates, of_users.map(|row| (row.usage_date, row.user_id.to_string(), row.into())));
                let of_models = || books.models.iter().filter(|row| within(row.usage_date));
                let by_author = plain(
                    &rates,
                    of_models().map(|row| (row.usage_date, row.model_name.author(), Totals::from(row))),
                );
                let of_models = plain(
                    &rates,
                    of_models().map(|row| (row.usage_date, row.model_name.to_string(), row.into())),
                );
                let read = |conn: &mut DbConnection| {
                    let a = &org("a");
                    let found = query::by_user(conn, a, *from, *to, None)?.into_iter().map(|one| {
                        let figures =
                            (one.totals, one.cost_pln.map(Pln::grosz), one.days_active, one.days_estimated);
                        (one.user_id.to_string(), figures)
                    });
                    let users: BTreeMap<_, _> = found.collect();
                    let found = query::by_model(conn, a, *from, *to, None)?.into_iter().map(|one| {
                        let figures =
                            (one.totals, one.cost_pln.map(Pln::grosz), one.days_used, one.days_estimated);
                        (one.model_name.to_string(), figures)
                    });
                    let models: BTreeMap<_, _> = found.collect();
                    Ok::<_, Error>((
                        users,
                        models,
                        query::unique_users(conn, a, *from, *to)?,
                        query::first_days(conn, a, *from, *to)?,
                    ))
                };
                let (users, models, unique, firsts) = storage.read_blocking(read).unwrap();
                let counted = |sum: &Plain| (sum.0, sum.1, i64::try_from(sum.2.len()).unwrap(), sum.3);
                let expected: BTreeMap<_, _> =
                    of_users.iter().map(|(name, sum)| (name.clone(), counted(sum))).collect();
                assert_eq!(users, expected, "{from} to {to}");
                let firsts: BTreeMap<_, _> =
                    firsts.into_iter().map(|(user, first)| (user.to_string(), first)).collect();
                let of_days: BTreeMap<_, _> =
                    of_users.iter().map(|(name, sum)| (name.clone(), *sum.2.first().unwrap())).collect();
                assert_eq!(firsts, of_days, "{from} to {to}");
                assert_eq!(unique, i64::try_from(expected.len()).unwrap(), "{from} to {to}");
                let expected: BTreeMap<_, _> =
                    of_models.iter().map(|(name, sum)| (name.clone(), counted(sum))).collect();
                assert_eq!(models, expected, "{from} to {to}");

                let listed = wait(usage.providers(
                    &org("a"),
                    crate::Days { start: Some(*from), end: Some(*to) },
                    Listing::default(),
                ));
                let used = listed.unwrap().page.items.into_iter().filter(|one| one.totals.requests > 0);
                let found: BTreeMap<_, _> =
                    used.map(|one| (one.slug, (one.totals, one.days_used, one.days_estimated))).collect();
                let expected: BTreeMap<_, _> = by_author
                    .iter()
                    .map(|(slug, sum)| (slug.map(str::to_owned), counted(sum)))
                    .map(|(slug, (totals, _, days, estimated))| (slug, (totals, days, estimated)))
                    .collect();
                assert_eq!(found, expected, "{from} to {to}");
            }
        }
    });
}

/// What only days with a rate have: all else stays as it is.
#[test]
fn a_day_is_in_its_month_from_the_moment_when_it_has_its_rate() {
    TestDb::each(|storage| {
        record(
            storage,
            &[
                used("g1", "anna", "x/a", 10, 2_000_000_000),
                on("2026-07-31", used("g2", "ben", "x/a", 1, 10)),
            ],
        );
        assert_eq!(rows(storage), []);
        give_rate(storage, &org("a"), "2026-07-15", 40_000);
        let found = rows(storage);
        let figures: Vec<_> = found
            .iter()
            .map(|row| (row.kind, row.name.as_str(), Totals::from(row), row.cost_pln.grosz(), row.days))
            .collect();
        let of_day = totals(10, 1, 2_000_000_000, 3_000_000_000);
        assert_eq!(
            figures,
            [
                (MonthlyKind::User, "anna", of_day, 1_200, 1 << 14),
                (MonthlyKind::Model, "x/a", of_day, 1_200, 1 << 14)
            ]
        );
        assert_eq!(found[0].openrouter_user_id.as_ref().unwrap().as_str(), "a_user_anna");
        assert_eq!(found[1].openrouter_user_id, None);
        // What has no rate yet does not touch it.
        record(storage, &[on("2026-07-31", used("g3", "anna", "x/a", 1, 10))]);
        assert_eq!(rows(storage), found);
    });
}

#[test]
fn whatever_changes_a_day_with_a_rate_changes_its_month() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-20T12:00:00Z");
        create_organization(storage, "a", &clock);
        add_member(storage, &clock, "a", "anna");
        let first = [
            used("g1", "anna", "x/a", 10, 100),
            used("g2", UserId::UNATTRIBUTED, "x/b", 20, 2_000_000_000),
            on("2026-07-16", used("g3", UserId::UNATTRIBUTED, "x/b", 30, 3_000_000_000)),
        ];
        record(storage, &first);
        give_rate(storage, &org("a"), "2026-07-15", 40_000);
        give_rate(storage, &org("a"), "2026-07-16", 35_000);
        let sums = |storage: &Storage| -> Vec<(String, i64, i64, i64)> {
            assert_eq!(mismatches(storage, &org("a")), []);
            let rows = rows(storage).into_iter();
            rows.map(|row| (row.name, row.total_tokens, row.cost_pln.grosz(), row.days)).collect()
        };
        let (both, fifteenth) = (3 << 14, 1 << 14);
        let of = |rows: &[(&str, i64, i64, i64)]| -> Vec<(String, i64, i64, i64)> {
            rows.iter().map(|(name, tokens, pln, days)| ((*name).to_owned(), *tokens, *pln, *days)).collect()
        };
        let before = of(&[
            (UserId::UNATTRIBUTED, 50, 1_200 + 1_575, both),
            ("anna", 10, 0, fifteenth),
            ("x/a", 10, 0, fifteenth),
            ("x/b", 50, 1_200 + 1_575, both),
        ]);
        let mut found = sums(storage);
        found.sort();
        let mut expected = before;
        expected.sort();
        assert_eq!(found, expected);

        // Late usage.
        record(storage, &[on("2026-07-16", used("g4", "anna", "x/a", 5, 1_000_000_000))]);
        assert!(sums(storage).contains(&("anna".into(), 15, 525, both)));
        // A better source knows another member and another day.
        let mut moved = on("2026-07-15", used("g4", "ben", "x/a", 5, 1_000_000_000));
        moved.source = UsageSource::GenerationLookup;
        record(storage, &[moved]);
        assert!(sums(storage).contains(&("ben".into(), 5, 600, fifteenth)));
        assert!(sums(storage).contains(&("anna".into(), 10, 0, fifteenth)));
        // Usage of nobody becomes a member's, of one day.
        let days = verify::Days { from: Some(day("2026-07-16")), to: None };
        let assignment =
            Assignment { from: user(UserId::UNATTRIBUTED), to: user("anna"), days, merge: false };
        storage.write_blocking(|conn| assign(conn, &org("a"), &assignment, NOON)).unwrap();
        assert!(sums(storage).contains(&("anna".into(), 40, 1_575, both)));
        assert!(sums(storage).contains(&(UserId::UNATTRIBUTED.into(), 20, 1_200, fifteenth)));
        // A day is made right.
        let right = sums(storage);
        spoil(storage, |conn| {
            diesel::update(users::table.find((org("a"), day("2026-07-16"), "anna")))
                .set(users::markup_cost.eq(1))
                .execute(conn)
        });
        storage.write_blocking(|conn| rebuild_day(conn, &org("a"), day("2026-07-16"), NOON)).unwrap();
        assert_eq!(sums(storage), right);
    });
}

/// A report of more authority takes the only usage of a day away, with the day's rate.
#[test]
fn a_day_that_is_emptied_leaves_its_month() {
    TestDb::each(|storage| {
        record(storage, &[used("g1", "anna", "x/a", 10, 100)]);
        give_rate(storage, &org("a"), "2026-07-15", 40_000);
        assert_eq!(rows(storage).len(), 2);
        let mut moved = on("2026-08-01", used("g1", "anna", "x/a", 10, 100));
        moved.source = UsageSource::GenerationLookup;
        record(storage, &[moved]);
        assert_eq!(books(storage).days.len(), 1);
        assert_eq!(rows(storage), []);
    });
}

/// Usage comes while the day gets its rate: it waits for the day, and sees by then that the month has it.
#[test]
fn usage_that_waits_for_a_rate_reaches_the_month() {
    TestDb::each(|storage| {
        record(storage, &[used("g1", "anna", "x/a", 10, 1_000)]);
        let (fixed, go) = mpsc::channel();
        let (done, finished) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                go.recv().unwrap();
                record(storage, &[used("g2", "ben", "x/a", 10, 1_000)]);
                done.send(()).unwrap();
            });
            let rated = storage.write_blocking(|conn| {
                let days = fix(conn, &org("a"), &[(day("2026-07-15"), rate("2026-07-15", 40_000))])?;
                fixed.send(()).unwrap();
                // The other one cannot finish before this transaction; it is given the time to try.
                let early = finished.recv_timeout(Duration::from_millis(300));
                assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
                Ok::<_, Error>(days)
            });
            assert_eq!(rated.unwrap(), 1);
        });
        assert_eq!(mismatches(storage, &org("a")), []);
        let named: Vec<_> = rows(storage).into_iter().map(|row| row.name).collect();
        assert_eq!(named, ["anna", "ben", "x/a"]);
    });
}

/// With the organization's row of a day its rate is lost: the month must not have the day any more.
#[test]
fn a_rebuilt_day_that_lost_its_rate_leaves_its_month() {
    TestDb::each(|storage| {
        record(
            storage,
            &[used("g1", "anna", "x/a", 10, 1_000), on("2026-07-16", used("g2", "anna", "x/a", 10, 1_000))],
        );
        give_rate(storage, &org("a"), "2026-07-15", 40_000);
        give_rate(storage, &org("a"), "2026-07-16", 40_000);
        spoil(storage, |conn| diesel::delete(days::table.find((org("a"), day("2026-07-15")))).execute(conn));
        storage.write_blocking(|conn| rebuild_day(conn, &org("a"), day("2026-07-15"), NOON)).unwrap();
        assert_eq!(mismatches(storage, &org("a")), []);
        assert!(rows(storage).iter().all(|row| row.days == 1 << 15), "{:?}", rows(storage));
    });
}

#[test]
fn a_wrong_row_is_found_and_made_right() {
    TestDb::each(|storage| {
        record(storage, &[used("g1", "anna", "x/a", 10, 1_000), used("g2", "ben", "x/a", 10, 1_000)]);
        give_rate(storage, &org("a"), "2026-07-15", 40_000);
        let right = rows(storage);
        let row = |kind, name: &'static str| months::table.find((org("a"), kind, day("2026-07-01"), name));
        spoil(storage, |conn| {
            diesel::update(row(MonthlyKind::User, "anna")).set(months::cost_pln.eq(1)).execute(conn)
        });
        spoil(storage, |conn| diesel::delete(row(MonthlyKind::Model, "x/a")).execute(conn));
        spoil(storage, |conn| {
            diesel::update(row(MonthlyKind::User, "ben"))
                .set(months::usage_month.eq(day("2026-01-01")))
                .execute(conn)
        });
        let mut found = Vec::new();
        let checked = check_organization(storage, &org("a"), verify::Days::default(), |_, more| {
            found.extend(more);
            Ok::<_, Error>(())
        });
        assert_eq!(checked.unwrap().mismatches, 4);
        let named: Vec<_> = found
            .iter()
            .map(|mismatch| match &mismatch.kind {
                MismatchKind::Month(one) => (
                    mismatch.usage_date.to_string(),
                    one.name.as_str(),
                    one.stored.is_some(),
                    one.daily.is_some(),
                ),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            named,
            [
                ("2026-01-01".to_owned(), "ben", true, false),
                ("2026-07-01".to_owned(), "anna", true, true),
                ("2026-07-01".to_owned(), "ben", false, true),
                ("2026-07-01".to_owned(), "x/a", false, true),
            ]
        );
        for month in ["2026-01-01", "2026-07-01"] {
            let rebuilt = storage.write_blocking(|conn| rebuild_month(conn, &org("a"), day(month))).unwrap();
            assert!(!rebuilt.is_empty());
        }
        assert_eq!(rows(storage), right);
        assert_eq!(storage.read_blocking(|conn| wrong_months(conn, &org("a"))).unwrap(), []);
    });
}

/// Books that are older than the table get its rows from the migration.
#[test]
fn the_migration_makes_the_rows() {
    TestDb::each(|storage| {
        fill(storage);
        let made = rows(storage);
        let fill = |conn: &mut DbConnection| {
            diesel::delete(months::table).execute(conn)?;
            let up = match conn {
                DbConnection::Sqlite(_) => {
                    include_str!("../../../../migrations/sqlite/2026-12-01-000000_monthly_usage/up.sql")
                }
                DbConnection::Postgres(_) => {
                    include_str!("../../../../migrations/postgres/2026-12-01-000000_monthly_usage/up.sql")
                }
            };
            let (_, rows) = up.split_once("\nWITH\n").unwrap();
            conn.batch_execute(&format!("WITH\n{rows}"))?;
            Ok::<_, mai_storage::Error>(())
        };
        storage.write_blocking(fill).unwrap();
        assert_eq!(rows(storage), made);
        assert!(made.len() > 20);
    });
}
