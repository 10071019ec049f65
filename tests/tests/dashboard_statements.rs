//! The pages of statements, alerts and anomalies: what they show, that their forms work, and to whom they do.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_storage::testing::TestDb;
use mai_tests::{
    gateway::{Gateway, Installation},
    ledger::wait_until,
    management::{call, reseller},
    reports::RESELLER,
    run,
    visitor::{Page, Visitor, by_link, link},
    webhook_receiver::{WebhookReceiver, matches},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    alerts::{a_minute_passes, find_anomaly, unusual_day},
    statements::{book, last_day, publish},
};

const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const ESCAPED: &str = "&#60;img src=x onerror=alert(1)&#62;";

/// The link of an account of the reseller.
fn reseller_link(installation: &Installation) -> String {
    let arguments = ["users", "create", "--email", "boss@x.example", "--role", "reseller", "--json"];
    installation.json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// A form of a page with its proof.
async fn send(visitor: &mut Visitor, path: &str, form: &[(&str, &str)]) -> Page {
    let proof = visitor.proof(path).await;
    let form = [form, &[("csrf_token", proof.as_str())]].concat();
    visitor.post(path, &form).await
}

async fn by_api(gateway: &Gateway, route: &str) -> Value {
    call(gateway, "GET", route, RESELLER, &Value::Null).await.json()
}

/// Opens pages that nobody but administrators may see.
async fn is_refused(member: &mut Visitor, foreign: &mut Visitor, paths: &[&str]) {
    for path in paths {
        assert_eq!(member.get(path).await.status.as_u16(), 403, "{path}");
        assert_eq!(foreign.get(path).await.status.as_u16(), 404, "{path}");
        assert_eq!(foreign.get(&path.replace("/ours", "/none")).await.status.as_u16(), 404, "{path}");
    }
}

#[test]
fn a_month_is_closed_and_its_statement_is_read() {
    let (database, mock) = (TestDb::sqlite(), Mock::start(MockSettings::default()).unwrap());
    let installation = Installation::new(&database, &mock);
    installation.json(&["org", "create", "--name", HOSTILE, "--id", "ours", "--json"]);
    installation.organization("Theirs");
    let anna = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let member = link(&installation, "ours", "m@ours.example", &["--role", "member", "--user", "anna"]);
    let foreign = link(&installation, "theirs", "a@theirs.example", &["--role", "admin"]);
    let boss = reseller_link(&installation);
    publish(&database.storage);
    book(&database, "ours", "gen-1", "hostile/<b>model");
    let month = last_day().to_string()[..7].to_owned();
    let gateway = installation.serve();
    run(async {
        let (mut boss, mut anna) = (by_link(&gateway, &boss).await, by_link(&gateway, &anna).await);
        let (mut member, mut foreign) = (by_link(&gateway, &member).await, by_link(&gateway, &foreign).await);
        let list = "/organizations/ours/statements";
        let one = format!("{list}/{month}");
        let page = boss.get("/reseller/statements").await;
        assert_eq!(page.status.as_u16(), 200, "{}", page.text);
        assert!(page.text.contains("held back") && page.text.contains("nothing to bill"), "{}", page.text);
        assert!(page.text.contains(ESCAPED) && !page.text.contains("<img"));

        // Who sells.
        let seller = [
            ("do", "seller"),
            ("name", "Odsprzedaż Sp. z o.o."),
            ("address", "ul. Długa 1\r\nKraków"),
            ("tax_id", "676-000"),
            ("vat", "rate"),
            ("vat_note", ""),
            ("numbering", "monthly"),
        ];
        let wrong = [seller.as_slice(), &[("vat_percent", "many")]].concat();
        let refused = send(&mut boss, "/reseller/statements", &wrong).await;
        assert_eq!(refused.status.as_u16(), 400);
        assert!(
            refused.text.contains("VAT rate as a percentage") && refused.text.contains("value=\"676-000\"")
        );
        assert_eq!(by_api(&gateway, "billing-settings").await["settings"]["is_complete"], false);
        let right = [seller.as_slice(), &[("vat_percent", "23")]].concat();
        assert_eq!(boss.post("/reseller/statements", &right).await.status.as_u16(), 403, "without a proof");
        let saved = send(&mut boss, "/reseller/statements", &right).await;
        assert_eq!(saved.location, "/reseller/statements?done=statements-seller-saved");
        let stored = by_api(&gateway, "billing-settings").await;
        assert_eq!(stored["settings"]["seller_address"], "ul. Długa 1\nKraków");
        assert_eq!(stored["settings"]["vat_rate_basis_points"], 2_300);

        // Who buys, which an administrator sees and the reseller changes.
        let buyer = [
            ("legal_name", "Żuraw S.A."),
            ("address", ""),
            ("tax_id", "PL 1"),
            ("vat", "default"),
            ("vat_percent", ""),
            ("vat_note", ""),
            ("language", "pl"),
        ];
        assert_eq!(send(&mut anna, list, &buyer).await.status.as_u16(), 403);
        let untaxed: Vec<_> = buyer
            .iter()
            .map(|(name, value)| (*name, if *name == "vat" { "not_applicable" } else { *value }))
            .collect();
        assert_eq!(send(&mut boss, list, &untaxed).await.status.as_u16(), 400, "a rule must be named");
        assert_eq!(send(&mut boss, list, &buyer).await.status.as_u16(), 303);
        assert!(anna.get(list).await.text.contains("Żuraw S.A."));

        // A draft is the reseller's.
        assert!(boss.get(&one).await.text.contains("This is a draft"));
        assert_eq!(anna.get(&one).await.status.as_u16(), 404);
        assert!(anna.get(list).await.text.contains("No statement was issued yet"));
        let asked = boss.get("/reseller/statements?confirm=issue").await.text;
        assert!(asked.contains("2 organizations?") && asked.contains("can never be changed"), "{asked}");
        for new in [1, 0] {
            let form = [("do", "issue"), ("month", month.as_str())];
            let issued = send(&mut boss, "/reseller/statements", &form).await;
            assert!(issued.text.contains(&format!("{new} statement")), "{}", issued.text);
        }
        let closed = boss.get("/reseller/statements").await.text;
        assert!(!closed.contains("confirm=issue"), "nothing is left to issue: {closed}");
        let stored = reseller(&gateway, "GET", "clients/ours/statements", &Value::Null, 200).await;
        let number = stored["items"][0]["number"].as_str().unwrap();

        // What the organization has of it: 5 USD at 4.0000, and 23 % of it.
        let shown = anna.get(list).await.text;
        assert!(
            shown.contains(number) && shown.contains("24,60") && shown.contains("/A/NBP/2000"),
            "{shown}"
        );
        let page = anna.get(&one).await.text;
        assert!(
            page.contains(number) && page.contains("&#60;b&#62;model") && page.contains("24,60"),
            "{page}"
        );
        assert!(
            !page.contains("$2.50") && boss.get(&one).await.text.contains("$2.50"),
            "raw cost is the reseller's"
        );
        for (format, start) in [("pdf", "%PDF"), ("csv", "statement_number,"), ("json", "{\"format\":1")] {
            let file =
                format!("/api/v1/client-organizations/clients/ours/statements/{month}?format={format}");
            assert!(
                shown.contains(&format!("href=\"{file}\" download=\"statement-{month}.{format}\"")),
                "{file}"
            );
            let file = anna.send(Method::GET, &file, &[]).await;
            assert_eq!((file.status.as_u16(), file.text.starts_with(start)), (200, true), "{format}");
        }
        is_refused(&mut member, &mut foreign, &[list, &one]).await;
        assert_eq!(anna.get("/reseller/statements").await.status.as_u16(), 403);
        assert_eq!(anna.get(&format!("{list}?lang=pl")).await.status.as_u16(), 303);
        assert!(anna.get(&one).await.text.contains("Rozliczenie nie jest fakturą VAT"));
        for wrong in ["?month=2999-01", "?month=x", "?page=0"] {
            assert_eq!(
                boss.get(&format!("/reseller/statements{wrong}")).await.status.as_u16(),
                400,
                "{wrong}"
            );
        }
        assert_eq!(anna.get(&format!("{list}/x")).await.status.as_u16(), 404);
    });
    assert!(gateway.stop().success());
}

/// The secret that a page shows.
fn secret(page: &Page) -> String {
    let (_, rest) = page.text.split_once("<code id=\"secret\">").expect("a secret");
    rest.split('<').next().unwrap().to_owned()
}

#[test]
fn a_destination_is_made_tried_changed_and_removed() {
    let (database, mock) = (TestDb::sqlite(), Mock::start(MockSettings::default()).unwrap());
    let receiver = WebhookReceiver::start();
    let installation = Installation::new(&database, &mock).with("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES", "true");
    installation.organization("Ours");
    installation.organization("Theirs");
    let anna = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let member = link(&installation, "ours", "m@ours.example", &["--role", "member", "--user", "anna"]);
    let foreign = link(&installation, "theirs", "a@theirs.example", &["--role", "admin"]);
    let boss = reseller_link(&installation);
    let gateway = installation.serve();
    run(async {
        let (mut boss, mut anna) = (by_link(&gateway, &boss).await, by_link(&gateway, &anna).await);
        let (mut member, mut foreign) = (by_link(&gateway, &member).await, by_link(&gateway, &foreign).await);
        let list = "/organizations/ours/alerts";
        assert!(anna.get(list).await.text.contains("Nobody is told yet"));
        let url = receiver.url();
        let new = |target| {
            let own = [("do", "create"), ("channel", "webhook"), ("name", HOSTILE), ("target", target)];
            [own.as_slice(), &[("language", "pl"), ("limits", "1")]].concat()
        };
        let refused = send(&mut anna, list, &new("not a url")).await;
        assert_eq!(refused.status.as_u16(), 400);
        assert!(refused.text.contains("value=\"not a url\"") && refused.text.contains(ESCAPED));
        assert_eq!(anna.post(list, &new(&url)).await.status.as_u16(), 403, "without a proof");
        assert_eq!(by_api(&gateway, "alert-destinations").await["items"], json!([]));
        let made = send(&mut anna, list, &new(&url)).await;
        assert_eq!(made.status.as_u16(), 200, "{}", made.text);
        let first = secret(&made);
        assert!(first.starts_with("whsec_") && made.text.contains(ESCAPED) && !made.text.contains("<img"));
        let stored = by_api(&gateway, "alert-destinations").await["items"][0].clone();
        assert_eq!((&stored["client_org_id"], &stored["kinds"]), (&json!("ours"), &json!(["limit_reached"])));
        let one = format!("{list}/destinations/{}", stored["id"].as_str().unwrap());
        for page in [anna.get(list).await, anna.get(&one).await] {
            assert!(page.text.contains(ESCAPED) && !page.text.contains("whsec_"), "{}", page.text);
        }

        receiver.plan(&[200, 500]);
        let tried = send(&mut anna, &one, &[("do", "test")]).await;
        assert!(tried.text.contains("The test was delivered."), "{}", tried.text);
        assert_eq!(matches(&receiver.received()[0], &first), [true]);
        assert!(send(&mut anna, &one, &[("do", "test")]).await.text.contains("was not delivered"));
        let rotated = send(&mut anna, &one, &[("do", "rotate"), ("grace", "0")]).await;
        assert_ne!(secret(&rotated), first);

        let change = |target| {
            let own = [("do", "save"), ("name", "Pager"), ("target", target), ("language", "en")];
            [own.as_slice(), &[("anomalies", "1")]].concat()
        };
        assert_eq!(send(&mut anna, &one, &change("x")).await.status.as_u16(), 400);
        assert_eq!(send(&mut anna, &one, &change(&url)).await.location, format!("{one}?done=alerts-saved"));
        assert_eq!(send(&mut boss, &one, &[("do", "deactivate")]).await.status.as_u16(), 303);
        let refused = send(&mut anna, &one, &[("do", "replay"), ("since", "2026-01-01")]).await;
        assert_eq!(refused.status.as_u16(), 409, "it is inactive");
        let stored = by_api(&gateway, "alert-destinations").await["items"][0].clone();
        let told = (&stored["name"], &stored["kinds"], &stored["is_active"]);
        assert_eq!(told, (&json!("Pager"), &json!(["anomaly"]), &json!(false)));

        // One that hears of all organizations is the reseller's, and a test to it names one of them.
        let mail = [
            ("do", "create"),
            ("channel", "email"),
            ("name", "Us"),
            ("target", "us@x.example"),
            ("language", "pl"),
        ];
        assert_eq!(
            send(&mut boss, "/reseller/alerts", &mail).await.location,
            "/reseller/alerts?done=alerts-made"
        );
        let shown = boss.get("/reseller/alerts").await.text;
        assert!(
            shown.contains("All organizations") && shown.contains("Pager") && shown.contains("MAI_SMTP_URL")
        );
        assert!(!anna.get(list).await.text.contains("us@x.example"));

        is_refused(&mut member, &mut foreign, &[list, &one, &format!("{list}?view=anomalies")]).await;
        let elsewhere = one.replace("/ours/", "/theirs/");
        assert_eq!(foreign.get(&elsewhere).await.status.as_u16(), 404, "it is another organization's");
        assert_eq!(anna.get("/reseller/alerts").await.status.as_u16(), 403);
        assert_eq!(anna.get(&format!("{list}?lang=pl")).await.status.as_u16(), 303);
        assert!(anna.get(&one).await.text.contains("Sekret podpisu"));
        assert!(anna.get(&format!("{one}?confirm=remove")).await.text.contains("Usunąć odbiorcę Pager?"));
        assert_eq!(
            send(&mut anna, &one, &[("do", "remove")]).await.location,
            format!("{list}?done=alerts-removed")
        );
        assert_eq!(anna.get(&one).await.status.as_u16(), 404);
    });
    assert!(gateway.stop().success());
}

#[test]
fn an_anomaly_is_acknowledged_and_its_delivery_sent_again() {
    let (database, mock) = (TestDb::sqlite(), Mock::start(MockSettings::default()).unwrap());
    let receiver = WebhookReceiver::start();
    let installation = Installation::new(&database, &mock).with("MAI_WEBHOOKS_TO_PRIVATE_ADDRESSES", "true");
    installation.organization("Ours");
    let anna = link(&installation, "ours", "anna@ours.example", &["--role", "admin"]);
    let boss = reseller_link(&installation);
    let gateway = installation.serve();
    let new =
        json!({ "client_org_id": "ours", "channel": "webhook", "target": receiver.url(), "name": "Hook" });
    run(reseller(&gateway, "POST", "alert-destinations", &new, 201));
    assert!(gateway.stop().success());
    find_anomaly(&database, "ours");
    let gateway = installation.serve();
    wait_until("it is told", || receiver.received().len() == 1);
    let state = || run(by_api(&gateway, "alert-deliveries"))["items"][0]["state"].clone();
    wait_until("it is known that it was told", || state() == "delivered");
    run(async {
        let (mut boss, mut anna) = (by_link(&gateway, &boss).await, by_link(&gateway, &anna).await);
        let list = "/organizations/ours/alerts";
        let raised = anna.get(&format!("{list}?view=raised&kind=anomaly")).await.text;
        assert!(raised.contains("Unusual cost") && raised.contains("openai/o3") && raised.contains("$30.00"));
        assert!(
            anna.get(&format!("{list}?view=raised&kind=limit_reached"))
                .await
                .text
                .contains("No alert was raised")
        );

        let deliveries = format!("{list}?view=deliveries");
        let shown = anna.get(&deliveries).await.text;
        assert!(
            shown.contains(">delivered<") && shown.contains("Hook") && shown.contains("Unusual cost"),
            "{shown}"
        );
        let stored = by_api(&gateway, "alert-deliveries").await["items"][0].clone();
        let id = stored["id"].as_str().unwrap().to_owned();
        let again = [("do", "replay"), ("delivery", id.as_str()), ("organization", "ours")];
        let refused = send(&mut anna, &deliveries, &again).await;
        assert_eq!(refused.status.as_u16(), 409);
        assert!(refused.text.contains("less than a minute ago"));
        a_minute_passes(&database);
        assert_eq!(anna.post(&deliveries, &again).await.status.as_u16(), 403, "without a proof");
        assert_eq!(receiver.received().len(), 1);
        let sent = send(&mut anna, &deliveries, &again).await;
        assert_eq!(sent.location, format!("{deliveries}&done=alerts-replayed"), "{}", sent.text);

        let day = unusual_day().to_string();
        let days = format!("view=anomalies&start_date={day}&end_date={day}");
        let anomalies = format!("{list}?{days}");
        let shown = anna.get(&anomalies).await.text;
        assert!(shown.contains("stands out from $4.00") && shown.contains("by 28 active days"), "{shown}");
        assert!(!shown.contains("$0.000000"), "raw cost is the reseller's");
        let all = boss.get(&format!("/reseller/alerts?{days}")).await.text;
        assert!(all.contains("$0.000000") && all.contains("href=\"/organizations/ours/alerts\""), "{all}");
        let long = "x".repeat(301);
        let known = |note| {
            let key =
                [("day", day.as_str()), ("kind", "model"), ("subject", "openai/o3"), ("measure", "spend")];
            [[("do", "acknowledge"), ("organization", "ours"), ("note", note)].as_slice(), &key].concat()
        };
        let refused = send(&mut anna, &anomalies, &known(long.as_str())).await;
        assert!((refused.status.as_u16(), refused.text.contains("at most 300 characters")) == (400, true));
        let route = format!("clients/ours/anomalies?start_date={day}&end_date={day}");
        assert_eq!(by_api(&gateway, &route).await["items"][0]["acknowledged_at"], Value::Null);
        let done = send(&mut anna, &anomalies, &known(HOSTILE)).await;
        assert_eq!(done.location, format!("{anomalies}&done=alerts-acknowledged"), "{}", done.text);
        assert_eq!(by_api(&gateway, &route).await["items"][0]["note"], HOSTILE);
        let shown = anna.get(&anomalies).await.text;
        assert!(
            shown.contains("Acknowledged") && shown.contains(ESCAPED) && !shown.contains("<img"),
            "{shown}"
        );
        assert!(anna.get(&format!("{anomalies}&only=new")).await.text.contains("There are no such days"));
        for wrong in [
            "view=x",
            "view=raised&kind=x",
            "view=deliveries&state=x",
            "view=anomalies&range=x",
            "view=raised&cursor=x",
        ] {
            assert_eq!(anna.get(&format!("{list}?{wrong}")).await.status.as_u16(), 400, "{wrong}");
        }
    });
    wait_until("it came once more", || receiver.received().len() == 2);
    assert!(gateway.stop().success());
}
