//! The guard on its own: the database is a sum that these tests keep.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use mai_generation_processing::PendingReason;
use mai_primitives::MarkupRate;

use super::*;
use crate::{call::tests::call as some_call, record::ExactUsage};

mod random;

fn subject_member(user: &str) -> LimitSubject {
    LimitSubject::Member(UserId::new(user).unwrap())
}

fn subject_model(model: &str) -> LimitSubject {
    LimitSubject::Model(ModelName::new(model).unwrap())
}

fn usd(nanos: i64) -> Usd {
    Usd::from_nanos(nanos)
}

fn organization_limit(nanos: i64) -> Limits {
    Limits::new(Some(usd(nanos)), [])
}

fn call(user: &str, model: &str) -> Call {
    Call {
        exchange: crate::call::ExchangeId::new(),
        user: UserId::new(user).unwrap(),
        requested_model: Some(ModelName::new(model).unwrap()),
        markup_rate: MarkupRate::from_ppm(2_000_000).unwrap(),
        ..some_call()
    }
}

fn exact(model: &str, cost_nanos: i64) -> Outcome {
    Outcome::Exact(ExactUsage {
        model: ModelName::new(model).ok(),
        serving_provider: None,
        input_tokens: 1,
        output_tokens: 1,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        cost_nanos,
        cost_text: "0".to_owned(),
        is_byok: false,
        tokens_estimated: false,
    })
}

const UNKNOWN: Outcome = Outcome::Unknown { reason: PendingReason::ClientGone };

fn failed() -> Outcome {
    Outcome::Failed { status: 400, reason: "upstream_status".to_owned() }
}

/// Reserves for a call and lets its records say the rest, as the proxy does.
fn sent(guard: &LimitGuard, limits: &Limits, call: Call, nanos: i64) -> Result<Call, OverLimit> {
    let reservation = guard.reserve(limits, &call, usd(nanos))?;
    let held = reservation.held();
    reservation.keep();
    Ok(Call { held, ..call })
}

fn settled(guard: &LimitGuard, call: Call, outcome: Outcome) -> Settled {
    let mut settled = Settled::by_gateway(call, None, outcome);
    guard.settle(&mut settled);
    settled
}

fn in_flight(guard: &LimitGuard, subject: &LimitSubject) -> i64 {
    let call = some_call();
    guard.in_flight(&call.organization, call.usage_date.first_of_month(), subject).nanos()
}

async fn read(guard: &LimitGuard, used: &[(LimitSubject, i64)]) {
    let call = some_call();
    let (organization, month) = (call.organization, call.usage_date.first_of_month());
    let turn = guard.turn().await;
    guard.take(vec![Reading { organization, month, used: used.to_vec() }], &turn);
}

#[tokio::test]
async fn a_call_passes_while_there_is_room_for_all_of_its_reservation() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(100));
    read(&guard, &[(LimitSubject::Organization, 30)]).await;
    let first = sent(&guard, &limits, call("anna", "a/b"), 40).unwrap();
    let refused = guard.reserve(&limits, &call("ben", "a/b"), usd(31)).err().unwrap();
    assert_eq!(refused, OverLimit { subject: LimitSubject::Organization, limit: usd(100) });
    let second = guard.reserve(&limits, &call("ben", "a/b"), usd(30)).unwrap();
    // Used up, not even what is free passes.
    assert!(guard.reserve(&limits, &call("ben", "a/b"), Usd::ZERO).is_err());
    // A call that was not sent leaves nothing.
    drop(second);
    assert_eq!(in_flight(&guard, &LimitSubject::Organization), 40);
    // One that failed neither; its record says so.
    let record = settled(&guard, first, failed());
    assert_eq!((in_flight(&guard, &LimitSubject::Organization), record.call.held), (0, None));
    assert!(guard.reserve(&limits, &call("ben", "a/b"), usd(70)).is_ok());
}

#[test]
fn with_a_limit_of_zero_nothing_passes() {
    let guard = LimitGuard::default();
    for limits in [
        organization_limit(0),
        Limits::new(None, [(subject_member("anna"), Usd::ZERO)]),
        Limits::new(None, [(subject_model("a/b"), Usd::ZERO)]),
    ] {
        assert!(guard.reserve(&limits, &call("anna", "a/b:free"), Usd::ZERO).is_err());
        assert!(guard.reserve(&Limits::default(), &call("anna", "a/b:free"), Usd::ZERO).is_ok());
    }
}

#[tokio::test]
async fn a_price_counts_until_a_reading_that_has_it() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(1_000));
    let sent = sent(&guard, &limits, call("anna", "a/b"), 500).unwrap();
    // Twice the cost is the client's price.
    let record = settled(&guard, sent, exact("a/b", 40));
    assert_eq!(record.call.held.as_ref().unwrap().nanos, 80);
    // A reading before it is booked has nothing of it.
    read(&guard, &[(LimitSubject::Organization, 0)]).await;
    let room = |nanos| guard.reserve(&limits, &call("anna", "a/b"), usd(nanos)).is_ok();
    assert!(room(920) && !room(921));
    guard.booked([&record.call]);
    assert!(room(920) && !room(921), "the reading of before does not have it yet");
    assert_eq!(in_flight(&guard, &LimitSubject::Organization), 0);
    read(&guard, &[(LimitSubject::Organization, 80)]).await;
    assert!(room(920) && !room(921), "now the reading has it, and it counts once");
    read(&guard, &[(LimitSubject::Organization, 100)]).await;
    assert!(room(900) && !room(901), "what others spent");
}

#[tokio::test]
async fn a_call_of_unknown_cost_keeps_its_reservation_until_the_database_has_it() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(1_000));
    let sent = sent(&guard, &limits, call("anna", "a/b"), 500).unwrap();
    let record = settled(&guard, sent, UNKNOWN);
    assert_eq!(record.call.held.as_ref().unwrap().nanos, 500);
    guard.booked([&record.call]);
    // The pending row has the reservation.
    read(&guard, &[(LimitSubject::Organization, 500)]).await;
    assert!(guard.reserve(&limits, &call("anna", "a/b"), usd(500)).is_ok());
    assert!(guard.reserve(&limits, &call("anna", "a/b"), usd(501)).is_err());
}

#[test]
fn a_cost_that_cannot_be_true_leaves_the_reservation() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(1_000));
    for cost in [-1, i64::MAX, COST_AT_MOST.nanos() + 1] {
        let sent = sent(&guard, &limits, call("anna", "a/b"), 500).unwrap();
        let record = settled(&guard, sent, exact("a/b", cost));
        assert_eq!(record.call.held.as_ref().unwrap().nanos, 500, "{cost}");
        settled(&guard, record.call, failed());
    }
}

#[test]
fn members_and_models_have_limits_of_their_own() {
    let guard = LimitGuard::default();
    let limits = Limits::new(
        Some(usd(1_000)),
        [(subject_member("anna"), usd(100)), (subject_model("openai/gpt-4o-mini"), usd(50))],
    );
    let try_to = |user: &str, model: &str, nanos| guard.reserve(&limits, &call(user, model), usd(nanos));
    assert_eq!(try_to("anna", "a/b", 101).err().unwrap().subject, subject_member("anna"));
    assert!(try_to("ben", "a/b", 101).is_ok());
    // All variants of a model are one model.
    let kept = sent(&guard, &limits, call("ben", "openai/gpt-4o-mini:free"), 30).unwrap();
    let refused = try_to("ben", "openai/gpt-4o-mini:nitro", 21).err().unwrap();
    assert_eq!(refused, OverLimit { subject: subject_model("openai/gpt-4o-mini"), limit: usd(50) });
    // Another model has answered, so that one has cost something.
    let record = settled(&guard, kept, exact("openai/o3", 10));
    assert!(try_to("ben", "openai/gpt-4o-mini", 50).is_ok());
    assert_eq!(in_flight(&guard, &subject_model("openai/o3")), 20);
    assert_eq!(in_flight(&guard, &subject_model("openai/gpt-4o-mini")), 0);
    guard.booked([&record.call]);
    assert_eq!(in_flight(&guard, &subject_model("openai/o3")), 0);
}

#[test]
fn a_refused_call_reserves_nothing_anywhere() {
    let guard = LimitGuard::default();
    let limits = Limits::new(Some(usd(1_000)), [(subject_model("a/b"), usd(10))]);
    assert!(guard.reserve(&limits, &call("anna", "a/b"), usd(11)).is_err());
    for subject in [LimitSubject::Organization, subject_member("anna"), subject_model("a/b")] {
        assert_eq!(in_flight(&guard, &subject), 0);
    }
}

#[tokio::test]
async fn each_month_counts_by_itself() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(100));
    let on = |date: &str| Call { usage_date: UsageDate::parse(date).unwrap(), ..call("anna", "a/b") };
    read(&guard, &[(LimitSubject::Organization, 90)]).await;
    let late = sent(&guard, &limits, on("2026-11-30"), 10).unwrap();
    assert!(guard.reserve(&limits, &on("2026-11-30"), usd(1)).is_err());
    // The new month is empty, and the end of a call of the old one does not change that.
    let new = sent(&guard, &limits, on("2026-12-01"), 100).unwrap();
    assert!(guard.reserve(&limits, &on("2026-12-01"), usd(1)).is_err());
    let late = settled(&guard, late, exact("a/b", 50));
    assert!(guard.reserve(&limits, &on("2026-12-01"), usd(1)).is_err());
    settled(&guard, new, failed());
    assert!(guard.reserve(&limits, &on("2026-12-01"), usd(100)).is_ok());
    // One who began in the old month and comes late is measured by the old one.
    assert!(guard.reserve(&limits, &on("2026-11-30"), Usd::ZERO).is_err());
    guard.booked([&late.call]);
    // A month that is long over is forgotten.
    drop(guard.reserve(&limits, &on("2027-01-01"), usd(1)).unwrap());
    drop(guard.reserve(&limits, &on("2027-02-01"), usd(1)).unwrap());
    assert_eq!(in_flight(&guard, &LimitSubject::Organization), 0);
}

#[tokio::test]
async fn limits_without_a_reading_ask_for_one() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(100));
    let one = call("anna", "a/b");
    let (organization, month) = (one.organization.clone(), one.usage_date.first_of_month());
    assert!(guard.is_due(&organization, &limits, month));
    drop(guard.reserve(&limits, &one, usd(1)).unwrap());
    guard.wanted().await;
    read(&guard, &[(LimitSubject::Organization, 0)]).await;
    assert!(!guard.is_due(&organization, &limits, month));
    let more = Limits::new(Some(usd(100)), [(subject_member("anna"), usd(5))]);
    assert!(guard.is_due(&organization, &more, month), "a new limit");
    let sent = sent(&guard, &limits, one, 1).unwrap();
    assert!(guard.is_due(&organization, &limits, month), "a call");
    read(&guard, &[(LimitSubject::Organization, 0)]).await;
    assert!(guard.is_due(&organization, &limits, month), "a call is in flight");
    settled(&guard, sent, failed());
    assert!(!guard.is_due(&organization, &limits, month));
}

#[tokio::test]
async fn a_refusal_without_a_reading_lately_asks_for_one() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(100));
    let one = call("anna", "a/b");
    let (organization, month) = (one.organization.clone(), one.usage_date.first_of_month());
    assert!(guard.is_unread(&organization, &limits, month));
    read(&guard, &[]).await;
    assert!(guard.is_unread(&organization, &limits, month), "not of this limit");
    assert!(guard.reserve(&limits, &one, usd(101)).is_err());
    guard.wanted().await;
    assert!(guard.is_due(&organization, &limits, month));
    read(&guard, &[(LimitSubject::Organization, 100)]).await;
    assert!(!guard.is_unread(&organization, &limits, month));
    assert!(!guard.is_due(&organization, &limits, month));
    assert!(guard.reserve(&limits, &one, usd(1)).is_err());
    // Others have settled for less.
    read(&guard, &[(LimitSubject::Organization, 99)]).await;
    assert!(guard.reserve(&limits, &one, usd(1)).is_ok());
}

/// A list in which a model has a dated slug.
fn dated() -> ModelPrices {
    let listed = mai_openrouter::ListedModel {
        id: ModelName::new("a/b").unwrap(),
        canonical_slug: ModelName::new("a/b-20260318").ok(),
        name: "B".to_owned(),
        context_length: None,
        max_completion_tokens: None,
        pricing_text: String::new(),
        pricing: None,
    };
    let models = vec![mai_model_prices::ModelPrice::new(listed)];
    let prices = ModelPrices::default();
    let at = mai_primitives::UnixTime::from_seconds(4_000_000_000);
    prices.replace(mai_model_prices::PriceList::new(at, models));
    prices
}

#[tokio::test]
async fn a_limit_set_by_a_dated_name_counts_the_model_whose_name_that_is() {
    let guard = LimitGuard::new(dated());
    let limits = Limits::new(None, [(subject_model("a/b-20260318"), usd(100))]);
    read(&guard, &[(subject_model("a/b-20260318"), 60)]).await;
    let kept = sent(&guard, &limits, call("anna", "a/b:free"), 30).unwrap();
    for name in ["a/b", "a/b-20260318", "a/b:nitro"] {
        let refused = guard.reserve(&limits, &call("ben", name), usd(11)).err().unwrap();
        assert_eq!(refused, OverLimit { subject: subject_model("a/b-20260318"), limit: usd(100) });
    }
    assert_eq!(in_flight(&guard, &subject_model("a/b-20260318")), 30);
    assert!(guard.reserve(&limits, &call("ben", "a/other"), usd(11)).is_ok());
    settled(&guard, kept, failed());
    assert!(guard.reserve(&limits, &call("ben", "a/b"), usd(40)).is_ok());
}

#[test]
fn calls_at_the_same_instant_share_the_room() {
    let (guard, limits) = (LimitGuard::default(), organization_limit(10 * 7));
    let passed = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    if sent(&guard, &limits, call("anna", "a/b"), 7).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.load(Ordering::Relaxed), 10);
}

/// A database that books records in turns, and is read in turns, while calls go on: the limit has room for what all
/// calls cost and for the reservations of those at once, and not a nano-dollar more. None may be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_thousand_calls_with_just_enough_room_all_pass() {
    const CALLS: i64 = 100_000;
    const AT_ONCE: i64 = 32;
    const COST: i64 = 15;
    const RESERVATION: i64 = 1_000;
    // The last call must have room for its reservation beside the price of all others, and so must those with it.
    let limits = Arc::new(organization_limit((CALLS - AT_ONCE) * 2 * COST + AT_ONCE * RESERVATION));
    let guard = LimitGuard::default();
    let journal: Arc<Mutex<Vec<Call>>> = Arc::default();
    let (database, next, done) =
        (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (guard, limits, journal, next) =
            (guard.clone(), Arc::clone(&limits), Arc::clone(&journal), Arc::clone(&next));
        callers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < CALLS {
                let sent = sent(&guard, &limits, call("anna", "a/b"), RESERVATION);
                let sent = sent.expect("there is room");
                tokio::task::yield_now().await;
                let record = settled(&guard, sent, exact("a/b", COST));
                journal.lock().unwrap().push(record.call);
            }
        });
    }
    let mut applier = tokio::task::JoinSet::new();
    {
        let (guard, database, done) = (guard.clone(), Arc::clone(&database), Arc::clone(&done));
        let journal = Arc::clone(&journal);
        applier.spawn(async move {
            let mut booked = 0;
            while booked < CALLS {
                let batch = std::mem::take(&mut *journal.lock().unwrap());
                let _turn = guard.turn().await;
                booked += i64::try_from(batch.len()).unwrap();
                for call in &batch {
                    database.fetch_add(call.held.as_ref().unwrap().nanos, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                guard.booked(&batch);
            }
            done.store(true, Ordering::Relaxed);
        });
    }
    let mut readings = 0;
    while !done.load(Ordering::Relaxed) {
        let one = some_call();
        let turn = guard.turn().await;
        let used = vec![(LimitSubject::Organization, database.load(Ordering::Relaxed))];
        tokio::task::yield_now().await;
        let (organization, month) = (one.organization, one.usage_date.first_of_month());
        guard.take(vec![Reading { organization, month, used }], &turn);
        readings += 1;
        drop(turn);
        tokio::task::yield_now().await;
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("no call was refused");
    }
    applier.join_next().await.unwrap().unwrap();
    read(&guard, &[(LimitSubject::Organization, database.load(Ordering::Relaxed))]).await;
    assert!(readings > 10, "{readings}");
    assert_eq!(database.load(Ordering::Relaxed), CALLS * 2 * COST);
    assert_eq!(in_flight(&guard, &LimitSubject::Organization), 0);
    // What is left is exactly what the limit has left.
    let left = AT_ONCE * (RESERVATION - 2 * COST);
    assert!(guard.reserve(&limits, &call("anna", "a/b"), usd(left)).is_ok());
    assert!(guard.reserve(&limits, &call("anna", "a/b"), usd(left + 1)).is_err());
}
