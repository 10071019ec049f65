//! Every amount in PLN against plain loops: rows are sums of rounded days, and the whole is the
//! organization's rounded days.

use std::collections::BTreeMap;

use mai_primitives::{Pln, UsageDate, UsdPlnRate, UserId};
use mai_storage::{Storage, testing::TestDb};

use super::{Books, books, clock, create_organization, day, give_rate, on, org, record, service, used, wait};
use crate::{
    Days, Listing,
    range::DayRange,
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
        give_rate(storage, &org("a"), &date.to_string(), steps);
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
        *sums.entry(key(row)).or_default() += in_grosz(rates, date, nanos);
    }
    sums
}

fn in_grosz(rates: &BTreeMap<UsageDate, i64>, date: UsageDate, nanos: i64) -> i64 {
    let product = i128::from(nanos) * i128::from(*rates.get(&date).unwrap_or(&FALLBACK));
    i64::try_from((product * 2 + 100_000_000_000) / 200_000_000_000).unwrap()
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
        series(&usage, &rates, (&by_user, &by_model), whole);

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

/// The series of a chart: each is the sum of its rounded rows, and all others are what they leave of each day,
/// rounded as one.
fn series(
    usage: &crate::ClientUsageTable,
    rates: &BTreeMap<UsageDate, i64>,
    (by_user, by_model): (&BTreeMap<String, i64>, &BTreeMap<String, i64>),
    whole: Option<Pln>,
) {
    for (group, rows) in [(GroupBy::User, by_user), (GroupBy::Model, by_model), (GroupBy::Provider, by_model)]
    {
        let found = wait(usage.daily_usage(&org("a"), Days::default(), group, Metric::Cost, 2)).unwrap();
        assert_eq!(found.cost_pln, whole);
        let mut left: Vec<i64> = found.days.iter().map(|row| row.markup_cost.nanos()).collect();
        assert_eq!(found.series.len(), 3, "{group:?}");
        for one in &found.series {
            let grosz = one.cost_pln.unwrap().grosz();
            let per_day: Vec<i64> = one.per_day.iter().map(|(_, pln)| pln.unwrap().grosz()).collect();
            assert_eq!(grosz, per_day.iter().sum::<i64>());
            if one.who == SeriesOf::Others {
                let dates = found.days.iter().map(|row| row.usage_date);
                let rounded = dates.zip(&left).map(|(date, nanos)| in_grosz(rates, date, *nanos));
                assert_eq!(per_day, rounded.collect::<Vec<_>>());
            }
            for (left, (totals, _)) in left.iter_mut().zip(&one.per_day) {
                *left -= totals.markup_cost.nanos();
            }
            if let (SeriesOf::One { id, .. }, true) = (&one.who, group != GroupBy::Provider) {
                assert_eq!(grosz, rows[id]);
            }
        }
        assert!(left.iter().all(|nanos| *nanos == 0), "{group:?}");
    }
}
