//! Statements by the API and the command line of the real binary.

use diesel::prelude::*;
use mai_mock_openrouter::{Mock, MockSettings};
use mai_organization::{
    exchange_rates::{
        PublishedRate,
        schema::{nbp_calendar, nbp_rates},
    },
    generation_processing::{NewGeneration, UsageSource},
    usage_tracking::record_generations,
};
use mai_primitives::{
    Clock as _, GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId,
    SystemClock, UnixTime, UsageDate, Usd, UsdPlnRate, UserId,
};
use mai_storage::{Storage, testing::TestDb};
use mai_tests::{
    client::{Answer, read},
    gateway::{Gateway, Installation},
    management::{call, reseller},
    on_each_database,
    reports::RESELLER,
    run,
};
use serde_json::{Value, json};

fn today() -> UsageDate {
    OrganizationCalendar::default().usage_date(SystemClock.now())
}

/// The last day of the month that is over.
pub(crate) fn last_day() -> UsageDate {
    today().first_of_month().minus_days(1)
}

/// Tables of every day of the last months, whatever the mock's calendar has.
pub(crate) fn publish(storage: &Storage) {
    let (from, to) = (today().minus_days(100), today().minus_days(1));
    let stored = storage.write_blocking(|conn| {
        let mut date = from;
        while date <= to {
            let table = PublishedRate {
                effective_date: date,
                table_no: format!("{:03}/A/NBP/2000", date.day_of_month()),
                rate: UsdPlnRate::parse("4.0000").unwrap(),
                fetched_at: UnixTime::from_seconds(0),
            };
            diesel::insert_into(nbp_rates::table).values(&table).execute(conn)?;
            date = date.plus_days(1);
        }
        diesel::update(nbp_calendar::table)
            .set((nbp_calendar::known_from.eq(from), nbp_calendar::known_through.eq(to)))
            .execute(conn)?;
        Ok::<_, mai_storage::Error>(())
    });
    stored.unwrap();
}

/// Books 2.5 USD at OpenRouter, 5 for the client, on the last day of the month that is over.
pub(crate) fn book(database: &TestDb, organization: &str, id: &str, model: &str) {
    let org = OrganizationId::new(organization).unwrap();
    let generation = NewGeneration {
        client_org_id: org.clone(),
        id: GenerationId::new(id).unwrap(),
        generation_date: last_day(),
        total_cost: Usd::parse("2.5").unwrap(),
        cost_text: "2.5".into(),
        markup_rate: MarkupRate::parse("2").unwrap(),
        user_id: UserId::new("anna").unwrap(),
        openrouter_user_id: OpenRouterUserId::new("anna").unwrap(),
        model_name: ModelName::new(model).unwrap(),
        requested_model: None,
        serving_provider: None,
        input_tokens: 10,
        output_tokens: 5,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        is_byok: false,
        tokens_estimated: false,
        streamed: false,
        source: UsageSource::Gateway,
        gateway_key_id: None,
        task: None,
        started_at: OrganizationCalendar::default().start_of(last_day()).plus_seconds(43_200),
    };
    let now = UnixTime::from(SystemClock.now());
    let booked = database
        .storage
        .write_blocking(|conn| record_generations(conn, &org, std::slice::from_ref(&generation), now));
    booked.unwrap();
}

async fn get(gateway: &Gateway, route: &str, token: &str) -> Answer {
    let url = format!("{}/api/v1/client-organizations/{route}", gateway.base);
    read(reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()).await
}

async fn content_type(gateway: &Gateway, route: &str) -> String {
    let url = format!("{}/api/v1/client-organizations/{route}", gateway.base);
    let answer = reqwest::Client::new().get(url).bearer_auth(RESELLER).send().await.unwrap();
    answer.headers()["content-type"].to_str().unwrap().to_owned()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

diesel::table! {
    /// As far as a test breaks it.
    billing_profiles (client_org_id) {
        client_org_id -> Text,
        vat -> Nullable<Text>,
    }
}

/// Stores for an organization's profile what no program writes, so that none of its statements can be made.
fn break_profile(storage: &Storage, organization: &str) {
    let broken = storage.write_blocking(|conn| {
        let vat = billing_profiles::vat.eq("none");
        let done = diesel::update(billing_profiles::table.find(organization)).set(vat).execute(conn)?;
        Ok::<_, mai_storage::Error>(done)
    });
    assert_eq!(broken.unwrap(), 1);
}

const SELLER: &str = r#"{ "seller_name": "Odsprzedaż Sp. z o.o.", "seller_address": "ul. Długa 1\nKraków", "seller_tax_id": "676-000" }"#;

#[test]
fn a_month_is_closed_by_the_api_and_read_by_its_organization() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
        let member = ["tokens", "create", "--org", &ours.id, "--role", "member", "--user", "anna", "--json"];
        let member = installation.json(&member)["token"].as_str().unwrap().to_owned();
        publish(&database.storage);
        book(database, &ours.id, "gen-1", "=1+1/model");
        let month = last_day().to_string()[..7].to_owned();
        let gateway = installation.serve();
        let own = format!("clients/{}/statements", ours.id);
        let one = format!("{own}/{month}");
        run(async {
            // Nobody has said who sells.
            let listed = reseller(&gateway, "GET", "statements", &Value::Null, 200).await;
            assert_eq!((&listed["month"], &listed["next_cursor"]), (&json!(month), &Value::Null));
            let states: Vec<_> =
                listed["items"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
            assert_eq!(states, ["held", "nothing_to_bill"]);
            assert_eq!(listed["items"][0]["held_by"][0]["code"], "seller_incomplete");
            let seller: Value = serde_json::from_str(SELLER).unwrap();
            let changed = reseller(&gateway, "POST", "billing-settings", &seller, 200).await;
            assert_eq!(changed["settings"]["is_complete"], true);
            let profile = json!({ "legal_name": "Żuraw S.A.", "tax_id": "PL 1", "language": "pl" });
            let route = format!("clients/{}/billing-profile", ours.id);
            reseller(&gateway, "PATCH", &route, &profile, 200).await;
            let shown = call(&gateway, "GET", &route, &ours.token, &Value::Null).await.json();
            assert_eq!(shown["billing_profile"]["legal_name"], "Żuraw S.A.");
            for (body, field) in [
                (json!({ "vat": "not_applicable" }), "vat_note"),
                (json!({ "vat": "rate" }), "vat_rate_basis_points"),
                (json!({ "vat": "zw" }), "vat"),
                (json!({ "language": "de" }), "language"),
                (json!({ "tax_id": "" }), "tax_id"),
            ] {
                let refused = reseller(&gateway, "PATCH", &route, &body, 400).await;
                assert_eq!(refused["field"], field, "{body}");
            }

            // A draft is the reseller's.
            let draft = get(&gateway, &one, RESELLER).await.json();
            assert_eq!((&draft["state"], &draft["number"]), (&json!("draft"), &Value::Null));
            assert_eq!(get(&gateway, &one, &ours.token).await.status, 404);
            let form = json!({ "month": month });
            let issued = reseller(&gateway, "POST", "statements/issue", &form, 200).await;
            let item = &issued["items"][0];
            // 5 USD × 4 = 20 PLN, and 23 % of it.
            assert_eq!(
                (&item["state"], &item["is_new"], &item["gross_pln"]),
                (&json!("issued"), &json!(true), &json!(24.6))
            );
            let number = item["number"].as_str().unwrap();
            assert_eq!(number, format!("{}/0001", today().to_string()[..7].replace('-', "/")));
            let again = reseller(&gateway, "POST", "statements/issue", &form, 200).await;
            assert_eq!(
                (&again["items"][0]["is_new"], &again["items"][0]["number"]),
                (&json!(false), &json!(number))
            );

            // The organization's own copy, in each form.
            let listed = get(&gateway, &own, &ours.token).await.json();
            assert_eq!(listed["items"].as_array().unwrap().len(), 1);
            assert_eq!(listed["items"][0]["document_sha256"], Value::Null);
            let json_copy = get(&gateway, &one, &ours.token).await;
            let csv = get(&gateway, &format!("{one}?format=csv"), &ours.token).await;
            let pdf = get(&gateway, &format!("{one}?format=pdf"), &ours.token).await;
            for (answer, kind) in [
                (&json_copy, "application/json"),
                (&csv, "text/csv; charset=utf-8"),
                (&pdf, "application/pdf"),
            ] {
                assert_eq!(answer.status, 200, "{kind}");
                for raw in ["2.5", "reseller", "raw_cost"] {
                    assert!(!holds(&answer.body, raw), "{kind}: {raw}");
                }
            }
            for (format, kind) in
                [("json", "application/json"), ("csv", "text/csv; charset=utf-8"), ("pdf", "application/pdf")]
            {
                assert_eq!(content_type(&gateway, &format!("{one}?format={format}")).await, kind);
            }
            // The reseller gets what is stored, which has the hash that was taken of it.
            let stored = get(&gateway, &one, RESELLER).await;
            assert!(holds(&stored.body, "\"raw_cost_usd\":2.5"));
            let listed = get(&gateway, &own, RESELLER).await.json();
            assert_eq!(listed["items"][0]["document_sha256"], stored.sha256());
            assert!(pdf.body.starts_with(b"%PDF-1.7") && holds(&pdf.body, "/StructTreeRoot"));
            let text = String::from_utf8(csv.body.clone()).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 5, "{text}");
            assert!(
                lines[0].starts_with("statement_number,issue_date,period_from,period_to,kind,"),
                "{text}"
            );
            assert!(lines[1].contains(",usage,") && lines[1].contains(",'=1+1/model,"), "{text}");
            assert!(lines[4].ends_with(",gross,,,,,,,,,,,,,,,24.60"), "{text}");
            // The same bytes for whoever asks, and when.
            let same = get(&gateway, &format!("{one}?format=csv"), RESELLER).await;
            assert_eq!(same.body, csv.body);
            assert_eq!(get(&gateway, &format!("{one}?format=pdf"), RESELLER).await.body, pdf.body);

            // Who may not.
            for route in [&own, &one, &format!("{one}?format=pdf")] {
                assert_eq!(get(&gateway, route, &member).await.status, 403, "{route}");
                assert_eq!(get(&gateway, route, &theirs.token).await.status, 404, "{route}");
            }
            assert_eq!(get(&gateway, "statements", &ours.token).await.status, 403);
            // No operation changes an issued statement.
            for method in ["PUT", "PATCH", "POST", "DELETE"] {
                let refused = call(&gateway, method, &one, RESELLER, &json!({ "state": "draft" })).await;
                assert_eq!(refused.status, 404, "{method}");
            }
            book(database, &ours.id, "late", "openai/o3");
            reseller(&gateway, "PATCH", &format!("clients/{}", ours.id), &json!({ "name": "Other" }), 200)
                .await;
            assert_eq!(get(&gateway, &one, &ours.token).await.body, json_copy.body);
            for (route, field) in [
                (format!("{own}/2026-13"), "month"),
                (format!("{own}/9999-12"), "month"),
                ("statements?month=x".to_owned(), "month"),
                (format!("{own}?cursor=x"), "cursor"),
            ] {
                let refused = get(&gateway, &route, RESELLER).await;
                assert_eq!(
                    (refused.status.as_u16(), &refused.json()["field"]),
                    (400, &json!(field)),
                    "{route}"
                );
            }
            let log = get(&gateway, "audit-log?action=statement", RESELLER).await.json();
            assert_eq!(log["items"].as_array().unwrap().len(), 1);
            assert_eq!(log["items"][0]["details"]["number"], number);

            // One that cannot be made stops no other.
            let route = format!("clients/{}/billing-profile", theirs.id);
            reseller(&gateway, "PATCH", &route, &json!({ "language": "en" }), 200).await;
            break_profile(&database.storage, &theirs.id);
            let listed = reseller(&gateway, "GET", "statements", &Value::Null, 200).await;
            let issued = reseller(&gateway, "POST", "statements/issue", &form, 200).await;
            for answer in [listed, issued] {
                let items = &answer["items"];
                assert_eq!((&items[0]["state"], &items[0]["error"]), (&json!("issued"), &Value::Null));
                assert_eq!(
                    (&items[1]["client_org_id"], &items[1]["state"], &items[1]["error"]["code"]),
                    (&json!(theirs.id), &json!("failed"), &json!("internal"))
                );
            }
            let named = json!({ "month": month, "client_org_id": theirs.id });
            reseller(&gateway, "POST", "statements/issue", &named, 500).await;
        });
    });
}

#[test]
fn a_month_is_closed_on_the_command_line() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock).with("MAI_FALLBACK_USD_PLN_RATE", "4.0");
        let ours = installation.organization("Ours");
        let theirs = installation.organization("Theirs");
        book(database, &ours.id, "gen-1", "openai/o3");
        let month = last_day().to_string()[..7].to_owned();
        // The configured rate bills nothing.
        let one = ["close-month", "--month", &month, "--org", &ours.id, "--json"];
        let shown = &installation.json(&one)["statements"][0];
        assert_eq!(shown["held_by"], json!(["no_certain_rate", "seller_incomplete"]), "{shown}");
        assert_eq!(shown["gross_pln"], Value::Null);
        publish(&database.storage);
        let shown = installation.json(&["close-month", "--month", &month, "--json"]);
        assert_eq!(shown["counts"], json!({ "held": 1, "nothing_to_bill": 1 }));
        let refused = installation.run(&["close-month", "--month", &month, "--issue"]);
        let said = String::from_utf8(refused.stdout).unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(said.contains("held") && said.contains("the seller's name"), "{said}");
        let gateway = installation.serve();
        run(async {
            let seller: Value = serde_json::from_str(SELLER).unwrap();
            reseller(&gateway, "POST", "billing-settings", &seller, 200).await;
            let route = format!("clients/{}/billing-profile", theirs.id);
            reseller(&gateway, "PATCH", &route, &json!({ "language": "en" }), 200).await;
        });
        assert!(gateway.stop().success());
        let issue = ["close-month", "--month", &month, "--org", &ours.id, "--issue", "--json"];
        let issued = installation.json(&issue);
        assert_eq!(issued["statements"][0]["is_new"], true, "{issued}");
        assert_eq!(issued["statements"][0]["gross_pln"], "24.60");
        let again = installation.json(&issue);
        assert_eq!(again["statements"][0]["is_new"], false);
        assert_eq!(again["statements"][0]["number"], issued["statements"][0]["number"]);
        let checked = installation.json(&["verify", "--json"]);
        assert_eq!(checked["statements"], json!({ "checked": 1, "broken": [] }));

        // One that cannot be made is told and stops no other.
        break_profile(&database.storage, &theirs.id);
        let all = installation.run(&["close-month", "--month", &month, "--json"]);
        assert_eq!(all.status.code(), Some(1));
        let shown: Value = serde_json::from_slice(&all.stdout).unwrap();
        assert_eq!(shown["counts"], json!({ "failed": 1, "issued": 1 }));
        let failed = shown["statements"].as_array().unwrap().iter().find(|one| one["state"] == "failed");
        let failed = failed.unwrap();
        assert_eq!(failed["client_org_id"], theirs.id);
        assert!(failed["error"].as_str().unwrap().contains("the VAT `none`"), "{failed}");
    });
}
