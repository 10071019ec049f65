//! The reseller's pages of operations: all organizations, open generations, daily runs, health, the audit log and
//! the settings.

use mai_batch::{RunStatus, runs::latest};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{
    generation_processing::{
        NewPendingGeneration, PendingReason, PendingState,
        pending::{find_pending, insert_pending},
        query::find,
    },
    global_settings::query::settings,
};
use mai_primitives::{
    Clock, GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId,
    SystemClock, UnixTime, Usd, UserId, display,
};
use mai_storage::{Storage, testing::TestDb};
use mai_tests::{
    gateway::{Gateway, Installation},
    ledger::wait_until,
    run,
    statistics::book,
    visitor::{Visitor, by_link, link},
};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const HOSTILE_SHOWN: &str = "&#60;img src=x";
const PAGES: [&str; 6] = [
    "/organizations",
    "/reseller/generations",
    "/reseller/runs",
    "/reseller/health",
    "/reseller/audit-log",
    "/reseller/settings",
];

/// An installation with an organization of a hostile name.
fn installation(database: &TestDb, mock: &Mock) -> Installation {
    let installation = Installation::new(database, mock);
    installation.json(&["org", "create", "--name", HOSTILE, "--id", "ours", "--json"]);
    installation
}

/// The link of a reseller's account.
fn reseller(installation: &Installation) -> String {
    let arguments = ["users", "create", "--email", "boss@x.example", "--role", "reseller", "--json"];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// Nobody but the reseller sees the pages, and no page has what strangers wrote as HTML.
async fn assert_only_for_resellers(gateway: &Gateway, boss: &mut Visitor, admin: &str) {
    let mut admin = by_link(gateway, admin).await;
    for path in PAGES {
        assert_eq!(admin.get(path).await.status.as_u16(), 403, "{path}");
        for language in ["en", "pl"] {
            boss.get(&format!("{path}?lang={language}")).await;
            let page = boss.get(path).await;
            assert_eq!(page.status.as_u16(), 200, "{path}: {}", page.text);
            assert!(page.text.contains(&format!("<html lang=\"{language}\"")), "{path}");
            assert_eq!(page.text.matches("<h1>").count(), 1, "{path}");
            assert!(!page.text.contains("<img") && !page.text.contains("style=\""), "{path}");
        }
        boss.get(&format!("{path}?lang=en")).await;
    }
}

#[test]
fn all_organizations_are_seen_at_a_glance() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    let theirs = installation.organization("Theirs");
    installation.json(&["org", "update", "--org", "ours", "--monthly-limit", "0", "--json"]);
    let admin = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let boss = reseller(&installation);
    let gateway = installation.serve();
    run(async {
        let ours = book(&database.storage, "ours", 300, 7).await;
        let other = book(&database.storage, &theirs.id, 100, 8).await;
        let mut boss = by_link(&gateway, &boss).await;
        let path = format!("/organizations?start_date={}&end_date={}", ours.from, ours.to);
        let page = boss.get(&path).await.text;
        let usd = |nanos: i64| display::usd(Usd::from_nanos(nanos));
        let (price, raw) = (ours.whole.cost + other.whole.cost, ours.whole.raw_cost + other.whole.raw_cost);
        for figure in [usd(price), usd(raw), usd(price - raw)] {
            assert!(page.contains(&format!("<p class=\"figure\">{figure}</p>")), "{figure}");
            assert!(page.split("<tfoot>").nth(1).unwrap().contains(&figure), "{figure}");
        }
        // No provider key was read, which is not the same as nothing.
        assert!(page.contains("<p class=\"figure\">No data</p>"), "{page}");
        assert!(page.contains("Client price by organization") && page.contains("<svg class=\"chart wide\""));
        assert!(page.contains(HOSTILE_SHOWN) && !page.contains("<img"));
        assert!(page.contains("100% <span class=\"badge bad\">used up</span>"), "a limit of 0 is used up");
        let found = boss.get(&format!("{path}&search=THEIRS&sort=margin&order=asc")).await.text;
        assert!(found.contains("1 organization<") && found.contains("href=\"/organizations/theirs?"));
        assert_eq!(boss.get("/organizations?sort=x").await.status.as_u16(), 400);
        assert_only_for_resellers(&gateway, &mut boss, &admin).await;
    });
    assert!(gateway.stop().success());
}

fn ours() -> OrganizationId {
    OrganizationId::new("ours").unwrap()
}

fn id(name: &str) -> GenerationId {
    GenerationId::new(name).unwrap()
}

/// A generation whose cost nobody knows.
fn wait_for(storage: &Storage, name: &str, reason: PendingReason) {
    let now = UnixTime::from(SystemClock.now());
    let new = NewPendingGeneration {
        client_org_id: ours(),
        id: id(name),
        generation_date: OrganizationCalendar::default().usage_date(SystemClock.now()),
        user_id: UserId::new(HOSTILE).unwrap(),
        openrouter_user_id: OpenRouterUserId::new("ours_user_1").unwrap(),
        requested_model: Some(ModelName::new("openai/o3").unwrap()),
        markup_rate: MarkupRate::parse("1.5").unwrap(),
        streamed: true,
        gateway_key_id: None,
        task: None,
        started_at: now.plus_seconds(-60),
        reason,
        reservation: Some(Usd::parse("0.25").unwrap()),
    };
    assert_eq!(
        storage.write_blocking(|conn| insert_pending(conn, std::slice::from_ref(&new), now)).unwrap(),
        1
    );
}

fn is_pending(storage: &Storage, name: &str) -> bool {
    storage.read_blocking(|conn| find_pending(conn, &ours(), &id(name))).unwrap().is_some()
}

#[test]
fn generations_are_settled_and_dismissed_by_forms() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    let admin = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let boss = reseller(&installation);
    for name in ["gen-1", "gen-2", "gen-3"] {
        wait_for(storage, name, PendingReason::NoAnswer);
    }
    let gateway = installation.serve();
    run(async {
        let mut boss = by_link(&gateway, &boss).await;
        let list = boss.get("/reseller/generations?state=unresolved&organization=ours").await.text;
        assert_eq!(list.matches("awaiting a decision").count(), 3, "{list}");
        assert!(list.contains("$0.25") && list.contains("No answer came") && list.contains(HOSTILE_SHOWN));
        assert!(boss.get("/reseller/generations?state=pending").await.text.contains("No generation fits"));
        let found = boss.get("/reseller/generations?id=gen-1").await;
        assert_eq!(found.location, "/reseller/generations/ours/gen-1");
        assert!(boss.get("/reseller/generations?id=none").await.text.contains("No organization has"));
        assert_eq!(boss.get("/reseller/generations/ours/none").await.status.as_u16(), 404);

        let path = "/reseller/generations/ours/gen-1";
        let proof = boss.proof(path).await;
        let settle = |cost: &'static str, tokens: &'static str, proof: &str| {
            [
                ("cost", cost.to_owned()),
                ("input_tokens", tokens.to_owned()),
                ("output_tokens", "5".to_owned()),
                ("model", String::new()),
                ("csrf_token", proof.to_owned()),
            ]
        };
        for (cost, tokens, proof, status) in [
            ("0.5", "10", "", 403),
            ("half", "10", &*proof, 400),
            ("0.5", "ten", &proof, 400),
            ("-1", "10", &proof, 400),
        ] {
            let form = settle(cost, tokens, proof);
            let form: Vec<_> = form.iter().map(|(name, value)| (*name, &**value)).collect();
            let refused = boss.post(&format!("{path}/settle"), &form).await;
            assert_eq!(refused.status.as_u16(), status, "{cost} {tokens}: {}", refused.text);
            assert!(status == 403 || refused.text.contains(&format!("value=\"{cost}\"")), "{}", refused.text);
            assert!(is_pending(storage, "gen-1"), "{cost} {tokens}");
        }
        let form = settle("0,5", "10", &proof);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, &**value)).collect();
        let settled = boss.post(&format!("{path}/settle"), &form).await;
        assert_eq!(
            (settled.status.as_u16(), &*settled.location),
            (303, "/reseller/generations/ours/gen-1?done=gen-done-settle")
        );
        let booked = storage.read_blocking(|conn| find(conn, &ours(), &id("gen-1"))).unwrap().unwrap();
        assert_eq!((booked.total_cost, booked.input_tokens), (Usd::parse("0.5").unwrap(), 10));
        let page = boss.get(&settled.location).await.text;
        assert!(
            page.contains("In the ledger") && page.contains("$0.50") && page.contains("is booked"),
            "{page}"
        );

        // A dismissal is asked for once more, and needs a reason.
        let path = "/reseller/generations/ours/gen-2";
        assert!(
            boss.get(&format!("{path}?confirm=dismiss")).await.text.contains("Dismiss generation gen-2?")
        );
        let blank = boss.post(&format!("{path}/dismiss"), &[("reason", " "), ("csrf_token", &proof)]).await;
        assert_eq!(blank.status.as_u16(), 400);
        assert!(blank.text.contains("Write why") && is_pending(storage, "gen-2"));
        let form = [("reason", HOSTILE), ("csrf_token", &*proof)];
        assert_eq!(boss.post(&format!("{path}/dismiss"), &form).await.status.as_u16(), 303);
        assert!(!is_pending(storage, "gen-2"));
        assert!(boss.get(path).await.text.contains(HOSTILE_SHOWN));

        // Nothing was told that could be looked up.
        let path = "/reseller/generations/ours/gen-3";
        assert!(!boss.get(path).await.text.contains("Look up again"));
        let refused = boss.post(&format!("{path}/look-up"), &[("csrf_token", &proof)]).await;
        assert_eq!(refused.status.as_u16(), 409);
        wait_for(storage, "gen-4", PendingReason::CostUnknown);
        let form = [("csrf_token", &*proof), ("to", "list")];
        let filter = "state=unresolved&organization=ours";
        let again = boss.post(&format!("/reseller/generations/ours/gen-4/look-up?{filter}"), &form).await;
        assert_eq!(again.location, format!("/reseller/generations?{filter}&done=gen-done-look-up"));
        let row = storage.read_blocking(|conn| find_pending(conn, &ours(), &id("gen-4"))).unwrap();
        assert!(row.is_none_or(|row| row.state == PendingState::Pending));

        let mut anna = by_link(&gateway, &admin).await;
        let proof = anna.proof("/organizations/ours").await;
        let form = [("reason", "mine"), ("csrf_token", &*proof)];
        let refused = anna.post("/reseller/generations/ours/gen-3/dismiss", &form).await;
        assert_eq!(refused.status.as_u16(), 403);
        assert!(is_pending(storage, "gen-3"));
        assert_eq!(anna.get("/reseller/generations/ours/gen-3").await.status.as_u16(), 403);
    });
    assert!(gateway.stop().success());
}

#[test]
fn a_daily_run_is_begun_and_seen() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    let boss = reseller(&installation);
    let gateway = installation.serve();
    run(async {
        let mut boss = by_link(&gateway, &boss).await;
        let proof = boss.proof("/reseller/runs").await;
        let today = OrganizationCalendar::default().usage_date(SystemClock.now());
        let (future, day) = (today.plus_days(2).to_string(), today.minus_days(9).to_string());
        for (day, proof, status) in [(&*day, "", 403), ("x", &*proof, 400), (&future, &proof, 400)] {
            let refused = boss.post("/reseller/runs", &[("day", day), ("csrf_token", proof)]).await;
            assert_eq!(refused.status.as_u16(), status, "{day}: {}", refused.text);
        }
        let runs = || storage.read_blocking(|conn| latest(conn, 10)).unwrap();
        let of_day =
            || runs().into_iter().filter(|run| run.processing_date.to_string() == day).collect::<Vec<_>>();
        assert!(of_day().is_empty());
        // The service may do one by itself at its start.
        wait_until("no run is going on", || runs().iter().all(|run| run.status != RunStatus::Running));
        let begun = boss.post("/reseller/runs", &[("day", &day), ("csrf_token", &proof)]).await;
        assert_eq!(begun.status.as_u16(), 303, "{}", begun.text);
        let page = boss.get(&begun.location).await;
        assert!(
            page.text.contains("Check against the ledger") && page.text.contains("a person or the API"),
            "{}",
            page.text
        );
        wait_until("the run is over", || of_day().iter().all(|run| run.status == RunStatus::Succeeded));
        let page = boss.get(&begun.location).await.text;
        assert!(page.contains("<span class=\"badge ok\">succeeded</span>"), "{page}");
        assert!(page.contains("Account, "), "who began it: {page}");

        let again = boss.post("/reseller/runs", &[("day", &day), ("csrf_token", &proof)]).await;
        assert!(again.location.ends_with("?done=run-done-before"), "{}", again.location);
        let form = [("day", &*day), ("force", "1"), ("csrf_token", &proof)];
        let asked = boss.post("/reseller/runs", &form).await;
        assert!(
            asked.status.as_u16() == 200 && asked.text.contains("name=\"sure\" value=\"1\""),
            "{}",
            asked.text
        );
        assert_eq!(of_day().len(), 1, "nothing is forced before it is confirmed");
        let form = [("day", &*day), ("force", "1"), ("sure", "1"), ("csrf_token", &proof)];
        assert!(boss.post("/reseller/runs", &form).await.location.ends_with("?done=run-begun"));
        wait_until("the second run is over", || {
            of_day().iter().all(|run| run.status == RunStatus::Succeeded)
        });
        let list = boss.get("/reseller/runs").await.text;
        assert!(list.contains("a person or the API, again") && list.contains("Next run"), "{list}");
        assert_eq!(boss.get("/reseller/runs/none").await.status.as_u16(), 404);
    });
    assert!(gateway.stop().success());
}

#[test]
fn settings_are_changed_and_the_log_tells_of_it() {
    let database = TestDb::sqlite();
    let storage = &database.storage;
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    let theirs = installation.organization("Theirs");
    let admin = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let member = link(&installation, "ours", "m@ours.example", &["--role", "member", "--user", "m"]);
    let boss = reseller(&installation);
    let gateway = installation.serve();
    run(async {
        let mut boss = by_link(&gateway, &boss).await;
        let path = "/reseller/settings";
        let proof = boss.proof(path).await;
        for form in [
            &[("part", "rate"), ("rate", "")][..],
            &[("part", "key"), ("key", "")],
            &[("part", "tiers"), ("from", "2"), ("price", "10")],
            &[("part", "tiers"), ("from", "1"), ("price", "ten")],
            &[("part", "roles")],
            &[("part", "roles"), ("role", "nobody")],
            &[("part", "all")],
        ] {
            let form: Vec<_> = form.iter().copied().chain([("csrf_token", &*proof)]).collect();
            let refused = boss.post(path, &form).await;
            assert_eq!(refused.status.as_u16(), 400, "{form:?}");
            assert!(refused.text.contains("<p class=\"notice bad\""), "{form:?}: {}", refused.text);
        }
        assert_eq!(boss.post(path, &[("part", "rate"), ("rate", "9")]).await.status.as_u16(), 403);
        let stored = || storage.read_blocking(settings).unwrap();
        let unchanged = stored().is_none_or(|row| {
            row.default_markup_rate == MarkupRate::parse("1.3").unwrap()
                && row.openrouter_provisioning_key.is_none()
                && (row.subscription_tiers, row.billable_roles) == (None, None)
        });
        assert!(unchanged, "nothing was changed");
        let secret = "sk-or-v1-0123456789abcdef-wxyz";
        for form in [
            &[("part", "rate"), ("rate", "45")][..],
            &[("part", "key"), ("key", secret)],
            &[
                ("part", "tiers"),
                ("from", "1"),
                ("price", "80"),
                ("from", "6"),
                ("price", "60,50"),
                ("from", ""),
                ("price", ""),
            ],
            &[("part", "roles"), ("role", "member"), ("role", "pending")],
        ] {
            let form: Vec<_> = form.iter().copied().chain([("csrf_token", &*proof)]).collect();
            let saved = boss.post(path, &form).await;
            assert_eq!(saved.status.as_u16(), 303, "{form:?}: {}", saved.text);
        }
        let row = stored().unwrap();
        assert_eq!(row.default_markup_rate, MarkupRate::parse("1.45").unwrap());
        assert_eq!(row.subscription_tiers.unwrap().to_string(), "1-5:8000,6+:6050");
        assert_eq!(row.billable_roles.unwrap().to_string(), "member,pending");
        let page = boss.get(path).await.text;
        assert!(page.contains("…wxyz") && !page.contains("0123456789abcdef"), "{page}");
        let asked = boss.get(&format!("{path}?confirm=key")).await.text;
        assert!(asked.contains("value=\"clear-key\""));
        let cleared = boss.post(path, &[("part", "clear-key"), ("csrf_token", &proof)]).await;
        assert_eq!(cleared.location, "/reseller/settings?done=global-done-key-cleared");
        assert_eq!(stored().unwrap().openrouter_provisioning_key, None);

        // The log has it all: the reseller sees everything, an administrator what is about the organization.
        let log = boss.get("/reseller/audit-log?action=settings").await.text;
        // The service may have written its defaults by itself.
        let own = |row: &&str| row.contains(">settings.update<") && row.contains("boss@x.example");
        assert_eq!(log.split("<tr>").filter(own).count(), 5, "{log}");
        assert!(!log.contains(">organization.create<") && !log.contains(secret));
        let checked = boss.get("/reseller/audit-log?verify=1").await.text;
        assert!(checked.contains("The chain is unbroken: ") && checked.contains(HOSTILE_SHOWN), "{checked}");
        assert!(boss.get("/reseller/audit-log?actor=nobody").await.text.contains("No entry fits"));
        assert_eq!(boss.get("/reseller/audit-log?from=x").await.status.as_u16(), 400);
        let today = OrganizationCalendar::default().usage_date(SystemClock.now());
        let yesterday = format!("/reseller/audit-log?to={}", today.minus_days(1));
        assert!(boss.get(&yesterday).await.text.contains("No entry fits"));

        let mut anna = by_link(&gateway, &admin).await;
        let own = anna.get("/organizations/ours/audit-log").await.text;
        assert!(own.contains(">organization.create<") && !own.contains(">settings.update<"), "{own}");
        assert!(!own.contains("audit-log/export") && !own.contains(&theirs.id), "{own}");
        assert_eq!(anna.get("/organizations/theirs/audit-log").await.status.as_u16(), 404);
        let mut member = by_link(&gateway, &member).await;
        assert_eq!(member.get("/organizations/ours/audit-log").await.status.as_u16(), 403);
    });
    assert!(gateway.stop().success());
}
