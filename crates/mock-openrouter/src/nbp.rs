//! The exchange rate API of NBP, tables A: <https://api.nbp.pl/en.html>. JSON only.

use crate::calendar::{table_number, working_days};
use crate::random::{below, mix};
use crate::respond::{MockResponse, json, whole};
use crate::server::State;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Europe::Warsaw;
use http::StatusCode;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How the mock's NBP behaves; by default as it should.
#[derive(Debug, Clone, Default)]
pub struct NbpConduct {
    /// Days whose tables are not shown, though they are working days. The numbers of the others stay.
    pub withheld: BTreeSet<NaiveDate>,
    /// Days of whose tables other mids are shown: 0.0001 more.
    pub altered: BTreeSet<NaiveDate>,
    /// Every answer has this status and no data.
    pub status: Option<u16>,
    /// How long every answer takes.
    pub delay: Duration,
}

/// What is remembered of the mock's NBP.
#[derive(Debug, Default)]
pub(crate) struct Nbp {
    conduct: Mutex<NbpConduct>,
    requests: Mutex<Vec<String>>,
}

impl Nbp {
    pub(crate) fn set(&self, conduct: NbpConduct) {
        *self.conduct.lock().unwrap_or_else(PoisonError::into_inner) = conduct;
    }

    fn conduct(&self) -> NbpConduct {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Longest range in days, both ends counted.
const LONGEST_RANGE: i64 = 93;

/// A currency of the table: code, name and mid rate around which the mock's rates move, in 1e-4 PLN.
struct Currency {
    code: &'static str,
    name: &'static str,
    middle: u32,
}

const CURRENCIES: &[Currency] = &[
    Currency { code: "USD", name: "dolar amerykański", middle: 36_000 },
    Currency { code: "EUR", name: "euro", middle: 42_500 },
    Currency { code: "CHF", name: "frank szwajcarski", middle: 45_500 },
    Currency { code: "GBP", name: "funt szterling", middle: 48_500 },
];

/// What of the table is asked for.
enum Asked<'a> {
    Rates(&'a Currency),
    Table,
}

/// Answers a path behind `/nbp/api/`.
pub(crate) async fn answer(state: &State, path: &str) -> MockResponse {
    state.nbp.requests.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    let conduct = state.nbp.conduct();
    if !conduct.delay.is_zero() {
        tokio::time::sleep(conduct.delay).await;
    }
    if let Some(status) = conduct.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return plain(status, "out of order");
    }
    let path = path.to_ascii_lowercase();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (asked, rest) = match parts.as_slice() {
        ["exchangerates", "rates", "a", code, rest @ ..] => {
            let Some(currency) = CURRENCIES.iter().find(|currency| currency.code.eq_ignore_ascii_case(code))
            else {
                return no_data();
            };
            (Asked::Rates(currency), rest)
        }
        ["exchangerates", "tables", "a", rest @ ..] => (Asked::Table, rest),
        _ => return plain(StatusCode::NOT_FOUND, "404 NotFound"),
    };
    let found = days(state, &asked, rest).map(|mut days| {
        days.retain(|day| !conduct.withheld.contains(day));
        days
    });
    match found {
        Ok(days) if days.is_empty() => no_data(),
        Ok(days) => json(StatusCode::OK, show(state.settings.seed, &asked, &days, &conduct.altered)),
        Err(message) => plain(StatusCode::BAD_REQUEST, &format!("400 BadRequest - {message}")),
    }
}

/// The published days that were asked for, in order.
fn days(state: &State, asked: &Asked<'_>, rest: &[&str]) -> Result<Vec<NaiveDate>, &'static str> {
    let (today, published) = calendar_now(state);
    let first = NaiveDate::from_ymd_opt(2002, 1, 2).unwrap_or(NaiveDate::MIN);
    let between =
        |start: NaiveDate, end: NaiveDate| working_days(start.max(first), end.min(published)).collect();
    match rest {
        [] => Ok(last(published, 1)),
        ["today"] => Ok(between(today, today)),
        ["last", count] => {
            let (most, message) = match asked {
                Asked::Rates(_) => (
                    255,
                    "Przekroczony limit 255 wyników / Maximum size of 255 data series has been exceeded",
                ),
                Asked::Table => {
                    (67, "Przekroczony limit 67 wyników / Maximum size of 67 data series has been exceeded")
                }
            };
            let count: usize = count.parse().map_err(|_| BAD_COUNT)?;
            match count {
                0 => Err(BAD_COUNT),
                count if count > most => Err(message),
                count => Ok(last(published, count)),
            }
        }
        [date] => {
            let date = read(date)?;
            Ok(between(date, date))
        }
        [start, end] => {
            let (start, end) = (read(start)?, read(end)?);
            if start > end {
                return Err("Błędny zakres dat / Invalid date range");
            }
            if (end - start).num_days() >= LONGEST_RANGE {
                return Err("Przekroczony limit 93 dni / Limit of 93 days has been exceeded");
            }
            Ok(between(start, end))
        }
        _ => Err("Błędne zapytanie / Bad request"),
    }
}

const BAD_COUNT: &str = "Nieprawidłowa liczba wyników / Invalid number of results";

/// Today in Warsaw and the last day that can have a table: today from 12:10 on, else yesterday.
fn calendar_now(state: &State) -> (NaiveDate, NaiveDate) {
    let now =
        DateTime::from_timestamp_millis((state.settings.now)()).unwrap_or_default().with_timezone(&Warsaw);
    let today = now.date_naive();
    let open = NaiveTime::from_hms_opt(12, 10, 0).is_some_and(|publication| now.time() >= publication);
    (today, if open { today } else { today.pred_opt().unwrap_or(today) })
}

/// The last `count` working days up to `end`.
fn last(end: NaiveDate, count: usize) -> Vec<NaiveDate> {
    // Even with every holiday, two calendar days and a week of slack hold more working days than asked for.
    let reach = i64::try_from(count).unwrap_or(0) * 2 + 14;
    let start = end.checked_sub_signed(TimeDelta::days(reach)).unwrap_or(end);
    let mut days: Vec<NaiveDate> = working_days(start, end).rev().take(count).collect();
    days.reverse();
    days
}

fn read(text: &str) -> Result<NaiveDate, &'static str> {
    // `NaiveDate` also reads `2026-4-6`, which NBP does not.
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    date.ok_or("Błędny format daty / Invalid date format")
}

fn show(seed: u64, asked: &Asked<'_>, days: &[NaiveDate], altered: &BTreeSet<NaiveDate>) -> String {
    let mid = |currency: &Currency, day| mid(seed, currency, day, altered.contains(&day));
    match asked {
        Asked::Rates(currency) => {
            let rates: Vec<String> = days
                .iter()
                .map(|day| {
                    let (number, mid) = (number(*day), mid(currency, *day));
                    format!(r#"{{"no":"{number}","effectiveDate":"{day}","mid":{mid}}}"#)
                })
                .collect();
            let Currency { name, code, .. } = currency;
            format!(r#"{{"table":"A","currency":"{name}","code":"{code}","rates":[{}]}}"#, rates.join(","))
        }
        Asked::Table => {
            let tables: Vec<String> = days.iter().map(|day| table(*day, mid)).collect();
            format!("[{}]", tables.join(","))
        }
    }
}

fn table(day: NaiveDate, mid: impl Fn(&Currency, NaiveDate) -> String) -> String {
    let rates: Vec<String> = CURRENCIES
        .iter()
        .map(|currency| {
            let Currency { name, code, .. } = currency;
            format!(r#"{{"currency":"{name}","code":"{code}","mid":{}}}"#, mid(currency, day))
        })
        .collect();
    let number = number(day);
    format!(r#"{{"table":"A","no":"{number}","effectiveDate":"{day}","rates":[{}]}}"#, rates.join(","))
}

/// For example `221/A/NBP/2025`.
fn number(day: NaiveDate) -> String {
    format!("{:03}/A/NBP/{}", table_number(day), day.year())
}

/// The mid rate as a JSON number of up to 4 decimals, without trailing zeros as NBP prints it.
fn mid(seed: u64, currency: &Currency, day: NaiveDate, is_altered: bool) -> String {
    let day = u64::try_from(day.num_days_from_ce()).unwrap_or(0);
    let rate = currency.middle - 300
        + below(mix(seed, u64::from(currency.middle)), day, 601)
        + u32::from(is_altered);
    let text = format!("{}.{:04}", rate / 10_000, rate % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn no_data() -> MockResponse {
    plain(StatusCode::NOT_FOUND, "404 NotFound - Not Found - Brak danych")
}

fn plain(status: StatusCode, text: &str) -> MockResponse {
    whole(status, "text/plain; charset=utf-8", text.to_owned())
}
