//! Whoever is signed in at Open WebUI is signed in here, and no longer than there.

use std::time::{Duration, Instant};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    browser::{Answer, Browser, read},
    gateway::{Gateway, Installation},
    on_each_database,
    open_webui::{OpenWebui, SECRET, in_seconds, token},
    run,
};
use serde_json::json;

const SESSION: &str = "/api/v1/auth/session";

fn installation(database: &TestDb, mock: &Mock) -> Installation {
    Installation::new(database, mock).with("WEBUI_SECRET_KEY", SECRET).with("MAI_WEBUI_ORGANIZATION", "abc")
}

async fn by_token(gateway: &Gateway, token: &str, path: &str) -> Answer {
    read(reqwest::Client::new().get(format!("{}{path}", gateway.base)).bearer_auth(token)).await
}

/// Asks until the answer is another than a success.
async fn until_refused(ask: impl AsyncFn() -> Answer) -> Answer {
    let begin = Instant::now();
    loop {
        let answer = ask().await;
        if !answer.status.is_success() {
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "a session outlives its confirmation");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_session_of_open_webui_opens_the_api_and_dies_with_it() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let open_webui = OpenWebui::start();
        let installation = installation(database, &mock)
            .with("WEBUI_BASE_URL", &open_webui.base_url)
            .with("MAI_WEBUI_CONFIRM_SECONDS", "1");
        installation.organization("ABC");
        let gateway = installation.serve();
        run(async {
            let admin = open_webui.sign_in("boss", "admin");
            let session = by_token(&gateway, &admin, SESSION).await;
            assert_eq!(session.status, 200, "{session:?}");
            let shown = |name: &str| session.body[name].clone();
            assert_eq!([shown("kind"), shown("role")], [json!("open_webui"), json!("admin")]);
            assert_eq!([shown("client_org_id"), shown("user_id")], [json!("abc"), json!("boss")]);
            assert_eq!(by_token(&gateway, &admin, "/api/v1/accounts").await.status, 200);

            let member = open_webui.sign_in("anna", "user");
            assert_eq!(by_token(&gateway, &member, SESSION).await.body["role"], json!("member"));
            assert_eq!(by_token(&gateway, &member, "/api/v1/accounts").await.refusal(), (403, "forbidden"));
            let pending = open_webui.sign_in("new", "pending");
            assert_eq!(by_token(&gateway, &pending, SESSION).await.refusal(), (403, "forbidden"));

            // A browser with a session of ours, which changes something, and then is out.
            let mut browser = Browser::new(&gateway.base);
            let entered = browser.enter("/api/v1/auth/open-webui", &json!({ "token": admin })).await;
            assert_eq!(entered.status, 200, "{entered:?}");
            assert_eq!(browser.get(SESSION).await.body["user_id"], json!("boss"));
            let made = browser
                .post("/api/v1/client-organizations/clients/abc/api-tokens", &json!({ "name": "t" }))
                .await;
            assert_eq!(made.status, 201);
            open_webui.sign_out(&admin);
            let over = until_refused(async || by_token(&gateway, &admin, SESSION).await).await;
            assert_eq!(over.refusal(), (401, "unauthorized"));
            let over = until_refused(async || browser.get(SESSION).await).await;
            assert_eq!(over.refusal(), (401, "unauthorized"));
            // It does not rise again.
            open_webui.remember(&admin, "boss", "admin");
            assert_eq!(browser.get(SESSION).await.refusal(), (401, "unauthorized"));

            // Another role there is another role here.
            let mut anna = Browser::new(&gateway.base);
            anna.enter("/api/v1/auth/open-webui", &json!({ "token": member })).await;
            assert_eq!(anna.get(SESSION).await.body["role"], json!("member"));
            open_webui.remember(&member, "anna", "pending");
            let out = until_refused(async || anna.get(SESSION).await).await;
            assert_eq!(out.refusal(), (403, "forbidden"));
        });
        gateway.stop();
    });
}

#[test]
fn a_token_that_is_not_open_webuis_opens_nothing() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let open_webui = OpenWebui::start();
    let installation = installation(&database, &mock).with("WEBUI_BASE_URL", &open_webui.base_url);
    installation.organization("ABC");
    let gateway = installation.serve();
    run(async {
        let soon = in_seconds(3_600);
        let session = json!({ "id": "boss", "typ": "session", "exp": soon });
        let good = token(SECRET, &session);
        for (what, wrong) in [
            ("a foreign signature", token("another secret", &session)),
            ("expired", token(SECRET, &json!({ "id": "boss", "typ": "session", "exp": in_seconds(-3_600) }))),
            ("no end", token(SECRET, &json!({ "id": "boss", "typ": "session" }))),
            ("an automation", token(SECRET, &json!({ "id": "boss", "typ": "automation", "exp": soon }))),
            ("nobody", token(SECRET, &json!({ "typ": "session", "exp": soon }))),
            ("cut", good[..good.len() - 2].to_owned()),
            ("rubbish", "a.b.c".to_owned()),
        ] {
            open_webui.remember(&wrong, "boss", "admin");
            assert_eq!(by_token(&gateway, &wrong, SESSION).await.refusal(), (401, "unauthorized"), "{what}");
            let mut browser = Browser::new(&gateway.base);
            let entered = browser.enter("/api/v1/auth/open-webui", &json!({ "token": wrong })).await;
            assert_eq!((entered.refusal(), browser.cookie), ((401, "unauthorized"), None), "{what}");
        }
        assert_eq!(open_webui.asked(), 0, "only what is signed is asked about");
        // Signed, but Open WebUI does not know it, or knows it as somebody else's.
        assert_eq!(by_token(&gateway, &good, SESSION).await.refusal(), (401, "unauthorized"));
        let other = token(SECRET, &json!({ "id": "boss", "typ": "session", "exp": soon + 1 }));
        open_webui.remember(&other, "anna", "admin");
        assert_eq!(by_token(&gateway, &other, SESSION).await.refusal(), (503, "open_webui_unavailable"));
    });
    gateway.stop();
}

#[test]
fn open_webui_is_asked_once_and_nobody_is_let_in_without_it() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let open_webui = OpenWebui::start();
    let installation = installation(&database, &mock)
        .with("WEBUI_BASE_URL", &open_webui.base_url)
        .with("MAI_WEBUI_CONFIRM_SECONDS", "60");
    installation.organization("ABC");
    let gateway = installation.serve();
    run(async {
        let admin = open_webui.sign_in("boss", "admin");
        let calls = (0..20).map(|_| by_token(&gateway, &admin, SESSION));
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        assert_eq!(open_webui.asked(), 1);
        open_webui.answer_with(Some(500));
        // What is confirmed is believed a while; what is not is let in by nobody.
        assert_eq!(by_token(&gateway, &admin, SESSION).await.status, 200);
        for status in [500, 302, 404] {
            open_webui.answer_with(Some(status));
            let other = open_webui.sign_in(&format!("boss-{status}"), "admin");
            let refused = by_token(&gateway, &other, SESSION).await;
            assert_eq!(refused.refusal(), (503, "open_webui_unavailable"), "{status}");
            assert!(refused.retry_after.is_some());
        }
    });
    gateway.stop();
}

#[test]
fn without_its_address_the_registered_member_decides() {
    use mai_organization::{
        MasterKey, OrganizationServices,
        client_organization::{MemberForm, MemberRole, MemberSource},
    };
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = installation(&database, &mock);
    installation.organization("ABC");
    let gateway = installation.serve();
    let clock = std::sync::Arc::new(mai_primitives::SystemClock);
    let services = OrganizationServices::new(database.storage.clone(), MasterKey::generate().unwrap(), clock);
    run(async {
        let anna = token(SECRET, &json!({ "id": "anna", "exp": in_seconds(3_600) }));
        let register = async |role, is_active| {
            let form = MemberForm {
                user_id: "anna".parse().unwrap(),
                name: None,
                email: None,
                role,
                source: MemberSource::OpenWebui,
                is_active,
            };
            services.member_db.upsert(&"abc".parse().unwrap(), vec![form]).await.unwrap();
            by_token(&gateway, &anna, SESSION).await
        };
        assert_eq!(by_token(&gateway, &anna, SESSION).await.refusal(), (403, "forbidden"));
        assert_eq!(register(MemberRole::Pending, true).await.refusal(), (403, "forbidden"));
        assert_eq!(register(MemberRole::Member, true).await.body["role"], json!("member"));
        assert_eq!(register(MemberRole::Admin, true).await.body["role"], json!("admin"));
        assert_eq!(register(MemberRole::Admin, false).await.refusal(), (403, "member_inactive"));
    });
    gateway.stop();
}

#[test]
fn the_secret_needs_an_organization() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let refused = Installation::new(&database, &mock).with("WEBUI_SECRET_KEY", SECRET).refuses_to_serve();
    assert!(refused.contains("MAI_WEBUI_ORGANIZATION is needed"), "{refused}");
    assert!(!refused.contains(SECRET), "{refused}");
}
