//! Exchange rates as the API tells them: evidence, policies, and what is said while NBP is away.

use std::time::Duration;

use mai_mock_openrouter::{Mock, MockSettings, NbpConduct, is_working_day};
use mai_organization::exchange_rates::warsaw;
use mai_primitives::{Clock, SystemClock, UsageDate};
use mai_tests::{
    gateway::{Gateway, Installation, Organization},
    on_each_database,
    reports::RESELLER,
    run,
    statistics::book,
};
use serde_json::{Value, json};

const RATE: &str = "usage-tracking/exchange-rate/USD/PLN";

async fn get(gateway: &Gateway, route: &str, token: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/{route}", gateway.base);
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The answer, as soon as it is 200 and as wanted.
async fn until(gateway: &Gateway, route: &str, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let (status, body) = get(gateway, route, token).await;
        if status == 200 && wanted(&body) {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn today() -> UsageDate {
    warsaw().usage_date(SystemClock.now())
}

#[test]
fn a_rate_comes_with_its_table() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            until(&gateway, RATE, &ours.token, |_| true).await;
            // Of the last week every day is certain; the mock knows which of them are working days.
            for age in 1..8 {
                let date = today().minus_days(age);
                let (status, body) = get(&gateway, &format!("{RATE}?date={date}"), &ours.token).await;
                assert_eq!(status, 200, "{body}");
                assert_eq!((&body["is_final"], &body["is_fallback"]), (&json!(true), &json!(false)));
                let is_own = is_working_day(date.date());
                let source = if is_own { "current" } else { "holiday_skip" };
                assert_eq!((body["rate_source"].as_str(), &body["rate"]), (Some(source), &body["usd_pln"]));
                assert_eq!(body["effective_date"] == json!(date.to_string()), is_own, "{body}");
                assert!(body["table_no"].as_str().unwrap().contains("/A/NBP/"));
                let route = format!("{RATE}?date={date}&policy=before_day");
                let (_, before) = get(&gateway, &route, &ours.token).await;
                assert!(before["effective_date"].as_str().unwrap() < date.to_string().as_str(), "{before}");
            }
            for (query, field) in [
                (format!("date={}", today().plus_days(2)), "date"),
                ("date=14.11.2025".to_owned(), "date"),
                ("policy=best".to_owned(), "policy"),
            ] {
                let (status, body) = get(&gateway, &format!("{RATE}?{query}"), &ours.token).await;
                assert_eq!((status, &body["field"]), (400, &json!(field)), "{body}");
            }
            // Nobody knows yet what counted long ago; the present rate stands in and says so.
            let (_, old) = get(&gateway, &format!("{RATE}?date=2020-02-03"), &ours.token).await;
            assert_eq!((&old["is_final"], old["rate_source"].as_str()), (&json!(false), Some("working_day")));
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn a_policy_is_chosen_per_organization_and_logged() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let route = format!("client-organizations/clients/{}", ours.id);
            let (_, shown) = get(&gateway, &route, &ours.token).await;
            assert_eq!(shown["day_rate_policy"], "same_day_or_before");
            assert_eq!(shown["statement_rate_policy"], "before_period_end");
            let patch = async |body: Value| {
                let url = format!("{}/api/v1/{route}", gateway.base);
                let answer = reqwest::Client::new().patch(url).bearer_auth(RESELLER).json(&body);
                let answer = answer.send().await.unwrap();
                (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
            };
            let (status, body) = patch(json!({ "day_rate_policy": "tomorrow" })).await;
            assert_eq!((status, &body["field"]), (400, &json!("day_rate_policy")), "{body}");
            let both =
                json!({ "day_rate_policy": "before_day", "statement_rate_policy": "before_issue_day" });
            let (status, body) = patch(both).await;
            assert_eq!(status, 200, "{body}");
            assert_eq!(body["client"]["day_rate_policy"], "before_day");
            assert_eq!(body["client"]["statement_rate_policy"], "before_issue_day");
            let (_, log) = get(&gateway, "client-organizations/audit-log", RESELLER).await;
            let log = log.to_string();
            assert!(log.contains("before_day") && log.contains("before_issue_day"), "{log}");
        });
        assert!(gateway.stop().success());
    });
}

async fn summary(gateway: &Gateway, organization: &Organization) -> Value {
    let route = "usage-tracking/my-organization/usage-summary";
    let (status, body) = get(gateway, route, &organization.token).await;
    assert_eq!(status, 200, "{body}");
    body["stats"].clone()
}

#[test]
fn while_nbp_is_away_everything_else_works() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        // It takes a connection and says nothing, for longer than any test runs.
        let silent = NbpConduct { delay: Duration::from_secs(86_400), ..NbpConduct::default() };
        mock.set_nbp(silent);
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        run(book(&database.storage, &ours.id, 50, 1));
        let gateway = installation.serve();
        run(async {
            let shown = summary(&gateway, &ours).await;
            assert_eq!(shown["pln_conversion_available"], false);
            assert!(shown["pln_conversion_message"].as_str().unwrap().contains("USD only"));
            assert_eq!(shown["current_month"]["total_cost_pln"], Value::Null);
            assert_eq!(shown["daily_breakdown"][0]["cost_pln"], Value::Null);
            assert!(shown["current_month"]["total_cost"].is_number());
            let users = "usage-tracking/my-organization/usage-by-user";
            let (_, users) = get(&gateway, users, &ours.token).await;
            assert_eq!(users["user_usage"][0]["cost_pln"], Value::Null);
            let (status, body) = get(&gateway, RATE, &ours.token).await;
            assert_eq!((status, &body["code"]), (503, &json!("no_exchange_rate")), "{body}");
        });
        assert!(gateway.stop().success());

        // A configured rate stands in, and says so.
        let installation = installation.with("MAI_FALLBACK_USD_PLN_RATE", "4.0");
        let gateway = installation.serve();
        run(async {
            let shown = summary(&gateway, &ours).await;
            assert_eq!(shown["exchange_rate_info"]["is_fallback"], true);
            assert_eq!(shown["exchange_rate_info"]["rate_source"], "fallback");
            assert_eq!(shown["daily_breakdown"][0]["is_fallback"], true);
            assert!(shown["current_month"]["total_cost_pln"].is_number());
            let (status, body) = get(&gateway, RATE, &ours.token).await;
            assert_eq!((status, &body["is_fallback"], &body["table_no"]), (200, &json!(true), &Value::Null));
        });
        assert!(gateway.stop().success());

        // NBP is back: the days that are over get their rates for good.
        mock.set_nbp(NbpConduct::default());
        let gateway = installation.serve();
        run(async {
            let route = "usage-tracking/my-organization/usage-summary";
            let wanted = |body: &Value| body["stats"]["days_estimated"].as_i64().unwrap() <= 1;
            let body = until(&gateway, route, &ours.token, wanted).await;
            assert_eq!(body["stats"]["exchange_rate_info"]["is_fallback"], false);
        });
        assert!(gateway.stop().success());
    });
}
