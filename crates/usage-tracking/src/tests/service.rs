use mai_client_organization::{Change, ClientOrganizationPatch};
use mai_primitives::{MarkupRate, OpenRouterUserId, UnixTime, Usd, UserId};
use mai_storage::{Storage, testing::TestDb};

use super::{
    NOON, books, clock, create_organization, day, generation, id, mismatches, model, on, org, record,
    service, used, wait,
};
use crate::{CATALOGUE, Error, Recorded, Totals, UsageRecordDto};

fn dto(date: &str) -> UsageRecordDto {
    UsageRecordDto {
        client_org_id: org("a"),
        user_id: UserId::new("anna").unwrap(),
        openrouter_user_id: OpenRouterUserId::new("a_user_anna").unwrap(),
        model_name: model("x-ai/grok-4"),
        usage_date: day(date),
        input_tokens: 7,
        output_tokens: 3,
        raw_cost: Usd::from_nanos(1_000),
        markup_cost: None,
        provider: None,
        generation_id: None,
    }
}

fn markup_costs(storage: &Storage) -> Vec<i64> {
    books(storage).days.into_iter().map(|row| row.markup_cost.nanos()).collect()
}

#[test]
fn a_manual_record_is_booked_at_the_rate_of_its_day() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-13T08:00:00Z");
        let organizations = create_organization(storage, "a", &clock);
        clock.set("2026-07-15T08:00:00Z".parse().unwrap());
        let patch = ClientOrganizationPatch {
            markup_rate: Change::Set(MarkupRate::parse("2").unwrap()),
            ..ClientOrganizationPatch::default()
        };
        wait(organizations.update(&org("a"), patch)).unwrap();
        clock.set("2026-07-15T12:00:00Z".parse().unwrap());
        let usage = service(storage, &clock);
        assert_eq!(wait(usage.record_usage(dto("2026-07-14"))).unwrap(), Recorded::New);
        assert_eq!(wait(usage.record_usage(dto("2026-07-15"))).unwrap(), Recorded::New);
        assert_eq!(markup_costs(storage), [1_500, 2_000]);
        // Without an id each record is another generation.
        wait(usage.record_usage(dto("2026-07-15"))).unwrap();
        assert_eq!(markup_costs(storage), [1_500, 4_000]);
        let tokens: Vec<_> = books(storage).days.into_iter().map(|row| Some(row.total_tokens)).collect();
        assert_eq!(tokens, [dto("2026-07-14").total_tokens(), Some(20)]);
        assert_eq!(mismatches(storage, &org("a")), []);
    });
}

#[test]
fn a_manual_record_with_an_id_is_booked_once() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        let with_id = || UsageRecordDto { generation_id: Some(id("call-1")), ..dto("2026-07-15") };
        assert_eq!(wait(usage.record_usage(with_id())).unwrap(), Recorded::New);
        assert_eq!(wait(usage.record_usage(with_id())).unwrap(), Recorded::Duplicate);
        let other = UsageRecordDto { raw_cost: Usd::from_nanos(1_001), ..with_id() };
        assert_eq!(wait(usage.record_usage(other)).unwrap(), Recorded::Conflict);
        assert_eq!(markup_costs(storage), [1_500]);
    });
}

#[test]
fn a_named_price_must_be_the_computed_one() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        let named = |nanos| UsageRecordDto { markup_cost: Some(Usd::from_nanos(nanos)), ..dto("2026-07-15") };
        assert!(wait(usage.record_usage(named(1_500))).is_ok());
        let refused = wait(usage.record_usage(named(1_501)));
        assert!(matches!(refused, Err(Error::MarkupMismatch { computed, .. }) if computed.nanos() == 1_500));
        assert!(matches!(wait(usage.record_usage(named(0))), Err(Error::MarkupMismatch { .. })));
        assert_eq!(markup_costs(storage), [1_500]);
    });
}

#[test]
fn unknown_organizations_and_days_to_come_are_refused() {
    TestDb::each(|storage| {
        // 23:30 in Warsaw, where the next day begins at 22:00 UTC.
        let clock = clock("2026-07-15T21:30:00Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        assert!(matches!(wait(usage.record_usage(dto("2026-07-16"))), Err(Error::FutureDate(_))));
        clock.set("2026-07-15T22:00:00Z".parse().unwrap());
        assert!(wait(usage.record_usage(dto("2026-07-16"))).is_ok());
        let unknown = UsageRecordDto { client_org_id: org("b"), ..dto("2026-07-15") };
        assert!(matches!(wait(usage.record_usage(unknown)), Err(Error::UnknownOrganization(_))));
        assert!(matches!(wait(usage.get_usage_stats(&org("b"))), Err(Error::UnknownOrganization(_))));
        assert!(matches!(wait(usage.get_live_counter(&org("b"))), Err(Error::UnknownOrganization(_))));
        let by_user = wait(usage.get_usage_by_user(&org("b"), None, None));
        assert!(matches!(by_user, Err(Error::UnknownOrganization(_))));
    });
}

#[test]
fn counters_begin_anew_at_local_midnight() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T21:59:59Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        wait(usage.add_generation(generation("gen-1"))).unwrap();
        let counter = || {
            let counter = wait(usage.get_live_counter(&org("a"))).unwrap();
            (
                counter.current_date.to_string(),
                counter.today_tokens,
                counter.today_markup_cost.nanos(),
                counter.last_updated,
            )
        };
        let at = |text: &str| Some(UnixTime::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap()));
        assert_eq!(counter(), ("2026-07-15".into(), 15, 1_500, at("2026-07-15T21:59:59Z")));
        clock.advance_millis(1_000);
        assert_eq!(counter(), ("2026-07-16".into(), 0, 0, None));
        let rollover = usage.perform_daily_rollover_all_clients();
        assert_eq!((rollover.success, rollover.rollovers_performed), (true, 0));
        // A generation that began before midnight and is settled after it belongs to its own day.
        wait(usage.mark_generation_processed(generation("gen-2"))).unwrap();
        assert_eq!(counter().1, 0);
        assert_eq!(books(storage).days[0].total_tokens, 30);
    });
}

#[test]
fn statistics_of_the_month() {
    TestDb::each(|storage| {
        // Half past midnight of July 3rd in Warsaw.
        let clock = clock("2026-07-02T22:30:00Z");
        create_organization(storage, "a", &clock);
        record(
            storage,
            &[
                on("2026-06-30", used("0", "zoe", "x/old", 500, 900)),
                on("2026-07-01", used("1", "anna", "x/a", 10, 100)),
                on("2026-07-01", used("2", "ben", "x/b", 20, 200)),
                on("2026-07-03", used("3", "anna", "x/c", 30, 301)),
                on("2026-07-03", used("4", "anna", "x/d", 5, 0)),
                on("2026-07-04", used("5", "dora", "x/late", 999, 999)),
            ],
        );
        let stats = wait(service(storage, &clock).get_usage_stats_by_client(&org("a"))).unwrap();
        assert_eq!(stats.client_org_name, "Company a");
        let month = &stats.current_month;
        assert_eq!((month.month.as_str(), month.iso_month.as_str()), ("July 2026", "2026-07"));
        // 150 + 300 + 451.5, which is half to even 452, nano-dollars.
        assert_eq!((month.total_tokens, month.total_requests, month.total_cost.nanos()), (65, 4, 902));
        assert_eq!((month.days_with_usage, month.days_in_month, month.days_elapsed), (2, 3, 3));
        assert_eq!((month.calendar_days, month.usage_ppm), (31, 666_667));
        assert_eq!((month.total_cost_pln, stats.daily_breakdown[0].cost_pln), (None, None));

        let days: Vec<_> = stats
            .daily_breakdown
            .iter()
            .map(|day| {
                (day.date.to_string(), day.day_name.as_str(), day.day_number, day.tokens, day.unique_users)
            })
            .collect();
        assert_eq!(
            days,
            [("2026-07-01".into(), "Wednesday", 1, 30, 2), ("2026-07-03".into(), "Friday", 3, 35, 1)]
        );
        // The rows were written at noon UTC.
        assert_eq!(stats.daily_breakdown[1].last_activity, "14:00");
        assert_eq!(stats.daily_breakdown[1].primary_model, Some(model("x/c")));

        assert_eq!(stats.monthly_summary.total_unique_users, 2);
        let top: Vec<_> =
            stats.monthly_summary.top_models.iter().map(|top| top.model_name.as_str()).collect();
        assert_eq!(top, ["x/c", "x/b", "x/a"]);
    });
}

#[test]
fn an_organization_without_usage_has_zeros() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let usage = service(storage, &clock);
        let stats = wait(usage.get_usage_stats(&org("a"))).unwrap();
        assert_eq!((stats.current_month.total_tokens, stats.current_month.usage_ppm), (0, 0));
        assert!(stats.daily_breakdown.is_empty() && stats.monthly_summary.top_models.is_empty());
        let legacy = wait(usage.get_legacy_usage_stats(&org("a"))).unwrap();
        assert_eq!((legacy.today.today_tokens, legacy.this_month.totals), (0, Totals::default()));
        assert!(wait(usage.get_usage_by_user(&org("a"), None, None)).unwrap().is_empty());
        let models = wait(usage.get_usage_by_model(&org("a"), None, None)).unwrap();
        let names: Vec<_> = models.iter().map(|usage| usage.model_name.as_str()).collect();
        assert_eq!(names, CATALOGUE.map(|model| model.id));
    });
}

#[test]
fn the_old_shape() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        let batch: Vec<_> = (0..40_u64)
            .map(|back| {
                let mut new = generation(&format!("gen-{back}"));
                new.generation_date = day("2026-07-15").minus_days(back);
                new
            })
            .collect();
        record(storage, &batch);
        let legacy = wait(service(storage, &clock).get_legacy_usage_stats(&org("a"))).unwrap();
        assert_eq!((legacy.today.today_tokens, legacy.today.last_updated), (15, Some(NOON)));
        assert_eq!((legacy.this_month.totals.requests, legacy.this_month.days_active), (15, 15));
        assert_eq!(legacy.daily_history.len(), 30);
        assert_eq!(legacy.daily_history[0].usage_date, day("2026-07-15"));
        assert_eq!(legacy.daily_history[29].usage_date, day("2026-06-16"));
        assert_eq!(legacy.client_org_name, "Company a");
    });
}

#[test]
fn usage_by_member() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        record(
            storage,
            &[
                on("2026-06-30", used("0", "zoe", "x/a", 1, 900)),
                on("2026-07-01", used("1", "ben", "x/a", 10, 100)),
                on("2026-07-02", used("2", "anna", "x/a", 10, 100)),
                on("2026-07-02", used("3", "cleo", "x/a", 1, 40)),
                on("2026-07-03", used("4", "cleo", "x/b", 1, 61)),
            ],
        );
        let usage = service(storage, &clock);
        let list = |from: Option<&str>, to: Option<&str>| {
            let items = wait(usage.get_usage_by_user(&org("a"), from.map(day), to.map(day))).unwrap();
            let item = |item: crate::UserUsage| {
                (
                    item.user_id.to_string(),
                    item.totals.raw_cost.nanos(),
                    item.totals.requests,
                    item.days_active,
                )
            };
            items.into_iter().map(item).collect::<Vec<_>>()
        };
        let july = [("cleo".into(), 101, 2, 2), ("anna".into(), 100, 1, 1), ("ben".into(), 100, 1, 1)];
        assert_eq!(list(None, None), july);
        assert_eq!(list(Some("2026-06-01"), None)[0].0, "zoe");
        assert_eq!(list(None, Some("2026-06-30")), [("zoe".into(), 900, 1, 1)]);
        let backwards = wait(usage.get_usage_by_user(&org("a"), Some(day("2026-07-16")), None));
        assert!(matches!(backwards, Err(Error::InvalidRange(..))));
        let items = wait(usage.get_usage_by_user(&org("a"), None, None)).unwrap();
        assert_eq!(items[0].openrouter_user_id.as_ref().unwrap().as_str(), "a_user_cleo");
        assert_eq!(items[0].last_activity, Some(NOON));
    });
}

#[test]
fn usage_by_model_adds_up_and_names_the_idle_ones() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        create_organization(storage, "a", &clock);
        record(
            storage,
            &[
                used("1", "anna", "openai/o3", 10, 100),
                used("2", "anna", "new-lab/unlisted:free", 10, 0),
                used("3", "anna", "z-ai/glm", 10, 500),
                on("2026-07-14", used("4", "anna", "openai/o3", 1, 1)),
            ],
        );
        let usage = service(storage, &clock);
        let items = wait(usage.get_usage_by_model(&org("a"), None, None)).unwrap();
        let names: Vec<_> = items.iter().map(|item| item.model_name.as_str()).collect();
        assert_eq!(names[..3], ["z-ai/glm", "openai/o3", "new-lab/unlisted:free"]);
        let idle: Vec<_> = CATALOGUE.iter().map(|model| model.id).filter(|id| *id != "openai/o3").collect();
        assert_eq!(names[3..], idle);
        assert_eq!((items[1].days_used, items[1].provider.as_deref()), (2, Some("OpenAI")));
        assert_eq!(items[2].provider.as_deref(), Some("new-lab"));

        let sum = Totals::sum(items.iter().map(|item| item.totals)).unwrap();
        let days = wait(usage.get_daily_usage(&org("a"), None, None)).unwrap();
        assert_eq!(sum.raw_cost, Usd::checked_sum(days.iter().map(|row| row.raw_cost)).unwrap());
        assert_eq!(sum.markup_cost, Usd::checked_sum(days.iter().map(|row| row.markup_cost)).unwrap());
        assert_eq!(sum.tokens, days.iter().map(|row| row.total_tokens).sum::<i64>());
        assert_eq!(sum.requests, 4);
    });
}

#[test]
fn what_the_reseller_earns() {
    TestDb::each(|storage| {
        let clock = clock("2026-07-15T12:00:00Z");
        let organizations = create_organization(storage, "a", &clock);
        create_organization(storage, "b", &clock);
        create_organization(storage, "c", &clock);
        record(
            storage,
            &[used("1", "anna", "x/a", 10, 100), on("2026-07-14", used("2", "anna", "x/a", 1, 100))],
        );
        wait(organizations.deactivate(&org("c"))).unwrap();
        let usage = service(storage, &clock);
        let bills = wait(usage.get_all_clients_usage_stats(day("2026-07-01"), day("2026-07-31"))).unwrap();
        let figures: Vec<_> = bills
            .iter()
            .map(|bill| {
                (
                    bill.client_name.as_str(),
                    bill.raw_cost.nanos(),
                    bill.markup_cost.nanos(),
                    bill.profit_margin.nanos(),
                )
            })
            .collect();
        assert_eq!(figures, [("Company a", 200, 300, 100), ("Company b", 0, 0, 0)]);
        assert_eq!((bills[0].total_tokens, bills[0].total_requests, bills[0].days_active), (11, 2, 2));
        let backwards = wait(usage.get_all_clients_usage_stats(day("2026-07-02"), day("2026-07-01")));
        assert!(matches!(backwards, Err(Error::InvalidRange(..))));
    });
}
