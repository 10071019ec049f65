//! A month of random usage: every statistic and every export adds up to the summary, to the nano-dollar.

use std::collections::BTreeMap;

use mai_mock_openrouter::{Mock, MockSettings};
use mai_primitives::Usd;
use mai_tests::{
    client::{Answer, read},
    exported::{Row, csv, figures, json_lines, sheet},
    gateway::{Gateway, Installation, Organization},
    on_each_database,
    reports::RESELLER,
    run,
    statistics::{Booked, Exact, Figures, book},
};

/// More than two pages of an export.
const GENERATIONS: usize = 5_200;

struct Api<'a> {
    gateway: &'a Gateway,
    organization: &'a str,
    /// `start_date=…&end_date=…`
    range: String,
}

impl Api<'_> {
    async fn raw(&self, route: &str, token: &str) -> Answer {
        let url = format!("{}/api/v1/{route}", self.gateway.base);
        read(reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()).await
    }

    async fn get(&self, route: &str, token: &str) -> Exact {
        let answer = self.raw(route, token).await;
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{route}: {text}");
        Exact::parse(&text)
    }

    /// A route below `my-organization` over the range.
    async fn mine(&self, route: &str, token: &str) -> Exact {
        self.get(&self.my_route(route), token).await
    }

    fn my_route(&self, route: &str) -> String {
        let separator = if route.contains('?') { '&' } else { '?' };
        format!(
            "usage-tracking/my-organization/{route}{separator}{}&client_org_id={}",
            self.range, self.organization
        )
    }

    /// All items of a list, read in pages of seven.
    async fn pages(&self, route: &str, list: &str, token: &str) -> Vec<Exact> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.mine(&format!("{route}?limit=7&sort=name{cursor}"), token).await;
            let found = page.list(list);
            assert!(!found.is_empty() && found.len() <= 7);
            items.extend(found);
            if page.text("next_cursor") == "null" {
                return items;
            }
            cursor = format!("&cursor={}", page.string("next_cursor"));
        }
    }
}

#[test]
fn every_sum_is_the_summarys_to_the_nano_dollar() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let ours = installation.organization("Ours");
        let theirs = installation.organization("Theirs");
        // Before the start, which gives each day that is over its rate.
        let booked = run(async {
            book(&database.storage, &theirs.id, 300, 8).await;
            book(&database.storage, &ours.id, GENERATIONS, 7).await
        });
        let gateway = installation.serve();
        run(async {
            let range = format!("start_date={}&end_date={}", booked.from, booked.to);
            let api = Api { gateway: &gateway, organization: &ours.id, range };
            summary(&api, &ours, &booked).await;
            lists(&api, &ours, &booked).await;
            days(&api, &ours, &booked).await;
            others(&api, &ours, &booked).await;
            exports(&api, &ours, &booked).await;
            old_shapes(&api, &ours, &booked).await;
            in_pln(&api, &ours, &booked).await;
        });
        assert!(gateway.stop().success());
    });
}

/// Amounts in PLN: the whole is the sum of the organization's rounded days wherever it is shown, and rows of
/// members and models are sums of rounded days of their own.
async fn in_pln(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    let stats = rates_are_there(api, ours).await;
    let month = stats.object("current_month");
    let whole = month.grosz("total_cost_pln");
    let days = stats.list("daily_breakdown");
    assert_eq!(days.iter().map(|day| day.grosz("cost_pln")).sum::<i64>(), whole);
    for day in &days {
        let rate = i128::from(Usd::parse(day.text("exchange_rate_used")).unwrap().nanos() / 100_000);
        let grosz = (i128::from(day.nanos("cost")) * rate * 2 + 100_000_000_000) / 200_000_000_000;
        assert_eq!(i128::from(day.grosz("cost_pln")), grosz, "{}", day.string("date"));
        assert!(day.string("exchange_rate_date") <= day.string("date"));
        assert!(day.string("exchange_rate_table_no").contains("/A/NBP/"));
        assert_eq!(day.text("is_estimated") == "true", day.string("date") == booked.to.to_string());
    }
    let info = month.object("exchange_rate_info");
    assert_eq!((info.text("is_fallback"), info.text("usd_pln")), ("false", stats.text("exchange_rate")));

    let mut by_user = BTreeMap::new();
    for (route, list) in [
        ("usage-by-user", "user_usage"),
        ("usage-by-model", "model_usage"),
        ("usage-by-provider", "provider_usage"),
    ] {
        let found = api.mine(route, &ours.token).await;
        assert_eq!(found.object("totals").grosz("cost_pln"), whole, "{route}");
        assert_eq!(found.text("pln_conversion_available"), "true");
        let rows = found.list(list);
        let sum: i64 = rows.iter().map(|row| row.grosz("cost_pln")).sum();
        assert_eq!(found.object("matched_totals").grosz("cost_pln"), sum, "{route}");
        let pages = api.pages(route, list, &ours.token).await;
        assert_eq!(pages.iter().map(|row| row.grosz("cost_pln")).sum::<i64>(), sum, "{route}");
        if list == "user_usage" {
            by_user = rows.iter().map(|row| (row.string("user_id"), row.grosz("cost_pln"))).collect();
        }
    }
    for user in ["user-0", "user-17"] {
        let own = api.mine(&format!("my-usage?user_id={user}"), &ours.token).await;
        assert_eq!(own.object("totals").grosz("cost_pln"), by_user[user]);
        let days = own.list("days");
        assert_eq!(days.iter().map(|day| day.grosz("cost_pln")).sum::<i64>(), by_user[user]);
    }
    for group in ["none", "model", "provider", "user"] {
        let found = api.mine(&format!("daily-usage?group_by={group}&top=50"), &ours.token).await;
        assert_eq!(found.object("totals").grosz("cost_pln"), whole, "{group}");
        let days = found.list("days");
        assert_eq!(days.iter().map(|day| day.grosz("cost_pln")).sum::<i64>(), whole);
    }
    assert_eq!(api.mine("cost-analytics", &ours.token).await.object("totals").grosz("cost_pln"), whole);
    let route = format!("usage-tracking/my-organization/trend?months=3&end_date={}", booked.to);
    let months = api.get(&route, &ours.token).await.list("months");
    assert_eq!(months.iter().map(|month| month.grosz("cost_pln")).sum::<i64>(), whole);
    let billing = api.get(&format!("client-organizations/usage/billing?{}", api.range), RESELLER).await;
    let clients = billing.list("clients");
    assert_eq!(clients[0].grosz("cost_pln"), whole);
    let sum: i64 = clients.iter().map(|client| client.grosz("cost_pln")).sum();
    assert_eq!(billing.object("summary").grosz("total_cost_pln"), sum);
    let one = format!("client-organizations/usage/summary?client_id={}&{}", ours.id, api.range);
    let stats = api.get(&one, &ours.token).await.object("stats");
    assert_eq!(stats.object("this_month").grosz("cost_pln"), whole);

    for (kind, sum) in
        [("daily", whole), ("by-user", by_user.values().sum()), ("by-user-daily", by_user.values().sum())]
    {
        for format in ["csv", "jsonl"] {
            let route = api.my_route(&format!("export?kind={kind}&format={format}"));
            let body = api.raw(&route, &ours.token).await.body;
            let rows = if format == "csv" { csv(&body, false) } else { json_lines(&body) };
            let grosz = |row: &Row| row["cost_pln"].replace('.', "").parse::<i64>().unwrap();
            assert_eq!(rows.iter().map(grosz).sum::<i64>(), sum, "{kind} {format}");
        }
    }
}

/// The summary, as soon as all days but today have their rates.
async fn rates_are_there(api: &Api<'_>, ours: &Organization) -> Exact {
    loop {
        let stats = api.mine("usage-summary", &ours.token).await.object("stats");
        if stats.number("days_estimated") <= 1 && stats.text("pln_conversion_available") == "true" {
            return stats;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn summary(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    let stats = api.mine("usage-summary", &ours.token).await.object("stats");
    let month = stats.object("current_month");
    let figures = |object: &Exact, cost: &str, requests: &str, tokens: &str| Figures {
        tokens: object.number(tokens),
        requests: object.number(requests),
        cost: object.nanos(cost),
        raw_cost: 0,
    };
    let whole = booked.whole.without_raw_cost();
    assert_eq!(figures(&month, "total_cost", "total_requests", "total_tokens"), whole);
    let days = stats.list("daily_breakdown");
    assert_eq!(Figures::sum(days.iter().map(|day| figures(day, "cost", "requests", "tokens"))), whole);
    assert_eq!(month.number("days_in_month"), 31);
    assert_eq!(stats.object("monthly_summary").number("total_unique_users"), 90);
}

async fn lists(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    for (route, list) in [
        ("usage-by-user", "user_usage"),
        ("usage-by-model", "model_usage"),
        ("usage-by-provider", "provider_usage"),
    ] {
        for (token, whole) in
            [(ours.token.as_str(), booked.whole.without_raw_cost()), (RESELLER, booked.whole)]
        {
            let all = api.mine(route, token).await;
            assert_eq!(all.object("totals").figures(), whole, "{route}");
            let items = all.list(list);
            assert_eq!(Figures::sum(items.iter().map(Exact::figures)), whole, "{route}");
            assert!(items.iter().all(|item| item.has("raw_cost") == (token == RESELLER)));
            let pages = api.pages(route, list, token).await;
            assert_eq!(pages.len(), items.len(), "{route}");
            assert_eq!(Figures::sum(pages.iter().map(Exact::figures)), whole, "{route}");
        }
    }
    let users = api.mine("usage-by-user", &ours.token).await;
    assert_eq!(users.number("total_users"), i64::try_from(booked.by_user.len() + booked.idle).unwrap());
    for user in users.list("user_usage") {
        let expected = booked.by_user.get(&user.string("user_id")).copied().unwrap_or_default();
        assert_eq!(user.figures(), expected.without_raw_cost());
    }
    let idle = api.mine("usage-by-user?activity=idle", &ours.token).await;
    assert_eq!(idle.list("user_usage").len(), booked.idle);
    assert_eq!(idle.object("totals").figures(), booked.whole.without_raw_cost());
    let found = api.mine("usage-by-user?search=%C5%BBAK", &ours.token).await.list("user_usage");
    assert_eq!((found.len(), found[0].string("user_id").as_str()), (1, "user-1"));
}

async fn days(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    for (token, whole) in [(ours.token.as_str(), booked.whole.without_raw_cost()), (RESELLER, booked.whole)] {
        for group in ["none", "model", "provider", "user"] {
            let found = api.mine(&format!("daily-usage?group_by={group}&top=4"), token).await;
            assert_eq!(found.object("totals").figures(), whole);
            let days = found.list("days");
            assert_eq!(Figures::sum(days.iter().map(Exact::figures)), whole);
            let series = found.list("series");
            assert_eq!(series.len(), if group == "none" { 0 } else { 5 });
            if group != "none" {
                let sums = series.iter().map(|one| one.object("totals").figures());
                assert_eq!(Figures::sum(sums), whole, "{group}");
                assert_eq!(series[4].text("is_other"), "true");
            }
            for (place, day) in days.iter().enumerate().filter(|_| group != "none") {
                let cost = series.iter().map(|one| {
                    let costs: Vec<Box<serde_json::value::RawValue>> =
                        serde_json::from_str(one.text("cost")).unwrap();
                    Usd::parse(costs[place].get()).unwrap().nanos()
                });
                assert_eq!(cost.sum::<i64>(), day.nanos("markup_cost"), "{group}");
            }
        }
    }
}

async fn others(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    let whole = booked.whole;
    let costs = api.mine("cost-analytics?top=500", RESELLER).await;
    for list in ["by_cost", "by_tokens"] {
        assert_eq!(Figures::sum(costs.list(list).iter().map(Exact::figures)), whole, "{list}");
    }
    assert_eq!(costs.object("totals").figures(), whole);
    // Half away from zero, once more and in another way.
    let per_request = (2 * whole.cost + whole.requests) / (2 * whole.requests);
    assert_eq!(costs.nanos("cost_per_request"), per_request);
    let (cost, tokens) = (i128::from(whole.cost), i128::from(whole.tokens));
    let per_1k = (2_000 * cost + tokens) / (2 * tokens);
    assert_eq!(i128::from(costs.nanos("cost_per_1k_tokens")), per_1k);
    assert!(!api.mine("cost-analytics", &ours.token).await.has("raw_cost_per_request"));

    let engagement = api.mine("engagement", &ours.token).await;
    assert_eq!(engagement.number("total_requests"), whole.requests);
    assert_eq!(engagement.number("active_users"), 90);
    assert_eq!(engagement.number("new_users"), 90);
    assert_eq!(engagement.number("members_without_usage"), 3);

    // The two or three months that the range touches are all of it.
    let route = format!("usage-tracking/my-organization/trend?months=3&end_date={}", booked.to);
    let trend = api.get(&route, &ours.token).await;
    let months = trend.list("months");
    assert_eq!(Figures::sum(months.iter().map(Exact::figures)), whole.without_raw_cost());

    let mut sum = Figures::default();
    for user in booked.by_user.keys() {
        let own = api.mine(&format!("my-usage?user_id={user}"), RESELLER).await;
        let totals = own.object("totals").figures();
        assert_eq!(totals, booked.by_user[user]);
        assert_eq!(Figures::sum(own.list("days").iter().map(Exact::figures)), totals);
        sum = sum.plus(totals);
    }
    assert_eq!(sum, whole);

    let today = api.get("usage-tracking/usage/real-time/ours", &ours.token).await;
    let days = api.mine("daily-usage", &ours.token).await.list("days");
    let last = days.iter().find(|day| day.string("date") == today.string("date"));
    assert_eq!(today.nanos("cost"), last.map_or(0, |day| day.nanos("markup_cost")));
}

async fn exports(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    let kinds = ["daily", "by-user", "by-model", "by-user-daily", "by-model-daily", "generations"];
    for kind in kinds {
        for (token, whole) in
            [(ours.token.as_str(), booked.whole.without_raw_cost()), (RESELLER, booked.whole)]
        {
            let mut lengths = Vec::new();
            for format in ["csv", "csv&bom=true", "jsonl", "xlsx"] {
                let answer =
                    api.raw(&api.my_route(&format!("export?kind={kind}&format={format}")), token).await;
                assert_eq!(answer.status.as_u16(), 200);
                assert!(answer.complete);
                let rows = match format {
                    "jsonl" => json_lines(&answer.body),
                    "xlsx" => sheet(answer.body),
                    _ => csv(&answer.body, format.contains("bom")),
                };
                assert_eq!(Figures::sum(rows.iter().map(figures)), whole, "{kind} {format}");
                assert_eq!(rows[0].contains_key("raw_cost"), token == RESELLER);
                lengths.push(rows.len());
            }
            assert!(lengths.iter().all(|length| *length == lengths[0]), "{kind}: {lengths:?}");
            if kind == "generations" {
                assert_eq!(lengths[0], GENERATIONS);
            }
        }
    }
    let answer = api.raw(&api.my_route("export?kind=by-user"), &ours.token).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "a formula is defused");
    assert!(text.contains(",'-3,") && text.contains("\"Łucja Żak, \"\"Łu\"\"\""));
}

async fn old_shapes(api: &Api<'_>, ours: &Organization, booked: &Booked) {
    let one = format!("client-organizations/usage/summary?client_id={}&{}", ours.id, api.range);
    let month = api.get(&one, RESELLER).await.object("stats").object("this_month");
    assert_eq!(
        (month.nanos("markup_cost"), month.nanos("raw_cost")),
        (booked.whole.cost, booked.whole.raw_cost)
    );
    assert_eq!(month.nanos("cost"), booked.whole.cost);
    let stats = api.get(&one, &ours.token).await.object("stats");
    assert!(!stats.object("this_month").has("raw_cost"));
    let history = stats.list("daily_history");
    assert_eq!(history.iter().map(|day| day.nanos("cost")).sum::<i64>(), booked.whole.cost);

    for (route, list) in [("by-user", "user_usage"), ("by-model", "model_usage")] {
        let route = format!("client-organizations/usage/{route}/{}?{}", ours.id, api.range);
        let items = api.get(&route, &ours.token).await.list(list);
        assert_eq!(Figures::sum(items.iter().map(Exact::figures)), booked.whole.without_raw_cost());
    }

    let billing = api.get(&format!("client-organizations/usage/billing?{}", api.range), RESELLER).await;
    let clients = billing.list("clients");
    assert_eq!(clients.len(), 2);
    assert_eq!(clients[0].figures(), booked.whole);
    let summary = billing.object("summary");
    let sum = Figures::sum(clients.iter().map(Exact::figures));
    assert_eq!(
        (summary.nanos("total_raw_cost"), summary.nanos("total_markup_cost")),
        (sum.raw_cost, sum.cost)
    );
    assert_eq!(summary.nanos("total_profit"), sum.cost - sum.raw_cost);
    assert_eq!(summary.number("active_clients"), 2);
    let all = api.get(&format!("client-organizations/usage/summary?{}", api.range), RESELLER).await;
    assert_eq!(Figures::sum(all.list("billing_data").iter().map(Exact::figures)), sum);
    let route = format!("client-organizations/usage/export?format=xlsx&{}", api.range);
    let rows = sheet(api.raw(&route, RESELLER).await.body);
    assert_eq!(Figures::sum(rows.iter().map(figures)), sum);
    let data =
        api.get(&format!("client-organizations/usage/export?{}", api.range), RESELLER).await.object("data");
    assert_eq!(Figures::sum(data.list("clients").iter().map(Exact::figures)), sum);
}
