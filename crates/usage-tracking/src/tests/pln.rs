//! Every amount in PLN against plain loops: rows are sums of rounded days, and the whole is the
//! organization's rounded days.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_primitives::{Pln, UsageDate, UsdPlnRate, UserId};
use mai_storage::{DbConnection, Storage, testing::TestDb};

use super::{Books, books, clock, create_organization, day, on, org, record, service, used, wait};
use crate::{
    Days, Listing,
    range::DayRange,
    schema::client_daily_usage as days,
    stats::{
        series::{GroupBy, Metric, SeriesOf},
        users::Activity,
    },
};

const FALLBACK: i64 = 41_234;

/// A month of usage; two of three days have rates of their own.
fn fill(storage: &Storage) -> BTreeMap<UsageDate, i64> {
    let clock = clock("2026-07-31T12:00:00Z");
    create_organization(storage, "a", &clock);
    let mut all = Vec::new();
    for index in 0..400_u64 {
        let user = ["anna", "ben", "cyd", "dora", "emil"][usize::try_from(index % 5).unwrap()];
        let model =
            ["openai/o3", "openai/x", "lab/x", "lab/y", "plain"][usize::try_from(index / 3 % 5).unwrap()];
        let nanos = i64::try_from(index * index * 7_919 % 90_000_000).unwrap();
        let date = day("2026-07-01").plus_days(index * 13 % 31).to_string();
        all.push(on(&date, used(&format!("gen-{index}"), user, model, 3, nanos)));
    }
    record(storage, &all);
    let mut rates = BTreeMap::new();
    for age in (0..31_u64).filter(|age| age % 3 != 2) {
        let date = day("2026-07-01").plus_days(age);
        let steps = 36_000 + i64::try_from(age * 37).unwrap();
        rates.insert(date, steps);
        let write = |conn: &mut DbConnection| {
            diesel::update(days::table.find((org("a"), date)))
                .set((
                    days::usd_pln_rate.eq(Some(UsdPlnRate::from_ten_thousandths(steps).unwrap())),
                    days::rate_table_no.eq(Some("x")),
                    days::rate_effective_date.eq(Some(date)),
                ))
                .execute(conn)
                .map_err(mai_storage::Error::from)
        };
        assert_eq!(storage.write_blocking(write).unwrap(), 1);
    }
    rates
}

/// Sums of rounded rows by something.
fn sums<'a, T: 'a, K: Ord>(
    rates: &BTreeMap<UsageDate, i64>,
    rows: &'a [T],
    key: impl Fn(&'a T) -> K,
    of: impl Fn(&'a T) -> (UsageDate, i64),
) -> BTreeMap<K, i64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let (date, nanos) = of(row);
        let product = i128::from(nanos) * i128::from(*rates.get(&date).unwrap_or(&FALLBACK));
        let grosz = i64::try_from((product * 2 + 100_000_000_000) / 200_000_000_000).unwrap();
        *sums.entry(key(row)).or_default() += grosz;
    }
    sums
}

#[test]
fn every_answer_adds_up_rounded_days() {
    TestDb::each(|storage| {
        let rates = fill(storage);
        let rate = UsdPlnRate::from_ten_thousandths(FALLBACK).unwrap();
        let usage = service(storage, &clock("2026-07-31T12:00:00Z")).with_fallback_rate(Some(rate));
        let Books { days, users, models } = books(storage);
        let by_day =
            sums(&rates, &days, |row| row.usage_date, |row| (row.usage_date, row.markup_cost.nanos()));
        let whole = Some(Pln::from_grosz(by_day.values().sum()));
        let by_user = sums(
            &rates,
            &users,
            |row| row.user_id.to_string(),
            |row| (row.usage_date, row.markup_cost.nanos()),
        );
        let by_model = sums(
            &rates,
            &models,
            |row| row.model_name.to_string(),
            |row| (row.usage_date, row.markup_cost.nanos()),
        );
        assert_ne!(by_user.values().sum::<i64>(), by_day.values().sum::<i64>(), "rounding shows");
        let a = org("a");

        let found = wait(usage.usage_summary(&a, Days::default())).unwrap();
        assert_eq!(found.current_month.total_cost_pln, whole);
        assert_eq!(found.conversion.days_estimated, 10);
        for day in found.daily_breakdown {
            assert_eq!(day.cost_pln.unwrap().grosz(), by_day[&day.date]);
            assert_eq!(day.is_rate_final, rates.contains_key(&day.date));
        }
        let legacy = wait(usage.legacy_summary(&a, Days::default())).unwrap();
        assert_eq!(legacy.this_month.cost_pln, whole);

        let found = wait(usage.users(&a, Days::default(), Activity::All, Listing::default())).unwrap();
        assert_eq!(found.cost_pln, whole);
        let listed: BTreeMap<String, i64> = found
            .page
            .items
            .iter()
            .map(|user| (user.user_id.to_string(), user.cost_pln.unwrap().grosz()))
            .collect();
        assert_eq!(listed, by_user);
        assert_eq!(found.page.matched_pln.unwrap().grosz(), by_user.values().sum::<i64>());

        let found = wait(usage.models(&a, Days::default(), Listing::default())).unwrap();
        assert_eq!(found.cost_pln, whole);
        for model in &found.page.items {
            let expected = by_model.get(model.model_name.as_str()).copied().unwrap_or(0);
            assert_eq!(model.cost_pln.unwrap().grosz(), expected, "{}", model.model_name);
        }
        let found = wait(usage.providers(&a, Days::default(), Listing::default())).unwrap();
        for provider in &found.page.items {
            let own = by_model.iter().filter(|(name, _)| {
                name.split_once('/').map(|(author, _)| author) == provider.slug.as_deref()
            });
            let expected: i64 = own.map(|(_, grosz)| grosz).sum();
            assert_eq!(provider.cost_pln.unwrap().grosz(), expected, "{:?}", provider.slug);
        }
        let found = wait(usage.cost_analytics(&a, Days::default())).unwrap();
        assert_eq!(found.cost_pln, whole);

        for user in by_user.keys() {
            let id = UserId::new(user.as_str()).unwrap();
            let own = wait(usage.own_usage(&a, Some(id), Days::default())).unwrap();
            assert_eq!(own.cost_pln.unwrap().grosz(), by_user[user]);
            let days: i64 = own.days_pln.iter().map(|pln| pln.unwrap().grosz()).sum();
            assert_eq!(days, by_user[user]);
        }
        series(&usage, &by_user, &by_model, whole);

        let range = DayRange::new(day("2026-07-01"), day("2026-07-31")).unwrap();
        let found = wait(usage.clients(range, Listing::default())).unwrap();
        assert_eq!((found.page.items[0].cost_pln, found.page.pln), (whole, whole));
        assert_eq!(found.conversion.days_estimated, 10);
        let found = wait(usage.trend(&a, None, 3)).unwrap();
        assert_eq!(found.months[2].figures.cost_pln, whole);
        assert_eq!(found.months[1].figures.cost_pln, Some(Pln::ZERO));
        assert_eq!(found.conversion.days_estimated, 10);
    });
}

/// The series of a chart: each is the sum of its rows, and so is that of all others.
fn series(
    usage: &crate::ClientUsageTable,
    by_user: &BTreeMap<String, i64>,
    by_model: &BTreeMap<String, i64>,
    whole: Option<Pln>,
) {
    for (group, rows) in [(GroupBy::User, by_user), (GroupBy::Model, by_model), (GroupBy::Provider, by_model)]
    {
        let found = wait(usage.daily_usage(&org("a"), Days::default(), group, Metric::Cost, 2)).unwrap();
        assert_eq!(found.cost_pln, whole);
        let mut left: i64 = rows.values().sum();
        for one in &found.series {
            let grosz = one.cost_pln.unwrap().grosz();
            let per_day: i64 = one.per_day.iter().map(|(_, pln)| pln.unwrap().grosz()).sum();
            assert_eq!(grosz, per_day);
            left -= grosz;
            if let (SeriesOf::One { id, .. }, true) = (&one.who, group != GroupBy::Provider) {
                assert_eq!(grosz, rows[id]);
            }
        }
        assert_eq!(left, 0, "{group:?}");
    }
}
