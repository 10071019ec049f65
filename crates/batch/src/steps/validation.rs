//! Makes every unvalidated day equal to the ledger.
//!
//! A day is compared on one snapshot, with no lock, and what the organization's row said in that snapshot is
//! kept with the result. Usage that is booked later changes that row, whereby the day is unvalidated again
//! and compared by the next run. Only a day that differs is corrected, in a transaction during which nobody
//! books for the organization. The sums of the months that these days belong to are compared with the days and
//! corrected alike.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::{dsl::min, prelude::*, upsert::excluded};
use futures_util::{StreamExt, stream};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::external_ids::alone;
use mai_generation_processing::{query::complete_from, schema::processed_generations as ledger};
use mai_primitives::{ModelName, OrganizationId, UnixTime, UsageDate};
use mai_storage::{BATCH_ROWS, DbConnection, Error as StorageError, on_backend};
use mai_usage_tracking::{
    ClientDailyUsageModel, ClientMonthlyUsageModel, Error as UsageError, Totals,
    monthly::{MonthDifference, compare_month, rebuild_month},
    query,
    rebuild::{DailyRow, Derived, Difference, DifferenceKind, compare_day, rebuild_day},
    schema::client_daily_usage as days,
    verify::organizations,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ORGANIZATIONS_AT_ONCE, names};
use crate::{
    error::{Error, Result},
    schema::day_validations as validations,
    step::{Context, Failures, Outcome},
};

/// How many corrected organizations the result names.
const CORRECTED_SHOWN: usize = 100;

/// A row of `day_validations`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = validations, treat_none_as_default_value = false)]
pub struct DayValidationModel {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// Its local day.
    pub usage_date: UsageDate,
    /// When it was last found right, or made so.
    pub validated_at: UnixTime,
    /// Rows and derived figures that were made right, in all validations together.
    pub corrections: i64,
    /// What the organization's row said then; none where there was no row.
    pub seen: Option<String>,
}

/// What the step has done; the names are the original's.
#[derive(Debug, Serialize)]
struct UsageConsolidationResult {
    processing_date: UsageDate,
    /// Organizations with a day that was not validated.
    clients_processed: usize,
    /// Days that were compared.
    total_records_verified: usize,
    /// Rows and derived figures that were made right.
    data_corrections: usize,
    /// Organizations with corrections, the first hundred.
    clients_data: Vec<CorrectedClient>,
    #[serde(flatten)]
    failures: Failures,
}

#[derive(Debug, Serialize)]
struct CorrectedClient {
    client_id: OrganizationId,
    client_name: Option<String>,
    data_corrections: usize,
    days: Vec<UsageDate>,
}

/// An organization's days that are to be compared.
#[derive(Debug, Clone)]
struct Unvalidated {
    org: OrganizationId,
    /// Each with what its validation has seen, if there is one.
    days: Vec<(UsageDate, Option<Seen>)>,
}

/// What an organization's row of a day says; none where there is no row.
type Seen = Option<String>;

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let (until, is_forced) = (context.run.processing_date, context.run.is_forced);
    let (organizations, mut names) =
        context.storage.read(|conn| Ok::<_, Error>((organizations(conn)?, names(conn)?))).await?;
    let mut work = Vec::new();
    for chunk in organizations.chunks(ORGANIZATIONS_AT_ONCE) {
        let chunk = chunk.to_vec();
        work.extend(context.storage.read(move |conn| unvalidated(conn, &chunk, until, is_forced)).await?);
    }
    context.progress.count_to(work.len());
    let mut result = UsageConsolidationResult {
        processing_date: until,
        clients_processed: work.len(),
        total_records_verified: 0,
        data_corrections: 0,
        clients_data: Vec::new(),
        failures: Failures::default(),
    };
    let validated = stream::iter(work).map(|one| async move {
        let org = one.org.clone();
        (org, validate(context, one).await)
    });
    let mut validated = std::pin::pin!(validated.buffer_unordered(context.settings.at_once.max(1)));
    while let Some((org, outcome)) = validated.next().await {
        context.progress.add(1);
        match outcome {
            Ok((compared, corrected)) => {
                result.total_records_verified += compared;
                result.add(org, &mut names, &corrected);
            }
            Err(cause) => result.failures.note(&org, cause)?,
        }
    }
    result.clients_data.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    let failure = result.failures.text();
    Ok(Outcome { details: serde_json::to_value(result)?, failure })
}

impl UsageConsolidationResult {
    fn add(
        &mut self,
        org: OrganizationId,
        names: &mut HashMap<OrganizationId, String>,
        corrected: &BTreeMap<UsageDate, usize>,
    ) {
        let corrections = corrected.values().sum();
        self.data_corrections += corrections;
        if corrections > 0 && self.clients_data.len() < CORRECTED_SHOWN {
            self.clients_data.push(CorrectedClient {
                client_name: names.remove(&org),
                client_id: org,
                data_corrections: corrections,
                days: corrected.keys().copied().collect(),
            });
        }
    }
}

/// The days up to `until` that are to be compared, by organization. Days of which ledger rows were cleaned
/// up cannot be compared, and days before an organization's first row need not.
fn unvalidated(
    conn: &mut DbConnection,
    orgs: &[OrganizationId],
    until: UsageDate,
    is_forced: bool,
) -> Result<Vec<Unvalidated>> {
    let complete = complete_from(conn)?;
    let mut rows =
        days::table.filter(days::client_org_id.eq_any(orgs)).filter(days::usage_date.le(until)).into_boxed();
    let mut known = validations::table
        .filter(validations::client_org_id.eq_any(orgs))
        .filter(validations::usage_date.le(until))
        .select((validations::client_org_id, validations::usage_date, validations::seen))
        .into_boxed();
    if let Some(complete) = complete {
        rows = rows.filter(days::usage_date.ge(complete));
        known = known.filter(validations::usage_date.ge(complete));
    }
    let mut said: HashMap<OrganizationId, BTreeMap<UsageDate, String>> = HashMap::new();
    for row in rows.load::<ClientDailyUsageModel>(conn).map_err(StorageError::from)? {
        said.entry(row.client_org_id.clone()).or_default().insert(row.usage_date, seen(&row));
    }
    let mut validated: HashMap<OrganizationId, BTreeMap<UsageDate, Seen>> = HashMap::new();
    for (org, date, seen) in
        known.load::<(OrganizationId, UsageDate, Seen)>(conn).map_err(StorageError::from)?
    {
        validated.entry(org).or_default().insert(date, seen);
    }
    let mut found = Vec::new();
    for org in orgs {
        let said = said.remove(org).unwrap_or_default();
        let mut validated = validated.remove(org).unwrap_or_default();
        let of_ledger = first_of_ledger(conn, org, complete)?;
        let firsts = [of_ledger, said.keys().next().copied(), validated.keys().next().copied()];
        let Some(first) = firsts.into_iter().flatten().min() else { continue };
        let mut days = Vec::new();
        let mut date = first;
        while date <= until {
            let known = validated.remove(&date);
            if is_forced || known.as_ref().is_none_or(|seen| seen.as_ref() != said.get(&date)) {
                days.push((date, known));
            }
            date = date.plus_days(1);
        }
        if !days.is_empty() {
            found.push(Unvalidated { org: org.clone(), days });
        }
    }
    Ok(found)
}

fn first_of_ledger(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: Option<UsageDate>,
) -> Result<Option<UsageDate>> {
    let mut first =
        ledger::table.filter(ledger::client_org_id.eq(org)).select(min(ledger::generation_date)).into_boxed();
    if let Some(from) = from {
        first = first.filter(ledger::generation_date.ge(from));
    }
    Ok(first.first(conn).map_err(StorageError::from)?)
}

/// All of a row that a booking, an assignment or a correction changes.
fn seen(row: &ClientDailyUsageModel) -> String {
    format!(
        "{} {} {} {} {} {} {}",
        row.total_tokens,
        row.total_requests,
        row.raw_cost.nanos(),
        row.markup_cost.nanos(),
        row.unique_users,
        row.updated_at.seconds(),
        row.primary_model.as_ref().map_or("-", ModelName::as_str),
    )
}

fn seen_now(conn: &mut DbConnection, org: &OrganizationId, date: UsageDate) -> Result<Seen> {
    Ok(query::day(conn, org, date)?.as_ref().map(seen))
}

/// A day as it was compared on one snapshot.
struct Compared {
    date: UsageDate,
    is_right: bool,
    seen: Seen,
    /// Whether its validation has seen the same before, so that there is nothing to write.
    is_known: bool,
}

/// Compares an organization's days and makes them right. Returns how many were compared, and how many
/// corrections were made on which.
async fn validate(
    context: &Context<'_>,
    unvalidated: Unvalidated,
) -> Result<(usize, BTreeMap<UsageDate, usize>)> {
    let Unvalidated { org, days } = unvalidated;
    let (whose, now) = (org.clone(), context.now());
    let months: BTreeSet<UsageDate> = days.iter().map(|(date, _)| date.first_of_month()).collect();
    let compared = context.storage.read(move |conn| compare(conn, &whose, days)).await?;
    let (count, run_id) = (compared.len(), context.run.id.clone());
    let mut corrected = BTreeMap::new();
    if !compared.iter().all(|day| day.is_right && day.is_known) {
        let (whose, run_id) = (org.clone(), run_id.clone());
        corrected = context.lease.write(move |conn| store(conn, &whose, &compared, &run_id, now)).await?;
    }
    for month in months {
        let whose = org.clone();
        if context.storage.read(move |conn| compare_month(conn, &whose, month)).await?.is_empty() {
            continue;
        }
        let (whose, run_id) = (org.clone(), run_id.clone());
        let correct = move |conn: &mut DbConnection| correct_month(conn, &whose, month, &run_id, now);
        *corrected.entry(month).or_default() += context.lease.write(correct).await?;
    }
    Ok((count, corrected))
}

fn compare(
    conn: &mut DbConnection,
    org: &OrganizationId,
    days: Vec<(UsageDate, Option<Seen>)>,
) -> Result<Vec<Compared>> {
    let mut compared = Vec::with_capacity(days.len());
    for (date, known) in days {
        let is_right = match compare_day(conn, org, date) {
            Ok(differences) => differences.is_empty(),
            // It was cleaned up since the days were looked for, and cannot be compared any more.
            Err(UsageError::LedgerCleaned { .. }) => continue,
            Err(cause) => return Err(cause.into()),
        };
        let seen = seen_now(conn, org, date)?;
        let is_known = known.as_ref() == Some(&seen);
        compared.push(Compared { date, is_right, seen, is_known });
    }
    Ok(compared)
}

/// Corrects the days that are not right and notes all of them as validated.
fn store(
    conn: &mut DbConnection,
    org: &OrganizationId,
    compared: &[Compared],
    run_id: &str,
    now: UnixTime,
) -> Result<BTreeMap<UsageDate, usize>> {
    if compared.iter().any(|day| !day.is_right) {
        alone(conn, org)?;
    }
    let (mut rows, mut corrected) = (Vec::new(), BTreeMap::new());
    for day in compared.iter().filter(|day| !(day.is_right && day.is_known)) {
        let mut row = DayValidationModel {
            client_org_id: org.clone(),
            usage_date: day.date,
            validated_at: now,
            corrections: 0,
            seen: day.seen.clone(),
        };
        if !day.is_right {
            let count = correct(conn, org, day.date, run_id, now)?;
            corrected.insert(day.date, count);
            row.corrections = i64::try_from(count).map_err(|_| Error::OutOfRange("the corrections"))?;
            row.seen = seen_now(conn, org, day.date)?;
        }
        rows.push(row);
    }
    for chunk in rows.chunks(BATCH_ROWS) {
        let chunk: Vec<&DayValidationModel> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(validations::table)
            .values(chunk)
            .on_conflict((validations::client_org_id, validations::usage_date))
            .do_update()
            .set((
                validations::validated_at.eq(excluded(validations::validated_at)),
                validations::corrections.eq(validations::corrections + excluded(validations::corrections)),
                validations::seen.eq(excluded(validations::seen)),
            ))
            .execute(c))
        .map_err(StorageError::from)?;
    }
    Ok(corrected)
}

/// Makes a day equal to the ledger, with an entry of the audit log for each correction. Nobody books for
/// the organization meanwhile.
fn correct(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
    run_id: &str,
    now: UnixTime,
) -> Result<usize> {
    let found = rebuild_day(conn, org, date, now)?;
    if !compare_day(conn, org, date)?.is_empty() {
        return Err(Error::NotCorrected { org: org.clone(), date });
    }
    for difference in &found {
        let (table, key, stored, ledger) = described(difference);
        let target = format!("{table} {date} {}", key.as_deref().unwrap_or_default());
        let details = Details::none()
            .with("run", run_id)
            .with("usage_date", date.to_string())
            .with("table", table)
            .with_some("key", key)
            .with("stored", stored)
            .with("ledger", ledger);
        let entry = NewEntry::done(Some(org), "usage.correct", target.trim()).with(details);
        append(conn, &Actor::system(), now, &entry)?;
    }
    Ok(found.len())
}

/// Makes the sums of a month equal to its days, with an entry of the audit log for each correction.
fn correct_month(
    conn: &mut DbConnection,
    org: &OrganizationId,
    month: UsageDate,
    run_id: &str,
    now: UnixTime,
) -> Result<usize> {
    let found = rebuild_month(conn, org, month)?;
    for MonthDifference { kind, name, stored, daily } in &found {
        let sums =
            |row: &Option<ClientMonthlyUsageModel>| row.as_ref().map(|row| figures(&Totals::from(row)));
        let target = format!("client_monthly_usage {month} {kind} {name}");
        let details = Details::none()
            .with("run", run_id)
            .with("usage_month", month.to_string())
            .with("table", "client_monthly_usage")
            .with("kind", kind.as_str())
            .with("key", name.as_str())
            .with_some("stored", sums(stored))
            .with_some("daily", sums(daily));
        let entry = NewEntry::done(Some(org), "usage.correct", &target).with(details);
        append(conn, &Actor::system(), now, &entry)?;
    }
    Ok(found.len())
}

/// The table of a difference, the key of its row beside organization and day, and both sides.
fn described(difference: &Difference) -> (&'static str, Option<String>, Value, Value) {
    match &difference.kind {
        DifferenceKind::Totals { row, stored, ledger } => {
            let (table, key) = match row {
                DailyRow::Organization => ("client_daily_usage", None),
                DailyRow::Member(user) => ("client_user_daily_usage", Some(user.to_string())),
                DailyRow::Model(model) => ("client_model_daily_usage", Some(model.to_string())),
            };
            (table, key, figures(stored), figures(ledger))
        }
        DifferenceKind::Derived { stored, ledger } => {
            let derived = |one: &Derived| json!({ "unique_users": one.unique_users, "primary_model": one.primary_model });
            ("client_daily_usage", None, derived(stored), derived(ledger))
        }
    }
}

fn figures(totals: &Totals) -> Value {
    json!({
        "tokens": totals.tokens,
        "requests": totals.requests,
        "raw_cost": totals.raw_cost.to_string(),
        "markup_cost": totals.markup_cost.to_string(),
    })
}

/// Forgets validations of days before `first`, which nobody can compare any more.
pub(crate) fn forget_before(conn: &mut DbConnection, first: UsageDate) -> Result<usize> {
    let old = validations::table.filter(validations::usage_date.lt(first));
    Ok(diesel::delete(old).execute(conn).map_err(StorageError::from)?)
}
