//! What the client makes of answers.

use mai_mock_openrouter::NbpConduct;
use mai_primitives::UnixTime;

use super::{World, days, wait};
use crate::{NbpClient, NbpError, NbpSettings, nbp::parse};

const NOW: UnixTime = UnixTime::from_seconds(7);

#[test]
fn tables_are_read_digit_by_digit() {
    let body = r#"{"table":"A","currency":"dolar amerykański","code":"USD","rates":[
        {"no":"221/A/NBP/2025","effectiveDate":"2025-11-14","mid":3.6376},
        {"no":"222/A/NBP/2025","effectiveDate":"2025-11-17","mid":3.7}]}"#;
    let tables = parse(body.as_bytes(), days("2025-11-10", "2025-11-20"), NOW).unwrap();
    let read: Vec<_> = tables
        .iter()
        .map(|table| (table.effective_date.to_string(), table.table_no.as_str(), table.rate.to_string()))
        .collect();
    assert_eq!(
        read,
        [
            ("2025-11-14".to_owned(), "221/A/NBP/2025", "3.6376".to_owned()),
            ("2025-11-17".to_owned(), "222/A/NBP/2025", "3.7000".to_owned()),
        ]
    );
    assert_eq!(tables[0].fetched_at, NOW);
}

#[test]
fn what_is_no_table_of_the_dollar_is_refused() {
    let series = |table: &str, code: &str, rates: &str| {
        format!(r#"{{"table":"{table}","currency":"x","code":"{code}","rates":[{rates}]}}"#)
    };
    let rate = |date: &str, mid: &str| format!(r#"{{"no":"1/A","effectiveDate":"{date}","mid":{mid}}}"#);
    let good = rate("2025-11-14", "3.6376");
    for wrong in [
        "<html>".to_owned(),
        "404 NotFound - Not Found - Brak danych".to_owned(),
        series("C", "USD", &good),
        series("A", "EUR", &good),
        series("A", "USD", ""),
        series("A", "USD", &rate("2025-11-14", "3.63765")),
        series("A", "USD", &rate("2025-11-14", "\"3.6376\"")),
        series("A", "USD", &rate("2025-11-14", "0")),
        series("A", "USD", &rate("2025-11-14", "-3.6")),
        series("A", "USD", &rate("2025-11-14", "363.76")),
        series("A", "USD", &rate("2025-11-14", "null")),
        series("A", "USD", &rate("14.11.2025", "3.6")),
        series("A", "USD", &rate("2025-11-09", "3.6")),
        series("A", "USD", &rate("2025-11-21", "3.6")),
        series("A", "USD", &format!("{good},{good}")),
        series("A", "USD", &good.replace("1/A", "")),
    ] {
        assert!(parse(wrong.as_bytes(), days("2025-11-10", "2025-11-20"), NOW).is_err(), "{wrong}");
    }
}

#[test]
fn trouble_that_may_pass_is_tried_again() {
    let world = World::at("2026-11-20T12:00:00Z");
    let asked = days("2026-11-01", "2026-11-20");
    world.mock.set_nbp(NbpConduct { status: Some(503), ..NbpConduct::default() });
    let error = wait(world.client(2).tables(asked, NOW)).unwrap_err();
    assert!(matches!(error, NbpError::Status(503)), "{error}");
    assert_eq!(world.mock.nbp_requests().len(), 3);
    // What a refusal says does not change by asking again.
    world.mock.set_nbp(NbpConduct { status: Some(400), ..NbpConduct::default() });
    assert!(wait(world.client(2).tables(asked, NOW)).is_err());
    assert_eq!(world.mock.nbp_requests().len(), 4);
    world.mock.set_nbp(NbpConduct::default());
    assert_eq!(wait(world.client(2).tables(asked, NOW)).unwrap().len(), 14);
}

#[test]
fn a_place_that_has_no_tables_is_not_taken_for_a_holiday() {
    let world = World::at("2026-11-20T12:00:00Z");
    let wrong = NbpSettings { pauses: Vec::new(), ..NbpSettings::at(world.mock.base_url()) };
    let error = wait(NbpClient::new(wrong).unwrap().tables(days("2026-11-01", "2026-11-20"), NOW));
    let text = error.unwrap_err().to_string();
    assert!(text.contains("NBP_BASE_URL"), "{text}");
    for url in ["", "api.nbp.pl/api", "ftp://api.nbp.pl", "https://api.nbp.pl/api?x=1"] {
        assert!(matches!(NbpClient::new(NbpSettings::at(url)), Err(NbpError::BaseUrl(_))), "{url}");
    }
}
