//! All organizations at a glance: the parts add up to the whole, on both databases.

use mai_generation_processing::NewGeneration;
use mai_primitives::{OrganizationId, Usd};
use mai_storage::testing::TestDb;

use super::{NOON, clock, create_organization, day, on, org, service, used, wait};
use crate::{Listing, range::DayRange, record_generations, stats::fleet::FleetSeries};

#[test]
fn the_fleet_is_the_sum_of_its_organizations_and_days() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        for (place, name) in ["a", "b", "c", "d", "idle"].into_iter().enumerate() {
            create_organization(storage, name, &clock);
            if name == "idle" {
                continue;
            }
            let cost = 1_000 * (i64::try_from(place).unwrap() + 1);
            let of_day = |age: u64| {
                let date = day("2026-06-26").plus_days(age).to_string();
                let one = on(&date, used(&format!("gen-{name}-{age}"), "anna", "openai/o3", 3, cost));
                NewGeneration { client_org_id: org(name), ..one }
            };
            let generations: Vec<_> = (0..20).map(of_day).collect();
            storage.write_blocking(|conn| record_generations(conn, &org(name), &generations, NOON)).unwrap();
        }
        let range = (DayRange::new(day("2026-07-06"), day("2026-07-15")).unwrap(), day("2026-07-15"));
        let found = wait(service(storage, &clock).fleet(range, Listing::default(), 2)).unwrap();
        let whole = found.fleet.page.totals;
        // Ten days of four organizations with 1, 2, 3 and 4 thousand at a rate of 1.5.
        assert_eq!((whole.markup_cost, whole.requests), (Usd::from_nanos(150_000), 40));
        assert_eq!((found.fleet.with_usage, found.organizations), (4, 5));
        assert_eq!(found.before, whole, "the ten days before had the same");
        assert_eq!(found.before_of[&org("d")].markup_cost, Usd::from_nanos(60_000));
        assert_eq!(found.before_of.get(&OrganizationId::new("idle").unwrap()), None);
        let sum = |series: &FleetSeries| series.days.iter().map(|(_, nanos)| nanos).sum::<i64>();
        let sums: Vec<_> = found.series.iter().map(|one| (one.name.as_deref(), sum(one))).collect();
        assert_eq!(
            sums,
            [(Some("Company d"), 60_000), (Some("Company c"), 45_000), (None, 45_000)],
            "the greatest first, all others at last"
        );
        assert!(found.series.iter().all(|series| series.days.len() == 10));
        assert_eq!((found.drift.days, found.drift.ratio()), (0, None), "no key was read");
    });
}
