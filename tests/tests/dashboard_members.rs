//! The pages of members, accounts and settings, and the way to another organization: each form does what the API does.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    gateway::{Gateway, Installation},
    management::{active_members, get, reseller},
    run,
    statistics::book,
    visitor::{Page, Visitor, by_link, link},
};
use serde_json::{Value, json};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const MEMBERS: &str = "/organizations/ours/members";
const SETTINGS: &str = "/organizations/ours/settings";
const WIZARD: &str = "/reseller/new-organization";
const ACCESS: &str = "/reseller/access";
const VIEWS: [&str; 6] = [
    "/organizations/ours/members",
    "/organizations/ours/members/import",
    "/organizations/ours/members/mappings",
    "/organizations/ours/members/unassigned?range=12m",
    "/organizations/ours/members/accounts",
    "/organizations/ours/settings",
];

/// The link of an account of the reseller.
fn reseller_link(installation: &Installation) -> String {
    let arguments = ["users", "create", "--email", "boss@x.example", "--role", "reseller", "--json"];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// Sends a form with the proof of a page.
async fn send(visitor: &mut Visitor, proof: &str, path: &str, form: &[(&str, &str)]) -> Page {
    let form = [&[("csrf_token", proof)], form].concat();
    visitor.post(path, &form).await
}

fn done(page: &Page, to: &str) {
    assert_eq!((page.status.as_u16(), page.location.as_str()), (303, to), "{}", page.text);
}

fn refused(page: &Page, status: u16, text: &str) {
    assert_eq!(page.status.as_u16(), status, "{}", page.text);
    assert!(page.text.contains("class=\"notice bad\"") && page.text.contains(text), "{}", page.text);
}

/// What stands in a field that is copied.
fn shown(page: &Page, id: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("<code id=\"{id}\">")).expect("it is shown");
    rest.split("</code>").next().unwrap().replace("&#34;", "\"").replace("&#39;", "'")
}

async fn member(gateway: &Gateway, id: &str) -> Value {
    get(gateway, &format!("clients/ours/members/{id}")).await["member"].clone()
}

#[test]
fn members_are_added_changed_and_imported() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    installation.organization("Ours");
    let link = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        let mut anna = by_link(&gateway, &link).await;
        let empty = anna.get(MEMBERS).await.text;
        assert!(empty.contains("Members appear here with their first call"), "{empty}");
        let proof = anna.proof(&format!("{MEMBERS}?add=member")).await;
        let add = format!("{MEMBERS}/add");
        let new = [("user_id", "u1"), ("name", HOSTILE), ("email", "u1@x.example"), ("role", "admin")];
        done(&send(&mut anna, &proof, &add, &new).await, &format!("{MEMBERS}?done=member-added"));
        let made = member(&gateway, "u1").await;
        assert_eq!(
            (&made["name"], &made["role"], &made["source"]),
            (&json!(HOSTILE), &json!("admin"), &json!("api"))
        );
        let list = anna.get(&format!("{MEMBERS}?done=member-added&edit=u1")).await.text;
        assert!(list.contains("The member was added.") && list.contains("ours_user_"), "{list}");
        assert!(!list.contains("<img") && list.contains("img src=x"), "{list}");

        // What is wrong is refused, and what was typed is kept.
        refused(&send(&mut anna, &proof, &add, &new).await, 409, "with this user ID already");
        let wrong = [("user_id", "u2"), ("name", "Ewa"), ("email", "no address"), ("role", "member")];
        let page = send(&mut anna, &proof, &add, &wrong).await;
        refused(&page, 400, "no e-mail address");
        assert!(
            page.text.contains("value=\"Ewa\"")
                && page.text.contains("href=\"/organizations/ours/members?lang=pl\"")
        );
        assert_eq!(active_members(&database, "ours"), ["u1"]);
        assert_eq!(send(&mut anna, "wrong", &add, &wrong).await.status.as_u16(), 403);

        let change = [("user_id", "u1"), ("name", "Łucja"), ("email", ""), ("role", "member")];
        done(
            &send(&mut anna, &proof, &format!("{MEMBERS}/change?search=u1"), &change).await,
            &format!("{MEMBERS}?search=u1&done=member-changed"),
        );
        let changed = member(&gateway, "u1").await;
        assert_eq!((&changed["name"], &changed["email"]), (&json!("Łucja"), &Value::Null));
        let asked = anna.get(&format!("{MEMBERS}?confirm=u1")).await.text;
        assert!(asked.contains("Deactivate Łucja?"), "{asked}");
        let activity = format!("{MEMBERS}/activity");
        done(
            &send(&mut anna, &proof, &activity, &[("user_id", "u1"), ("active", "false")]).await,
            &format!("{MEMBERS}?done=member-deactivated"),
        );
        assert!(active_members(&database, "ours").is_empty());
        for (state, is_there) in [("active", false), ("inactive", true), ("all", true)] {
            let list = anna.get(&format!("{MEMBERS}?state={state}")).await.text;
            assert_eq!(list.contains("Łucja"), is_there, "{state}");
        }
        send(&mut anna, &proof, &activity, &[("user_id", "u1"), ("active", "true")]).await;
        assert_eq!(active_members(&database, "ours"), ["u1"]);

        // A list is taken as a whole, or not at all.
        let import = format!("{MEMBERS}/import");
        let bad = "user_id;name;role\nu2;Ewa;user\nu3;Jan;chief\n";
        let page = send(&mut anna, &proof, &import, &[("list", bad)]).await;
        assert_eq!(page.status.as_u16(), 422);
        assert!(page.text.contains("<th scope=\"row\">3</th>") && page.text.contains("u3;Jan;chief"));
        let good = "user_id;name;role\nu2;Żółw;user\nu3;Jan;admin\n";
        let page = send(&mut anna, &proof, &import, &[("list", good), ("dry_run", "true")]).await;
        assert!(page.text.contains("Checked only") && page.text.contains("u2;Żółw"), "{}", page.text);
        refused(
            &send(&mut anna, &proof, &import, &[("list", "name\nx\n")]).await,
            400,
            "needs a header line",
        );
        assert_eq!(send(&mut anna, "wrong", &import, &[("list", good)]).await.status.as_u16(), 403);
        assert_eq!(active_members(&database, "ours"), ["u1"]);
        let page = send(&mut anna, &proof, &import, &[("list", good), ("deactivate_missing", "true")]).await;
        assert!(page.status.is_success() && page.text.contains("The list was imported"), "{}", page.text);
        assert_eq!(active_members(&database, "ours"), ["u1", "u2", "u3"], "u1 is from another source");
        let names = anna.get(&format!("{MEMBERS}?sort=name&order=desc")).await.text;
        assert!(names.find("Żółw").unwrap() < names.find("Jan").unwrap());

        // The ids at OpenRouter.
        let mappings = format!("{MEMBERS}/mappings");
        let set = [("user_id", "u2"), ("openrouter_user_id", "ours_own_id")];
        done(
            &send(&mut anna, &proof, &format!("{mappings}/add"), &set).await,
            &format!("{mappings}?done=mapping-made"),
        );
        let mapping = get(&gateway, "user-mappings/u2?client_id=ours").await;
        assert_eq!(mapping["openrouter_user_id"], "ours_own_id");
        let taken = [("user_id", "u3"), ("openrouter_user_id", "ours_own_id")];
        refused(
            &send(&mut anna, &proof, &format!("{mappings}/add"), &taken).await,
            409,
            "has this ID already",
        );
        assert!(anna.get(&format!("{mappings}?confirm=u2")).await.text.contains("Remove the ID of Żółw?"));
        send(&mut anna, &proof, &format!("{mappings}/remove"), &[("user_id", "u2")]).await;
        reseller(&gateway, "GET", "user-mappings/u2?client_id=ours", &Value::Null, 404).await;
        send(&mut anna, &proof, &format!("{mappings}/add"), &[("user_id", "u2")]).await;
        assert_eq!(get(&gateway, "user-mappings/u2?client_id=ours").await["is_active"], true);
        send(&mut anna, &proof, &format!("{mappings}/add"), &[("user_id", "u3")]).await;
        let names = anna.get(&mappings).await.text;
        assert!(names.find("Jan").unwrap() < names.find("Żółw").unwrap(), "by name and not by id");
    });
    assert!(gateway.stop().success());
}

#[test]
fn usage_is_assigned_and_only_the_right_people_look() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let theirs = installation.organization("Theirs");
    installation.organization("Ours");
    let own = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let member = link(&installation, "ours", "m@ours.example", &["--role", "member", "--user", "user-1"]);
    let foreign = link(&installation, &theirs.id, "a@theirs.example", &["--role", "admin"]);
    let gateway = installation.serve();
    run(async {
        book(&database.storage, "ours", 400, 3).await;
        let mut anna = by_link(&gateway, &own).await;
        let mut member = by_link(&gateway, &member).await;
        let mut foreign = by_link(&gateway, &foreign).await;
        for view in VIEWS {
            for lang in ["pl", "en"] {
                anna.get(&format!("{}?lang={lang}", view.split('?').next().unwrap())).await;
                let page = anna.get(view).await;
                assert_eq!(page.status.as_u16(), 200, "{view}: {}", page.text);
                assert!(page.text.contains(&format!("<html lang=\"{lang}\"")), "{view}");
                assert_eq!(page.text.matches("<h1>").count(), 1, "{view}");
                assert!(!page.text.contains("style=\"") && !page.text.contains(" onclick="), "{view}");
            }
            assert_eq!(member.get(view).await.status.as_u16(), 403, "{view}");
            assert_eq!(foreign.get(view).await.status.as_u16(), 404, "{view}");
        }
        let proof = foreign.proof("/organizations/theirs").await;
        let form = [("user_id", "user-1"), ("active", "false")];
        let refused_form = send(&mut foreign, &proof, &format!("{MEMBERS}/activity"), &form).await;
        assert_eq!(refused_form.status.as_u16(), 404);
        let proof = member.proof("/organizations/ours").await;
        for path in
            [format!("{MEMBERS}/activity"), format!("{SETTINGS}/webhook"), format!("{MEMBERS}/import")]
        {
            assert_eq!(send(&mut member, &proof, &path, &form).await.status.as_u16(), 403, "{path}");
        }
        for path in [WIZARD, ACCESS, "/reseller/access/tokens"] {
            assert_eq!(anna.get(path).await.status.as_u16(), 403, "{path}");
        }

        let unassigned = format!("{MEMBERS}/unassigned");
        let asked = anna.get(&format!("{unassigned}?range=90d&assign=user-5")).await.text;
        assert!(
            asked.contains("Assign usage of user-5") && asked.contains("<option value=\"idle-1\">"),
            "{asked}"
        );
        let proof = anna.proof(&unassigned).await;
        let assign = format!("{unassigned}/assign?range=90d");
        let wrong = [("from_user_id", "user-5"), ("to_user_id", "nobody")];
        refused(&send(&mut anna, &proof, &assign, &wrong).await, 400, "There is no such member");
        let right = [("from_user_id", "user-5"), ("to_user_id", "idle-1")];
        let to = format!("{unassigned}?range=90d&done=unassigned-done");
        done(&send(&mut anna, &proof, &assign, &right).await, &to);
        let page = anna.get(&to).await.text;
        assert!(page.contains("The usage was assigned.") && !page.contains(">user-5<"), "{page}");
        let one = get(&gateway, "clients/ours/members/idle-1").await;
        assert_eq!(one["external_user_ids"], json!(["user-5"]));
    });
    assert!(gateway.stop().success());
}

#[test]
fn accounts_get_links_and_settings_are_changed_by_who_may() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    installation.organization("Ours");
    let own = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let boss = reseller_link(&installation);
    let gateway = installation.serve();
    run(async {
        let mut anna = by_link(&gateway, &own).await;
        let mut boss = by_link(&gateway, &boss).await;
        let accounts = format!("{MEMBERS}/accounts");
        let proof = anna.proof(&accounts).await;
        let new = [("email", "ewa@ours.example"), ("name", HOSTILE), ("role", "admin")];
        let made = send(&mut anna, &proof, &format!("{accounts}/add"), &new).await;
        assert_eq!(made.status.as_u16(), 200, "{}", made.text);
        assert!(!made.text.contains("<img"), "{}", made.text);
        let token = shown(&made, "account-link");
        let token = token.split_once("/sign-in/link#").expect("a link").1;
        let mut ewa = by_link(&gateway, token).await;
        assert_eq!(ewa.get("/").await.location, "/organizations/ours");
        assert!(!anna.get(&accounts).await.text.contains("mai-link-"), "it is shown once");
        refused(
            &send(&mut anna, &proof, &format!("{accounts}/add"), &new).await,
            409,
            "with this address already",
        );
        let wrong = [("email", "jan@ours.example"), ("name", "Jan"), ("role", "member")];
        refused(&send(&mut anna, &proof, &format!("{accounts}/add"), &wrong).await, 400, "name the user ID");

        // An administrator reaches no account of the reseller, and ends one of the own.
        let listed = boss.get(ACCESS).await.text;
        let id = |text: &str, after: &str| {
            let (_, rest) = text.split_once(after).unwrap();
            rest.split_once("name=\"id\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
        };
        let of_boss = id(&listed, "boss@x.example");
        let stolen = send(&mut anna, &proof, &format!("{accounts}/link"), &[("id", &of_boss)]).await;
        assert_eq!(stolen.status.as_u16(), 404);
        let of_ewa = id(&anna.get(&accounts).await.text, "ewa@ours.example");
        assert!(
            anna.get(&format!("{accounts}?confirm={of_ewa}"))
                .await
                .text
                .contains("Deactivate the account ewa@")
        );
        let end = [("id", of_ewa.as_str()), ("active", "false")];
        done(
            &send(&mut anna, &proof, &format!("{accounts}/activity"), &end).await,
            &format!("{accounts}?done=account-deactivated"),
        );
        assert_eq!(ewa.get("/organizations/ours").await.status.as_u16(), 303, "the session has ended");

        // The administrator reads the settings without the markup, and the reseller changes them.
        let page = anna.get(SETTINGS).await.text;
        assert!(page.contains("ENABLE_FORWARD_USER_INFO_HEADERS=true") && !page.contains("name=\"markup\""));
        let form = [
            ("name", "Ours & Co"),
            ("markup", "12,5"),
            ("timezone", "Europe/Berlin"),
            ("billing_email", "bills@ours.example"),
            ("day_rate_policy", "before_day"),
            ("statement_rate_policy", "before_period_end"),
            ("drain_on_disconnect", "true"),
        ];
        assert_eq!(send(&mut anna, &proof, SETTINGS, &form).await.status.as_u16(), 403);
        let of_boss = boss.proof(SETTINGS).await;
        done(&send(&mut boss, &of_boss, SETTINGS, &form).await, &format!("{SETTINGS}?done=org-saved"));
        let saved = get(&gateway, "clients/ours").await;
        let values =
            ["name", "timezone", "day_rate_policy", "drain_on_disconnect"].map(|field| saved[field].clone());
        assert_eq!(values, [json!("Ours & Co"), json!("Europe/Berlin"), json!("before_day"), json!(true)]);
        assert_eq!(saved["markup_rate"].to_string(), "1.125", "{saved}");
        let page = boss.get(SETTINGS).await.text;
        assert!(page.contains("name=\"markup\"") && page.contains("value=\"12.5\""), "{page}");
        for (field, value, text) in [
            ("markup", "much", "Write the markup in percent"),
            ("timezone", "Europe/Nowhere", "no such time zone"),
            ("name", " ", "1 to 200 characters"),
        ] {
            let wrong = form.map(|(known, old)| (known, if known == field { value } else { old }));
            refused(&send(&mut boss, &of_boss, SETTINGS, &wrong).await, 400, text);
        }
        assert_eq!(get(&gateway, "clients/ours").await["updated_at"], saved["updated_at"]);

        let secret = send(&mut anna, &proof, &format!("{SETTINGS}/webhook"), &[]).await;
        assert!(shown(&secret, "webhook-secret").starts_with("mai-webhook-"));
        assert_eq!(get(&gateway, "clients/ours").await["has_webhook_secret"], true);
        let asked = anna.get(&format!("{SETTINGS}?confirm=webhook")).await.text;
        assert!(asked.contains("Remove the webhook secret") && !asked.contains("mai-webhook-"), "{asked}");
        send(&mut anna, &proof, &format!("{SETTINGS}/webhook/clear"), &[]).await;
        assert_eq!(get(&gateway, "clients/ours").await["has_webhook_secret"], false);

        let activity = format!("{SETTINGS}/activity");
        assert_eq!(send(&mut anna, &proof, &activity, &[("active", "false")]).await.status.as_u16(), 403);
        assert!(boss.get(&format!("{SETTINGS}?confirm=deactivate")).await.text.contains("Deactivate Ours"));
        for (active, is_active) in [("false", false), ("true", true)] {
            send(&mut boss, &of_boss, &activity, &[("active", active)]).await;
            assert_eq!(get(&gateway, "clients/ours").await["is_active"], is_active);
        }
    });
    assert!(gateway.stop().success());
}

#[test]
fn an_organization_is_ready_when_the_form_is_answered() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let boss = reseller_link(&installation);
    let gateway = installation.serve();
    run(async {
        let mut boss = by_link(&gateway, &boss).await;
        assert!(boss.get("/organizations").await.text.contains("href=\"/reseller/new-organization\""));
        let proof = boss.proof(WIZARD).await;
        let form = [
            ("name", HOSTILE),
            ("id", "fresh"),
            ("markup", "20"),
            ("timezone", ""),
            ("monthly_limit", "100,50"),
            ("provider", "paste"),
            ("provider_key", "sk-or-v1-test-fresh"),
        ];
        for (field, value, status, text) in [
            ("name", "", 400, "1 to 200 characters"),
            ("markup", "-100", 400, "Write the markup in percent"),
            ("monthly_limit", "x", 400, "Write the amount in USD"),
            ("provider_key", "", 400, "Paste the OpenRouter key"),
            ("provider", "create", 409, "OpenRouter refuses the management key"),
        ] {
            let wrong = form.map(|(known, old)| (known, if known == field { value } else { old }));
            let page = send(&mut boss, &proof, WIZARD, &wrong).await;
            refused(&page, status, text);
            assert!(!page.text.contains("sk-or-v1"), "a secret does not come back: {}", page.text);
        }
        assert_eq!(send(&mut boss, "wrong", WIZARD, &form).await.status.as_u16(), 403);
        assert_eq!(get(&gateway, "clients").await, json!([]));

        let ready = send(&mut boss, &proof, WIZARD, &form).await;
        assert_eq!(ready.status.as_u16(), 200, "{}", ready.text);
        assert!(!ready.text.contains("<img"), "{}", ready.text);
        let made = get(&gateway, "clients/fresh").await;
        assert_eq!(
            (made["markup_rate"].to_string(), &made["timezone"]),
            ("1.2".to_owned(), &json!("Europe/Warsaw"))
        );
        assert_eq!(made["monthly_limit"].to_string(), "100.5");
        let (key, base) = (shown(&ready, "gateway-key"), shown(&ready, "base-url"));
        assert_eq!(base, format!("{}/v1", gateway.base));
        assert_eq!(shown(&ready, "webui-url"), format!("OPENAI_API_BASE_URLS={base}"));
        assert_eq!(shown(&ready, "webui-key"), format!("OPENAI_API_KEYS={key}"));
        let configs = "OPENAI_API_CONFIGS={\"0\":{\"headers\":{\"X-Mai-Task\":\"{{TASK}}\"}}}";
        assert_eq!(shown(&ready, "webui-configs"), configs);
        assert!(shown(&ready, "webui-secret").contains("=mai-identity-"));
        assert_eq!(
            shown(&ready, "first-call"),
            format!("curl {base}/models -H 'Authorization: Bearer {key}'")
        );
        let models = boss.http.get(format!("{base}/models")).bearer_auth(&key).send().await.unwrap();
        assert_eq!(models.status().as_u16(), 200, "the key opens the gateway at once");
        let keys = get(&gateway, "clients/fresh/gateway-keys").await;
        let first = &keys["items"][0];
        assert_eq!((&first["name"], &first["is_open_webui"]), (&json!("Open WebUI"), &json!(true)));
        assert_eq!(
            (&first["is_trusted_client"], &first["has_identity_secret"]),
            (&json!(true), &json!(true))
        );
        refused(&send(&mut boss, &proof, WIZARD, &form).await, 409, "another organization has this ID");

        // With a provisioning key the provider key is made as well.
        let settings = json!({ "openrouter_provisioning_key": MockSettings::default().management_key });
        reseller(&gateway, "POST", "settings", &settings, 200).await;
        let form = [("name", "Second"), ("id", "second"), ("provider", "create"), ("provider_limit", "5")];
        let ready = send(&mut boss, &proof, WIZARD, &form).await;
        assert_eq!(ready.status.as_u16(), 200, "{}", ready.text);
        assert!(mock.managed_keys().iter().any(|(name, ..)| name == "Client: Second"));
        assert_eq!(boss.get("/organizations/second/settings").await.status.as_u16(), 200);
    });
    assert!(gateway.stop().success());
}

#[test]
fn the_reseller_lets_people_and_programs_in() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    installation.organization("Ours");
    let boss = reseller_link(&installation);
    let gateway = installation.serve();
    run(async {
        let mut boss = by_link(&gateway, &boss).await;
        let proof = boss.proof(ACCESS).await;
        let new = [("email", "second@x.example"), ("name", "Second")];
        let made = send(&mut boss, &proof, &format!("{ACCESS}/add"), &new).await;
        let token = shown(&made, "account-link");
        let mut second = by_link(&gateway, token.split_once('#').unwrap().1).await;
        assert_eq!(second.get("/").await.location, "/organizations");

        let tokens = format!("{ACCESS}/tokens");
        assert!(boss.get(&tokens).await.text.contains("Programs that use the API"));
        let new = [("name", HOSTILE), ("scope", "read"), ("until", "2999-12-31")];
        let made = send(&mut boss, &proof, &format!("{tokens}/add"), &new).await;
        let token = shown(&made, "api-token");
        let clients = format!("{}/api/v1/client-organizations/clients", gateway.base);
        let ask =
            async || boss.http.get(&clients).bearer_auth(&token).send().await.unwrap().status().as_u16();
        assert_eq!(ask().await, 200);
        let listed = second.get(&tokens).await.text;
        assert!(
            !listed.contains(&token) && !listed.contains("<img") && listed.contains("img src=x"),
            "{listed}"
        );
        let own = second.proof(&tokens).await;
        for (field, value, text) in [("until", "2020-01-01", "today or later"), ("name", "", "1 to 200")] {
            let wrong = new.map(|(known, old)| (known, if known == field { value } else { old }));
            refused(&send(&mut second, &own, &format!("{tokens}/add"), &wrong).await, 400, text);
        }
        let (_, rest) = listed.split_once("?confirm=").expect("a link to revoke it");
        let id = rest.split('"').next().unwrap();
        let asked = second.get(&format!("{tokens}?confirm={id}")).await.text;
        assert!(asked.contains("Revoke the token"), "{asked}");
        let revoke = format!("{tokens}/revoke");
        assert_eq!(send(&mut second, "wrong", &revoke, &[("id", id)]).await.status.as_u16(), 403);
        assert_eq!(ask().await, 200);
        done(
            &send(&mut second, &own, &revoke, &[("id", id)]).await,
            &format!("{tokens}?done=api-token-revoked"),
        );
        assert_eq!(ask().await, 401);
        assert!(second.get(&format!("{tokens}?state=all")).await.text.contains("revoked on"));
    });
    assert!(gateway.stop().success());
}
