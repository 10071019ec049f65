//! Answers that nobody should send, on every route: each is booked exactly, looked up exactly, or
//! shown to a person, as `docs/metering.md` says.

use std::collections::BTreeMap;

use diesel::prelude::*;
use futures_util::{StreamExt, future::join_all};
use mai_mock_openrouter::{Charge, Mock, MockSettings, Route, nano_usd};
use mai_organization::{
    ProcessedGenerationModel,
    generation_processing::{PendingGenerationModel, PendingReason, PendingState, schema::failed_calls},
};
use mai_storage::{Storage, testing::TestDb};
use mai_tests::{
    client::{Client, read},
    gateway::{Gateway, Installation, Organization},
    ledger::{all_pending, assert_consistent, rows, wait_until},
    on_each_database, run,
};
use serde_json::{Value, json};

/// Longer than any test.
const A_DAY: u64 = 86_400_000;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The answer's own usage is booked under upstream's id.
    Booked,
    /// The same under an id of ours, because upstream tells none.
    BookedAsOurs,
    /// The cost is unknown for this reason until a look-up brings it.
    LookedUp(PendingReason),
    /// As `LookedUp`, before upstream answers look-ups.
    Waits(PendingReason),
    /// Nobody can be asked: the call is shown to a person, with this reason.
    Unresolved(PendingReason),
    /// Upstream refused the call with this status, and nothing is booked.
    Failed(i32),
}

use Fate::{Booked, BookedAsOurs, Failed, LookedUp, Unresolved, Waits};
use PendingReason::{Conflict, CostUnknown, ErrorEvent, NoAnswer, NoGenerationId, NoUsage, UpstreamCut};

/// Behaviours of the mock, and what becomes of a call where its route makes no difference.
const ANSWERS: [(&str, Fate); 31] = [
    ("id-null", Booked),
    ("id-missing", Booked),
    ("id-repeated", Booked),
    ("id-number", Booked),
    ("id-10k", Booked),
    ("no-header-id", Booked),
    ("no-id", BookedAsOurs),
    ("no-header-id,id-null", BookedAsOurs),
    ("no-header-id,id-missing", BookedAsOurs),
    ("no-header-id,id-number", BookedAsOurs),
    ("no-header-id,id-10k", BookedAsOurs),
    ("no-id,cost-null", Unresolved(NoGenerationId)),
    ("cost-string", Booked),
    ("cost-tiny", Booked),
    ("cost-null", LookedUp(CostUnknown)),
    ("cost-negative", LookedUp(CostUnknown)),
    ("cost-huge", LookedUp(CostUnknown)),
    ("no-usage", LookedUp(NoUsage)),
    ("usage-twice", Booked),
    ("usage-middle", Booked),
    ("usage-empty-choices", Booked),
    ("usage-in-content", Booked),
    ("error-first", LookedUp(ErrorEvent)),
    ("error-mid", LookedUp(ErrorEvent)),
    ("error-plain-200", LookedUp(ErrorEvent)),
    ("endless-line", Booked),
    ("gzip", LookedUp(NoUsage)),
    ("cut", LookedUp(UpstreamCut)),
    ("cut-before-headers", Unresolved(NoAnswer)),
    ("status-429", Failed(429)),
    ("status-502", Failed(502)),
];

/// A route, and whether its answer is streamed.
type Form = (Route, bool);

fn forms() -> impl Iterator<Item = Form> {
    let streamed = Route::ALL.into_iter().filter(|route| route.streams()).map(|route| (route, true));
    Route::ALL.into_iter().map(|route| (route, false)).chain(streamed)
}

/// What becomes of a call on this route; `usual` is what becomes of it on most.
fn fate((route, streamed): Form, behaviours: &str, usual: Fate) -> Fate {
    let fate = match (behaviours, route) {
        // The bodies have no id, or one of another kind.
        (
            "no-header-id",
            Route::Responses | Route::Messages | Route::Images | Route::Transcriptions | Route::Speech,
        ) => BookedAsOurs,
        // Anthropic's own form counts the tokens and names no cost.
        ("no-usage", Route::Messages) => LookedUp(CostUnknown),
        // The error stands inside the only choice, where no error of ours is looked for.
        ("error-first" | "error-mid" | "error-plain-200", Route::ChatCompletions | Route::Completions)
            if !streamed =>
        {
            LookedUp(NoUsage)
        }
        _ => usual,
    };
    match fate {
        // Sound says nothing of its cost.
        Booked | LookedUp(CostUnknown) if route == Route::Speech => LookedUp(NoUsage),
        BookedAsOurs if route == Route::Speech => Unresolved(NoGenerationId),
        fate => fate,
    }
}

/// A body that every route takes. By its user a call is found again.
fn body(behaviours: &str, stream: bool, user: &str) -> Value {
    json!({
        "model": format!("mock/{behaviours}"), "stream": stream, "user": user, "messages": [],
        "input": "a", "documents": ["a"], "input_audio": { "data": "AAAA" },
    })
}

async fn call(client: &Client, (route, streamed): Form, behaviours: &str, user: &str, look_up_after: u64) {
    let request = client
        .post(&format!("/v1{}", route.path()), &body(behaviours, streamed, user))
        .header("x-mock-generation-delay-ms", look_up_after);
    // Some answers are none, and some break off.
    if let Ok(response) = request.send().await {
        read(response).await;
    }
}

/// Makes every call of a form, and returns their users with what has to become of them.
async fn call_all(client: &Client, form: Form) -> Vec<(String, Fate)> {
    let mut expected = Vec::new();
    for (behaviours, usual) in ANSWERS {
        let user = format!("{} {} {behaviours}", form.0.path(), if form.1 { "streamed" } else { "plain" });
        let fate = fate(form, behaviours, usual);
        call(client, form, behaviours, &user, 0).await;
        if let LookedUp(reason) = fate {
            let later = format!("{user} later");
            call(client, form, behaviours, &later, A_DAY).await;
            expected.push((later, Waits(reason)));
        }
        expected.push((user, fate));
    }
    expected
}

/// The books of an organization, by user.
struct Books {
    booked: BTreeMap<String, ProcessedGenerationModel>,
    pending: BTreeMap<String, PendingGenerationModel>,
    failed: BTreeMap<String, i32>,
    /// What upstream charged, by what it knows as the user.
    charges: BTreeMap<String, Charge>,
}

/// The rows by a name; two of the same name would be one call that is counted twice.
fn by_name<T>(rows: impl IntoIterator<Item = (String, T)>) -> BTreeMap<String, T> {
    let mut named = BTreeMap::new();
    for (name, row) in rows {
        assert!(named.insert(name.clone(), row).is_none(), "{name} is there twice");
    }
    named
}

impl Books {
    fn of(storage: &Storage, organization: &str, mock: &Mock) -> Self {
        let failed: Vec<(String, i32)> = storage
            .read_blocking(|conn| {
                let rows = failed_calls::table.filter(failed_calls::client_org_id.eq(organization));
                Ok::<_, mai_storage::Error>(
                    rows.select((failed_calls::user_id, failed_calls::status)).load(conn)?,
                )
            })
            .unwrap();
        let booked = rows(storage, organization).into_values();
        let pending = all_pending(storage, organization).into_iter();
        let charges = mock.ledger().into_iter();
        Self {
            booked: by_name(booked.map(|row| (row.user_id.to_string(), row))),
            pending: by_name(pending.map(|row| (row.user_id.to_string(), row))),
            failed: by_name(failed),
            charges: by_name(charges.map(|charge| (charge.user.clone().unwrap(), charge))),
        }
    }

    fn assert_is(&self, user: &str, fate: Fate) {
        let (booked, pending) = (self.booked.get(user), self.pending.get(user));
        match (fate, booked, pending, self.failed.get(user)) {
            (Booked | BookedAsOurs | LookedUp(_), Some(row), None, None) => {
                let charge = &self.charges[row.openrouter_user_id.as_str()];
                assert_eq!(row.total_cost.nanos(), nano_usd(&charge.total), "{user}");
                let tokens = (charge.prompt_tokens, charge.completion_tokens);
                assert_eq!((row.input_tokens, row.output_tokens), tokens, "{user}");
                let id = row.id.as_str();
                if fate == BookedAsOurs {
                    assert!(id.starts_with("mai-"), "{user}: {id}");
                } else {
                    assert_eq!(id, charge.id, "{user}");
                }
                let source = if matches!(fate, LookedUp(_)) { "generation_lookup" } else { "gateway" };
                assert_eq!(row.source.as_str(), source, "{user}");
            }
            (Waits(reason), None, Some(row), None) => {
                let charge = &self.charges[row.openrouter_user_id.as_str()];
                assert_eq!((row.state, row.reason), (PendingState::Pending, reason), "{user}");
                assert_eq!(row.id.as_str(), charge.id, "{user}");
            }
            (Unresolved(reason), None, Some(row), None) => {
                assert_eq!((row.state, row.reason), (PendingState::Unresolved, reason), "{user}");
                assert!(row.id.as_str().starts_with("mai-"), "{user}: {}", row.id);
            }
            (Failed(status), None, None, Some(failed)) => assert_eq!(*failed, status, "{user}"),
            (fate, booked, pending, failed) => {
                panic!("{user} should be {fate:?}: {booked:?}, {pending:?}, {failed:?}")
            }
        }
    }
}

struct House {
    mock: Mock,
    organization: Organization,
    gateway: Gateway,
    _installation: Installation,
}

fn house(database: &TestDb) -> House {
    let mock = Mock::start(MockSettings { keep_requests: 0, ..MockSettings::default() }).unwrap();
    let installation = Installation::new(database, &mock).with("MAI_LOG", "error");
    let organization = installation.organization("Hostile");
    let gateway = installation.serve();
    House { mock, organization, gateway, _installation: installation }
}

#[test]
fn whatever_upstream_answers_is_exact_or_shown_on_every_route() {
    on_each_database(|database| {
        let House { mock, organization, gateway, _installation } = house(database);
        let (storage, org) = (&database.storage, organization.id.as_str());
        let client = Client::new(&gateway.base, &organization.key);
        let expected: Vec<_> =
            run(join_all(forms().map(|form| call_all(&client, form)))).into_iter().flatten().collect();
        let waiting = expected.iter().filter(|(_, fate)| matches!(fate, Waits(_))).count();
        wait_until("every call is recorded", || {
            let pending = all_pending(storage, org);
            let still = pending.iter().filter(|row| row.state == PendingState::Pending).count();
            let failed = expected.iter().filter(|(_, fate)| matches!(fate, Failed(_))).count();
            let recorded = rows(storage, org).len() + pending.len() + failed;
            recorded >= expected.len() && still <= waiting
        });
        wait_until("the journal is applied", || run(gateway.ready()).1["journal_lag_bytes"] == 0);
        let books = Books::of(storage, org, &mock);
        for (user, fate) in &expected {
            books.assert_is(user, *fate);
        }
        assert_eq!(books.booked.len() + books.pending.len() + books.failed.len(), expected.len());
        assert_consistent(storage, org);
        println!("{} calls, {} booked, {} left", expected.len(), books.booked.len(), books.pending.len());
        assert!(gateway.stop().success());
    });
}

/// Upstream charges each of several calls, and tells the same id for all.
#[test]
fn a_reused_id_is_booked_once_and_every_other_call_is_shown_with_its_cost() {
    on_each_database(|database| {
        let House { mock, organization, gateway, _installation } = house(database);
        let (storage, org) = (&database.storage, organization.id.as_str());
        let client = Client::new(&gateway.base, &organization.key);
        let forms: Vec<Form> = forms().filter(|(route, _)| *route != Route::Speech).collect();
        run(async {
            for form in &forms {
                let user = format!("{} {}", form.0.path(), form.1);
                call(&client, *form, "reused-id", &user, 0).await;
            }
        });
        wait_until("every call is recorded", || all_pending(storage, org).len() == forms.len() - 1);
        let books = Books::of(storage, org, &mock);
        let booked = books.booked.values().next().unwrap();
        assert_eq!(books.booked.len(), 1);
        assert_eq!(booked.id.as_str(), books.charges[booked.openrouter_user_id.as_str()].told_id);
        for (user, row) in &books.pending {
            let charge = &books.charges[row.openrouter_user_id.as_str()];
            books.assert_is(user, Unresolved(Conflict));
            let why = row.last_error.as_deref().unwrap();
            assert!(why.contains(&format!("cost {} USD", charge.cost_text)), "{user}: {why}");
        }
        assert_consistent(storage, org);
        assert!(gateway.stop().success());
    });
}

#[test]
fn an_endless_line_is_passed_on_and_not_held() {
    const MIB: usize = 64;
    const GROWTH_KIB: i64 = 10 * 1024;
    let database = TestDb::sqlite();
    let House { mock, organization, gateway, _installation } = house(&database);
    let client = Client::new(&gateway.base, &organization.key);
    run(async {
        for streamed in [true, false] {
            // What a first call of this kind allocates for good is no answer that is held.
            call(&client, (Route::ChatCompletions, streamed), "endless-line", "first", 0).await;
        }
        let before = gateway.resident_kib();
        for streamed in [true, false] {
            let request = client
                .post("/v1/chat/completions", &body(&format!("endless-line-{MIB}"), streamed, "long"))
                .send();
            let (mut pieces, mut length) = (request.await.unwrap().bytes_stream(), 0);
            let mut most = before;
            while let Some(piece) = pieces.next().await {
                length += piece.unwrap().len();
                most = most.max(gateway.resident_kib());
            }
            assert!(length > MIB << 20);
            println!("streamed: {streamed}; {before} KiB before, at most {most} KiB meanwhile");
            assert!(most - before < GROWTH_KIB, "{before} KiB before, {most} KiB meanwhile");
        }
    });
    mai_tests::ledger::assert_equal_to_mock(&database.storage, &organization.id, &mock);
    assert!(gateway.stop().success());
}
