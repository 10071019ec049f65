//! What others report: booked at once, or kept until the database takes it.

use std::{net::TcpListener, sync::Arc, time::Duration};

use futures_util::future::join_all;
use mai_capture::{
    Ingest, IngestError, Recorder, Reported,
    bounds::COST_AT_MOST,
    record::{Outcome, Settled},
};
use mai_generation_processing::{PendingReason, UsageSource};
use mai_journal::{Journal, JournalSettings};
use mai_primitives::{OpenRouterUserId, UserId};
use mai_storage::{PoolSettings, Storage, testing::TestDb};
use mai_usage_tracking::Recorded;

use crate::{
    books::{Books, append, apply_all, clock, exact, generation_id, new_settled, open},
    road::call,
    run,
};

const UNKNOWN: Outcome = Outcome::Unknown { reason: PendingReason::CostUnknown };

fn report(id: &str, outcome: Outcome) -> Settled {
    let generation_id = Some(generation_id(id));
    Settled { call: call("org_a", false), generation_id, outcome, source: UsageSource::Broadcast }
}

/// A door that waits longer for the database than any test takes, or not for long.
fn door(storage: &Storage, journal: &Journal, patience: Duration) -> Ingest {
    Ingest::new(storage.clone(), Recorder::new(journal.clone()), Arc::new(clock()), patience)
}

const PATIENTLY: Duration = Duration::from_secs(60);
const BRIEFLY: Duration = Duration::from_millis(100);

/// A database that nobody answers for.
pub(crate) fn dead() -> Storage {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://nobody@127.0.0.1:{port}/nowhere").parse().unwrap();
    Storage::open(&url, PoolSettings { connections: 2, wait: Duration::from_millis(500) })
}

#[test]
fn each_report_of_a_batch_learns_what_became_of_it() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let door = door(storage, &journal, PATIENTLY);
            let recorded = Reported::Recorded;
            assert_eq!(door.report_all(&[]).await.unwrap(), []);
            let batch = [report("gen-1", exact(1)), report("gen-2", UNKNOWN), report("gen-1", exact(2))];
            let told = door.report_all(&batch).await.unwrap();
            assert_eq!(told, [recorded(Recorded::New), Reported::CostUnknown, recorded(Recorded::Conflict)]);
            assert_eq!(journal.durable_end(), journal.first(), "the journal was not needed");
            let books = Books::of(storage, "org_a");
            assert_eq!((books.booked(), books.raw_nanos()), (vec!["gen-1"], 1));
            assert_eq!(books.waiting(), [("gen-2", PendingReason::CostUnknown)]);
        });
    });
}

#[test]
fn one_that_cannot_be_booked_holds_up_nobody_and_leaves_nothing() {
    TestDb::each(|storage| {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let journal = open(&folder);
            let batch = [
                report("gen-1", exact(1)),
                report("gen-2", exact(COST_AT_MOST.nanos() + 1)),
                report("gen-3", exact(3)),
                report("gen-4", exact(-1)),
            ];
            let told = door(storage, &journal, PATIENTLY).report_all(&batch).await.unwrap();
            let new = Reported::Recorded(Recorded::New);
            assert_eq!((&told[0], &told[2]), (&new, &new));
            assert!(matches!(&told[1], Reported::Unbookable(why) if why.contains("gen-2")), "{told:?}");
            assert!(matches!(&told[3], Reported::Unbookable(why) if why.contains("gen-4")), "{told:?}");
            assert_eq!(Books::of(storage, "org_a").waiting(), []);
            assert_eq!(Books::of(storage, "org_a").booked(), ["gen-1", "gen-3"]);
        });
    });
}

#[test]
fn without_a_database_reports_are_kept_and_booked_later_for_the_members_behind_them() {
    let database = TestDb::postgres();
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder);
        let door = door(&dead(), &journal, BRIEFLY);
        // More than the door tries at once, so that some wait in vain for their turn.
        let reports: Vec<Settled> =
            (0..20).map(|number| report(&format!("gen-{number}"), exact(1))).collect();
        let told = join_all(reports.iter().map(|report| door.report(report))).await;
        assert!(told.into_iter().all(|told| told.unwrap() == Reported::Queued));
        let mut unnamed = report("gen-unnamed", exact(1));
        unnamed.call.openrouter_user = OpenRouterUserId::new("webhook_bert").unwrap();
        unnamed.call.user = UserId::new("webhook_bert").unwrap();
        assert_eq!(door.report_all(&[unnamed]).await.unwrap(), [Reported::Queued]);

        register_bert(&database.storage).await;
        apply_all(&journal, &database.storage).await;
        let books = Books::of(&database.storage, "org_a");
        assert_eq!(books.ledger.len(), 21);
        let unnamed = books.ledger.iter().find(|row| row.id.as_str() == "gen-unnamed").unwrap();
        assert_eq!((unnamed.user_id.as_str(), unnamed.source), ("bert", UsageSource::Broadcast));
    });
}

async fn register_bert(storage: &Storage) {
    use mai_client_organization::{
        ClientOrganizationForm, ClientOrganizationTable, MasterKey, UserClientMappingForm,
        UserClientMappingTable,
    };
    let form = ClientOrganizationForm {
        id: Some("org_a".parse().unwrap()),
        name: "A".to_owned(),
        ..ClientOrganizationForm::default()
    };
    let key = MasterKey::generate().unwrap();
    ClientOrganizationTable::new(storage.clone(), key, Arc::new(clock())).create(form).await.unwrap();
    let form = UserClientMappingForm {
        user_id: UserId::new("bert").unwrap(),
        client_org_id: "org_a".parse().unwrap(),
        openrouter_user_id: Some(OpenRouterUserId::new("webhook_bert").unwrap()),
    };
    UserClientMappingTable::new(storage.clone(), Arc::new(clock())).create_mapping(form).await.unwrap();
}

#[test]
fn with_neither_database_nor_room_in_the_journal_a_report_is_refused() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            JournalSettings { max_bytes: 1_000, segment_bytes: 1_000, ..JournalSettings::new(folder.path()) };
        let journal = Journal::open(settings).unwrap();
        let door = door(&dead(), &journal, BRIEFLY);
        while journal.stats().retained_bytes < 1_000 {
            append(&journal, &[new_settled("org_a", "gen-1", exact(1))]).await;
        }
        let end = journal.durable_end();
        let told = door.report(&report("gen-2", exact(1))).await;
        assert!(matches!(told, Err(IngestError::NotAdmitted(_))), "{told:?}");
        assert_eq!(journal.durable_end(), end);
    });
}
