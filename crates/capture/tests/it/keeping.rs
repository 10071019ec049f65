//! Records that the journal refuses are kept until it takes them.

use std::{
    io::Write,
    sync::{Arc, Mutex, mpsc},
};

use futures_util::{FutureExt, StreamExt};
use mai_capture::{
    MeteredBody, NotAdmitted, ProxyError, ProxySettings,
    body::BodyError,
    record::{Outcome, Record, Sent, Settled},
    recorder::RecordError,
};
use mai_generation_processing::PendingReason;
use mai_journal::{Admission, JournalError, JournalSettings, Position};
use mai_storage::{Storage, testing::TestDb};
use tokio_util::sync::CancellationToken;

use crate::{
    books::{Books, apply_all, clock, exact, generation_id, new_settled},
    eventually,
    raw::{head, serve},
    reporting::dead,
    road::{Road, Wish, call, records},
    run,
};

/// A road whose journal is soon full. Its recorder sees to what is refused while `stop` is not cancelled.
/// There is no database.
fn narrow_road(stop: &CancellationToken) -> Road {
    narrow_road_to(&dead(), stop)
}

fn narrow_road_to(storage: &Storage, stop: &CancellationToken) -> Road {
    let road =
        Road::with(|settings| JournalSettings { segment_bytes: 1 << 16, max_bytes: 1 << 16, ..settings });
    keep_trying(&road, storage, stop);
    road
}

fn keep_trying(road: &Road, storage: &Storage, stop: &CancellationToken) {
    let recorder = road.recorder.clone();
    road.tracker.spawn(recorder.keep_trying(storage.clone(), Arc::new(clock()), stop.clone()));
}

/// Fills the journal until it takes nothing more, not even the smallest record of an open call.
async fn fill(road: &Road) {
    let large = new_settled("org_other", "gen-other", exact(1)).to_bytes().unwrap();
    let small = Record::Sent(Sent { call: call("o", true) }).to_bytes().unwrap();
    for (record, at_once) in [(large, 1_000), (small, 1)] {
        loop {
            match road.journal.append_all(Admission::Continuing, vec![record.clone(); at_once]).await {
                Ok(_) => {}
                Err(JournalError::Full { .. }) => break,
                Err(cause) => panic!("{cause}"),
            }
        }
    }
}

/// What an applier does that has applied all but the open calls.
fn make_room(road: &Road) {
    road.journal.forget(road.journal.durable_end()).unwrap();
}

/// Reads an answer up to what is held back.
async fn read_to_the_last_piece(body: &mut MeteredBody) -> Vec<u8> {
    let mut seen = Vec::new();
    loop {
        // Everything that can come without the journal comes.
        match tokio::time::timeout(std::time::Duration::from_millis(300), body.next()).await {
            Ok(Some(chunk)) => seen.extend_from_slice(&chunk.unwrap()),
            Ok(None) => panic!("the answer has ended"),
            Err(_) => return seen,
        }
    }
}

async fn is_settled(road: &Road, exchange: &mai_capture::ExchangeId) {
    eventually("a settled record", || matches!(road.records(exchange).last(), Some(Record::Settled(_))))
        .await;
}

#[test]
fn the_end_of_an_answer_waits_for_room_in_the_journal() {
    run(async {
        let stop = CancellationToken::new();
        let road = narrow_road(&stop);
        let (exchange, mut body) = road.send(&Wish::stream("ok")).await;
        let mut seen = body.next().await.unwrap().unwrap().to_vec();
        fill(&road).await;
        seen.extend(read_to_the_last_piece(&mut body).await);
        assert!(!String::from_utf8_lossy(&seen).contains("[DONE]"));
        let refused = road.answer(call("org_road", true), &Wish::stream("ok")).await;
        assert!(matches!(refused, Err(ProxyError::NotAdmitted(NotAdmitted::Full))));
        make_room(&road);
        while let Some(chunk) = body.next().await {
            seen.extend_from_slice(&chunk.unwrap());
        }
        assert!(String::from_utf8_lossy(&seen).contains("[DONE]"));
        let Some(Record::Settled(settled)) = road.records(&exchange).pop() else { panic!("not settled") };
        assert!(matches!(settled.outcome, Outcome::Exact(_)), "{:?}", settled.outcome);
        eventually("new calls are taken again", || road.recorder.admit().is_ok()).await;
        stop.cancel();
    });
}

#[test]
fn a_client_is_not_kept_waiting_for_ever_and_its_record_is_written_all_the_same() {
    run(async {
        let stop = CancellationToken::new();
        let road = narrow_road(&stop);
        let (exchange, mut body) = road.send(&Wish::stream("ok")).await;
        body.next().await.unwrap().unwrap();
        fill(&road).await;
        let refused = loop {
            match body.next().await.expect("an error, not an end") {
                Ok(chunk) => assert!(!String::from_utf8_lossy(&chunk).contains("[DONE]")),
                Err(cause) => break cause,
            }
        };
        assert!(matches!(refused, BodyError::NotRecorded(_)), "{refused}");
        drop(body);
        assert_eq!(road.recorder.refused_records(), 1);
        make_room(&road);
        is_settled(&road, &exchange).await;
        eventually("nothing waits any more", || road.recorder.refused_records() == 0).await;
        stop.cancel();
    });
}

/// Nobody waits for these: the client has left, or upstream has refused the call.
#[test]
fn records_without_a_client_are_kept_as_well() {
    run(async {
        let stop = CancellationToken::new();
        let road = narrow_road(&stop);
        let (left, mut body) = road.send(&Wish::stream("tokens-50,slow-3600000")).await;
        body.next().await.unwrap().unwrap();
        // Somebody who leaves while the record is being written.
        let (leaving, mut ending) = road.send(&Wish::stream("ok")).await;
        ending.next().await.unwrap().unwrap();
        let failing = call("org_road", false);
        let failed = failing.exchange.clone();
        let (fail, told) = mpsc::channel::<()>();
        let told = Arc::new(Mutex::new(told));
        let upstream = serve(move |mut connection| {
            head(&mut connection);
            told.lock().unwrap().recv().unwrap();
            connection.get_mut().write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let (proxy, wish) = (road.proxy_to(&upstream, ProxySettings::default()), Wish::plain("ok"));
        let mut asking = Box::pin(Road::answer_of(&proxy, failing, &wish));
        assert!((&mut asking).now_or_never().is_none());
        fill(&road).await;
        fail.send(()).unwrap();
        drop(body);
        read_to_the_last_piece(&mut ending).await;
        drop(ending);
        drop(asking.await);
        eventually("three records wait", || road.recorder.refused_records() == 3).await;
        make_room(&road);
        for (exchange, outcome) in [
            (&left, Some(Outcome::Unknown { reason: PendingReason::ClientGone })),
            (&leaving, None),
            (&failed, None),
        ] {
            is_settled(&road, exchange).await;
            let Some(Record::Settled(settled)) = road.records(exchange).pop() else { unreachable!() };
            assert!(outcome.is_none_or(|outcome| outcome == settled.outcome), "{:?}", settled.outcome);
        }
        stop.cancel();
    });
}

/// What a stop interrupts stays open in the journal, for the next start to see.
/// Whoever waits for a record may be dropped before it was ever polled.
#[test]
fn a_record_is_kept_though_nobody_ever_asked_what_became_of_it() {
    run(async {
        let stop = CancellationToken::new();
        let road = narrow_road(&stop);
        fill(&road).await;
        let call = call("org_road", true);
        let exchange = call.exchange.clone();
        let outcome = Outcome::Unknown { reason: PendingReason::ClientGone };
        drop(road.recorder.settle(Settled::by_gateway(call, None, outcome)));
        eventually("the record is refused and kept", || road.recorder.refused_records() == 1).await;
        make_room(&road);
        is_settled(&road, &exchange).await;
        stop.cancel();
    });
}

#[test]
fn a_stop_does_not_wait_for_a_full_journal() {
    run(async {
        let stop = CancellationToken::new();
        let road = narrow_road(&stop);
        let (exchange, mut body) = road.send(&Wish::stream("tokens-50,slow-3600000")).await;
        body.next().await.unwrap().unwrap();
        fill(&road).await;
        drop(body);
        eventually("a record waits", || road.recorder.refused_records() == 1).await;
        stop.cancel();
        eventually("the recorder has ended", || road.tracker.is_empty()).await;
        assert!(matches!(road.records(&exchange).as_slice(), [Record::Opened(_)]));
    });
}

/// What a plain call has left in memory only, no opened record could tell of.
#[test]
fn a_stop_books_what_a_full_journal_refuses() {
    TestDb::each(|storage| {
        run(async {
            let stop = CancellationToken::new();
            let road = narrow_road_to(storage, &stop);
            fill(&road).await;
            let Record::Settled(settled) = new_settled("org_road", "gen-1", exact(7)) else { unreachable!() };
            road.recorder.settle_detached(settled);
            eventually("a record waits", || road.recorder.refused_records() == 1).await;
            assert!(Books::of(storage, "org_road").booked().is_empty(), "the journal may yet take it");
            stop.cancel();
            eventually("the recorder has ended", || road.tracker.is_empty()).await;
            let books = Books::of(storage, "org_road");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1"], 7));
        });
    });
}

/// A journal that is closed refuses as one does that could not be synced.
#[test]
fn what_a_broken_journal_refuses_is_booked_without_a_restart() {
    TestDb::each(|storage| {
        run(async {
            let stop = CancellationToken::new();
            let road = Road::new();
            keep_trying(&road, storage, &stop);
            let (_, mut stream) = road.send(&Wish::stream("ok")).await;
            stream.next().await.unwrap().unwrap();
            let (_, mut plain) = road.send(&Wish { seed: 2, ..Wish::plain("ok") }).await;
            road.journal.clone().close().unwrap();
            let mut seen = Vec::new();
            while let Some(chunk) = stream.next().await {
                seen.extend_from_slice(&chunk.unwrap());
            }
            assert!(String::from_utf8_lossy(&seen).ends_with("[DONE]\n\n"), "its record is durable");
            // This one may need an opened record, of which the ledger knows nothing; then the client learns
            // that, and the answer is read on without it.
            while plain.next().await.is_some_and(|chunk| chunk.is_ok()) {}
            drop(plain);
            let failed = call("org_road", false);
            let outcome = Outcome::Failed { status: 503, reason: "upstream_status".to_owned() };
            road.recorder.settle(Settled::by_gateway(failed, None, outcome)).await.unwrap();
            let mut charged: Vec<_> = road.mock.ledger().into_iter().map(|charge| charge.id).collect();
            charged.sort();
            let booked = || {
                let books = Books::of(storage, "org_road");
                let mut booked: Vec<_> = books.booked().into_iter().map(str::to_owned).collect();
                booked.sort();
                booked
            };
            eventually("all are booked", || booked() == charged).await;
            eventually("nothing waits any more", || road.recorder.refused_records() == 0).await;
            assert_eq!(Books::of(storage, "org_road").failed, 1);
            stop.cancel();
            eventually("the recorder has ended", || road.tracker.is_empty()).await;
        });
    });
}

#[test]
fn what_was_booked_without_the_journal_is_not_booked_again_by_it() {
    TestDb::each(|storage| {
        run(async {
            let stop = CancellationToken::new();
            let road = Road::new();
            let (_, mut body) = road.send(&Wish::stream("ok")).await;
            body.next().await.unwrap().unwrap();
            road.journal.clone().close().unwrap();
            let reading = async { while body.next().await.is_some_and(|chunk| chunk.is_ok()) {} };
            keep_trying(&road, storage, &stop);
            reading.await;
            let books = Books::of(storage, "org_road");
            assert_eq!(books.booked().len(), 1);
            // The next start finds the call open.
            apply_all(&road.journal, storage).await;
            assert_eq!(Books::of(storage, "org_road"), books);
            stop.cancel();
        });
    });
}

/// Their senders have them still.
#[test]
fn reports_from_outside_are_durable_or_refused_and_never_kept() {
    run(async {
        let stop = CancellationToken::new();
        let road = narrow_road(&stop);
        let reports = |ids: [&str; 2]| {
            ids.map(|id| {
                let Record::Settled(report) = new_settled("org_a", id, exact(1)) else { unreachable!() };
                report
            })
        };
        let taken = reports(["gen-1", "gen-2"]);
        road.recorder.report(taken.to_vec()).await.unwrap();
        let written = records(&road.journal, Position::default());
        assert_eq!(written, taken.map(Record::Settled));
        fill(&road).await;
        let refused = road.recorder.report(reports(["gen-3", "gen-4"]).to_vec()).await;
        assert!(matches!(refused, Err(RecordError::Journal(JournalError::Full { .. }))), "{refused:?}");
        make_room(&road);
        road.recorder.report(reports(["gen-5", "gen-6"]).to_vec()).await.unwrap();
        let ids: Vec<_> = records(&road.journal, road.journal.first())
            .into_iter()
            .filter_map(|record| match record {
                Record::Settled(settled) => settled.generation_id,
                _ => None,
            })
            .collect();
        assert_eq!(ids, ["gen-5", "gen-6"].map(generation_id));
        assert_eq!(road.recorder.refused_records(), 0);
        stop.cancel();
    });
}
