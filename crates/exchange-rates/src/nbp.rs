//! The client of NBP's API, tables A: <https://api.nbp.pl/en.html>.
//!
//! 404 is said alike of weekends, holidays, today before the publication about noon, and addresses that do
//! not exist. So a range is never shorter than [`SHORTEST_RANGE`], in which NBP always has a table: where it
//! tells none, the address is wrong or NBP is in trouble, and nothing is learned about any day.

use std::time::Duration;

use chrono::NaiveDate;
use mai_primitives::{UnixTime, UsageDate, UsdPlnRate};
use reqwest::{Response, StatusCode, Url, header::ACCEPT};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{model::PublishedRate, published::KnownDays};

/// The longest range that NBP answers, in days, both ends counted.
pub const LONGEST_RANGE: u64 = 93;

/// In so many days in a row NBP publishes at least one table.
pub const SHORTEST_RANGE: u64 = 11;

/// The first day of NBP's archive, 2002-01-02.
pub(crate) fn archive_begins() -> UsageDate {
    UsageDate::new(NaiveDate::from_ymd_opt(2002, 1, 2).unwrap_or(NaiveDate::MIN))
}

/// 93 days have about 6 KiB.
const MAX_BODY: usize = 256 * 1024;

/// How NBP is asked.
#[derive(Debug, Clone)]
pub struct NbpSettings {
    /// For example `https://api.nbp.pl/api`.
    pub base_url: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// The pauses before it is tried again.
    pub pauses: Vec<Duration>,
}

impl NbpSettings {
    /// The usual patience with the API at `base_url`.
    pub fn at(base_url: impl Into<String>) -> Self {
        let pauses = [1, 4, 15].map(Duration::from_secs).to_vec();
        Self { base_url: base_url.into(), timeout: Duration::from_secs(10), pauses }
    }
}

/// Why NBP did not tell its tables.
#[derive(Debug, Error)]
pub enum NbpError {
    /// The base URL is no absolute `http` or `https` URL.
    #[error("`{0}` is not an http or https URL")]
    BaseUrl(String),
    /// TLS or the proxy settings of the environment could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
    /// No connection, a timeout, or a connection that broke.
    #[error("NBP could not be reached")]
    Transport(#[source] reqwest::Error),
    /// Any other status but 200 and 404.
    #[error("NBP answered with status {0}")]
    Status(u16),
    /// There are no tables in days in which there must be some.
    #[error("NBP has no table from {0} to {1}, which cannot be; is NBP_BASE_URL right?")]
    NoTable(UsageDate, UsageDate),
    /// The answer is not what the API documents.
    #[error("NBP's answer cannot be read: {0}")]
    Malformed(&'static str),
}

impl NbpError {
    /// Whether it may be better a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

impl From<reqwest::Error> for NbpError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// Asks NBP for its tables. It follows no redirect.
#[derive(Debug, Clone)]
pub struct NbpClient {
    http: reqwest::Client,
    rates_url: String,
    pauses: Vec<Duration>,
}

#[derive(Deserialize)]
struct Series<'a> {
    table: &'a str,
    code: &'a str,
    #[serde(borrow)]
    rates: Vec<Rate<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rate<'a> {
    no: &'a str,
    effective_date: &'a str,
    /// The digits as they stand; a float would not keep them.
    #[serde(borrow)]
    mid: &'a RawValue,
}

impl NbpClient {
    /// A client by these settings.
    ///
    /// The process must have installed a default rustls crypto provider before; without one the HTTP
    /// library panics.
    pub fn new(settings: NbpSettings) -> Result<Self, NbpError> {
        let rates_url = format!("{}/exchangerates/rates/a/usd", settings.base_url.trim_end_matches('/'));
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none();
        if !Url::parse(&rates_url).is_ok_and(|url| is_web(&url)) {
            return Err(NbpError::BaseUrl(settings.base_url));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mai-usage/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(NbpError::Setup)?;
        Ok(Self { http, rates_url, pauses: settings.pauses })
    }

    /// The tables of these days, ascending: 11 to 93 days, both ends counted. It is tried again after
    /// growing pauses where that may help.
    pub async fn tables(&self, days: KnownDays, now: UnixTime) -> Result<Vec<PublishedRate>, NbpError> {
        let mut pauses = self.pauses.iter();
        loop {
            match (self.ask(days, now).await, pauses.next()) {
                (Err(error), Some(pause)) if error.may_pass() => {
                    tracing::debug!(%error, "NBP will be asked again");
                    tokio::time::sleep(*pause).await;
                }
                (outcome, _) => return outcome,
            }
        }
    }

    async fn ask(&self, days: KnownDays, now: UnixTime) -> Result<Vec<PublishedRate>, NbpError> {
        let url = format!("{}/{}/{}/", self.rates_url, days.from, days.through);
        let response = self.http.get(url).header(ACCEPT, "application/json").send().await?;
        match response.status() {
            StatusCode::OK => parse(&read_body(response).await?, days, now),
            StatusCode::NOT_FOUND => Err(NbpError::NoTable(days.from, days.through)),
            status => Err(NbpError::Status(status.as_u16())),
        }
    }
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, NbpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(NbpError::Malformed("it is longer than 256 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The tables of an answer, each of which must be one of those that were asked for.
pub(crate) fn parse(body: &[u8], days: KnownDays, now: UnixTime) -> Result<Vec<PublishedRate>, NbpError> {
    let series: Series<'_> =
        serde_json::from_slice(body).map_err(|_| NbpError::Malformed("it is no series of rates"))?;
    if !series.table.eq_ignore_ascii_case("a") || !series.code.eq_ignore_ascii_case("usd") {
        return Err(NbpError::Malformed("it is not about the US dollar in table A"));
    }
    let mut tables: Vec<PublishedRate> = Vec::with_capacity(series.rates.len());
    for rate in series.rates {
        let effective_date = UsageDate::parse(rate.effective_date)
            .map_err(|_| NbpError::Malformed("an effective date is no date"))?;
        if !days.contains(effective_date) {
            return Err(NbpError::Malformed("a table is of a day that was not asked for"));
        }
        if tables.last().is_some_and(|last| last.effective_date >= effective_date) {
            return Err(NbpError::Malformed("the tables are not in the order of their days"));
        }
        if rate.no.is_empty() || rate.no.len() > 40 {
            return Err(NbpError::Malformed("a table has no number"));
        }
        let mid = UsdPlnRate::parse(rate.mid.get());
        tables.push(PublishedRate {
            effective_date,
            table_no: rate.no.to_owned(),
            rate: mid
                .map_err(|_| NbpError::Malformed("a mid rate is none, or has more than four decimals"))?,
            fetched_at: now,
        });
    }
    if tables.is_empty() {
        return Err(NbpError::NoTable(days.from, days.through));
    }
    Ok(tables)
}
