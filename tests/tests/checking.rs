//! The commands by which an operator checks the books, on the real binary.

use std::{process::Output, sync::Arc};

use diesel::prelude::*;
use mai_capture::{KeyReader, SharedDirectory};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_openrouter::OpenRouterClient;
use mai_organization::{
    Directory, MasterKey,
    generation_processing::{NewPendingGeneration, PendingReason, pending::insert_pending},
    usage_tracking::schema::client_user_daily_usage as users,
};
use mai_primitives::{
    Clock, GenerationId, ManualClock, MarkupRate, OpenRouterUserId, OrganizationId, SystemClock, UnixTime,
    UsageDate, UserId,
};
use mai_storage::{Storage, testing::TestDb};
use mai_tests::{
    client::Client,
    gateway::{Installation, Organization},
    ledger::{pending, rows, wait_until},
    on_each_database, run,
};
use secrecy::ExposeSecret;
use serde_json::Value;

const DELAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Books of three calls, and one call whose cost OpenRouter does not tell yet.
struct Scene<'a> {
    database: &'a TestDb,
    mock: Mock,
    installation: Installation,
    organization: Organization,
    master_key: MasterKey,
}

impl<'a> Scene<'a> {
    fn new(database: &'a TestDb) -> Self {
        let mock = Mock::start(MockSettings { generation_delay: DELAY, ..MockSettings::default() }).unwrap();
        let master_key = MasterKey::generate().unwrap();
        let installation =
            Installation::new(database, &mock).with("MAI_MASTER_KEY", master_key.to_base64().expose_secret());
        let organization = installation.organization("Books");
        let gateway = installation.serve();
        run(async {
            let client = Client::new(&gateway.base, &organization.key);
            for (seed, model) in ["mock/ok", "mock/ok", "mock/byok", "mock/no-usage"].into_iter().enumerate()
            {
                let answer = client.chat(model, false, seed.try_into().unwrap()).await.unwrap();
                assert!(answer.complete && answer.status.is_success(), "{model}");
            }
        });
        let storage = &database.storage;
        wait_until("three calls are booked, one waits", || {
            (rows(storage, &organization.id).len(), pending(storage, &organization.id).len()) == (3, 1)
        });
        assert!(gateway.stop().success());
        Self { database, mock, installation, organization, master_key }
    }

    fn storage(&self) -> &Storage {
        &self.database.storage
    }

    /// Runs a command with `--json`: its exit code, and what it printed.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.installation.run(&[arguments, &["--json"]].concat());
        let value = serde_json::from_slice(&output.stdout);
        (code(&output), value.unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", text(&output))))
    }

    /// What the job of a running service does every quarter of an hour.
    fn read_keys(&self) {
        let key = &self.master_key;
        let directory = self.storage().read_blocking(|conn| Directory::load(conn, key)).unwrap();
        // Near midnight nothing would be read.
        let noon = SystemClock.now().date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
        run(async {
            let reader = KeyReader {
                source: Arc::new(OpenRouterClient::new(&self.mock.base_url()).unwrap()),
                storage: self.storage().clone(),
                directory: SharedDirectory::new(directory),
                clock: Arc::new(ManualClock::at(noon)),
            };
            reader.round().await;
        });
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn broken_books_are_found_and_repaired() {
    on_each_database(|database| {
        let scene = Scene::new(database);
        let org = scene.organization.id.as_str();
        let (code_right, right) = scene.json(&["verify"]);
        assert_eq!((code_right, &right["holds"], &right["ledger_rows"]), (0, &true.into(), &3.into()));
        assert_eq!((&right["organizations"], &right["pending"]), (&1.into(), &1.into()));
        assert_eq!(right["mismatches"], Value::Array(vec![]));

        let date: UsageDate = scene
            .storage()
            .write_blocking(|conn| {
                diesel::update(users::table)
                    .set(users::total_tokens.eq(users::total_tokens + 1))
                    .execute(conn)?;
                Ok::<_, mai_storage::Error>(users::table.select(users::usage_date).first(conn)?)
            })
            .unwrap();
        let (code_wrong, wrong) = scene.json(&["verify", "--org", org]);
        assert_eq!((code_wrong, &wrong["holds"]), (1, &false.into()));
        let found = &wrong["mismatches"][0];
        assert_eq!((&found["law"], &found["client_org_id"]), (&"sum_of_users".into(), &org.into()));
        let tokens = |row: &Value| row["total_tokens"].as_i64().unwrap();
        assert_eq!(tokens(&found["computed"]) - tokens(&found["stored"]), 1);
        let before = date.minus_days(1).to_string();
        assert_eq!(scene.json(&["verify", "--to", &before]).0, 0);

        let date = date.to_string();
        let rebuild = ["rebuild", "--org", org, "--month", &date[..7]];
        for (more, expected, differences) in [(None, 1, 1), (Some("--apply"), 0, 1), (None, 0, 0)] {
            let arguments: Vec<&str> = rebuild.into_iter().chain(more).collect();
            let (code, shown) = scene.json(&arguments);
            assert_eq!((code, shown["differences"].as_array().unwrap().len()), (expected, differences));
            assert_eq!(shown["applied"], more.is_some());
        }
        assert_eq!(scene.json(&["verify"]), (0, right));
        let plain = scene.installation.run(&["verify"]);
        assert!(code(&plain) == 0 && text(&plain).starts_with("The books agree: 1 organizations"));
    });
}

#[test]
fn what_cannot_be_checked_has_a_code_of_its_own() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    installation.organization("Idle");
    for arguments in [
        &["verify", "--org", "nobody"][..],
        &["verify", "--from", "2026-11-02", "--to", "2026-11-01"],
        &["verify", "--from", "yesterday"],
        &["rebuild", "--org", "nobody", "--month", "2026-11"],
        &["rebuild", "--org", "idle", "--month", "2026-13"],
    ] {
        let output = installation.run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", text(&output));
    }
    let path = installation.data.path().join("new.db");
    let empty = installation.with("MAI_DATABASE_URL", &format!("sqlite:{}", path.display()));
    for arguments in [&["verify"][..], &["rebuild", "--org", "idle", "--month", "2026-11"]] {
        let output = empty.run(arguments);
        assert_eq!(code(&output), 2, "{}", text(&output));
        assert!(text(&output).contains("mai-usage migrate"), "{}", text(&output));
    }
    for command in [&["verify"][..], &["rebuild"], &["drift"], &["pending", "list"], &["pending", "settle"]] {
        let help = empty.run(&[command, &["--help"]].concat());
        assert!(code(&help) == 0 && text(&help).contains("Example: mai-usage"), "{command:?}");
    }
}

#[test]
fn a_call_that_was_charged_and_not_booked_is_missing_until_a_person_settles_it() {
    on_each_database(|database| {
        let scene = Scene::new(database);
        let org = scene.organization.id.as_str();
        assert_eq!(scene.json(&["drift"]), (0, Value::Array(vec![])));
        scene.read_keys();
        let total = scene.mock.total_nano_usd();
        let waiting = scene.mock.ledger().pop().unwrap();
        let cost = waiting.total.to_string();
        let (_, drift) = scene.json(&["drift", "--org", org, "--days", "2"]);
        assert_eq!(drift.as_array().unwrap().len(), 1);
        let day = &drift[0];
        assert_eq!((&day["running"], &day["keys"][0]["last4"]), (&true.into(), &"ooks".into()));
        // OpenRouter does not round each call to the nano-dollar.
        let close = |amount: &Value, nanos: i64| (self::nanos(amount) - nanos).abs() <= 4;
        assert!(close(&day["billed"], total), "{day}");
        assert!(close(&day["difference"], -mai_mock_openrouter::nano_usd(&waiting.total)), "{day}");
        let ratio = day["ratio_percent"].as_str().unwrap();
        assert!(ratio.len() == 5 && ratio < "99.99", "{ratio}");

        let (_, listed) = scene.json(&["pending", "list", "--org", org, "--state", "pending"]);
        let id = listed[0]["id"].as_str().unwrap();
        assert_eq!((id, &listed[0]["reason"]), (waiting.id.as_str(), &"no_usage".into()));
        let one = ["--org", org, "--id", id];
        let (input, output) = (waiting.prompt_tokens.to_string(), waiting.completion_tokens.to_string());
        let figures = ["--cost", &cost, "--input-tokens", &input, "--output-tokens", &output];
        assert_eq!(scene.json(&[&["pending", "retry"][..], &one].concat()).0, 0);
        let settle = [&["pending", "settle"][..], &one, &figures].concat();
        assert_eq!(scene.json(&settle).1["result"], "settled");
        assert_eq!(code(&scene.installation.run(&settle)), 1, "it is no longer pending");

        scene.read_keys();
        let (_, drift) = scene.json(&["drift"]);
        assert_eq!(nanos(&drift[0]["captured"]), total);
        assert_eq!(drift[0]["ratio_percent"], "100.00", "{drift}");
        let (code, verified) = scene.json(&["verify"]);
        assert_eq!((code, &verified["ledger_rows"], &verified["pending"]), (0, &4.into(), &0.into()));
    });
}

fn nanos(amount: &Value) -> i64 {
    mai_primitives::Usd::parse(amount.as_str().expect("an amount")).unwrap().nanos()
}

#[test]
fn a_call_that_was_not_charged_is_dismissed_for_a_reason() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Waiting");
        wait_for(&database.storage, &organization.id, "gen-lost");
        let listed = installation.json(&["pending", "list", "--json"]);
        assert_eq!((&listed[0]["id"], &listed[0]["attempts"]), (&"gen-lost".into(), &0.into()));
        assert!(listed[0]["age_seconds"].as_i64().unwrap() >= 3_600);
        let which = ["pending", "dismiss", "--org", &organization.id, "--id", "gen-lost", "--reason"];
        assert_eq!(code(&installation.run(&[&which[..], &[" "]].concat())), 1);
        let done = installation.run(&[&which[..], &["upstream never saw it"]].concat());
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(installation.json(&["pending", "list", "--json"]), Value::Array(vec![]));
        assert_eq!(code(&installation.run(&["verify"])), 0);
    });
}

fn wait_for(storage: &Storage, organization: &str, id: &str) {
    let now = UnixTime::from(SystemClock.now());
    let row = NewPendingGeneration {
        client_org_id: OrganizationId::new(organization).unwrap(),
        id: GenerationId::new(id).unwrap(),
        generation_date: UsageDate::new(SystemClock.now().date_naive()),
        user_id: UserId::unattributed(),
        openrouter_user_id: OpenRouterUserId::new("waiting_user_0123456789abcdef").unwrap(),
        requested_model: None,
        markup_rate: MarkupRate::DEFAULT,
        streamed: false,
        gateway_key_id: None,
        task: None,
        started_at: now.plus_seconds(-3_600),
        reason: PendingReason::ClientGone,
        reservation: None,
    };
    storage.write_blocking(|conn| insert_pending(conn, std::slice::from_ref(&row), now)).unwrap();
}
