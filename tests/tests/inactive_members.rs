//! Whoever no longer belongs to an organization buys nothing, by whatever way.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::client_organization::openrouter_user_id;
use mai_tests::{
    client::{Answer, Client, read},
    gateway::{Gateway, Installation},
    management::{reseller, until_chat},
    on_each_database, run,
};
use serde_json::{Value, json};

/// A call in the name of a user, in a header or in the body.
async fn named(gateway: &Gateway, key: &str, header: Option<&str>, user: Option<&str>) -> Answer {
    let mut body = Client::chat_body("mock/ok", false);
    if let Some(user) = user {
        body["user"] = json!(user);
    }
    let mut request = Client::new(&gateway.base, key).post("/v1/chat/completions", &body);
    if let Some(user) = header {
        request = request.header("x-openwebui-user-id", user);
    }
    read(request.send().await.unwrap()).await
}

#[test]
fn an_inactive_member_buys_nothing() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let organization = installation.organization("Abc");
        let own = installation.key("abc", &["--user", "anna"]);
        let trusted = installation.key("abc", &["--trusted-client"]);
        let gateway = installation.serve();
        run(async {
            for user in ["anna", "ben"] {
                reseller(&gateway, "POST", "clients/abc/members", &json!({ "user_id": user }), 201).await;
            }
            let further = "clients/abc/members/anna/external-ids/a.nowak";
            reseller(&gateway, "PUT", further, &Value::Null, 200).await;
            let client = Client::new(&gateway.base, &own);
            until_chat(&client, 200).await;
            let member = "clients/abc/members/anna";
            reseller(&gateway, "PATCH", member, &json!({ "is_active": false }), 200).await;
            until_chat(&client, 403).await;

            let charged = mock.charge_count();
            for refused in [
                client.get("/v1/models").await,
                named(&gateway, &own, None, Some("ben")).await,
                named(&gateway, &trusted, Some("anna"), None).await,
                named(&gateway, &trusted, Some("a.nowak"), None).await,
                named(&gateway, &organization.key, None, Some("anna")).await,
            ] {
                assert_eq!(
                    (refused.status.as_u16(), refused.error_code().as_str()),
                    (403, "member_inactive")
                );
            }
            assert_eq!(mock.charge_count(), charged);
            for served in [
                named(&gateway, &trusted, Some("ben"), None).await,
                named(&gateway, &organization.key, None, None).await,
            ] {
                assert_eq!(served.status.as_u16(), 200, "{:?}", served.json());
            }

            // Of two members who are one person the id of the inactive one is the other's.
            let merge = json!({ "from_user_id": "anna", "to_user_id": "ben", "merge": true });
            reseller(&gateway, "POST", "clients/abc/members/assign", &merge, 200).await;
            until_chat(&client, 200).await;
            assert_eq!(named(&gateway, &trusted, Some("a.nowak"), None).await.status.as_u16(), 200);
            reseller(&gateway, "PATCH", "clients/abc/members/ben", &json!({ "is_active": false }), 200).await;
            until_chat(&client, 403).await;
            reseller(&gateway, "PATCH", "clients/abc/members/ben", &json!({ "is_active": true }), 200).await;
            until_chat(&client, 200).await;
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_user_without_a_mapping_is_shown_as_such() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Abc");
        let gateway = installation.serve();
        run(async {
            for user in ["anna", "ben"] {
                reseller(&gateway, "POST", "clients/abc/members", &json!({ "user_id": user }), 201).await;
            }
            reseller(&gateway, "DELETE", "user-mappings/anna?client_id=abc", &Value::Null, 200).await;
            let made = openrouter_user_id(&"abc".parse().unwrap(), &"anna".parse().unwrap()).unwrap();
            let usage = reseller(&gateway, "GET", "usage/by-user/abc", &Value::Null, 200).await;
            let of = |name: &str| {
                let users = usage["user_usage"].as_array().unwrap();
                users.iter().find(|user| user["user_id"] == name).unwrap().clone()
            };
            assert_eq!(of("anna")["user_mapping_enabled"], false, "{usage}");
            assert_eq!(of("anna")["external_user_id"], made.as_str());
            assert_eq!(of("ben")["user_mapping_enabled"], true);
        });
        assert!(gateway.stop().success());
    });
}
