//! Members: made, changed, and taken over from elsewhere.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::client_organization::openrouter_user_id;
use mai_storage::{
    DatabaseUrl,
    testing::{
        TestDb,
        open_webui::{Version, create, sign_up},
    },
};
use mai_tests::{
    client::read,
    fake_registry::{FakeOpenWebui, Form, user},
    gateway::{Gateway, Installation, Organization},
    ledger::wait_until,
    management::{active_members, call, get, reseller},
    on_each_database,
    reports::RESELLER,
    run,
};
use serde_json::{Value, json};

fn names(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|one| one["user_id"].as_str().unwrap()).collect()
}

async fn import_csv(gateway: &Gateway, organization: &str, query: &str, file: &str) -> (u16, Value) {
    let url =
        format!("{}/api/v1/client-organizations/clients/{organization}/members/import?{query}", gateway.base);
    let request = reqwest::Client::new().post(url).bearer_auth(RESELLER).header("content-type", "text/csv");
    let answer = read(request.body(file.to_owned()).send().await.unwrap()).await;
    (answer.status.as_u16(), answer.json())
}

#[test]
fn members_are_made_listed_and_changed() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Members");
        let gateway = installation.serve();
        run(async {
            let members = "clients/members/members";
            for (id, name, role) in
                [("u1", Some("Zofia"), "admin"), ("u2", Some("łucja"), "member"), ("u3", None, "pending")]
            {
                let new =
                    json!({ "user_id": id, "name": name, "email": format!("{id}@x.example"), "role": role });
                reseller(&gateway, "POST", members, &new, 201).await;
            }
            let twice = reseller(&gateway, "POST", members, &json!({ "user_id": "u1" }), 409).await;
            assert_eq!(twice["code"], "already_exists");
            for (wrong, field) in [
                (json!({ "user_id": "unattributed" }), "user_id"),
                (json!({ "user_id": "u9", "email": "no address" }), "email"),
                (json!({ "user_id": "u9", "name": " " }), "name"),
            ] {
                let refused = reseller(&gateway, "POST", members, &wrong, 400).await;
                assert_eq!(refused["field"], field, "{refused}");
            }
            for (query, expected) in [
                ("", vec!["u2", "u1", "u3"]),
                ("?order=desc", vec!["u3", "u1", "u2"]),
                ("?search=%C5%81UCJA", vec!["u2"]),
                ("?search=U3%40X", vec!["u3"]),
                ("?role=pending", vec!["u3"]),
                ("?active=false", vec![]),
                ("?source=csv", vec![]),
                ("?sort=user_id&order=desc", vec!["u3", "u2", "u1"]),
            ] {
                let found = get(&gateway, &format!("{members}{query}")).await;
                assert_eq!(names(&found), expected, "{query}");
                assert_eq!(found["total"], expected.len(), "{query}");
            }
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = get(&gateway, &format!("{members}?limit=2{cursor}")).await;
                assert_eq!(page["total"], 3);
                seen.extend(names(&page).into_iter().map(str::to_owned));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, ["u2", "u1", "u3"]);

            let patch = json!({ "name": null, "role": "member", "is_active": false });
            let changed =
                call(&gateway, "PATCH", &format!("{members}/u1"), &organization.token, &patch).await;
            assert_eq!(changed.status, 200);
            let one = get(&gateway, &format!("{members}/u1")).await;
            assert_eq!((&one["member"]["name"], &one["member"]["role"]), (&Value::Null, &json!("member")));
            assert_eq!(one["member"]["is_active"], false);
            let id = openrouter_user_id(&"members".parse().unwrap(), &"u1".parse().unwrap()).unwrap();
            assert_eq!(one["openrouter_user_id"], id.as_str());
            reseller(&gateway, "PATCH", &format!("{members}/nobody"), &json!({}), 404).await;
            reseller(&gateway, "GET", "clients/nobody/members", &Value::Null, 404).await;
            reseller(&gateway, "POST", "clients/nobody/members", &json!({ "user_id": "u" }), 404).await;
            let log = get(&gateway, "audit-log?action=member&client_org_id=members").await;
            let actions = log["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap());
            assert_eq!(
                actions.collect::<Vec<_>>(),
                ["member.update", "member.create", "member.create", "member.create"]
            );
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_file_is_taken_as_a_whole_or_not_at_all() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Files");
        let gateway = installation.serve();
        run(async {
            let good = "user_id;name;role\nu1;Żółw;admin\nu2;Ewa;user\n";
            let (status, report) = import_csv(&gateway, "files", "dry_run=true", good).await;
            assert_eq!((status, &report["new"], &report["applied"]), (200, &json!(2), &json!(false)));
            let (status, report) = import_csv(&gateway, "files", "", good).await;
            assert_eq!((status, &report["new"], &report["applied"]), (200, &json!(2), &json!(true)));
            let (status, report) =
                import_csv(&gateway, "files", "", "user_id,role\nu3,member\nu4,chief\nu3,\n").await;
            assert_eq!(
                (status, &report["code"], &report["success"]),
                (422, &json!("import_refused"), &json!(false))
            );
            let action = "POST%20/api/v1/client-organizations/clients/%7Bclient_id%7D/members/import";
            let log = get(&gateway, &format!("audit-log?action={action}&limit=1")).await;
            assert_eq!(log["items"][0]["result"], "import_refused", "{log}");
            let lines = report["refused"].as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap());
            assert_eq!(lines.collect::<Vec<_>>(), [3, 4]);
            let (status, report) = import_csv(&gateway, "files", "", "name\nx\n").await;
            assert_eq!((status, &report["field"]), (400, &json!("file")));
            let (status, _) = import_csv(&gateway, "files", "", &"x".repeat(5 * 1024 * 1024 + 1)).await;
            assert_eq!(status, 413);
            let (status, report) =
                import_csv(&gateway, "files", "deactivate_missing=true", "user_id\nu1\n").await;
            assert_eq!((status, &report["deactivated"]), (200, &json!(1)));
            let found = get(&gateway, "clients/files/members?active=true").await;
            assert_eq!(names(&found), ["u1"]);
            let missing = reseller(
                &gateway,
                "POST",
                "clients/files/members/import",
                &json!({ "source": "open_webui" }),
                404,
            )
            .await;
            assert_eq!(missing["code"], "not_configured");
        });
        assert!(gateway.stop().success());

        let file = installation.data.path().join("members.csv");
        std::fs::write(&file, "user_id,name\nu5,Cztery\n").unwrap();
        let path = file.to_str().unwrap();
        let report = installation.json(&["members", "import", "--org", "files", "--csv", path, "--json"]);
        assert_eq!((&report["new"], &report["applied"]), (&json!(1), &json!(true)));
        std::fs::write(&file, "user_id,name\nu6,\"\"\n,x\n").unwrap();
        let refused = installation.run(&["members", "import", "--org", "files", "--csv", path]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stdout).starts_with("line 3: "), "{refused:?}");
        let list = installation.json(&["members", "list", "--org", "files", "--search", "CZTERY", "--json"]);
        assert_eq!((&list[0]["user_id"], &list[0]["source"]), (&json!("u5"), &json!("csv")));
    });
}

#[test]
fn users_of_open_webui_become_members_by_its_api() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let users: Vec<Value> = (0..75).map(|n| user(&format!("u{n:02}"), "Żółw", "user")).collect();
        let webui = FakeOpenWebui::start(users, Form::Pages);
        let installation = Installation::new(database, &mock)
            .with("WEBUI_BASE_URL", &webui.base)
            .with("MAI_WEBUI_API_KEY", &webui.key)
            .with("MAI_WEBUI_ORGANIZATION", "webui")
            .with("MAI_METRICS_OPEN", "true");
        let organization = installation.organization("Webui");
        let other = installation.organization("Other");
        let gateway = installation.serve();
        wait_until("all users are members", || active_members(database, "webui").len() == 75);
        run(async {
            let (ready, answer) = gateway.ready().await;
            assert!(ready && answer["checks"]["members"] == "ok", "{answer}");
            let metrics =
                reqwest::get(format!("{}/metrics", gateway.base)).await.unwrap().text().await.unwrap();
            assert!(metrics.contains("mai_member_sync_failing 0"), "{metrics}");
            assert!(metrics.contains("mai_member_sync_success_timestamp_seconds 1"), "{metrics}");
            let one = get(&gateway, "clients/webui/members/u07").await;
            assert_eq!(
                (&one["member"]["created_at"], &one["member"]["source"]),
                (&json!(1_700_000_000), &json!("open_webui"))
            );

            webui.change(|registry| {
                registry.form = Form::List;
                registry.users.truncate(74);
                registry.users.push(user("new", "Nowa", "admin"));
                registry.users.push(json!({ "id": "odd", "role": "chief" }));
            });
            let import = |options: Value, status| {
                let mut body = json!({ "source": "open_webui" });
                body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
                let (gateway, token) = (&gateway, &organization.token);
                async move {
                    let answer = call(gateway, "POST", "clients/webui/members/import", token, &body).await;
                    assert_eq!(answer.status.as_u16(), status, "{:?}", answer.json());
                    answer.json()
                }
            };
            let report = import(json!({ "dry_run": true, "deactivate_missing": true }), 200).await;
            let counts = ["new", "unchanged", "deactivated"].map(|name| report[name].as_u64().unwrap());
            assert_eq!(counts, [1, 74, 1], "{report}");
            assert_eq!(report["refused"][0]["line"], 76);
            let report = import(json!({ "deactivate_missing": true }), 200).await;
            assert_eq!(report["applied"], true, "{report}");
            assert_eq!(active_members(database, "webui").len(), 75);
            assert!(!active_members(database, "webui").contains(&"u74".to_owned()));

            webui.change(|registry| registry.form = Form::Broken);
            assert_eq!(import(json!({}), 503).await["code"], "open_webui_unavailable");
            // Nobody reads another organization's registry, not even the reseller by mistake.
            for token in [other.token.as_str(), RESELLER] {
                let body = json!({ "source": "open_webui" });
                let answer = call(&gateway, "POST", "clients/other/members/import", token, &body).await;
                assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (404, &json!("not_configured")));
            }
        });
        assert!(gateway.stop().success());

        // A key that opens nothing is a warning and no reason not to serve.
        let installation = installation.with("MAI_WEBUI_API_KEY", "sk-wrong");
        let gateway = installation.serve();
        run(async {
            loop {
                let (ready, answer) = gateway.ready().await;
                assert!(ready, "{answer}");
                if answer["warnings"].as_array().unwrap().contains(&json!("members")) {
                    let text = answer["checks"]["members"].as_str().unwrap();
                    assert!(text.contains("administrator") && !text.contains("sk-wrong"), "{text}");
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn users_of_open_webui_become_members_by_its_database() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let beside = TestDb::postgres();
        let file = DatabaseUrl::Sqlite(folder.path().join("webui.db"));
        let servers = [(&file, Version::Old), (beside.storage.url(), Version::Current)];
        for (url, version) in servers {
            create(url, version);
            sign_up(url, "u1", "Ewa", "ewa@x.example", "admin", 1_700_000_000);
            sign_up(url, "u2", "Żółw", "z@x.example", "user", 1_700_000_001);
        }
        let installation = Installation::new(database, &mock);
        for (index, (url, _)) in servers.into_iter().enumerate() {
            let id = format!("org{index}");
            installation.organization(&id);
            let text = match url {
                DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
                DatabaseUrl::Postgres(text) => text.clone(),
            };
            let arguments = ["members", "import", "--org", &id, "--open-webui-database", &text, "--json"];
            let report = installation.json(&arguments);
            assert_eq!((&report["new"], &report["applied"]), (&json!(2), &json!(true)), "{report}");
            assert_eq!(active_members(database, &id), ["u1", "u2"]);
            assert_eq!(installation.json(&arguments)["unchanged"], 2);
        }
        let DatabaseUrl::Sqlite(path) = &file else { unreachable!() };
        let url = format!("sqlite:{}", path.display());
        let installation = installation
            .with("WEBUI_DATABASE_URL", &url)
            .with("MAI_WEBUI_ORGANIZATION", "org0")
            .with("MAI_WEBUI_DEACTIVATE_MISSING", "true");
        sign_up(&file, "u3", "Nowa", "n@x.example", "pending", 1_700_000_002);
        mai_storage::testing::open_webui::execute(&file, "DELETE FROM \"user\" WHERE id = 'u1'");
        let gateway = installation.serve();
        wait_until("the registry is taken over", || active_members(database, "org0") == ["u2", "u3"]);
        run(async {
            let body = json!({ "source": "open_webui_database" });
            let report = reseller(&gateway, "POST", "clients/org0/members/import", &body, 200).await;
            assert_eq!(report["unchanged"], 2);
            reseller(&gateway, "POST", "clients/org1/members/import", &body, 404).await;
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn mappings_on_the_original_s_paths() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
        let gateway = installation.serve();
        run(async {
            let new = json!({ "user_id": "u1", "client_org_id": "ours", "openrouter_user_id": "by-hand" });
            let made = reseller(&gateway, "POST", "user-mappings", &new, 201).await;
            assert_eq!(made["mapping"]["id"], "u1_ours");
            reseller(&gateway, "POST", "user-mappings", &new, 409).await;
            let taken = json!({ "user_id": "u2", "client_org_id": "ours", "openrouter_user_id": "by-hand" });
            reseller(&gateway, "POST", "user-mappings", &taken, 409).await;
            reseller(
                &gateway,
                "POST",
                "user-mappings",
                &json!({ "user_id": "u", "client_org_id": "x" }),
                404,
            )
            .await;
            reseller(&gateway, "POST", "user-mappings", &json!({ "user_id": "u" }), 400).await;

            let as_admin = async |who: &Organization, method: &str, route: &str, body: Value| {
                let answer = call(&gateway, method, route, &who.token, &body).await;
                (answer.status.as_u16(), answer.json())
            };
            let (status, made) = as_admin(&theirs, "POST", "user-mappings", json!({ "user_id": "u1" })).await;
            assert_eq!((status, &made["mapping"]["client_org_id"]), (201, &json!("theirs")));
            let foreign = json!({ "user_id": "u7", "client_org_id": "ours" });
            assert_eq!(as_admin(&theirs, "POST", "user-mappings", foreign).await.0, 404);
            for (who, organization) in [(&ours, "ours"), (&theirs, "theirs")] {
                let (status, list) = as_admin(who, "GET", "user-mappings", Value::Null).await;
                assert_eq!((status, list.as_array().unwrap().len()), (200, 1));
                let (_, one) = as_admin(who, "GET", "user-mappings/u1", Value::Null).await;
                assert_eq!(one["client_org_id"], organization);
            }
            assert_eq!(as_admin(&ours, "GET", "user-mappings?client_id=theirs", Value::Null).await.0, 404);
            assert_eq!(
                as_admin(&ours, "DELETE", "user-mappings/u1?client_id=theirs", Value::Null).await.0,
                404
            );

            let unclear = reseller(&gateway, "GET", "user-mappings/u1", &Value::Null, 400).await;
            assert_eq!(unclear["field"], "client_id");
            get(&gateway, "user-mappings/u1?client_id=ours").await;
            reseller(&gateway, "GET", "user-mappings", &Value::Null, 400).await;
            assert_eq!(as_admin(&ours, "DELETE", "user-mappings/u1", Value::Null).await.0, 200);
            assert_eq!(as_admin(&ours, "DELETE", "user-mappings/u1", Value::Null).await.0, 404);

            // Nobody takes an id that is another organization's, nor learns whose it is.
            let made = openrouter_user_id(&"ours".parse().unwrap(), &"u1".parse().unwrap()).unwrap();
            let foreign = json!({ "user_id": "u8", "openrouter_user_id": made.as_str() });
            let (status, refused) = as_admin(&theirs, "POST", "user-mappings", foreign).await;
            assert_eq!((status, &refused["field"]), (400, &json!("openrouter_user_id")));
            let unusual = json!({ "user_id": "u8", "openrouter_user_id": "unusual" });
            assert_eq!(as_admin(&ours, "POST", "user-mappings", unusual.clone()).await.0, 201);
            let (status, refused) = as_admin(&theirs, "POST", "user-mappings", unusual).await;
            assert_eq!((status, &refused["code"]), (409, &json!("already_exists")));
            assert!(!refused.to_string().contains("ours"), "{refused}");

            // Without a mapping calls go by the id that is made, which is what is shown.
            let new = json!({ "user_id": "u1" });
            reseller(&gateway, "POST", "clients/ours/members", &new, 201).await;
            let one = get(&gateway, "clients/ours/members/u1").await;
            assert_eq!(one["openrouter_user_id"], made.as_str());
            let left = get(&gateway, "user-mappings/u1").await;
            assert_eq!(left["client_org_id"], "theirs", "only one is left");
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn twenty_clients_at_once_make_one_member_and_one_mapping() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Crowd");
        let gateway = installation.serve();
        run(async {
            for (route, body) in [
                ("clients/crowd/members", json!({ "user_id": "u1" })),
                ("user-mappings", json!({ "user_id": "u2", "client_org_id": "crowd" })),
            ] {
                let calls = (0..20).map(|_| call(&gateway, "POST", route, RESELLER, &body));
                let answers = join_all(calls).await;
                let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
                for answer in &answers {
                    *statuses.entry(answer.status.as_u16()).or_default() += 1;
                    if answer.status == 409 {
                        assert_eq!(answer.json()["code"], "already_exists");
                    }
                }
                assert_eq!(statuses, BTreeMap::from([(201, 1), (409, 19)]), "{route}");
            }
            assert_eq!(get(&gateway, "clients/crowd/members").await["total"], 1);
        });
        assert!(gateway.stop().success());
    });
}
