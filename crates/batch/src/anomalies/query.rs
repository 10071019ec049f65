//! Reading and writing anomalies. The functions run inside of the caller's transaction.

use diesel::{prelude::*, upsert::excluded};
use mai_primitives::{OrganizationId, UnixTime, UsageDate};
use mai_storage::{BATCH_ROWS, DbConnection, Error as StorageError, load_for_update, on_backend};

use super::{AnomalyKey, AnomalyModel};
use crate::{
    error::{Error, Result},
    schema::usage_anomalies as anomalies,
};

/// The anomalies of an organization on the days from `from` to `to`, both included, the newest day first.
pub fn list(
    conn: &mut DbConnection,
    org: &OrganizationId,
    from: UsageDate,
    to: UsageDate,
) -> Result<Vec<AnomalyModel>> {
    let rows = anomalies::table
        .filter(anomalies::client_org_id.eq(org))
        .filter(anomalies::usage_date.between(from, to))
        .select(AnomalyModel::as_select());
    let mut rows: Vec<AnomalyModel> = rows.load(conn).map_err(StorageError::from)?;
    // Not in SQL, because there the order of texts depends on the database's locale.
    rows.sort_by_cached_key(|row| (std::cmp::Reverse(row.usage_date), row.key()));
    Ok(rows)
}

/// The anomalies of all organizations on the days from `from` to `to`, the newest day first.
pub fn list_of_all(conn: &mut DbConnection, from: UsageDate, to: UsageDate) -> Result<Vec<AnomalyModel>> {
    let rows =
        anomalies::table.filter(anomalies::usage_date.between(from, to)).select(AnomalyModel::as_select());
    let mut rows: Vec<AnomalyModel> = rows.load(conn).map_err(StorageError::from)?;
    rows.sort_by_cached_key(|row| (std::cmp::Reverse(row.usage_date), row.client_org_id.clone(), row.key()));
    Ok(rows)
}

/// Anomalies of all organizations that were found from a moment on and that nobody has acknowledged: what
/// an alert is about.
pub fn new_since(conn: &mut DbConnection, since: UnixTime) -> Result<Vec<AnomalyModel>> {
    let rows = anomalies::table
        .filter(anomalies::detected_at.ge(since))
        .filter(anomalies::acknowledged_at.is_null())
        .select(AnomalyModel::as_select());
    let mut rows: Vec<AnomalyModel> = rows.load(conn).map_err(StorageError::from)?;
    rows.sort_by_cached_key(|row| (row.client_org_id.clone(), row.key()));
    Ok(rows)
}

/// The anomalies of some organizations on one day.
pub(crate) fn of_day(
    conn: &mut DbConnection,
    orgs: &[OrganizationId],
    date: UsageDate,
) -> Result<Vec<AnomalyModel>> {
    let rows = anomalies::table
        .filter(anomalies::client_org_id.eq_any(orgs))
        .filter(anomalies::usage_date.eq(date))
        .select(AnomalyModel::as_select());
    Ok(rows.load(conn).map_err(StorageError::from)?)
}

/// Writes anomalies of an organization. What is there gets the figures and keeps when it was found, and who
/// knows of it.
pub(crate) fn write(conn: &mut DbConnection, rows: &[AnomalyModel]) -> Result<()> {
    for chunk in rows.chunks(BATCH_ROWS) {
        let chunk: Vec<&AnomalyModel> = chunk.iter().collect();
        on_backend!(conn, c => diesel::insert_into(anomalies::table)
            .values(chunk)
            .on_conflict((
                anomalies::client_org_id,
                anomalies::usage_date,
                anomalies::subject_kind,
                anomalies::subject,
                anomalies::measure,
            ))
            .do_update()
            .set((
                anomalies::value.eq(excluded(anomalies::value)),
                anomalies::median.eq(excluded(anomalies::median)),
                anomalies::deviation.eq(excluded(anomalies::deviation)),
                anomalies::threshold.eq(excluded(anomalies::threshold)),
                anomalies::history_days.eq(excluded(anomalies::history_days)),
                anomalies::raw_cost.eq(excluded(anomalies::raw_cost)),
            ))
            .execute(c))
        .map_err(StorageError::from)?;
    }
    Ok(())
}

/// Deletes an anomaly that is none any more, unless somebody has acknowledged it.
pub(crate) fn delete_unknown(conn: &mut DbConnection, org: &OrganizationId, key: &AnomalyKey) -> Result<()> {
    let row = anomalies::table
        .find((org, key.usage_date, key.subject_kind, &key.subject, key.measure))
        .filter(anomalies::acknowledged_at.is_null());
    diesel::delete(row).execute(conn).map_err(StorageError::from)?;
    Ok(())
}

/// Notes that somebody knows of an anomaly, and returns it. None where somebody did before, which stays.
pub(crate) fn acknowledge(
    conn: &mut DbConnection,
    org: &OrganizationId,
    key: &AnomalyKey,
    (by, note): (&str, Option<&str>),
    now: UnixTime,
) -> Result<(AnomalyModel, bool)> {
    let row = || anomalies::table.find((org, key.usage_date, key.subject_kind, &key.subject, key.measure));
    let found: Vec<AnomalyModel> =
        load_for_update!(conn, row().select(AnomalyModel::as_select())).map_err(StorageError::from)?;
    let mut anomaly = found.into_iter().next().ok_or(Error::UnknownAnomaly)?;
    if anomaly.acknowledged_at.is_some() {
        return Ok((anomaly, false));
    }
    anomaly.acknowledged_at = Some(now);
    anomaly.acknowledged_by = Some(by.to_owned());
    anomaly.note = note.map(str::to_owned);
    diesel::update(row())
        .set((
            anomalies::acknowledged_at.eq(anomaly.acknowledged_at),
            anomalies::acknowledged_by.eq(&anomaly.acknowledged_by),
            anomalies::note.eq(&anomaly.note),
        ))
        .execute(conn)
        .map_err(StorageError::from)?;
    Ok((anomaly, true))
}
