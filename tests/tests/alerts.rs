//! Alerts by the real binary: who hears of an anomaly, what an administrator reaches, and mail without a server.

use diesel::prelude::*;
use mai_alerts::schema::alert_deliveries;
use mai_batch::{AnomalyModel, Measure, SubjectKind, schema::usage_anomalies};
use mai_mock_openrouter::{Mock, MockSettings};
use mai_primitives::{Clock, OrganizationCalendar, OrganizationId, SystemClock, UnixTime, UsageDate, Usd};
use mai_storage::{DbConnection, testing::TestDb};
use mai_tests::{
    client::Client,
    gateway::{Gateway, Installation},
    ledger::wait_until,
    mail_server::MailServer,
    management::{call, reseller},
    on_each_database,
    reports::RESELLER,
    run,
    webhook_receiver::{WebhookReceiver, matches},
};
use serde_json::{Value, json};

/// The day on which a model stands out, behind those that a daily run looks at again.
pub(crate) fn unusual_day() -> UsageDate {
    OrganizationCalendar::default().usage_date(SystemClock.now()).minus_days(10)
}

/// A model stands out.
pub(crate) fn find_anomaly(database: &TestDb, organization: &str) {
    let row = AnomalyModel {
        client_org_id: OrganizationId::new(organization).unwrap(),
        usage_date: unusual_day(),
        subject_kind: SubjectKind::Model,
        subject: "openai/o3".to_owned(),
        measure: Measure::Spend,
        value: 30_000_000_000,
        median: 2_000_000_000,
        deviation: 1,
        threshold: 4_000_000_000,
        history_days: 28,
        raw_cost: Usd::from_nanos(7),
        detected_at: UnixTime::from(SystemClock.now()),
        acknowledged_at: None,
        acknowledged_by: None,
        note: None,
    };
    let insert = |conn: &mut DbConnection| {
        diesel::insert_into(usage_anomalies::table).values(&row).execute(conn)?;
        Ok::<_, mai_storage::Error>(())
    };
    database.storage.write_blocking(insert).unwrap();
}

/// All attempts were made a minute earlier.
pub(crate) fn a_minute_passes(database: &TestDb) {
    let earlier = |conn: &mut DbConnection| {
        let at = UnixTime::from(SystemClock.now()).plus_seconds(-60);
        diesel::update(alert_deliveries::table)
            .set(alert_deliveries::last_attempt_at.eq(Some(at)))
            .execute(conn)?;
        Ok::<_, mai_storage::Error>(())
    };
    database.storage.write_blocking(earlier).unwrap();
}

async fn status(gateway: &Gateway, method: &str, route: &str, token: &str, body: &Value) -> (u16, Value) {
    let answer = call(gateway, method, route, token, body).await;
    (answer.status.as_u16(), answer.json())
}

async fn get(gateway: &Gateway, route: &str, token: &str) -> Value {
    let (code, json) = status(gateway, "GET", route, token, &Value::Null).await;
    assert_eq!(code, 200, "{route}: {json}");
    json
}

#[test]
fn an_anomaly_reaches_the_organization_and_the_reseller() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let (receiver, server) = (WebhookReceiver::start(), MailServer::start());
        let installation = Installation::new(database, &mock)
            .with("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES", "true")
            .with("MAI_SMTP_URL", &server.url())
            .with("MAI_SMTP_FROM", "mAI Usage <usage@reseller.example>");
        let (ours, theirs) = (installation.organization("Ours"), installation.organization("Theirs"));
        let gateway = installation.serve();
        let secret = run(async {
            let new = json!({ "channel": "webhook", "target": receiver.url(), "name": "Hook" });
            let (code, made) = status(&gateway, "POST", "alert-destinations", &ours.token, &new).await;
            assert_eq!(code, 201, "{made}");
            let id = made["destination"]["id"].as_str().unwrap().to_owned();
            assert_eq!(made["destination"]["client_org_id"], "ours");
            let mail = json!({ "channel": "email", "target": "us@reseller.example", "name": "Us", "language": "pl" });
            let made_mail = reseller(&gateway, "POST", "alert-destinations", &mail, 201).await;
            assert_eq!(made_mail["destination"]["can_be_sent"], true);
            assert!(made_mail["secret"].is_null() && made_mail["destination"]["client_org_id"].is_null());

            let listed = get(&gateway, "alert-destinations", &ours.token).await;
            assert_eq!(listed["items"].as_array().unwrap().len(), 1);
            assert!(!listed.to_string().contains("whsec_"), "{listed}");
            assert_eq!(get(&gateway, "alert-destinations", &theirs.token).await["items"], json!([]));
            let (code, _) =
                status(&gateway, "GET", "alert-destinations?client_org_id=ours", &theirs.token, &Value::Null)
                    .await;
            assert_eq!(code, 404);
            let foreign =
                json!({ "client_org_id": "ours", "channel": "email", "target": "x@y.example", "name": "x" });
            let (code, _) = status(&gateway, "POST", "alert-destinations", &theirs.token, &foreign).await;
            assert_eq!(code, 404);

            let tried =
                reseller(&gateway, "POST", &format!("alert-destinations/{id}/test"), &json!({}), 200).await;
            assert_eq!(tried["delivery"]["state"], "delivered", "{tried}");
            receiver.plan(&[500]);
            let (_, tried) =
                status(&gateway, "POST", &format!("alert-destinations/{id}/test"), &ours.token, &json!({}))
                    .await;
            assert_eq!(
                (&tried["delivery"]["state"], &tried["delivery"]["last_status"]),
                (&json!("failed"), &json!(500))
            );
            let about =
                format!("alert-destinations/{}/test", made_mail["destination"]["id"].as_str().unwrap());
            let refused = reseller(&gateway, "POST", &about, &json!({}), 400).await;
            assert_eq!(refused["field"], "client_org_id");
            reseller(&gateway, "POST", &about, &json!({ "client_org_id": "ours" }), 200).await;
            made["secret"].as_str().unwrap().to_owned()
        });
        assert_eq!((receiver.received().len(), server.mails().len()), (2, 1));
        assert!(receiver.received().iter().all(|request| matches(request, &secret) == [true]));
        assert!(gateway.stop().success());

        // It is found by a process that dies before it says so.
        find_anomaly(database, "ours");
        let gateway = installation.serve();
        wait_until("both have heard of it", || (receiver.received().len(), server.mails().len()) == (3, 2));
        let body: Value = serde_json::from_str(&receiver.received()[2].body).unwrap();
        assert_eq!(body["type"], "alert.anomaly");
        assert_eq!((&body["data"]["value"], &body["data"]["median"]), (&json!("30"), &json!("2")));
        let subject = server.mails()[1].header("Subject");
        assert_eq!(subject, format!("Ours: nietypowe użycie dnia {} – openai/o3", unusual_day()));
        run(async {
            let raised = get(&gateway, "alerts?kind=anomaly", &ours.token).await;
            assert_eq!(raised["items"].as_array().unwrap().len(), 1);
            assert_eq!(raised["items"][0]["period"], unusual_day().to_string());
            assert_eq!(get(&gateway, "alerts", &theirs.token).await["items"], json!([]));
            // An administrator does not see what the reseller was told.
            let own = get(&gateway, "alert-deliveries?limit=2", &ours.token).await;
            let rest = format!("alert-deliveries?limit=2&cursor={}", own["next_cursor"].as_str().unwrap());
            let rest = get(&gateway, &rest, &ours.token).await;
            let count = |page: &Value| page["items"].as_array().unwrap().len();
            assert_eq!((count(&own), count(&rest), &rest["next_cursor"]), (2, 1, &Value::Null));
            let all = get(&gateway, "alert-deliveries?client_org_id=ours", RESELLER).await;
            assert_eq!(count(&all), 5);
            let alert = &receiver.received()[2].headers["webhook-id"];
            let mine = own["items"].as_array().unwrap().iter().chain(rest["items"].as_array().unwrap());
            let mine = mine.clone().find(|item| item["alert_id"] == alert.as_str()).expect("its delivery");
            let replay = format!("alert-deliveries/{}/replay", mine["id"].as_str().unwrap());
            let (code, _) = status(&gateway, "POST", &replay, &theirs.token, &Value::Null).await;
            assert_eq!(code, 404);
            let (code, refused) = status(&gateway, "POST", &replay, &ours.token, &Value::Null).await;
            assert_eq!((code, &refused["code"]), (409, &json!("wrong_state")), "it was tried a moment ago");
            a_minute_passes(database);
            let (code, replayed) = status(&gateway, "POST", &replay, &ours.token, &Value::Null).await;
            assert_eq!((code, &replayed["delivery"]["state"]), (200, &json!("waiting")));
        });
        wait_until("it came once more", || receiver.received().len() == 4);
        let (first, again) = (&receiver.received()[2], &receiver.received()[3]);
        assert_eq!(first.headers["webhook-id"], again.headers["webhook-id"]);
        assert_eq!(first.body, again.body);
        assert_eq!(matches(again, &secret), [true]);
        assert!(gateway.stop().success());
    });
}

#[test]
fn what_may_not_be_reached_is_refused_when_it_is_stored() {
    let (database, mock) = (TestDb::sqlite(), Mock::start(MockSettings::default()).unwrap());
    let installation = Installation::new(&database, &mock);
    let ours = installation.organization("Ours");
    let gateway = installation.serve();
    run(async {
        for target in
            ["http://hooks.example/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "x"]
        {
            let new = json!({ "channel": "webhook", "target": target, "name": "Hook" });
            let (code, refused) = status(&gateway, "POST", "alert-destinations", &ours.token, &new).await;
            assert_eq!((code, &refused["field"]), (400, &json!("target")), "{target}: {refused}");
            let (code, _) = status(&gateway, "POST", "alert-destinations", RESELLER, &new).await;
            assert_eq!(code, 400, "the reseller's as well");
        }
    });
    assert!(gateway.stop().success());
}

#[test]
fn mail_without_a_server_is_held_and_everybody_can_see_it() {
    on_each_database(|database| {
        let mock = Mock::start(MockSettings::default()).unwrap();
        let installation = Installation::new(database, &mock);
        installation.organization("Ours");
        let gateway = installation.serve();
        run(async {
            let new = json!({ "client_org_id": "ours", "channel": "email", "target": "alerts@client.example", "name": "x" });
            let made = reseller(&gateway, "POST", "alert-destinations", &new, 201).await;
            assert_eq!(made["destination"]["can_be_sent"], false);
        });
        assert!(gateway.stop().success());
        find_anomaly(database, "ours");
        let gateway = installation.serve();
        let state = || run(get(&gateway, "alert-deliveries", RESELLER))["items"][0]["state"].clone();
        wait_until("it is held", || state() == "held");
        assert_eq!(gateway.log().matches("MAI_SMTP_URL is not set").count(), 1, "{}", gateway.log());
        assert!(!gateway.log().contains("alerts@client.example"));
        assert!(gateway.stop().success());

        let server = MailServer::start();
        let gateway = installation.serve();
        wait_until("the monitor has looked", || {
            let page = run(Client::new(&gateway.base, RESELLER).get("/metrics")).body;
            String::from_utf8(page)
                .unwrap()
                .contains("mai_alert_deliveries{channel=\"email\",state=\"held\"} 1\n")
        });
        assert!(gateway.stop().success());
        let with_mail =
            installation.with("MAI_SMTP_URL", &server.url()).with("MAI_SMTP_FROM", "usage@reseller.example");
        let gateway = with_mail.serve();
        wait_until("it has arrived", || server.mails().len() == 1);
        assert!(gateway.stop().success());
    });
}
