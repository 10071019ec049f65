//! Pending generations are asked for until their cost is known.

use std::{
    collections::HashMap,
    sync::{Arc, Barrier, Mutex},
};

use diesel::RunQueryDsl as _;
use mai_capture::{Reconciler, SharedDirectory};
use mai_client_organization::{ClientOrganizationForm, ClientOrganizationTable, Directory, MasterKey};
use mai_generation_processing::{
    NewPendingGeneration, PendingGenerationModel, PendingReason, PendingState, UsageSource,
    pending::insert_pending, schema::pending_generations,
};
use mai_openrouter::{
    GenerationDetails, GenerationLookup, LookupError, MockGenerationSource, Usage, UsageGap, UsageReport,
};
use mai_primitives::{Clock, ManualClock, OrganizationId, UnixTime, Usd};
use mai_storage::{Error, Storage, on_backend, testing::TestDb};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    books::{Books, append, apply_all, clean_up_everything, clock, exact, generation_id, new_settled, open},
    road::call,
    run,
};

pub(crate) const KEY: &str = "sk-or-v1-of-org-a";
const HOURS_72: i64 = 72 * 3_600;

/// Stores an organization, with or without a provider key, and returns what a gateway knows of all.
pub(crate) async fn directory(storage: &Storage, organization: &str, key: Option<&str>) -> SharedDirectory {
    directory_of(storage, &[(organization, key)]).await
}

pub(crate) async fn directory_of(
    storage: &Storage,
    organizations: &[(&str, Option<&str>)],
) -> SharedDirectory {
    let master_key = MasterKey::generate().unwrap();
    let table = ClientOrganizationTable::new(storage.clone(), master_key.clone(), Arc::new(clock()));
    for (organization, key) in organizations {
        let form = ClientOrganizationForm {
            id: Some(OrganizationId::new(organization).unwrap()),
            name: (*organization).to_owned(),
            openrouter_api_key: key.map(SecretString::from),
            ..ClientOrganizationForm::default()
        };
        table.create(form).await.unwrap();
    }
    let loaded = storage.read_blocking(|conn| Directory::load(conn, &master_key)).unwrap();
    SharedDirectory::new(loaded)
}

/// Stores pending generations of calls of `org_a` that started at the clock's time.
pub(crate) fn wait_for(storage: &Storage, clock: &ManualClock, ids: &[&str]) {
    store_pending(storage, UnixTime::from(clock.now()), "org_a", ids);
    clock.advance_millis(1_000);
}

pub(crate) fn store_pending(storage: &Storage, now: UnixTime, organization: &str, ids: &[&str]) {
    let row = |id: &&str| {
        let call = call(organization, true);
        NewPendingGeneration {
            client_org_id: call.organization,
            id: generation_id(id),
            generation_date: call.usage_date,
            user_id: call.user,
            openrouter_user_id: call.openrouter_user,
            requested_model: call.requested_model,
            markup_rate: call.markup_rate,
            streamed: call.streamed,
            gateway_key_id: Some("key-1".into()),
            task: Some("tags_generation".into()),
            started_at: now,
            reason: PendingReason::ClientGone,
            reservation: None,
        }
    };
    let rows: Vec<_> = ids.iter().map(row).collect();
    storage.write_blocking(|conn| insert_pending(conn, &rows, now)).unwrap();
}

pub(crate) fn reconciler(
    storage: &Storage,
    directory: &SharedDirectory,
    clock: &ManualClock,
    source: MockGenerationSource,
) -> Reconciler {
    Reconciler {
        source: Arc::new(source),
        storage: storage.clone(),
        directory: directory.clone(),
        clock: Arc::new(clock.clone()),
    }
}

pub(crate) fn found(id: &str, nanos: i64) -> GenerationLookup {
    GenerationLookup::Found(GenerationDetails {
        id: id.to_owned(),
        model: Some("openai/o3".into()),
        provider_name: Some("OpenAI".into()),
        usage: UsageReport::Exact(Usage {
            input_tokens: 10,
            output_tokens: 5,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            cost: Usd::from_nanos(nanos),
            cost_text: nanos.to_string(),
            is_byok: false,
        }),
        tokens_estimated: false,
        cancelled: true,
        created_at: None,
    })
}

/// A source that gives these answers in turn, and then the last one for ever; it checks the key.
fn answers(
    answer: impl Fn(usize, &str) -> Result<GenerationLookup, LookupError> + Send + Sync + 'static,
) -> MockGenerationSource {
    let asked = Mutex::new(HashMap::<String, usize>::new());
    let mut source = MockGenerationSource::new();
    source.expect_generation().returning(move |key, id| {
        assert_eq!(key.expose_secret(), KEY);
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(id.to_owned()).or_default();
        let result = answer(*times, id);
        *times += 1;
        Box::pin(async move { result })
    });
    source
}

fn only_row(storage: &Storage) -> PendingGenerationModel {
    let mut pending = Books::of(storage, "org_a").pending;
    assert_eq!(pending.len(), 1);
    pending.remove(0)
}

/// Runs rounds, each when the row is due, until it waits no longer; the pauses in between in seconds.
async fn rounds_until_settled(storage: &Storage, clock: &ManualClock, reconciler: &Reconciler) -> Vec<i64> {
    let mut pauses = Vec::new();
    loop {
        reconciler.round().await.unwrap();
        let waiting = Books::of(storage, "org_a").pending;
        let Some(row) = waiting.first().filter(|row| row.state == PendingState::Pending) else {
            return pauses;
        };
        let pause = row.next_attempt_at.seconds() - UnixTime::from(clock.now()).seconds();
        assert!(pause > 0, "it would be asked for again at once");
        pauses.push(pause);
        assert!(pauses.len() < 1_000, "it is asked for without end");
        clock.advance_millis(pause * 1_000);
    }
}

#[test]
fn what_is_not_ready_is_asked_for_again_and_booked_exactly() {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", Some(KEY)).await);
            wait_for(storage, &clock, &["gen-1"]);
            let source =
                answers(
                    |times, id| {
                        if times < 3 { Ok(GenerationLookup::NotReady) } else { Ok(found(id, 4_321)) }
                    },
                );
            let reconciler = reconciler(storage, &directory, &clock, source);
            let pauses = rounds_until_settled(storage, &clock, &reconciler).await;
            assert_eq!(pauses.len(), 3);
            let books = Books::of(storage, "org_a");
            assert_eq!(books.waiting(), []);
            let row = &books.ledger[0];
            assert_eq!(row.source, UsageSource::GenerationLookup);
            assert_eq!((row.total_cost.nanos(), row.cost_text.as_str()), (4_321, "4321"));
            // 1.3, the rate of the call's start.
            assert_eq!(row.markup_cost.nanos(), 5_617);
            assert_eq!(row.model_name.as_str(), "openai/o3");
            assert_eq!(row.requested_model.as_ref().unwrap().as_str(), "mock/ok");
            assert_eq!(row.gateway_key_id.as_deref(), Some("key-1"));
            assert_eq!(row.task.as_deref(), Some("tags_generation"));
            assert_eq!(books.raw_nanos(), 4_321);
        });
    });
}

#[test]
fn failures_are_asked_again_with_growing_pauses_and_end_after_72_hours() {
    let failures: [fn() -> Result<GenerationLookup, LookupError>; 5] = [
        || Err(LookupError::Unauthorized),
        || Err(LookupError::Upstream { status: 503 }),
        || Err(LookupError::RateLimited { retry_after: None }),
        || Ok(GenerationLookup::NotReady),
        || {
            let GenerationLookup::Found(mut details) = found("gen-1", 1) else { unreachable!() };
            details.usage = UsageReport::Incomplete { why: UsageGap::CostUnknown };
            Ok(GenerationLookup::Found(details))
        },
    ];
    let database = TestDb::sqlite();
    let storage = &database.storage;
    run(async {
        let directory = directory(storage, "org_a", Some(KEY)).await;
        for (number, failure) in failures.into_iter().enumerate() {
            let clock = clock();
            wait_for(storage, &clock, &[&format!("gen-{number}")]);
            let began = UnixTime::from(clock.now()).seconds() - 1;
            let reconciler = reconciler(storage, &directory, &clock, answers(move |_, _| failure()));
            let mut pauses = rounds_until_settled(storage, &clock, &reconciler).await;
            assert_eq!(UnixTime::from(clock.now()).seconds() - began, HOURS_72);
            // The last pause is cut, so that the last question falls on the end.
            pauses.pop();
            assert!(pauses.is_sorted(), "{pauses:?}");
            assert!(pauses[0] <= 2 && pauses.contains(&3_600) && pauses.len() < 150, "{pauses:?}");
            let row = only_row(storage);
            assert_eq!(row.state, PendingState::Unresolved);
            assert!(row.last_error.is_some());
            // Nobody asks any more.
            clock.advance_millis(HOURS_72 * 1_000);
            reconciler.round().await.unwrap();
            assert_eq!(only_row(storage).attempts, row.attempts);
            forget(storage, &row);
        }
    });
}

fn forget(storage: &Storage, row: &PendingGenerationModel) {
    let ids = std::slice::from_ref(&row.id);
    let deleted = storage.write_blocking(|conn| {
        mai_generation_processing::pending::delete_pending(conn, &row.client_org_id, ids)
    });
    assert_eq!(deleted.unwrap(), 1);
}

#[test]
fn an_organization_without_provider_key_waits_for_one() {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", None).await);
            wait_for(storage, &clock, &["gen-1"]);
            let reconciler = reconciler(storage, &directory, &clock, MockGenerationSource::new());
            reconciler.round().await.unwrap();
            let row = only_row(storage);
            assert_eq!(row.state, PendingState::Pending);
            assert_eq!(row.last_error.as_deref(), Some("the organization has no provider key"));
            assert!(row.next_attempt_at > UnixTime::from(clock.now()));
        });
    });
}

#[test]
fn two_reconcilers_on_one_database_book_each_once() {
    const GENERATIONS: usize = 50;
    TestDb::each(|storage| {
        let (clock, directory) = (clock(), run(directory(storage, "org_a", Some(KEY))));
        let ids: Vec<String> = (0..GENERATIONS).map(|number| format!("gen-{number:02}")).collect();
        wait_for(storage, &clock, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        let asked = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let asked = Arc::clone(&asked);
                let source = answers(move |_, id| {
                    *asked.lock().unwrap().entry(id.to_owned()).or_default() += 1;
                    Ok(found(id, 10))
                });
                let (start, reconciler) = (&start, reconciler(storage, &directory, &clock, source));
                scope.spawn(move || {
                    start.wait();
                    run(async { reconciler.round().await.unwrap() });
                });
            }
        });
        let books = Books::of(storage, "org_a");
        assert_eq!(books.booked(), ids);
        assert_eq!((books.raw_nanos(), books.pending.len()), (500, 0));
        let asked = asked.lock().unwrap();
        assert!(asked.values().all(|times| *times == 1), "{asked:?}");
    });
}

/// While a look-up is under way, another source may book the generation, and its waiting row may be
/// written just after that.
#[test]
fn a_look_up_of_what_is_booked_already_has_the_last_word() {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", Some(KEY)).await);
            wait_for(storage, &clock, &["gen-equal", "gen-other"]);
            let waiting = Books::of(storage, "org_a").pending;
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let booked = ["gen-equal", "gen-other"].map(|id| new_settled("org_a", id, exact(100)));
            append(&journal, &booked).await;
            apply_all(&journal, storage).await;
            assert_eq!(Books::of(storage, "org_a").waiting(), [], "booking ends the waiting");

            write_again(storage, &waiting);
            let source = answers(|_, id| Ok(found(id, if id == "gen-equal" { 100 } else { 999 })));
            reconciler(storage, &directory, &clock, source).round().await.unwrap();
            let books = Books::of(storage, "org_a");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-equal", "gen-other"], 1_099));
            assert!(books.ledger.iter().all(|row| row.source == UsageSource::GenerationLookup));
            assert_eq!(books.waiting(), []);

            // Which of two look-ups is right is for a person to decide.
            write_again(storage, &waiting);
            let source = answers(|_, id| Ok(found(id, if id == "gen-equal" { 100 } else { 998 })));
            reconciler(storage, &directory, &clock, source).round().await.unwrap();
            assert_eq!(Books::of(storage, "org_a").raw_nanos(), 1_099);
            let row = only_row(storage);
            assert_eq!((row.id.as_str(), row.state), ("gen-other", PendingState::Unresolved));
            let why = row.last_error.unwrap();
            assert!(why.contains("from a look-up"), "{why}");
        });
    });
}

#[test]
fn a_look_up_for_a_cleaned_day_is_left_to_a_person() {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", Some(KEY)).await);
            wait_for(storage, &clock, &["gen-1"]);
            clean_up_everything(storage).await;
            let reconciler = reconciler(storage, &directory, &clock, answers(|_, id| Ok(found(id, 5))));
            reconciler.round().await.unwrap();
            let row = only_row(storage);
            assert_eq!(row.state, PendingState::Unresolved);
            assert!(row.last_error.unwrap().contains("cleaned up"));
            assert_eq!(Books::of(storage, "org_a").ledger, []);
        });
    });
}

fn write_again(storage: &Storage, rows: &[PendingGenerationModel]) {
    let written = storage.write_blocking(|conn| {
        for row in rows {
            on_backend!(conn, c => diesel::insert_into(pending_generations::table).values(row).execute(c))?;
        }
        Ok::<_, Error>(())
    });
    written.unwrap();
}

/// A cost that our books cannot hold must not be asked for again every 20 seconds for ever.
#[test]
fn a_found_cost_that_cannot_be_booked_ends_unresolved() {
    ends_unresolved(-1);
    ends_unresolved(mai_capture::bounds::COST_AT_MOST.nanos() + 1);
}

fn ends_unresolved(nanos: i64) {
    TestDb::each(|storage| {
        run(async {
            let (clock, directory) = (clock(), directory(storage, "org_a", Some(KEY)).await);
            wait_for(storage, &clock, &["gen-1"]);
            let source = answers(move |_, id| Ok(found(id, nanos)));
            let reconciler = reconciler(storage, &directory, &clock, source);
            let pauses = rounds_until_settled(storage, &clock, &reconciler).await;
            assert!(pauses.len() < 150, "{} look-ups", pauses.len());
            let row = only_row(storage);
            assert_eq!(row.state, PendingState::Unresolved);
            assert!(row.last_error.unwrap().contains("cannot be booked"));
            assert_eq!(Books::of(storage, "org_a").ledger, []);
        });
    });
}
