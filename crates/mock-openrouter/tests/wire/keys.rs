//! Keys and their usage per UTC day.

use crate::client::{Answer, KEY, chat, chat_body, get, order, raw, send, start};
use mai_mock_openrouter::{Mock, MockSettings, Route};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const MANAGEMENT: (&str, &str) = ("authorization", "Bearer sk-or-v1-management");

fn manage(mock: &Mock, method: &str, path: &str, body: &str) -> Answer {
    send(mock, method, &format!("/api/v1/keys{path}"), &[MANAGEMENT], body)
}

#[test]
fn usage_of_a_key_counts_utc_days() {
    // Sunday 2026-11-22, one minute before midnight UTC.
    let now = Arc::new(AtomicI64::new(1_795_391_940_000));
    let clock = Arc::clone(&now);
    let settings =
        MockSettings { now: Arc::new(move || clock.load(Ordering::Relaxed)), ..MockSettings::default() };
    let mock = Mock::start(settings).unwrap();
    chat(&mock, "openai/o3", false);
    now.fetch_add(120_000, Ordering::Relaxed);
    chat(&mock, "openai/o3", true);
    chat(&mock, "mock/byok", true);
    let costs: Vec<String> = mock.ledger().into_iter().map(|charge| charge.cost_text).collect();
    let byok = mock.ledger()[2].total;
    let key = get(&mock, "/api/v1/key").text();
    // The new day is a Monday, so that the week has begun as well.
    assert_eq!(raw(&key, "usage_daily"), costs[1]);
    assert_eq!(raw(&key, "usage_weekly"), costs[1]);
    assert_eq!(raw(&key, "byok_usage_daily"), byok.to_string());
    let sum = mock.ledger()[0].cost + mock.ledger()[1].cost;
    assert_eq!(raw(&key, "usage_monthly"), sum.normalize().to_string());
    assert_eq!(raw(&key, "usage"), sum.normalize().to_string());
    assert_eq!(raw(&key, "is_management_key"), "false");
    assert_eq!(raw(&key, "label"), "\"sk-or-v1-tes...est\"");
    assert!(!key.contains(KEY));
}

#[test]
fn sums_of_a_day_are_exact_and_the_rest_is_what_was_before() {
    let now = Arc::new(AtomicI64::new(1_795_391_940_000));
    let clock = Arc::clone(&now);
    let settings =
        MockSettings { now: Arc::new(move || clock.load(Ordering::Relaxed)), ..MockSettings::default() };
    let mock = Mock::start(settings).unwrap();
    let number = |text: &str, name: &str| raw(text, name).parse::<Decimal>().unwrap();
    let mut opening = (Decimal::ZERO, Decimal::ZERO);
    for day in 0..3 {
        // Digits far below a nano-dollar, on every route.
        for route in Route::ALL {
            order(&mock, route, "mock/cost-17-digits", false);
            order(&mock, route, "mock/byok-fee,cost-17-digits", false);
        }
        let ledger = mock.ledger().split_off(day * 18);
        let (usage, total) = ledger.iter().fold((Decimal::ZERO, Decimal::ZERO), |(usage, total), charge| {
            (usage + charge.cost, total + charge.total)
        });
        let key = get(&mock, "/api/v1/key").text();
        assert_eq!(number(&key, "usage_daily"), usage);
        assert_eq!(number(&key, "byok_usage_daily"), total - usage);
        let before =
            ["usage", "byok_usage"].map(|name| number(&key, name) - number(&key, &format!("{name}_daily")));
        assert_eq!((before[0], before[1]), opening, "the day's opening balance");
        opening = (number(&key, "usage"), number(&key, "byok_usage"));
        now.fetch_add(86_400_000, Ordering::Relaxed);
        let idle = get(&mock, "/api/v1/key").text();
        assert_eq!((raw(&idle, "usage_daily"), raw(&idle, "byok_usage_daily")), ("0", "0"));
    }
}

#[test]
fn keys_are_made_changed_and_deleted() {
    let mock = start();
    let made = manage(&mock, "POST", "", r#"{"name":"Client: Acme","limit":12.5,"limit_reset":"monthly"}"#);
    assert_eq!(made.status, 201);
    let secret = made.json()["key"].as_str().unwrap().to_owned();
    let hash = made.json()["data"]["hash"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-or-v1-") && hash.len() == 64);
    let order = |secret: &str| {
        let bearer = format!("Bearer {secret}");
        let headers = [("authorization", bearer.as_str())];
        send(&mock, "POST", "/api/v1/chat/completions", &headers, &chat_body("openai/o3", false)).status
    };
    assert_eq!(order(&secret), 200);
    let path = format!("/{hash}");
    let one = manage(&mock, "GET", &path, "");
    let spent = mock.ledger()[0].total;
    assert_eq!(one.json()["data"]["name"], "Client: Acme");
    let rest = (rust_decimal::Decimal::new(125, 1) - spent).normalize().to_string();
    assert_eq!(raw(&one.text(), "limit_remaining"), rest);
    assert!(!one.text().contains(&secret), "the secret is shown once");

    let changed = manage(&mock, "PATCH", &path, r#"{"disabled":true,"limit":null}"#);
    assert_eq!((raw(&changed.text(), "disabled"), raw(&changed.text(), "limit")), ("true", "null"));
    assert_eq!(order(&secret), 401);
    assert_eq!(manage(&mock, "GET", "", "").json()["data"].as_array().unwrap().len(), 0);
    assert_eq!(
        manage(&mock, "GET", "?include_disabled=true", "").json()["data"].as_array().unwrap().len(),
        1
    );
    manage(&mock, "PATCH", &path, r#"{"disabled":false}"#);
    assert_eq!(order(&secret), 200);

    assert_eq!(manage(&mock, "DELETE", &path, "").text(), r#"{"deleted":true}"#);
    assert_eq!(order(&secret), 401);
    assert_eq!(manage(&mock, "GET", &path, "").status, 404);
}

#[test]
fn management_needs_its_key_and_sane_bodies() {
    let mock = start();
    assert_eq!(get(&mock, "/api/v1/keys").status, 403);
    assert_eq!(send(&mock, "GET", "/api/v1/keys", &[], "").status, 401);
    assert_eq!(manage(&mock, "POST", "", "{}").status, 400);
    assert_eq!(manage(&mock, "POST", "", "no json").status, 400);
    assert_eq!(manage(&mock, "PUT", "", "{}").status, 404);
}
