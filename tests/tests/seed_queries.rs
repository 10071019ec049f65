//! The two validation queries of the original system's documentation, unchanged, on our SQLite schema.
#![expect(clippy::disallowed_methods, reason = "the queries are given as SQL text")]

use diesel::{QueryableByName, RunQueryDsl, sql_types};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{client::Client, gateway::Installation, ledger::assert_equal_to_mock, run};

const TOP_MODELS: &str = "\
-- Validate top models calculation
SELECT model_name, SUM(total_tokens) as total_tokens
FROM client_model_daily_usage 
WHERE client_org_id = 'test_client' 
  AND usage_date >= DATE('now', 'start of month')
GROUP BY model_name 
ORDER BY total_tokens DESC 
LIMIT 3;
";

const ACTIVE_USERS: &str = "\
-- Validate active users calculation
SELECT COUNT(DISTINCT user_id) as unique_users
FROM client_user_daily_usage 
WHERE client_org_id = 'test_client' 
  AND usage_date >= DATE('now', 'start of month');
";

#[derive(Debug, QueryableByName)]
struct TopModel {
    #[diesel(sql_type = sql_types::Text)]
    model_name: String,
    #[diesel(sql_type = sql_types::BigInt)]
    total_tokens: i64,
}

#[derive(Debug, QueryableByName)]
struct ActiveUsers {
    #[diesel(sql_type = sql_types::BigInt)]
    unique_users: i64,
}

#[test]
fn the_documented_queries_give_the_figures_of_the_summary() {
    let database = TestDb::sqlite();
    let mock = Mock::start(MockSettings::default()).unwrap();
    let installation = Installation::new(&database, &mock);
    let organization = installation.organization("test client");
    assert_eq!(organization.id, "test_client");
    let gateway = installation.serve();
    let models =
        ["anthropic/claude-sonnet-4", "openai/gpt-4o-mini", "google/gemini-2.5-flash", "x-ai/grok-4"];
    run(async {
        let client = Client::new(&gateway.base, &organization.key);
        for seed in 0..12_u64 {
            let mut body =
                Client::chat_body(models[usize::try_from(seed).unwrap() % models.len()], seed % 2 == 0);
            body["user"] = format!("user{}", seed % 3 + 1).into();
            let request = client.post("/v1/chat/completions", &body).header("x-mock-seed", seed);
            let answer = mai_tests::client::read(request.send().await.unwrap()).await;
            assert!(answer.complete && answer.status.is_success());
        }
    });
    assert_equal_to_mock(&database.storage, &organization.id, &mock);
    let summary = run(async {
        let path = "/api/v1/usage-tracking/my-organization/usage-summary";
        Client::new(&gateway.base, &organization.token).get(path).await.json()
    });
    let shown = &summary["stats"]["monthly_summary"];
    let (top, users): (Vec<TopModel>, ActiveUsers) = database
        .storage
        .read_blocking(|conn| {
            let top = diesel::sql_query(TOP_MODELS).load(conn)?;
            let users = diesel::sql_query(ACTIVE_USERS).get_result(conn)?;
            Ok::<_, mai_storage::Error>((top, users))
        })
        .unwrap();
    assert_eq!(users.unique_users, 3);
    assert_eq!(shown["total_unique_users"], users.unique_users);
    let top: Vec<_> = top
        .into_iter()
        .map(|top| serde_json::json!({ "model_name": top.model_name, "total_tokens": top.total_tokens }))
        .collect();
    assert_eq!(top.len(), 3);
    assert_eq!(shown["top_models"], serde_json::Value::from(top));
}
