//! What models cost, as the API shows it.

use std::time::{Duration, Instant};

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::read,
    gateway::{Gateway, Installation},
    on_each_database,
    reports::RESELLER,
    run,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn ask(gateway: &Gateway, query: &str, token: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/usage-tracking/model-pricing{query}", gateway.base);
    let answer = read(reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()).await;
    (answer.status.as_u16(), answer.json())
}

/// The prices, once they come from there.
async fn until(gateway: &Gateway, query: &str, token: &str, source: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, prices) = ask(gateway, query, token).await;
        assert_eq!(status, 200, "{prices}");
        if prices["source"] == source {
            return prices;
        }
        assert!(Instant::now() < deadline, "waited in vain for {source}: {}", prices["source"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn model<'a>(prices: &'a Value, id: &str) -> &'a Value {
    prices["models"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap()
}

const MINI: &str = "openai/gpt-4o-mini";

#[test]
fn clients_see_their_price_and_the_reseller_both() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        installation.json(&["org", "update", "--org", &ours.id, "--markup", "1.5", "--json"]);
        let arguments =
            ["tokens", "create", "--org", &ours.id, "--role", "member", "--user", "anna", "--json"];
        let member = installation.json(&arguments)["token"].as_str().unwrap().to_owned();
        let gateway = installation.serve();
        run(async {
            for token in [&ours.token, &member] {
                let prices = until(&gateway, "", token, "openrouter_api").await;
                assert_eq!((&prices["success"], &prices["prices"]), (&json!(true), &json!("client")));
                assert_eq!(prices["models"].as_array().unwrap().len(), 12);
                let mini = model(&prices, MINI);
                assert_eq!(mini["price_per_million_input"], json!(0.225));
                assert_eq!(mini["price_per_million_output"], json!(0.9));
                assert_eq!(
                    (&mini["name"], &mini["provider"]),
                    (&json!("OpenAI: GPT-4o Mini"), &json!("OpenAI"))
                );
                assert_eq!((&mini["category"], &mini["context_length"]), (&json!("Budget"), &json!(128_000)));
                let text = prices.to_string();
                assert!(!text.contains("raw_price") && !text.contains("markup"), "{text}");
            }
            let raw = ask(&gateway, "", RESELLER).await.1;
            assert_eq!(model(&raw, MINI)["price_per_million_input"], json!(0.15));
            let both = ask(&gateway, &format!("?client_org_id={}", ours.id), RESELLER).await.1;
            assert_eq!(both["markup_rate"], json!(1.5));
            assert_eq!(model(&both, MINI)["price_per_million_input"], json!(0.225));
            assert_eq!(model(&both, MINI)["raw_price_per_million_input"], json!(0.15));

            let all = ask(&gateway, "?models=all", RESELLER).await.1;
            assert!(all["models"].as_array().unwrap().len() > 12);
            let router = model(&all, "openrouter/auto");
            assert_eq!(
                (&router["is_variable"], &router["price_per_million_input"]),
                (&json!(true), &Value::Null)
            );
            assert_eq!(router["category"], Value::Null);
            let tiered = model(&all, "x-ai/grok-4-tiered");
            assert_eq!(tiered["price_per_million_input"], json!(2.4), "3 USD and a fifth off");
            assert_eq!(tiered["price_per_request"], json!(0.0008));
            assert_eq!(tiered["overrides"][0]["min_prompt_tokens"], json!(128_000));
            assert_eq!(tiered["overrides"][0]["price_per_million_output"], json!(24));
            assert_eq!(tiered["overrides"][1]["utc_start"], json!("1630"));
            assert_eq!(tiered["overrides"][1]["price_per_million_output"], Value::Null, "as usual");

            for (query, token, status) in [
                ("?client_org_id=nobody", RESELLER, 404),
                ("?client_org_id=nobody", &ours.token, 404),
                ("?models=cheap", &ours.token, 400),
                ("?other=1", &ours.token, 400),
            ] {
                assert_eq!(ask(&gateway, query, token).await.0, status, "{query}");
            }
        });
        assert!(gateway.stop().success());
    });
}

#[test]
fn without_openrouter_the_last_copy_stands_in_or_the_built_in_list() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        mock.answer_models(Some((StatusCode::INTERNAL_SERVER_ERROR, "{}")));
        let installation = Installation::new(database, &mock);
        let gateway = installation.serve();
        run(async {
            let prices = until(&gateway, "", RESELLER, "hardcoded_fallback").await;
            assert_eq!((&prices["success"], &prices["last_updated"]), (&json!(false), &Value::Null));
            assert_eq!(model(&prices, "openai/o3")["price_per_million_output"], json!(240));
            assert!(prices["error"].as_str().unwrap().contains("built in"));
        });
        assert!(gateway.stop().success());

        mock.answer_models(None);
        let gateway = installation.serve();
        let first = run(until(&gateway, "", RESELLER, "openrouter_api"));
        assert!(gateway.stop().success());

        mock.answer_models(Some((StatusCode::OK, r#"{"data":[{"id":"a/b","pricing":{}}]}"#)));
        let gateway = installation.serve();
        let second = run(until(&gateway, "", RESELLER, "openrouter_api"));
        assert_eq!((&second["models"], &second["last_updated"]), (&first["models"], &first["last_updated"]));
        assert!(gateway.stop().success());
    });
}
