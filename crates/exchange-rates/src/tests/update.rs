//! Fetching and storing: what becomes known when.

use std::sync::Arc;

use mai_mock_openrouter::NbpConduct;
use mai_storage::testing::TestDb;

use super::{World, day, days, wait};
use crate::{DayRatePolicy, ExchangeRateTable, KnownDays, query};

#[test]
fn today_is_known_once_its_table_is_there_or_it_is_over() {
    TestDb::each(|storage| {
        // Friday, 12:09 in Warsaw: the table comes at 12:10.
        let world = World::at("2026-11-20T11:09:59Z");
        let rates = ExchangeRateTable::new(storage.clone(), None);
        let updater = world.updater(storage);
        wait(async {
            let found = updater.bring_up_to_date(day("2026-11-20")).await.unwrap();
            assert_eq!(found.known, Some(days("2026-11-10", "2026-11-19")));
            let friday = rates.rate_of(day("2026-11-20"), DayRatePolicy::SameDayOrBefore).await.unwrap();
            assert!(!friday.is_final && friday.rate.is_some(), "Thursday's table stands in");
            world.set("2026-11-20T11:10:00Z");
            let found = updater.bring_up_to_date(day("2026-11-20")).await.unwrap();
            // Ten known days were asked for once more.
            assert_eq!(found.known, Some(days("2026-11-09", "2026-11-20")));
            assert_eq!(found.added.len(), 2);
            assert!(rates.rate_of(day("2026-11-20"), DayRatePolicy::SameDayOrBefore).await.unwrap().is_final);
            // Nothing is missing, so that nothing is asked.
            let asked = world.mock.nbp_requests().len();
            updater.bring_up_to_date(day("2026-11-20")).await.unwrap();
            assert_eq!(world.mock.nbp_requests().len(), asked);
            // Saturday has none, which is known only when it is over in Warsaw.
            world.set("2026-11-21T22:59:59Z");
            let found = updater.bring_up_to_date(day("2026-11-20")).await.unwrap();
            assert_eq!(found.known.unwrap().through, day("2026-11-20"));
            world.set("2026-11-21T23:00:00Z");
            let found = updater.bring_up_to_date(day("2026-11-20")).await.unwrap();
            assert_eq!(found.known.unwrap().through, day("2026-11-21"));
            let saturday = rates.rate_of(day("2026-11-21"), DayRatePolicy::SameDayOrBefore).await.unwrap();
            assert!(saturday.is_final);
        });
    });
}

#[test]
fn an_earlier_first_day_is_filled_in_backwards() {
    TestDb::each(|storage| {
        let world = World::at("2026-11-20T12:00:00Z");
        let updater = world.updater(storage);
        wait(async {
            updater.bring_up_to_date(day("2026-11-01")).await.unwrap();
            let found = updater.bring_up_to_date(day("2025-01-15")).await.unwrap();
            assert_eq!(found.known, Some(days("2025-01-05", "2026-11-20")));
            assert!(found.late.is_empty() && found.differing.is_empty());
        });
        for path in world.mock.nbp_requests() {
            let mut ends = path.trim_end_matches('/').rsplit('/').map(day);
            let (through, from) = (ends.next().unwrap(), ends.next().unwrap());
            let length = (through.date() - from.date()).num_days() + 1;
            assert!((11..=93).contains(&length), "{path}");
        }
        // Every working day of that time has its table.
        let published = wait(
            ExchangeRateTable::new(storage.clone(), None).published(day("2025-01-05"), day("2026-11-20")),
        )
        .unwrap();
        let mut date = day("2025-01-07");
        while date <= day("2026-11-20") {
            let table = published.last_up_to(date).unwrap();
            assert_eq!(
                table.effective_date == date,
                mai_mock_openrouter::is_working_day(date.date()),
                "{date}"
            );
            date = date.plus_days(1);
        }
    });
}

#[test]
fn what_was_fetched_before_an_outage_stays() {
    TestDb::each(|storage| {
        let world = World::at("2026-11-20T12:00:00Z");
        let updater = world.updater(storage);
        let known = || wait(ExchangeRateTable::new(storage.clone(), None).known()).unwrap();
        world.mock.set_nbp(NbpConduct { status: Some(500), ..NbpConduct::default() });
        wait(updater.bring_up_to_date(day("2026-11-01"))).unwrap_err();
        assert_eq!(known(), None);
        world.mock.set_nbp(NbpConduct::default());
        wait(updater.bring_up_to_date(day("2026-11-01"))).unwrap();
        let before = known();
        world.set("2026-11-27T12:00:00Z");
        world.mock.set_nbp(NbpConduct { status: Some(500), ..NbpConduct::default() });
        wait(updater.bring_up_to_date(day("2026-11-01"))).unwrap_err();
        assert_eq!(known(), before);
        world.mock.set_nbp(NbpConduct::default());
        wait(updater.bring_up_to_date(day("2026-11-01"))).unwrap();
        assert_eq!(known().unwrap().through, day("2026-11-27"));
    });
}

#[test]
fn a_stored_table_is_never_changed_and_a_late_one_is_told() {
    TestDb::each(|storage| {
        let world = World::at("2026-11-20T12:00:00Z");
        let updater = world.updater(storage);
        let only = |text: &str| std::iter::once(day(text).date()).collect();
        world.mock.set_nbp(NbpConduct { withheld: only("2026-11-18"), ..NbpConduct::default() });
        wait(updater.bring_up_to_date(day("2026-11-01"))).unwrap();
        let rates = ExchangeRateTable::new(storage.clone(), None);
        let of = |date: &str| wait(rates.rate_of(day(date), DayRatePolicy::SameDayOrBefore)).unwrap().rate;
        assert_eq!(of("2026-11-18"), of("2026-11-17"), "the table before stands in");
        let nineteenth = of("2026-11-19");

        // On Monday the missing table is there, and Thursday's says something else.
        world.set("2026-11-23T12:00:00Z");
        world.mock.set_nbp(NbpConduct { altered: only("2026-11-19"), ..NbpConduct::default() });
        let found = wait(updater.bring_up_to_date(day("2026-11-01"))).unwrap();
        let dates = |tables: &[crate::PublishedRate]| {
            tables.iter().map(|table| table.effective_date.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(dates(&found.late), ["2026-11-18"]);
        assert_eq!(dates(&found.added), ["2026-11-18", "2026-11-23"]);
        assert_eq!(found.differing.len(), 1);
        let differing = &found.differing[0];
        assert_eq!(differing.received.rate.ten_thousandths(), differing.stored.rate.ten_thousandths() + 1);
        assert_eq!(of("2026-11-19"), nineteenth);
    });
}

#[test]
fn several_updaters_at_once_do_no_harm() {
    TestDb::each(|storage| {
        let world = World::at("2026-11-20T12:00:00Z");
        let firsts = ["2026-11-01", "2026-03-01", "2025-06-01", "2026-11-20"];
        wait(async {
            // Each as a process of its own would have it, and some that share one.
            let mut running = tokio::task::JoinSet::new();
            for first in firsts {
                let updater = world.updater(storage);
                for _ in 0..3 {
                    let updater = updater.clone();
                    running.spawn(async move { updater.bring_up_to_date(day(first)).await });
                }
            }
            while let Some(found) = running.join_next().await {
                let known = found.unwrap().unwrap().known.unwrap();
                assert_eq!(known.through, day("2026-11-20"));
            }
        });
        let found = storage.read_blocking(query::known).unwrap();
        assert_eq!(found, Some(KnownDays { from: day("2025-05-22"), through: day("2026-11-20") }));
        let tables =
            storage.read_blocking(|conn| query::published(conn, day("2025-05-22"), day("2026-11-20")));
        let tables = tables.unwrap();
        assert!(tables.last_up_to(day("2025-06-01")).is_some());
    });
}

#[test]
fn who_comes_during_a_flight_takes_its_outcome() {
    let database = TestDb::sqlite();
    let world = World::at("2026-11-20T11:00:00Z");
    let updater = Arc::new(world.updater(&database.storage));
    world.mock.set_nbp(NbpConduct { delay: std::time::Duration::from_millis(300), ..NbpConduct::default() });
    wait(async {
        // Before the publication each run of its own would ask once.
        let same = || updater.bring_up_to_date(day("2026-11-20"));
        let (one, other, third) = tokio::join!(same(), same(), same());
        assert_eq!(one.unwrap(), other.unwrap());
        assert!(third.is_ok());
    });
    assert_eq!(world.mock.nbp_requests().len(), 1);
}
