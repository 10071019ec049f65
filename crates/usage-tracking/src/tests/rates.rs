//! Days keep their rates, whatever happens afterwards; and without rates nothing is made up.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use chrono::NaiveDate;
use mai_client_organization::{ClientOrganizationPatch, DayRatePolicy};
use mai_exchange_rates::{NbpClient, NbpSettings, RateUpdater};
use mai_mock_openrouter::{Mock, MockSettings, NbpConduct, is_working_day};
use mai_primitives::{Clock, ManualClock, Pln, UsageDate, UsdPlnRate, UserId};
use mai_storage::{Storage, testing::TestDb};

use super::{NOON, books, clock, create_organization, day, generation, on, org, record, service, used};
use crate::{ClientDailyUsageModel, Days, Listing, query, rebuild::rebuild_day};

/// On one runtime for all, which open connections belong to.
fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    });
    runtime.block_on(work)
}

/// The mock's NBP, and a clock that it and the services go by.
struct World {
    mock: Mock,
    clock: ManualClock,
    updater: RateUpdater,
    storage: Storage,
}

impl World {
    fn new(storage: &Storage, now: &str) -> Self {
        // Fails when another test of this process was first, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = clock(now);
        let mock_clock = clock.clone();
        let now = Arc::new(move || mock_clock.now().timestamp_millis());
        let mock = Mock::start(MockSettings { now, ..MockSettings::default() }).unwrap();
        let nbp = NbpSettings { pauses: Vec::new(), ..NbpSettings::at(mock.nbp_url()) };
        let nbp = NbpClient::new(nbp).unwrap();
        let updater = RateUpdater::new(storage.clone(), nbp, Arc::new(clock.clone()));
        Self { mock, clock, updater, storage: storage.clone() }
    }

    /// What the job does, at an instant.
    fn round(&self, now: &str) -> usize {
        self.clock.set(now.parse().unwrap());
        let usage = service(&self.storage, &self.clock);
        wait(async {
            let first = usage.first_day_without_rate().await.unwrap();
            let today = mai_exchange_rates::warsaw().usage_date(self.clock.now());
            self.updater.bring_up_to_date(first.unwrap_or(today)).await.unwrap();
            usage.fix_daily_rates().await.unwrap().days
        })
    }

    fn set_policy(&self, policy: DayRatePolicy) {
        let patch =
            ClientOrganizationPatch { day_rate_policy: Some(policy), ..ClientOrganizationPatch::default() };
        let table = mai_client_organization::ClientOrganizationTable::new(
            self.storage.clone(),
            mai_client_organization::MasterKey::generate().unwrap(),
            Arc::new(self.clock.clone()),
        );
        wait(table.update(&org("a"), patch)).unwrap();
    }
}

fn row(storage: &Storage, date: &str) -> ClientDailyUsageModel {
    storage.read_blocking(|conn| query::day(conn, &org("a"), day(date))).unwrap().unwrap()
}

/// The last day up to `date` that has a table: none of the product's code is in it.
fn table_day(mut date: NaiveDate, withheld: NaiveDate) -> NaiveDate {
    while !is_working_day(date) || date == withheld {
        date = date.pred_opt().unwrap();
    }
    date
}

/// Nano-dollars in grosz, half away from zero.
fn in_grosz(nanos: i64, rate: UsdPlnRate) -> i64 {
    let product = i128::from(nanos) * i128::from(rate.ten_thousandths());
    i64::try_from((product * 2 + 100_000_000_000) / 200_000_000_000).unwrap()
}

#[test]
fn three_years_of_days_keep_what_they_were_given() {
    TestDb::each(|storage| {
        let world = World::new(storage, "2024-01-01T12:00:00Z");
        create_organization(storage, "a", &world.clock);
        let missing = day("2024-05-14").date();
        let withheld = NbpConduct { withheld: std::iter::once(missing).collect(), ..NbpConduct::default() };
        world.mock.set_nbp(withheld);
        let changed_on = day("2025-07-01");
        let mut given: BTreeMap<UsageDate, (UsdPlnRate, String, UsageDate)> = BTreeMap::new();
        let (mut date, mut number) = (day("2024-01-01"), 0_i64);
        while date <= day("2026-12-31") {
            if date.day_of_month() == 1 {
                let month = (0..u64::from(date.days_in_month())).map(|offset| {
                    number += 1;
                    let nanos = number * 7_654_321 % 3_000_000_000;
                    let new = used(&format!("gen-{number}"), "anna", "openai/o3", 10, nanos);
                    on(&date.plus_days(offset).to_string(), new)
                });
                record(storage, &month.collect::<Vec<_>>());
            }
            if date == changed_on {
                // Yesterday is not over when this is decided, so that it is the first one of the new policy.
                world.set_policy(DayRatePolicy::BeforeDay);
            }
            if date == day("2024-07-01") {
                // The missing table turns up, of a day that is known to have none.
                world.mock.set_nbp(NbpConduct::default());
            }
            let fixed = world.round(&format!("{date}T12:00:00Z"));
            assert_eq!(fixed, usize::from(date != day("2024-01-01")), "{date}: yesterday is over");
            if date != day("2024-01-01") {
                let yesterday = date.minus_days(1);
                let stored = row(storage, &yesterday.to_string());
                let up_to = if date < changed_on { yesterday } else { yesterday.minus_days(1) };
                let expected = UsageDate::new(table_day(up_to.date(), missing));
                assert_eq!(stored.rate_effective_date, Some(expected), "{yesterday}");
                let (rate, no) = (stored.usd_pln_rate.unwrap(), stored.rate_table_no.unwrap());
                given.insert(yesterday, (rate, no, expected));
            }
            if date.day_of_month() == 20 {
                // Late usage of a day that has its rate, and a day that is computed again.
                let late = date.minus_days(15);
                let before = row(storage, &late.to_string());
                number += 1;
                record(storage, &[on(&late.to_string(), generation(&format!("late-{number}")))]);
                let after = row(storage, &late.to_string());
                assert!(after.markup_cost > before.markup_cost);
                assert_eq!(after.usd_pln_rate, before.usd_pln_rate);
                storage.write_blocking(|conn| rebuild_day(conn, &org("a"), late, NOON)).unwrap();
            }
            date = date.plus_days(1);
        }
        let rows = books(storage).days;
        for row in &rows {
            let stored = row
                .usd_pln_rate
                .map(|rate| (rate, row.rate_table_no.clone().unwrap(), row.rate_effective_date.unwrap()));
            assert_eq!(stored.as_ref(), given.get(&row.usage_date), "{}", row.usage_date);
        }
        // Each month is the sum of its rounded days.
        let usage = service(storage, &world.clock);
        for year in 2024..=2026 {
            for month in 1..=12 {
                let first = day(&format!("{year}-{month:02}-01"));
                let last = first.plus_days(u64::from(first.days_in_month()) - 1);
                let days = Days { start: Some(first), end: Some(last) };
                let summary = wait(usage.usage_summary(&org("a"), days)).unwrap();
                let of_month = rows.iter().filter(|row| first <= row.usage_date && row.usage_date <= last);
                let current = summary.conversion.current.as_ref().unwrap().rate;
                let expected: i64 = of_month
                    .map(|row| in_grosz(row.markup_cost.nanos(), row.usd_pln_rate.unwrap_or(current)))
                    .sum();
                assert_eq!(summary.current_month.total_cost_pln, Some(Pln::from_grosz(expected)), "{first}");
                let days_pln = summary.daily_breakdown.iter().map(|day| day.cost_pln.unwrap().grosz());
                assert_eq!(days_pln.sum::<i64>(), expected);
            }
        }
    });
}

#[test]
fn a_day_gets_its_rate_when_it_is_over_where_it_is() {
    TestDb::each(|storage| {
        let world = World::new(storage, "2026-11-18T10:00:00Z");
        let table = create_organization(storage, "a", &world.clock);
        record(storage, &[on("2026-11-18", generation("gen-1"))]);
        let zone = |zone: &str| ClientOrganizationPatch {
            timezone: Some(zone.to_owned()),
            ..ClientOrganizationPatch::default()
        };
        // The table of the 18th is there, but in Los Angeles the day has hours to go.
        wait(table.update(&org("a"), zone("America/Los_Angeles"))).unwrap();
        assert_eq!(world.round("2026-11-18T12:00:00Z"), 0);
        assert_eq!(world.round("2026-11-19T07:59:59Z"), 0);
        assert_eq!(world.round("2026-11-19T08:00:00Z"), 1);
        assert_eq!(row(storage, "2026-11-18").rate_effective_date, Some(day("2026-11-18")));
        // In Tokyo the 20th is over at 16:00 in Warsaw; the 21st, a Saturday, at a time when it has hours to
        // go in Warsaw, so that nobody knows yet that it has no table.
        wait(table.update(&org("a"), zone("Asia/Tokyo"))).unwrap();
        record(storage, &[on("2026-11-20", generation("gen-2")), on("2026-11-21", generation("gen-3"))]);
        assert_eq!(world.round("2026-11-20T14:59:59Z"), 0);
        assert_eq!(world.round("2026-11-20T15:00:00Z"), 1);
        assert_eq!(world.round("2026-11-21T15:00:00Z"), 0);
        assert_eq!(world.round("2026-11-21T22:59:59Z"), 0);
        assert_eq!(world.round("2026-11-21T23:00:00Z"), 1);
        assert_eq!(row(storage, "2026-11-21").rate_effective_date, Some(day("2026-11-20")));
    });
}

#[test]
fn usage_of_unknown_organizations_and_a_second_run_change_nothing() {
    TestDb::each(|storage| {
        let world = World::new(storage, "2026-11-18T12:00:00Z");
        record(storage, &[on("2026-11-16", generation("gen-1"))]);
        assert_eq!(world.round("2026-11-18T12:00:00Z"), 0);
        create_organization(storage, "a", &world.clock);
        assert_eq!(world.round("2026-11-18T12:00:00Z"), 1);
        let before = books(storage);
        assert_eq!(world.round("2026-11-18T12:00:00Z"), 0);
        world.set_policy(DayRatePolicy::BeforeDay);
        assert_eq!(world.round("2026-11-25T12:00:00Z"), 0);
        assert_eq!(books(storage), before);
    });
}

#[test]
fn two_processes_give_each_day_one_rate() {
    TestDb::each(|storage| {
        let world = World::new(storage, "2026-11-18T12:00:00Z");
        create_organization(storage, "a", &world.clock);
        let days: Vec<_> = (0..60_u64)
            .map(|age| on(&day("2026-11-17").minus_days(age).to_string(), generation(&format!("gen-{age}"))))
            .collect();
        record(storage, &days);
        wait(world.updater.bring_up_to_date(day("2026-09-01"))).unwrap();
        let fixed: usize = wait(async {
            let mut running = tokio::task::JoinSet::new();
            for _ in 0..2 {
                let process = service(storage, &world.clock);
                running.spawn(async move { process.fix_daily_rates().await });
            }
            running.join_all().await.into_iter().map(|fixed| fixed.unwrap().days).sum()
        });
        assert_eq!(fixed, 60);
        assert!(books(storage).days.iter().all(|row| row.usd_pln_rate.is_some()));
    });
}

#[test]
fn without_a_rate_there_is_no_pln_and_a_configured_one_is_flagged() {
    TestDb::each(|storage| {
        let world = World::new(storage, "2026-11-18T12:00:00Z");
        create_organization(storage, "a", &world.clock);
        record(
            storage,
            &[
                on("2026-11-16", used("1", "anna", "openai/o3", 1, 1_000_000_000)),
                on("2026-11-18", used("2", "ben", "lab/x", 1, 2_000_000_000)),
            ],
        );
        let usage = service(storage, &world.clock);
        let pln = |usage: &crate::ClientUsageTable| {
            let summary = wait(usage.get_usage_stats(&org("a"))).unwrap();
            let users = wait(usage.get_usage_by_user(&org("a"), None, None)).unwrap();
            let grosz = |pln: Option<Pln>| pln.map(Pln::grosz);
            let users: Vec<_> = users.iter().map(|user| grosz(user.cost_pln)).collect();
            let today = wait(usage.get_live_counter(&org("a"))).unwrap();
            (
                grosz(summary.current_month.total_cost_pln),
                users,
                grosz(today.today_cost_pln),
                summary.conversion,
            )
        };
        let (month, users, today, conversion) = pln(&usage);
        assert_eq!((month, today), (None, None));
        assert!(users.iter().all(Option::is_none) && conversion.current.is_none());

        let four = UsdPlnRate::parse("4.0").unwrap();
        let (month, mut users, today, conversion) = pln(&usage.clone().with_fallback_rate(Some(four)));
        users.sort();
        // 1.50 and 3.00 USD to the client.
        assert_eq!((month, today), (Some(1_800), Some(1_200)));
        assert_eq!(users, [Some(600), Some(1_200)]);
        assert!(conversion.current.unwrap().is_fallback());
        assert_eq!(conversion.days_estimated, 2);

        // Once NBP is known, the configured rate is out of use.
        world.round("2026-11-18T12:00:00Z");
        let (_, _, _, conversion) = pln(&usage.clone().with_fallback_rate(Some(four)));
        assert!(!conversion.current.unwrap().is_fallback());
        assert_eq!(conversion.days_estimated, 1, "today");
        // Whoever used nothing today has amounts that stay.
        let users = wait(usage.get_usage_by_user(&org("a"), None, None)).unwrap();
        let users: Vec<_> = users.iter().map(|one| (one.user_id.as_str(), one.days_estimated)).collect();
        assert_eq!(users, [("ben", 1), ("anna", 0)]);
        let models = wait(usage.get_usage_by_model(&org("a"), None, None)).unwrap();
        let models = models.iter().filter(|one| one.totals.requests > 0);
        let models: Vec<_> = models.map(|one| (one.model_name.as_str(), one.days_estimated)).collect();
        assert_eq!(models, [("lab/x", 1), ("openai/o3", 0)]);
        let providers = wait(usage.providers(&org("a"), Days::default(), Listing::default())).unwrap();
        let providers = providers.page.items.iter().filter(|one| one.totals.requests > 0);
        let providers: Vec<_> = providers.map(|one| (one.slug.as_deref(), one.days_estimated)).collect();
        assert_eq!(providers, [(Some("lab"), 1), (Some("openai"), 0)]);
        let own = wait(usage.own_usage(&org("a"), Some(UserId::new("ben").unwrap()), Days::default()));
        assert_eq!(own.unwrap().days_estimated, [true]);
        assert!(wait(usage.last_activity(&org("a"))).unwrap().is_some());
    });
}
