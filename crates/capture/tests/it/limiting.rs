//! What limits hold for calls, from the proxy to the books and over a start.

use futures_util::StreamExt;
use mai_capture::{
    Call, Held, LimitGuard, Proxy, ProxySettings, Reading, Recorder, Upstream,
    limits::recover,
    proxy::ProxyBody,
    record::{Record, Sent},
};
use mai_client_organization::{LimitSubject, Limits};
use mai_journal::{Journal, JournalSettings, Position};
use mai_primitives::{UsageDate, Usd};
use mai_storage::testing::TestDb;

use crate::{
    books::{Books, NO_USAGE, append, applier, apply, exact, failed, open, opened, settled},
    eventually,
    road::{Road, Wish, call, records},
    run,
};

fn month() -> UsageDate {
    UsageDate::parse("2026-11-01").unwrap()
}

fn held(nanos: i64) -> Call {
    let call = call("org_a", true);
    let held = Held { nanos, user: call.user.clone(), model: call.requested_model.clone() };
    Call { held: Some(held), ..call }
}

fn in_flight(guard: &LimitGuard) -> i64 {
    guard.in_flight(&call("org_a", true).organization, month(), &LimitSubject::Organization).nanos()
}

fn recovered(journal: &Journal, read_to: Position) -> LimitGuard {
    let guard = LimitGuard::default();
    let organization = call("org_a", true).organization;
    let reading = Reading { organization, month: month(), used: vec![(LimitSubject::Organization, 7)] };
    recover(&guard, journal, (vec![reading], read_to)).unwrap();
    guard
}

#[test]
fn a_start_holds_what_the_last_reading_did_not_have() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let (long, late) = (held(1_000), held(2_000));
            append(
                &journal,
                &[
                    opened(&long, "gen-long"),
                    opened(&late, "gen-late"),
                    settled(&held(5), "gen-read", exact(1)),
                ],
            )
            .await;
            let read_to = journal.durable_end();
            append(
                &journal,
                &[
                    settled(&held(40), "gen-1", exact(30)),
                    settled(&held(300), "gen-2", NO_USAGE),
                    settled(&Call { held: None, ..held(0) }, "", failed()),
                    settled(
                        &Call { held: Some(Held { nanos: 60, ..late.held.clone().unwrap() }), ..late },
                        "gen-late",
                        exact(50),
                    ),
                    Record::Sent(Sent { call: held(9_000) }),
                    Record::Sent(Sent { call: call("org_a", true) }),
                ],
            )
            .await;
            drop(journal);

            let journal = open(&folder);
            // All of the journal where nothing was read, or where the readings are of another journal.
            let all = 40 + 300 + 60 + 1_000 + 9_000;
            assert_eq!(in_flight(&recovered(&journal, Position::new(0))), all + 5);
            let elsewhere = Position::new(journal.durable_end().get() + 1);
            assert_eq!(in_flight(&recovered(&journal, elsewhere)), all + 5);
            let guard = recovered(&journal, read_to);
            assert_eq!(in_flight(&guard), all);
            assert_eq!(guard.readings()[0].used, [(LimitSubject::Organization, 7)]);
            apply(applier(&journal, storage).with_limits(guard.clone())).await;
            // Booked and pending, all of it is in the next reading.
            assert_eq!(in_flight(&guard), 0);
            let books = Books::of(storage, "org_a");
            assert_eq!(books.booked(), ["gen-1", "gen-late", "gen-read"]);
            let mut reserved: Vec<_> =
                books.pending.iter().filter_map(|row| row.reservation).map(Usd::nanos).collect();
            reserved.sort_unstable();
            assert_eq!(reserved, [300, 1_000, 9_000]);
            assert_eq!(books.pending.len(), 4, "one was sent without a limit");
        });
    });
}

#[test]
fn a_call_holds_its_reservation_until_its_record_says_more() {
    TestDb::each(|storage| {
        run(async {
            let road = Road::new();
            let guard = LimitGuard::default();
            let recorder = Recorder::new(road.journal.clone()).with_limits(guard.clone());
            let upstream = Upstream::new(&road.mock.base_url()).unwrap();
            let proxy = Proxy::new(upstream, recorder, road.tracker.clone(), ProxySettings::default());
            let limits = Limits::new(Some(Usd::from_nanos(1_000_000_000)), []);
            let reserve = |call: Call| {
                let reservation = guard.reserve(&limits, &call, Usd::from_nanos(500_000_000)).unwrap();
                (Call { held: reservation.held(), ..call }, Some(reservation))
            };
            let send = async |wish: Wish| {
                Road::answer_reserved(&proxy, reserve(call("org_a", wish.streamed)), &wish).await
            };

            // Upstream refuses: nothing is left.
            assert!(send(Wish::plain("status-429")).await.is_ok());
            eventually("the refusal is recorded", || in_flight(&guard) == 0).await;
            // To the end: its price.
            let answer = send(Wish::stream("ok")).await.unwrap();
            assert_eq!(in_flight(&guard), 500_000_000);
            let ProxyBody::Metered(mut body) = answer.body else { panic!("refused") };
            while let Some(chunk) = body.next().await {
                chunk.unwrap();
            }
            let price = in_flight(&guard);
            assert!(price > 0 && price < 500_000_000, "{price}");
            // Left in the midst: its reservation.
            let answer = send(Wish::stream("headers-then-nothing")).await.unwrap();
            drop(answer);
            assert_eq!(in_flight(&guard), price + 500_000_000);
            road.tracker.close();
            road.tracker.wait().await;
            eventually("all is recorded", || {
                let records = records(&road.journal, Position::new(0));
                records.iter().filter(|record| matches!(record, Record::Settled(_))).count() == 3
            })
            .await;
            apply(applier(&road.journal, storage).with_limits(guard.clone())).await;
            assert_eq!(in_flight(&guard), 0);
            let books = Books::of(storage, "org_a");
            let booked: Vec<_> = books.ledger.iter().map(|row| row.markup_cost.nanos()).collect();
            assert_eq!(booked, [price]);
            let reserved: Vec<_> = books.pending.iter().map(|row| row.reservation.unwrap().nanos()).collect();
            assert_eq!(reserved, [500_000_000]);
        });
    });
}

#[test]
fn a_call_that_is_not_admitted_leaves_nothing() {
    run(async {
        let small = |settings| JournalSettings { segment_bytes: 1 << 16, max_bytes: 1 << 16, ..settings };
        let road = Road::with(small);
        while road.recorder.admit().is_ok() {
            append(&road.journal, &[opened(&call("org_a", true), "gen-1")]).await;
        }
        let guard = LimitGuard::default();
        let limits = Limits::new(Some(Usd::from_nanos(100)), []);
        let reserve = || guard.reserve(&limits, &call("org_a", true), Usd::from_nanos(100)).unwrap();
        let reservation = reserve();
        let call = Call { held: reservation.held(), ..call("org_a", true) };
        let wish = Wish::plain("ok");
        assert!(Road::answer_reserved(&road.proxy, (call, Some(reservation)), &wish).await.is_err());
        assert_eq!(in_flight(&guard), 0);
        // Nor does one that nobody sends.
        drop(reserve());
        assert_eq!(in_flight(&guard), 0);
    });
}
