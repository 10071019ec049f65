//! What organizations pay for their seats, as the API shows it.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::read,
    gateway::{Gateway, Installation},
    management::reseller,
    on_each_database,
    reports::RESELLER,
    run,
};
use serde_json::{Value, json};

async fn ask(gateway: &Gateway, route: &str, token: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/{route}", gateway.base);
    let answer = read(reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()).await;
    (answer.status.as_u16(), answer.json())
}

/// An amount as the API writes it.
fn pln(grosz: i64) -> Value {
    serde_json::from_str(&format!("{}.{:02}", grosz / 100, grosz % 100)).unwrap()
}

const OWN: &str = "usage-tracking/my-organization/subscription-billing";
const CLIENT: &str = "client-organizations/subscription/billing";

#[test]
fn seats_are_billed_by_the_settings_and_add_up() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let route = format!("clients/{}/members", ours.id);
            for (user, role) in [("anna", "admin"), ("bob", "member"), ("celina", "pending")] {
                let body = json!({ "user_id": user, "role": role, "email": format!("{user}@x.example") });
                reseller(&gateway, "POST", &route, &body, 201).await;
            }
            let (status, answer) = ask(&gateway, OWN, &ours.token).await;
            assert_eq!(status, 200, "{answer}");
            assert_eq!((&answer["success"], &answer["client_id"]), (&json!(true), &json!(ours.id)));
            let month = &answer["subscription_data"]["current_month"];
            assert_eq!((&month["total_users"], &month["current_tier_price_pln"]), (&json!(2), &json!(79.0)));
            assert_eq!((&month["is_frozen"], &month["frozen_at"]), (&json!(false), &Value::Null));
            let tiers = month["tier_breakdown"].as_array().unwrap();
            let shown: Vec<_> = tiers.iter().map(|tier| tier["tier_range"].as_str().unwrap()).collect();
            assert_eq!(shown, ["1-3 users", "4-9 users", "10-19 users", "20+ users"]);
            let current: Vec<_> =
                tiers.iter().map(|tier| tier["is_current_tier"].as_bool().unwrap()).collect();
            assert_eq!(current, [true, false, false, false]);
            // Both were added today, for the days that the month still has.
            let days = month["days_in_month"].as_i64().unwrap();
            let lines = month["user_details"].as_array().unwrap();
            let left = lines[0]["days_remaining_when_added"].as_i64().unwrap();
            assert!((1..=days).contains(&left));
            let grosz = (7_900 * left * 2 + days) / (days * 2);
            for line in lines {
                assert_eq!(line["monthly_cost_pln"], pln(grosz));
                assert!(line["created_date"].is_string() && line["user_email"].is_string());
            }
            assert_eq!(month["total_cost_pln"], pln(grosz * 2));

            // The same for the reseller, and for a named month.
            let named =
                format!("{CLIENT}?client_id={}&month={}", ours.id, month["iso_month"].as_str().unwrap());
            assert_eq!(ask(&gateway, &named, RESELLER).await.1, answer);
            assert_eq!(ask(&gateway, CLIENT, &ours.token).await.1, answer);
            let past = ask(&gateway, &format!("{OWN}?month=2020-02"), &ours.token).await.1;
            let past = &past["subscription_data"]["current_month"];
            assert_eq!((&past["total_users"], &past["days_in_month"]), (&json!(0), &json!(29)));
            assert_eq!((&past["month"], &past["year"]), (&json!(2), &json!(2020)));

            // Other tiers, and whoever is pending as well.
            let tiers = json!([
                { "from": 1, "to": 2, "price_per_user_pln": 100 },
                { "from": 3, "price_per_user_pln": "0.50" },
            ]);
            let body =
                json!({ "subscription_tiers": tiers, "billable_roles": ["member", "pending", "admin"] });
            let changed = reseller(&gateway, "POST", "settings", &body, 200).await;
            assert_eq!(changed["settings"]["billable_roles"], json!(["admin", "member", "pending"]));
            let month = ask(&gateway, OWN, &ours.token).await.1["subscription_data"]["current_month"].clone();
            assert_eq!((&month["total_users"], &month["current_tier_price_pln"]), (&json!(3), &json!(0.5)));
            assert_eq!(month["tier_breakdown"][1]["tier_range"], "3+ users");
            let body = json!({ "subscription_tiers": null, "billable_roles": null });
            let changed = reseller(&gateway, "POST", "settings", &body, 200).await;
            assert_eq!(changed["settings"]["subscription_tiers"].as_array().unwrap().len(), 4);
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn what_cannot_be_billed_is_refused_by_its_field() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let arguments =
            ["tokens", "create", "--org", &ours.id, "--role", "member", "--user", "anna", "--json"];
        let member = installation.json(&arguments)["token"].as_str().unwrap().to_owned();
        let gateway = installation.serve();
        run(async {
            for (route, token, status, field) in [
                (OWN, member.as_str(), 403, Value::Null),
                (CLIENT, member.as_str(), 403, Value::Null),
                (CLIENT, RESELLER, 400, json!("client_id")),
                (OWN, RESELLER, 400, Value::Null),
                (
                    "usage-tracking/my-organization/subscription-billing?month=2026",
                    &ours.token,
                    400,
                    json!("month"),
                ),
                ("client-organizations/subscription/billing?month=9999-12", &ours.token, 400, json!("month")),
                ("client-organizations/subscription/billing?client_id=nobody", RESELLER, 404, Value::Null),
                ("client-organizations/subscription/billing?client_id=nobody", &ours.token, 404, Value::Null),
            ] {
                let (found, answer) = ask(&gateway, route, token).await;
                assert_eq!((found, &answer["field"]), (status, &field), "{route}: {answer}");
            }
            for (body, field) in [
                (json!({ "subscription_tiers": [] }), "subscription_tiers"),
                (
                    json!({ "subscription_tiers": [{ "from": 2, "price_per_user_pln": 1 }] }),
                    "subscription_tiers",
                ),
                (
                    json!({ "subscription_tiers": [{ "from": 1, "price_per_user_pln": -1 }] }),
                    "subscription_tiers",
                ),
                (
                    json!({ "subscription_tiers": [
                        { "from": 1, "to": 3, "price_per_user_pln": 1 }, { "from": 5, "price_per_user_pln": 1 },
                    ] }),
                    "subscription_tiers",
                ),
                (json!({ "billable_roles": [] }), "billable_roles"),
                (json!({ "billable_roles": ["owner"] }), "billable_roles"),
            ] {
                let refused = reseller(&gateway, "POST", "settings", &body, 400).await;
                assert_eq!(refused["field"], field, "{refused}");
            }
            let body = json!({ "subscription_tiers": [{ "from": 1, "price_per_user_pln": 0.001 }] });
            let refused = reseller(&gateway, "POST", "settings", &body, 400).await;
            assert_eq!(refused["code"], "invalid_body");
        });
        assert!(gateway.stop().success());
    });
}
