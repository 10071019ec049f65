//! What we have booked against what OpenRouter has charged, by provider key and UTC day.
//!
//! `GET /key` tells what was charged to a key in all and since the UTC day began, so any reading on a
//! day D gives the total at its beginning, S(D) = total - daily. What was charged on D is exactly
//! S(D+1) - S(D), whenever on the two days the readings were taken.

use std::collections::BTreeMap;

use diesel::{prelude::*, upsert::excluded};
use mai_generation_processing::{query::complete_from, schema::processed_generations as ledger};
use mai_primitives::{OrganizationCalendar, OrganizationId, UnixTime, UsageDate, Usd};
use mai_storage::{DbConnection, Storage, on_backend, sum_i64};

use crate::schema::provider_key_usage as keys;

/// How many days' costs are added up again with each reading: a call is looked up for 72 hours.
const LATE_DAYS: u64 = 5;
/// How many with the first reading of a day: later than that a person may settle a call.
const SETTLED_DAYS: u64 = 35;
const SECONDS_PER_DAY: i64 = 86_400;

/// One reading of a provider key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReading {
    /// The organization whose key it is.
    pub client_org_id: OrganizationId,
    /// Hex SHA-256 of the key.
    pub key_fingerprint: String,
    /// The last four characters of the key.
    pub key_last4: String,
    /// When it was read.
    pub read_at: UnixTime,
    /// The UTC day of that moment.
    pub usage_date: UsageDate,
    /// What was charged to the key before that day.
    pub opening_total: Usd,
    /// What was charged to it on that day so far.
    pub daily: Usd,
}

/// A row of `provider_key_usage`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Insertable)]
#[diesel(table_name = keys, treat_none_as_default_value = false)]
pub struct ProviderKeyUsageModel {
    /// The organization whose key it is.
    pub client_org_id: OrganizationId,
    /// A UTC day.
    pub usage_date: UsageDate,
    /// Hex SHA-256 of the key.
    pub key_fingerprint: String,
    /// The last four characters of the key.
    pub key_last4: String,
    /// What was charged to the key before the day.
    pub opening_total: Usd,
    /// What was charged to it on the day up to the last reading.
    pub latest_daily: Usd,
    /// What was charged to it on the whole day; none until the next day was read.
    pub billed: Option<Usd>,
    /// What the ledger says that the organization's calls of the day cost, with whatever key; none where
    /// it was cleaned up before that was added up.
    pub captured: Option<Usd>,
    /// When the key was last read on the day.
    pub read_at: UnixTime,
}

/// An organization's UTC day in both books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftDay {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// A UTC day.
    pub usage_date: UsageDate,
    /// The last four characters of each key that was read, and what was charged to it as far as it is
    /// known: on the whole day, or up to the last reading.
    pub keys: Vec<(String, Usd)>,
    /// What the ledger says; none where it was cleaned up before that was added up.
    pub captured: Option<Usd>,
    /// What was charged to all keys: on the whole day, or so far where the day is not over. None where
    /// a key was not read on the next day.
    pub billed: Option<Usd>,
    /// Whether the day is not over, so that both figures are those of the last reading.
    pub running: bool,
}

impl DriftDay {
    /// Captured less billed; none where one of them is not known.
    pub fn difference(&self) -> Option<Usd> {
        self.captured?.checked_sub(self.billed?)
    }

    /// Captured in hundredths of a percent of billed, to the nearest. None where one of them is not known
    /// or nothing was billed.
    ///
    /// The ledger rounds each call to the nano-dollar and OpenRouter does not, so that a difference of
    /// some nano-dollars is none.
    pub fn ratio(&self) -> Option<i64> {
        ratio(self.captured?, self.billed?)
    }
}

fn ratio(captured: Usd, billed: Usd) -> Option<i64> {
    let (captured, billed) = (i128::from(captured.nanos()), i128::from(billed.nanos()));
    let rounded = || i64::try_from((captured * 20_000 + billed).div_euclid(billed * 2)).ok();
    (billed > 0).then(rounded).flatten()
}

/// Both books of many days together, of which only those count that are known in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriftSum {
    /// What the ledger says.
    pub captured: Usd,
    /// What was charged.
    pub billed: Usd,
    /// How many days of organizations are counted.
    pub days: usize,
    /// How many were read and are not known in both books.
    pub unknown: usize,
}

impl DriftSum {
    /// As [`DriftDay::ratio`].
    pub fn ratio(&self) -> Option<i64> {
        ratio(self.captured, self.billed)
    }
}

/// What [`days`] of all organizations add up to, from `from` to `to`, where `today` is the present UTC day.
pub fn sum(
    conn: &mut DbConnection,
    (from, to): (UsageDate, UsageDate),
    today: UsageDate,
) -> mai_storage::Result<DriftSum> {
    let mut sum = DriftSum::default();
    for day in days(conn, None, from, today)?.iter().filter(|day| day.usage_date <= to) {
        let (Some(captured), Some(billed)) = (day.captured, day.billed) else {
            sum.unknown += 1;
            continue;
        };
        let add = |sum: Usd, more| sum.checked_add(more).ok_or(mai_storage::Error::OutOfRange("charges"));
        sum.captured = add(sum.captured, captured)?;
        sum.billed = add(sum.billed, billed)?;
        sum.days += 1;
    }
    Ok(sum)
}

/// Stores a reading, with what follows from it for the day before, and adds up again what the ledger
/// says of the last days. Storing a reading again, here or in another process, changes nothing.
pub async fn store_reading(storage: &Storage, reading: KeyReading) -> mai_storage::Result<()> {
    let (org, today) = (reading.client_org_id.clone(), reading.usage_date);
    // Not in the write transaction: adding up takes longer than writers should wait for each other.
    let captured = storage.read(move |conn| captured(conn, &org, today)).await?;
    storage.write(move |conn| write(conn, &reading, &captured)).await
}

/// The ledger's costs by UTC day, up to `today`; days of which ledger rows were cleaned up are absent.
fn captured(
    conn: &mut DbConnection,
    org: &OrganizationId,
    today: UsageDate,
) -> mai_storage::Result<BTreeMap<UsageDate, Usd>> {
    let read_today = keys::table.filter(keys::client_org_id.eq(org)).filter(keys::usage_date.eq(today));
    let is_first = read_today.count().get_result::<i64>(conn)? == 0;
    let complete_from = complete_from(conn)?;
    let mut captured = BTreeMap::new();
    for age in 0..if is_first { SETTLED_DAYS } else { LATE_DAYS } {
        let day = today.minus_days(age);
        // A UTC day has parts of three local days, of which all rows must be there.
        let local = (day.minus_days(1), day.plus_days(1));
        if complete_from.is_some_and(|first| local.0 < first) {
            break;
        }
        let start = OrganizationCalendar::UTC.start_of(day);
        let cost = ledger::table
            .filter(ledger::client_org_id.eq(org))
            .filter(ledger::generation_date.between(local.0, local.1))
            .filter(ledger::started_at.ge(start))
            .filter(ledger::started_at.lt(start.plus_seconds(SECONDS_PER_DAY)))
            .select(sum_i64(ledger::total_cost))
            .first(conn)?;
        captured.insert(day, cost);
    }
    Ok(captured)
}

fn write(
    conn: &mut DbConnection,
    reading: &KeyReading,
    captured: &BTreeMap<UsageDate, Usd>,
) -> mai_storage::Result<()> {
    let (org, today, fingerprint) = (&reading.client_org_id, reading.usage_date, &reading.key_fingerprint);
    let row = ProviderKeyUsageModel {
        client_org_id: org.clone(),
        usage_date: today,
        key_fingerprint: fingerprint.clone(),
        key_last4: reading.key_last4.clone(),
        opening_total: reading.opening_total,
        latest_daily: reading.daily,
        billed: None,
        captured: captured.get(&today).copied(),
        read_at: reading.read_at,
    };
    on_backend!(conn, c => diesel::insert_into(keys::table)
        .values(&row)
        .on_conflict((keys::client_org_id, keys::usage_date, keys::key_fingerprint))
        .do_update()
        .set((
            keys::opening_total.eq(excluded(keys::opening_total)),
            keys::latest_daily.eq(excluded(keys::latest_daily)),
            keys::read_at.eq(excluded(keys::read_at)),
        ))
        .execute(c))?;
    let yesterday = keys::table.find((org, today.minus_days(1), fingerprint));
    let before: Option<Usd> = yesterday.select(keys::opening_total).first(conn).optional()?;
    if let Some(before) = before {
        let billed = reading
            .opening_total
            .checked_sub(before)
            .ok_or(mai_storage::Error::OutOfRange("the charges of a day"))?;
        diesel::update(yesterday).set(keys::billed.eq(Some(billed))).execute(conn)?;
    }
    for (day, cost) in captured {
        let rows = keys::table.filter(keys::client_org_id.eq(org)).filter(keys::usage_date.eq(day));
        diesel::update(rows).set(keys::captured.eq(Some(cost))).execute(conn)?;
    }
    Ok(())
}

/// Both books of the days from `from` to `today`, the present UTC day, of one organization or of
/// all, by day and organization. Days on which no key was read are absent.
pub fn days(
    conn: &mut DbConnection,
    org: Option<&OrganizationId>,
    from: UsageDate,
    today: UsageDate,
) -> mai_storage::Result<Vec<DriftDay>> {
    let mut rows = keys::table.filter(keys::usage_date.between(from, today)).into_boxed();
    if let Some(org) = org {
        rows = rows.filter(keys::client_org_id.eq(org));
    }
    let mut days: BTreeMap<(UsageDate, OrganizationId), Vec<ProviderKeyUsageModel>> = BTreeMap::new();
    for row in rows.load::<ProviderKeyUsageModel>(conn)? {
        days.entry((row.usage_date, row.client_org_id.clone())).or_default().push(row);
    }
    let day = |((usage_date, client_org_id), rows): (_, Vec<ProviderKeyUsageModel>)| {
        day_of(client_org_id, usage_date, usage_date == today, rows)
    };
    days.into_iter().map(day).collect()
}

fn day_of(
    client_org_id: OrganizationId,
    usage_date: UsageDate,
    running: bool,
    mut rows: Vec<ProviderKeyUsageModel>,
) -> mai_storage::Result<DriftDay> {
    rows.sort_by(|a, b| (a.read_at, &a.key_fingerprint).cmp(&(b.read_at, &b.key_fingerprint)));
    let so_far = |row: &ProviderKeyUsageModel| row.billed.unwrap_or(row.latest_daily);
    let is_known = running || rows.iter().all(|row| row.billed.is_some());
    let sum = Usd::checked_sum(rows.iter().map(so_far));
    let sum = sum.ok_or(mai_storage::Error::OutOfRange("the charges of a day"))?;
    Ok(DriftDay {
        client_org_id,
        usage_date,
        captured: rows.first().and_then(|row| row.captured),
        keys: rows.iter().map(|row| (row.key_last4.clone(), so_far(row))).collect(),
        billed: is_known.then_some(sum),
        running,
    })
}
