//! Limits, gateway keys and the provider key on the pages of the dashboard.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::client_organization::{MemberForm, MemberRole, MemberSource, MemberTable};
use mai_primitives::{OrganizationId, SystemClock, UserId};
use mai_storage::testing::TestDb;
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation},
    management::{get, reseller},
    run,
    visitor::{Page, Visitor, by_link, link},
};
use serde_json::{Value, json};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const LIMITS: &str = "/organizations/ours/limits";
const KEYS: &str = "/organizations/ours/keys";
const PROVIDER_KEY: &str = "/organizations/ours/provider-key";
/// What the bar of a limit looks like of which everything is used.
const FULL_BAR: &str = "<rect class=\"value\" width=\"1000\" height=\"6\"></rect>";

async fn register(database: &TestDb, id: &str, name: &str) {
    let form = MemberForm {
        user_id: UserId::new(id).unwrap(),
        name: Some(name.to_owned()),
        email: None,
        role: MemberRole::Member,
        source: MemberSource::Csv,
        is_active: true,
    };
    let members = MemberTable::new(database.storage.clone(), std::sync::Arc::new(SystemClock));
    members.upsert(&OrganizationId::new("ours").unwrap(), vec![form]).await.unwrap();
}

/// The link of an account of the reseller.
fn boss(installation: &Installation) -> String {
    let arguments = ["users", "create", "--email", "boss@x.example", "--role", "reseller", "--json"];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// Sends a form with the proof of its page.
async fn send(visitor: &mut Visitor, path: &str, form: &[(&str, &str)]) -> Page {
    let proof = visitor.proof(path).await;
    visitor.post(path, &[form, &[("csrf_token", &proof)]].concat()).await
}

/// The same for a form that is accepted: the page that follows.
async fn done(visitor: &mut Visitor, path: &str, form: &[(&str, &str)]) -> String {
    let sent = send(visitor, path, form).await;
    assert_eq!(sent.status.as_u16(), 303, "{form:?}: {}", sent.text);
    let page = visitor.get(&sent.location).await;
    assert_eq!(page.status.as_u16(), 200, "{}", sent.location);
    page.text
}

fn status(page: &Page) -> u16 {
    page.status.as_u16()
}

/// The limits that the API knows.
async fn limits(gateway: &Gateway) -> Vec<(String, Value)> {
    let found = get(gateway, "clients/ours/limits").await;
    let items = found["items"].as_array().unwrap().iter();
    items
        .map(|one| (one["subject"].as_str().unwrap_or_default().to_owned(), one["monthly_limit"].clone()))
        .collect()
}

#[test]
fn limits_are_set_and_taken_away_by_forms() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let anna = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let boss = boss(&installation);
    let gateway = installation.serve();
    run(async {
        register(&database, "user-1", HOSTILE).await;
        let mut anna = by_link(&gateway, &anna).await;
        assert!(
            anna.get(LIMITS).await.text.contains("Set the first one above"),
            "the empty page says how to begin"
        );
        let member = [("scope", "member"), ("subject", "user-1"), ("monthly_limit", "12,5")];
        let page = done(&mut anna, LIMITS, &member).await;
        assert!(
            page.contains("The limit is set") && page.contains("$12.50") && page.contains("within the limit")
        );
        assert!(!page.contains("<img") && page.contains("img src=x"), "a name is text");
        let model = [("scope", "model"), ("subject", "lab/none"), ("monthly_limit", "0")];
        let page = done(&mut anna, LIMITS, &model).await;
        assert!(page.contains("check how it is spelt"), "the price list lacks it");
        let row = page.split("lab/none</span>").nth(1).unwrap().split("</tr>").next().unwrap();
        assert!(
            row.contains("used up") && row.contains(">100%<") && row.contains(FULL_BAR),
            "0 is used up: {row}"
        );
        let both = [("user-1".to_owned(), json!(12.5)), ("lab/none".to_owned(), json!(0))];
        let mut known = limits(&gateway).await;
        known.sort_by(|one, other| other.0.cmp(&one.0));
        assert_eq!(known, both);

        // What is refused changes nothing and keeps what was typed.
        for (form, code, said) in [
            ([("scope", "member"), ("subject", "user-1"), ("monthly_limit", "ten")], 400, "such as 12.50"),
            ([("scope", "member"), ("subject", "user-1"), ("monthly_limit", "-1")], 400, "such as 12.50"),
            (
                [("scope", "member"), ("subject", "stranger"), ("monthly_limit", "5")],
                404,
                "no member stranger",
            ),
            (
                [("scope", "model"), ("subject", "lab/none:free"), ("monthly_limit", "5")],
                400,
                "without a variant",
            ),
            ([("scope", "x"), ("subject", "user-1"), ("monthly_limit", "5")], 400, "Nothing was changed"),
            (
                [("scope", "organization"), ("subject", ""), ("monthly_limit", "5")],
                403,
                "You do not have access to this page",
            ),
        ] {
            let refused = send(&mut anna, LIMITS, &form).await;
            assert_eq!(status(&refused), code, "{form:?}");
            assert!(refused.text.contains(said), "{form:?}: {}", refused.text);
            if code != 403 {
                assert!(refused.text.contains(&format!("value=\"{}\"", form[1].1)), "{form:?}");
            }
        }
        assert_eq!(status(&anna.post(LIMITS, &member).await), 403, "without the proof");
        let mut known = limits(&gateway).await;
        known.sort_by(|one, other| other.0.cmp(&one.0));
        assert_eq!(known, both);

        for (query, found) in
            [("?search=IMG", [true, false]), ("?kind=model", [false, true]), ("?sort=limit", [true, true])]
        {
            let page = anna.get(&format!("{LIMITS}{query}")).await.text;
            let body = page.split("id=\"limits-title\"").nth(1).unwrap().to_owned();
            assert_eq!([body.contains("img src=x"), body.contains("lab/none")], found, "{query}");
        }
        for wrong in ["?month=x", "?kind=x", "?sort=x", "?page=0"] {
            assert_eq!(status(&anna.get(&format!("{LIMITS}{wrong}")).await), 400, "{wrong}");
        }
        let form = anna.get(&format!("{LIMITS}?edit=member&subject=user-1")).await.text;
        assert!(
            form.contains("value=\"user-1\"") && form.contains("value=\"12.5\""),
            "it is there to be changed"
        );
        let asked = anna.get(&format!("{LIMITS}?clear=model&subject=lab%2Fnone")).await.text;
        assert!(asked.contains("Remove the limit of lab/none?"));
        let page =
            done(&mut anna, LIMITS, &[("act", "clear"), ("scope", "model"), ("subject", "lab/none")]).await;
        assert!(page.contains("The limit is removed"));
        let again =
            send(&mut anna, LIMITS, &[("act", "clear"), ("scope", "model"), ("subject", "lab/none")]).await;
        assert_eq!((status(&again), again.text.contains("there is no limit of")), (404, true));
        assert_eq!(limits(&gateway).await, both[..1]);

        // The organization's own limit is the reseller's, and 0 is used up on both pages.
        assert!(anna.get(LIMITS).await.text.contains("Only your reseller can change this limit"));
        let mut boss = by_link(&gateway, &boss).await;
        let page = done(&mut boss, LIMITS, &[("scope", "organization"), ("monthly_limit", "0")]).await;
        assert!(page.contains("used up: $0.00 of $0.00") && page.contains(FULL_BAR));
        assert_eq!(get(&gateway, "clients/ours").await["monthly_limit"], json!(0));
        let overview = anna.get("/organizations/ours").await.text;
        let tile =
            overview.split("Limit used this month").nth(1).unwrap().split("</section>").next().unwrap();
        assert!(
            tile.contains(">100%<") && tile.contains("progress bad") && tile.contains(FULL_BAR),
            "{tile}"
        );
        assert!(tile.contains("used up: $0.00 of $0.00"), "{tile}");
        for page in [&overview, &anna.get(LIMITS).await.text] {
            assert!(page.contains("The monthly limit of the organization is used up"), "{page}");
        }
        let page = done(&mut boss, LIMITS, &[("act", "clear"), ("scope", "organization")]).await;
        assert!(page.contains("The limit of the organization is removed"));
        assert_eq!(get(&gateway, "clients/ours").await["monthly_limit"], Value::Null);
        anna.get(&format!("{LIMITS}?lang=pl")).await;
        assert!(anna.get(LIMITS).await.text.contains("Limity użytkowników i modeli"));
    });
    assert!(gateway.stop().success());
}

#[test]
fn a_gateway_key_is_shown_once_and_lives_by_forms() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let anna = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let mut anna = by_link(&gateway, &anna).await;
        let secret = "0123456789abcdef0123456789abcdef";
        let new = [
            ("act", "create"),
            ("name", HOSTILE),
            ("is_open_webui", "1"),
            ("requests_per_minute", "60"),
            ("last_day", "2099-12-31"),
            ("identity_secret", secret),
        ];
        for (field, wrong) in [
            ("name", " "),
            ("requests_per_minute", "0"),
            ("requests_per_minute", "many"),
            ("last_day", "2000-01-01"),
            ("last_day", "soon"),
            ("identity_secret", "short"),
        ] {
            let form = new.map(|(name, value)| (name, if name == field { wrong } else { value }));
            let refused = send(&mut anna, KEYS, &form).await;
            assert_eq!(status(&refused), 400, "{field}={wrong}");
            assert!(refused.text.contains("notice bad") && !refused.text.contains(secret), "{field}={wrong}");
        }
        assert_eq!(status(&anna.post(KEYS, &new).await), 403, "without the proof");
        assert_eq!(
            get(&gateway, "clients/ours/gateway-keys").await["total"],
            1,
            "only the first one is there"
        );

        let made = send(&mut anna, KEYS, &new).await;
        assert_eq!(status(&made), 201);
        let key = shown(&made.text);
        assert!(
            made.text.contains(&format!("{}/v1/chat/completions", gateway.base))
                && made.text.contains("curl")
        );
        assert!(!made.text.contains("<img") && !made.text.contains(secret));
        assert_eq!(status_of_call(&gateway, &key).await, 401, "its identities must be signed");
        let list = anna.get(KEYS).await.text;
        assert!(!list.contains(&key) && list.contains(&key[..12]) && list.contains("Open WebUI"));
        let listed = get(&gateway, "clients/ours/gateway-keys").await;
        let found =
            listed["items"].as_array().unwrap().iter().find(|one| one["name"] == HOSTILE).unwrap().clone();
        assert_eq!(
            [&found["is_open_webui"], &found["is_trusted_client"], &found["requests_per_minute"]],
            [&json!(true), &json!(false), &json!(60)]
        );
        let id = found["id"].as_str().unwrap();

        let form = anna.get(&format!("{KEYS}?edit={id}")).await.text;
        assert!(form.contains("value=\"60\"") && form.contains("value=\"2099-12-31\""));
        let changes = [
            ("act", "update"),
            ("key_id", id),
            ("name", "Chat"),
            ("last_day", "2099-12-31"),
            ("forgets_secret", "1"),
        ];
        assert!(done(&mut anna, KEYS, &changes).await.contains("The key is changed"));
        let listed = get(&gateway, "clients/ours/gateway-keys").await;
        let after = listed["items"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone();
        assert_eq!(
            [
                &after["name"],
                &after["is_open_webui"],
                &after["requests_per_minute"],
                &after["has_identity_secret"]
            ],
            [&json!("Chat"), &json!(false), &Value::Null, &json!(false)]
        );
        assert_eq!(after["expires_at"], found["expires_at"], "the day is as it was");
        assert_eq!(status_of_call(&gateway, &key).await, 200);

        assert!(anna.get(&format!("{KEYS}?rotate={id}")).await.text.contains("Replace the key Chat"));
        let rotated =
            send(&mut anna, KEYS, &[("act", "rotate"), ("key_id", id), ("grace_seconds", "3600")]).await;
        assert_eq!(status(&rotated), 201);
        let next = shown(&rotated.text);
        assert_eq!([status_of_call(&gateway, &key).await, status_of_call(&gateway, &next).await], [200, 200]);
        assert!(anna.get(&format!("{KEYS}?revoke={id}")).await.text.contains("Revoke the key Chat"));
        assert!(
            done(&mut anna, KEYS, &[("act", "revoke"), ("key_id", id)]).await.contains("no longer works")
        );
        assert_eq!([status_of_call(&gateway, &key).await, status_of_call(&gateway, &next).await], [401, 200]);
        let list = anna.get(&format!("{KEYS}?state=all&search=chat")).await.text;
        assert!(list.contains(">revoked<") && list.contains("2 keys"));
        let again = send(&mut anna, KEYS, &[("act", "rotate"), ("key_id", id), ("grace_seconds", "0")]).await;
        assert_eq!((status(&again), again.text.contains("the key was revoked")), (400, true));
        assert_eq!(status(&anna.get(&format!("{KEYS}?edit=key_none")).await), 404);
        anna.get(&format!("{KEYS}?lang=pl")).await;
        assert!(anna.get(KEYS).await.text.contains("Nowy klucz"));
    });
    assert!(gateway.stop().success());
}

/// The key that a page shows once.
fn shown(page: &str) -> String {
    let rest = page.split("<code id=\"new-key\">").nth(1).unwrap();
    let key = rest.split('<').next().unwrap();
    assert!(key.starts_with("sk-mai-"), "{key}");
    key.to_owned()
}

async fn status_of_call(gateway: &Gateway, key: &str) -> u16 {
    Client::new(&gateway.base, key).chat("mock/ok", false, 1).await.unwrap().status.as_u16()
}

#[test]
fn the_provider_key_is_the_resellers_and_never_shown() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let anna = link(&installation, &ours.id, "anna@ours.example", &["--role", "admin"]);
    let boss = boss(&installation);
    let gateway = installation.serve();
    run(async {
        let mut anna = by_link(&gateway, &anna).await;
        assert_eq!(status(&anna.get(PROVIDER_KEY).await), 403);
        assert!(!anna.get(LIMITS).await.text.contains(PROVIDER_KEY));
        assert_eq!(status(&send_from(&mut anna, LIMITS, PROVIDER_KEY, &[("act", "forget")]).await), 403);

        let mut boss = by_link(&gateway, &boss).await;
        assert!(boss.get(PROVIDER_KEY).await.text.contains("entered by hand"));
        let refused = send(&mut boss, PROVIDER_KEY, &[("act", "replace"), ("name", "Second")]).await;
        assert_eq!((status(&refused), refused.text.contains("OPENROUTER_PROVISIONING_KEY")), (409, true));
        assert!(refused.text.contains("value=\"Second\""), "what was typed is kept");
        assert!(
            done(&mut boss, PROVIDER_KEY, &[("act", "forget")]).await.contains("so its calls are refused")
        );
        let own = "sk-or-v1-entered-0123456789wxyz";
        assert_eq!(status(&send(&mut boss, PROVIDER_KEY, &[("act", "store"), ("key", "a b")]).await), 400);
        let page = done(&mut boss, PROVIDER_KEY, &[("act", "store"), ("key", own)]).await;
        assert!(page.contains("…wxyz") && !page.contains(own));

        let settings = json!({ "openrouter_provisioning_key": MockSettings::default().management_key });
        reseller(&gateway, "POST", "settings", &settings, 200).await;
        assert!(
            boss.get(&format!("{PROVIDER_KEY}?ask=replace")).await.text.contains("Replace the provider key?")
        );
        let form = [("act", "replace"), ("name", HOSTILE), ("limit", "12,5"), ("limit_reset", "monthly")];
        let page = done(&mut boss, PROVIDER_KEY, &form).await;
        assert!(page.contains("$12.50") && page.contains("every month") && page.contains(">enabled<"));
        assert!(!page.contains("<img") && page.contains("img src=x"));
        let secret = mock.managed_keys().remove(0).1;
        assert!(!page.contains(&secret));

        let wrong = send(&mut boss, PROVIDER_KEY, &[("act", "limit"), ("limit", "much")]).await;
        assert_eq!((status(&wrong), wrong.text.contains("value=\"much\"")), (400, true));
        let page =
            done(&mut boss, PROVIDER_KEY, &[("act", "limit"), ("limit", ""), ("limit_reset", "")]).await;
        assert!(page.contains("No limit"));
        assert_eq!(get(&gateway, "clients/ours/provider-key").await["provider_key"]["limit"], Value::Null);
        assert!(
            boss.get(&format!("{PROVIDER_KEY}?ask=disable"))
                .await
                .text
                .contains("Disable the provider key of Ours?")
        );
        assert!(done(&mut boss, PROVIDER_KEY, &[("act", "disable")]).await.contains(">disabled<"));
        assert!(mock.managed_keys().remove(0).2);
        assert!(done(&mut boss, PROVIDER_KEY, &[("act", "enable")]).await.contains(">enabled<"));
        assert_eq!(status(&boss.post(PROVIDER_KEY, &[("act", "remove")]).await), 403, "without the proof");
        assert!(
            done(&mut boss, PROVIDER_KEY, &[("act", "remove")]).await.contains("so its calls are refused")
        );
        assert!(mock.managed_keys().remove(0).2);
        boss.get(&format!("{PROVIDER_KEY}?lang=pl")).await;
        assert!(boss.get(PROVIDER_KEY).await.text.contains("Klucz dostawcy"));
    });
    assert!(gateway.stop().success());
}

/// Sends a form with the proof of another page.
async fn send_from(visitor: &mut Visitor, from: &str, path: &str, form: &[(&str, &str)]) -> Page {
    let proof = visitor.proof(from).await;
    visitor.post(path, &[form, &[("csrf_token", &proof)]].concat()).await
}

#[test]
fn members_see_their_own_limit_and_strangers_nothing() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
    let member = link(&installation, &ours.id, "m@ours.example", &["--role", "member", "--user", "user-1"]);
    let foreign = link(&installation, &theirs.id, "a@theirs.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        register(&database, "user-1", "Ewa").await;
        let (mut member, mut foreign) = (by_link(&gateway, &member).await, by_link(&gateway, &foreign).await);
        for path in [LIMITS, KEYS, PROVIDER_KEY] {
            assert_eq!(status(&member.get(path).await), 403, "{path}");
            assert_eq!(status(&foreign.get(path).await), 404, "{path}");
            let form = [("act", "create"), ("name", "x")];
            assert_eq!(
                status(&send_from(&mut member, "/organizations/ours", path, &form).await),
                403,
                "{path}"
            );
            assert_eq!(
                status(&send_from(&mut foreign, "/organizations/theirs", path, &form).await),
                404,
                "{path}"
            );
        }
        let own = member.get("/organizations/ours").await.text;
        assert!(!own.contains("My monthly limit") && !own.contains("used up") && !own.contains("/keys"));
        let limit = json!({ "scope": "member", "subject": "user-1", "monthly_limit": 10 });
        reseller(&gateway, "PUT", "clients/ours/limits", &limit, 200).await;
        let own = member.get("/organizations/ours").await.text;
        assert!(own.contains("My monthly limit") && own.contains("within the limit: $0.00 of $10.00"));
        let limit = json!({ "scope": "member", "subject": "user-1", "monthly_limit": 0 });
        reseller(&gateway, "PUT", "clients/ours/limits", &limit, 200).await;
        reseller(&gateway, "PATCH", "clients/ours", &json!({ "monthly_limit": 0 }), 200).await;
        let own = member.get("/organizations/ours").await.text;
        assert!(own.contains("Your monthly limit is used up") && own.contains(FULL_BAR));
        assert!(own.contains("The monthly limit of the organization is used up"));
    });
    assert!(gateway.stop().success());
}
