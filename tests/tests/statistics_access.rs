//! Who sees which statistics, and what is refused.

use std::time::Duration;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{
    client::{Answer, read},
    gateway::{Gateway, Installation},
    on_each_database,
    reports::RESELLER,
    run,
    statistics::{Exact, book},
};
use serde_json::Value;

async fn get(gateway: &Gateway, route: &str, token: &str) -> Answer {
    let url = format!("{}/api/v1/{route}", gateway.base);
    read(reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()).await
}

/// The status, the code and the field of an answer.
async fn refusal(gateway: &Gateway, route: &str, token: &str) -> (u16, String, Option<String>) {
    let answer = get(gateway, route, token).await;
    let json = answer.json();
    assert_eq!(json["success"], false, "{route}: {json}");
    let field = json["field"].as_str().map(str::to_owned);
    (answer.status.as_u16(), json["code"].as_str().unwrap().to_owned(), field)
}

fn member_token(installation: &Installation, organization: &str, user: &str) -> String {
    let arguments = ["tokens", "create", "--org", organization, "--role", "member", "--user", user, "--json"];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_member_sees_sums_and_its_own_usage() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let member = member_token(&installation, &ours.id, "user-1");
        let idle = member_token(&installation, &ours.id, "idle-1");
        let gateway = installation.serve();
        run(async {
            let booked = book(&database.storage, &ours.id, 400, 3).await;
            let mine = |route: &str| {
                let separator = if route.contains('?') { '&' } else { '?' };
                let (from, to) = (booked.from, booked.to);
                format!("usage-tracking/my-organization/{route}{separator}start_date={from}&end_date={to}")
            };
            for (token, user) in [(&member, "user-1"), (&idle, "idle-1")] {
                let own = get(&gateway, &mine("my-usage"), token).await;
                let own = Exact::parse(std::str::from_utf8(&own.body).unwrap());
                let expected = booked.by_user.get(user).copied().unwrap_or_default();
                assert_eq!(own.string("user_id"), user);
                assert_eq!(own.object("totals").figures(), expected.without_raw_cost());
            }
            let named = get(&gateway, &mine("my-usage?user_id=user-1"), &member).await;
            assert_eq!(named.status.as_u16(), 200);
            for open in ["usage-summary", "daily-usage"] {
                assert_eq!(get(&gateway, &mine(open), &member).await.status.as_u16(), 200, "{open}");
            }
            for closed in [
                "my-usage?user_id=user-2",
                "daily-usage?group_by=model",
                "daily-usage?group_by=user",
                "usage-by-user",
                "usage-by-model",
                "usage-by-provider",
                "engagement",
                "cost-analytics",
                "export?kind=daily",
                "export?kind=generations&format=xlsx",
            ] {
                let refused = refusal(&gateway, &mine(closed), &member).await;
                assert_eq!(refused, (403, "forbidden".into(), None), "{closed}");
            }
            let nobody = get(&gateway, &mine("my-usage"), &ours.token).await.json();
            assert_eq!((&nobody["user_id"], &nobody["days"]), (&Value::Null, &serde_json::json!([])));
        });
    });
}

#[test]
fn wrong_questions_are_refused_by_the_field_that_is_wrong() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let field = |name: &str| (400, "invalid_field".to_owned(), Some(name.to_owned()));
            for (route, name) in [
                ("usage-summary?start_date=2026-13-01", "start_date"),
                ("usage-summary?end_date=yesterday", "end_date"),
                ("usage-by-user?start_date=2026-02-02&end_date=2026-02-01", "start_date"),
                ("usage-by-user?limit=0", "limit"),
                ("usage-by-model?limit=501", "limit"),
                ("usage-by-model?cursor=x", "cursor"),
                // A place among numbers in a list of names.
                ("usage-by-user?sort=name&cursor=WzEsbnVsbCwxLCJhIl0", "cursor"),
                ("daily-usage?top=0", "top"),
                ("daily-usage?top=51", "top"),
                ("cost-analytics?top=501", "top"),
                ("trend?months=0", "months"),
                ("trend?months=37", "months"),
                ("export?start_date=2026-02-30", "start_date"),
                ("my-usage?user_id=%0A", "user_id"),
            ] {
                let route = format!("usage-tracking/my-organization/{route}");
                assert_eq!(refusal(&gateway, &route, &ours.token).await, field(name), "{route}");
            }
            let long = "x".repeat(201);
            let route = format!("usage-tracking/my-organization/usage-by-user?search={long}");
            assert_eq!(refusal(&gateway, &route, &ours.token).await, field("search"));
            for route in [
                "usage-by-user?sort=colour",
                "usage-by-user?activity=lazy",
                "usage-by-user?unknown=1",
                "daily-usage?group_by=weekday",
                "export?kind=everything",
                "export?format=pdf",
                "export?bom=maybe",
                "trend?months=-1",
            ] {
                let route = format!("usage-tracking/my-organization/{route}");
                let refused = refusal(&gateway, &route, &ours.token).await;
                assert_eq!(refused, (400, "invalid_request".into(), None), "{route}");
            }
            for (route, name) in [
                ("usage/billing?days_back=4000", "days_back"),
                ("usage/billing?days_back=3&start_date=2026-01-01", "days_back"),
                ("usage/today", "client_id"),
                ("usage/by-user/ours?client_org_id=ours", "client_org_id"),
                ("usage/export?format=csv&kind=daily", "kind"),
            ] {
                let route = format!("client-organizations/{route}");
                assert_eq!(refusal(&gateway, &route, RESELLER).await, field(name), "{route}");
            }
            for route in [
                "usage-tracking/my-organization/usage-summary?client_org_id=unknown",
                "usage-tracking/my-organization/export?client_org_id=unknown&format=xlsx",
                "usage-tracking/usage/real-time/unknown",
                "client-organizations/usage/by-model/unknown",
                "client-organizations/usage/export?client_id=unknown",
            ] {
                for token in [RESELLER, &ours.token] {
                    let refused = refusal(&gateway, route, token).await;
                    assert_eq!((refused.0, refused.1.as_str()), (404, "not_found"), "{route}");
                }
            }
        });
    });
}

#[test]
fn an_export_without_usage_is_a_table_without_rows() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let route = |rest: &str| format!("usage-tracking/my-organization/export?{rest}");
            for kind in ["daily", "by-user", "by-user-daily", "by-model-daily", "generations"] {
                let csv = get(&gateway, &route(&format!("kind={kind}")), &ours.token).await;
                assert_eq!(String::from_utf8_lossy(&csv.body).lines().count(), 1, "{kind}");
                let lines = get(&gateway, &route(&format!("kind={kind}&format=jsonl")), &ours.token).await;
                assert_eq!((lines.status.as_u16(), lines.body.len()), (200, 0));
            }
            let url =
                format!("{}/api/v1/{}", gateway.base, route("start_date=2026-01-01&end_date=2026-01-31"));
            let answer = reqwest::Client::new().get(url).bearer_auth(&ours.token).send().await.unwrap();
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), "text/csv; charset=utf-8");
            assert_eq!(
                header("content-disposition"),
                "attachment; filename=\"mai-usage_ours_daily_2026-01-01_2026-01-31.csv\""
            );
        });
    });
}

#[test]
fn clients_that_leave_their_exports_keep_nobody_from_being_served() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock).with("MAI_WORKERS", "1");
        let ours = installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let booked = book(&database.storage, &ours.id, 4_000, 5).await;
            let route = format!(
                "{}/api/v1/usage-tracking/my-organization/export?kind=generations&start_date={}&end_date={}",
                gateway.base, booked.from, booked.to
            );
            // More than there are database connections; some leave before the answer begins.
            for number in 0..30 {
                let format = ["csv", "jsonl", "xlsx"][number % 3];
                let request = reqwest::Client::new().get(format!("{route}&format={format}"));
                let answer = request.bearer_auth(&ours.token).send();
                let _ = tokio::time::timeout(Duration::from_millis(40), answer).await;
            }
            // Whoever comes then is served.
            let range = format!("start_date={}&end_date={}", booked.from, booked.to);
            let route = format!("usage-tracking/my-organization/usage-summary?{range}");
            let answer = get(&gateway, &route, &ours.token).await;
            let stats = Exact::parse(std::str::from_utf8(&answer.body).unwrap()).object("stats");
            assert_eq!(stats.object("current_month").nanos("total_cost"), booked.whole.cost);
        });
        assert!(gateway.stop().success());
    });
}
