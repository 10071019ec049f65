//! The NBP tables: days with and without one, limits, and the hour of publication.

use crate::client::{Answer, send};
use mai_mock_openrouter::{Mock, MockSettings, NbpConduct};
use serde_json::Value;
use std::sync::Arc;

/// A mock at that moment (unix seconds).
fn at(unix_seconds: i64) -> Mock {
    Mock::start(MockSettings { now: Arc::new(move || unix_seconds * 1000), ..MockSettings::default() })
        .unwrap()
}

/// Friday 2026-11-20 at 13:00 in Warsaw.
fn friday() -> Mock {
    at(1_795_176_000)
}

fn usd(mock: &Mock, rest: &str) -> Answer {
    send(mock, "GET", &format!("/nbp/api/exchangerates/rates/a/usd/{rest}"), &[], "")
}

fn dates(answer: &Answer) -> Vec<String> {
    let rates = answer.json()["rates"].clone();
    rates.as_array().unwrap().iter().map(|rate| rate["effectiveDate"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_day_has_its_table() {
    let mock = friday();
    let answer = usd(&mock, "2025-11-14/");
    let json = answer.json();
    assert_eq!((json["table"].as_str(), json["code"].as_str()), (Some("A"), Some("USD")));
    assert_eq!(json["currency"], "dolar amerykański");
    assert_eq!(json["rates"][0]["no"], "221/A/NBP/2025");
    let mid = json["rates"][0]["mid"].as_f64().unwrap();
    assert!((3.57..=3.63).contains(&mid), "{mid}");
    assert_eq!(answer.text(), usd(&at(1_795_400_000), "2025-11-14").text(), "a published rate never changes");
    let upper = send(&mock, "GET", "/nbp/api/exchangerates/rates/A/USD/2025-11-14", &[], "");
    assert_eq!(answer.text(), upper.text());
}

#[test]
fn free_days_and_unknown_currencies_have_no_data() {
    let mock = friday();
    let euro = |code: &str| {
        send(&mock, "GET", &format!("/nbp/api/exchangerates/rates/a/{code}/2026-04-07/"), &[], "")
    };
    assert_eq!((euro("eur").status, euro("xyz").status), (200, 404));
    // A Sunday, Easter Monday, Corpus Christi, a future day and a day before the archive.
    for day in ["2026-11-15", "2026-04-06", "2026-06-04", "2026-11-23", "2001-12-31"] {
        let answer = usd(&mock, day);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, Some("text/plain; charset=utf-8")),
            "{day}"
        );
        assert_eq!(answer.text(), "404 NotFound - Not Found - Brak danych");
    }
    assert_eq!(usd(&mock, "2026-04-04/2026-04-06").status, 404, "a range without a table");
}

#[test]
fn today_appears_at_its_hour() {
    // 12:09 and 12:10 in Warsaw, in winter and in summer time.
    for (before, day, previous) in
        [(1_795_172_940, "2026-11-20", "2026-11-19"), (1_783_937_340, "2026-07-13", "2026-07-10")]
    {
        let (early, open) = (at(before), at(before + 60));
        assert_eq!(usd(&early, "today").status, 404);
        assert_eq!(dates(&usd(&early, "")), [previous]);
        assert_eq!(dates(&usd(&open, "today/")), [day]);
        assert_eq!(dates(&usd(&open, "")), [day]);
    }
}

#[test]
fn ranges_and_counts_are_limited() {
    let mock = friday();
    assert_eq!(
        dates(&usd(&mock, "2026-04-02/2026-04-08/")),
        ["2026-04-02", "2026-04-03", "2026-04-07", "2026-04-08"]
    );
    assert_eq!(usd(&mock, "2026-01-01/2026-04-03").status, 200, "93 days");
    let long = usd(&mock, "2026-01-01/2026-04-04");
    assert_eq!(long.status, 400);
    assert_eq!(
        long.text(),
        "400 BadRequest - Przekroczony limit 93 dni / Limit of 93 days has been exceeded"
    );
    assert!(usd(&mock, "2026-04-08/2026-04-02").text().ends_with("Invalid date range"));
    for wrong in ["2026-13-01", "2026-4-1", "yesterday", "last/0", "last/256", "last/x"] {
        assert_eq!(usd(&mock, wrong).status, 400, "{wrong}");
    }
    assert_eq!(dates(&usd(&mock, "last/255")).len(), 255);
    assert_eq!(dates(&usd(&mock, "last/2")), ["2026-11-19", "2026-11-20"]);
    assert_eq!(send(&mock, "GET", "/nbp/api/exchangerates/rates/c/usd/", &[], "").status, 404);
}

#[test]
fn tables_hold_all_currencies_with_the_same_rates() {
    let mock = friday();
    let tables = |rest: &str| send(&mock, "GET", &format!("/nbp/api/exchangerates/tables/a/{rest}"), &[], "");
    let table = tables("2026-04-24").json();
    assert_eq!(table[0]["no"], "079/A/NBP/2026");
    let find = |table: &Value| {
        let rates = table["rates"].as_array().unwrap();
        rates.iter().find(|rate| rate["code"] == "USD").unwrap()["mid"].clone()
    };
    assert_eq!(find(&table[0]), usd(&mock, "2026-04-24").json()["rates"][0]["mid"]);
    assert_eq!(tables("last/67").json().as_array().unwrap().len(), 67);
    assert_eq!(tables("last/68").status, 400);
}

#[test]
fn trouble_is_made_and_ends() {
    let mock = friday();
    let day = |text: &str| std::iter::once(text.parse().unwrap()).collect();
    let before = usd(&mock, "2026-04-02/2026-04-08").json();
    mock.set_nbp(NbpConduct {
        withheld: day("2026-04-07"),
        altered: day("2026-04-08"),
        ..NbpConduct::default()
    });
    let answer = usd(&mock, "2026-04-02/2026-04-08");
    assert_eq!(dates(&answer), ["2026-04-02", "2026-04-03", "2026-04-08"]);
    let (old, new) = (&before["rates"][3], &answer.json()["rates"][2]);
    assert_eq!(old["no"], new["no"], "the numbers of the others stay");
    assert_ne!(old["mid"], new["mid"]);
    assert_eq!(usd(&mock, "2026-04-07").status, 404);
    mock.set_nbp(NbpConduct { status: Some(503), ..NbpConduct::default() });
    assert_eq!(usd(&mock, "2026-04-02/2026-04-08").status, 503);
    mock.set_nbp(NbpConduct::default());
    assert_eq!(usd(&mock, "2026-04-02/2026-04-08").json(), before);
    assert_eq!(mock.nbp_requests().len(), 5);
    assert_eq!((mock.request_count(), mock.requests().len()), (0, 0));
}
