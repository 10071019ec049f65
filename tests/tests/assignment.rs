//! Usage that nobody was known for, given to members.

use std::collections::BTreeMap;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Client, read},
    ledger::{assert_consistent, rows, wait_until},
    management::{active_members, call, get, reseller},
    on_each_database,
    reports::{WEBHOOK, event, installation, post, send},
    run,
};
use serde_json::{Value, json};

fn names(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().unwrap().iter().map(|one| one["user_id"].as_str().unwrap()).collect()
}

#[test]
fn usage_of_an_unknown_id_is_assigned_and_follows() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Assigned");
        let gateway = installation.serve();
        run(async {
            let report = |id: &str, who: Value| {
                let mut changes = json!({ "request_id": id });
                changes.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
                event(&organization.key, &changes)
            };
            for (id, who) in [
                ("r1", json!({ "external_user": "a.nowak" })),
                ("r2", json!({ "external_user": "a.nowak" })),
                ("r3", json!({})),
                ("r4", json!({ "user_id": "anna" })),
            ] {
                assert_eq!(send(&gateway, &report(id, who)).await.status, 200);
            }
            let members = "clients/assigned/members";
            let admin = |method: &'static str, route: String, body: Value| {
                let (gateway, token) = (&gateway, &organization.token);
                async move { call(gateway, method, &route, token, &body).await }
            };
            reseller(&gateway, "POST", members, &json!({ "user_id": "anna", "name": "Anna Nowak" }), 201)
                .await;
            let shown =
                admin("GET", format!("{members}/unassigned?start_date=2020-01-01"), Value::Null).await.json();
            assert_eq!(names(&shown), ["a.nowak", "unattributed"]);
            assert_eq!(
                (&shown["items"][0]["total_cost"], shown["items"][0].get("raw_cost")),
                (&json!(0.026), None)
            );

            let body = json!({ "from_user_id": "a.nowak", "to_user_id": "anna" });
            let done = admin("POST", format!("{members}/assign"), body).await;
            let done = (done.status.as_u16(), done.json());
            assert_eq!(
                (done.0, &done.1["total_requests"], &done.1["later_usage"]),
                (200, &json!(2), &json!(true))
            );
            assert_eq!((done.1.get("raw_cost"), &done.1["total_cost"]), (None, &json!(0.026)));
            let body =
                json!({ "from_user_id": "unattributed", "to_user_id": "anna", "start_date": "2020-01-01" });
            let done = reseller(&gateway, "POST", &format!("{members}/assign"), &body, 200).await;
            assert_eq!((&done["raw_cost"], &done["later_usage"]), (&json!(0.01), &json!(false)));

            // Whatever comes later under the unknown id is hers, from whatever door.
            assert_eq!(
                send(&gateway, &report("r5", json!({ "external_user": "a.nowak" }))).await.status,
                200
            );
            let client = Client::new(&gateway.base, &organization.key);
            let mut chat = Client::chat_body("mock/ok", false);
            chat["user"] = json!("a.nowak");
            let chat = client.post("/v1/chat/completions", &chat).send().await.unwrap();
            assert_eq!(read(chat).await.status, 200);
            wait_until("the chat is booked", || rows(&database.storage, "assigned").len() == 6);
            let mut users: BTreeMap<String, usize> = BTreeMap::new();
            for row in rows(&database.storage, "assigned").values() {
                *users.entry(row.user_id.to_string()).or_default() += 1;
            }
            assert_eq!(users, BTreeMap::from([("anna".to_owned(), 6)]));
            let one = get(&gateway, &format!("{members}/anna")).await;
            assert_eq!(one["external_user_ids"], json!(["a.nowak"]));
            assert_eq!(names(&get(&gateway, members).await), ["anna"], "the id did not become a member");

            for (body, status, code) in [
                (json!({ "from_user_id": "x", "to_user_id": "nobody" }), 404, "not_found"),
                (json!({ "from_user_id": "anna", "to_user_id": "anna" }), 400, "invalid_field"),
                (
                    json!({ "from_user_id": "x", "to_user_id": "anna", "end_date": "2026-01-01" }),
                    400,
                    "invalid_field",
                ),
                (
                    json!({ "from_user_id": "unattributed", "to_user_id": "anna", "end_date": "soon" }),
                    400,
                    "invalid_field",
                ),
            ] {
                let refused = reseller(&gateway, "POST", &format!("{members}/assign"), &body, status).await;
                assert_eq!(refused["code"], code, "{body}");
            }
            reseller(&gateway, "POST", members, &json!({ "user_id": "ben" }), 201).await;
            let body = json!({ "from_user_id": "ben", "to_user_id": "anna" });
            let refused = reseller(&gateway, "POST", &format!("{members}/assign"), &body, 409).await;
            assert_eq!(refused["code"], "wrong_state");
            let path = format!("{members}/ben/external-ids/b.kowal");
            reseller(&gateway, "PUT", &path, &Value::Null, 200).await;
            reseller(&gateway, "PUT", &format!("{members}/anna/external-ids/b.kowal"), &Value::Null, 409)
                .await;
            reseller(&gateway, "DELETE", &path, &Value::Null, 200).await;
            reseller(&gateway, "DELETE", &path, &Value::Null, 404).await;
        });
        assert!(gateway.stop().success());
        assert_consistent(&database.storage, "assigned");
        let verified = installation.run(&["verify", "--org", "assigned"]);
        assert!(verified.status.success(), "{verified:?}");
        let done = installation.json(&[
            "members",
            "assign",
            "--org",
            "assigned",
            "--from-user",
            "ben",
            "--to-user",
            "anna",
            "--merge",
            "--json",
        ]);
        assert_eq!((&done["total_tokens"], &done["later_usage"]), (&json!(0), &json!(true)));
        assert_eq!(active_members(database, "assigned"), ["anna"]);
    });
}

#[test]
fn a_webhook_that_names_a_member_s_further_id_before_the_member_called_is_booked_for_the_member() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = installation(database, &mock);
        let organization = installation.organization("Early");
        let gateway = installation.serve();
        run(async {
            let members = "clients/early/members";
            reseller(
                &gateway,
                "POST",
                members,
                &json!({ "user_id": "00000000-0000-4000-8000-000000000001" }),
                201,
            )
            .await;
            // The original's form of eight digits, of a member who never called.
            let changes = json!({ "external_user": "early_user_11e594f4" });
            let answer = post(&gateway, WEBHOOK, &[], event(&organization.key, &changes).to_string()).await;
            assert_eq!(answer.status, 200);
            let rows = rows(&database.storage, "early");
            assert_eq!(rows["req-1"].user_id.as_str(), "00000000-0000-4000-8000-000000000001");
        });
        assert!(gateway.stop().success());
    });
}
