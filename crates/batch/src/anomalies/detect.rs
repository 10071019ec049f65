//! Finds what stands out on the processing date.

use std::collections::BTreeMap;

use diesel::prelude::*;
use futures_util::{StreamExt, stream};
use mai_primitives::{ModelName, OrganizationId, UnixTime, UsageDate, Usd, UserId};
use mai_storage::{DbConnection, Error as StorageError};
use mai_usage_tracking::{
    schema::{client_model_daily_usage as models, client_user_daily_usage as users},
    verify::organizations,
};
use serde::Serialize;

use super::{
    AnomalyKey, AnomalyModel, Measure, SubjectKind, query,
    rule::{HISTORY_DAYS, REQUESTS_AT_LEAST, SPEND_AT_LEAST, judge},
};
use crate::{
    error::{Error, Result},
    step::{Context, Failures, Outcome},
    steps::ORGANIZATIONS_AT_ONCE,
};

/// What the step has found.
#[derive(Debug, Default, Serialize)]
struct AnomaliesResult {
    /// Members and models whose day was great enough to be looked at.
    examined: usize,
    /// Anomalies of the day, and how many of them were not known before.
    anomalies: usize,
    new: usize,
    #[serde(flatten)]
    failures: Failures,
}

/// What was found of some organizations.
struct Found {
    examined: usize,
    anomalies: Vec<AnomalyModel>,
    stored: Vec<AnomalyModel>,
}

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let (date, now) = (context.run.processing_date, context.now());
    let all = context.storage.read(|conn| Ok::<_, Error>(organizations(conn)?)).await?;
    context.progress.count_to(all.len());
    let chunks: Vec<Vec<OrganizationId>> =
        all.chunks(ORGANIZATIONS_AT_ONCE).map(<[OrganizationId]>::to_vec).collect();
    let found = stream::iter(chunks).map(|orgs| async move {
        let count = orgs.len();
        let found = context.storage.read(move |conn| find(conn, &orgs, date, now)).await;
        (count, found)
    });
    let mut found = std::pin::pin!(found.buffer_unordered(context.settings.at_once.max(1)));
    let mut result = AnomaliesResult::default();
    while let Some((count, found)) = found.next().await {
        let found = found?;
        result.examined += found.examined;
        for (org, rows, stored) in by_organization(found) {
            result.anomalies += rows.len();
            match store(context, &org, rows, stored).await {
                Ok(new) => result.new += new,
                Err(cause) => result.failures.note(&org, cause)?,
            }
        }
        context.progress.add(count);
    }
    let failure = result.failures.text();
    Ok(Outcome { details: serde_json::to_value(result)?, failure })
}

type OfOrganization = (OrganizationId, Vec<AnomalyModel>, Vec<AnomalyModel>);

fn by_organization(found: Found) -> Vec<OfOrganization> {
    let mut parts: BTreeMap<OrganizationId, (Vec<_>, Vec<_>)> = BTreeMap::new();
    for row in found.anomalies {
        parts.entry(row.client_org_id.clone()).or_default().0.push(row);
    }
    for row in found.stored {
        parts.entry(row.client_org_id.clone()).or_default().1.push(row);
    }
    parts.into_iter().map(|(org, (rows, stored))| (org, rows, stored)).collect()
}

/// Makes what is stored equal to what was found, and returns how many are new. Nothing is written where it
/// is equal.
async fn store(
    context: &Context<'_>,
    org: &OrganizationId,
    found: Vec<AnomalyModel>,
    stored: Vec<AnomalyModel>,
) -> Result<usize> {
    let mut stored: BTreeMap<AnomalyKey, AnomalyModel> =
        stored.into_iter().map(|row| (row.key(), row)).collect();
    let (mut changed, mut new) = (Vec::new(), 0);
    for row in found {
        let known = stored.remove(&row.key());
        new += usize::from(known.is_none());
        if known.is_none_or(|known| !has_same_figures(&known, &row)) {
            changed.push(row);
        }
    }
    let gone: Vec<AnomalyKey> =
        stored.into_values().filter(|row| row.acknowledged_at.is_none()).map(|row| row.key()).collect();
    if changed.is_empty() && gone.is_empty() {
        return Ok(0);
    }
    let org = org.clone();
    let written = context.lease.write(move |conn| {
        query::write(conn, &changed)?;
        gone.iter().try_for_each(|key| query::delete_unknown(conn, &org, key))
    });
    written.await.map(|()| new)
}

fn has_same_figures(known: &AnomalyModel, found: &AnomalyModel) -> bool {
    let figures = |row: &AnomalyModel| {
        (row.value, row.median, row.deviation, row.threshold, row.history_days, row.raw_cost)
    };
    figures(known) == figures(found)
}

/// A member's or a model's day: organization, which one, spend, requests and raw cost.
type Day<S> = (OrganizationId, S, Usd, i64, Usd);

/// What stands out of some organizations on a day.
fn find(conn: &mut DbConnection, orgs: &[OrganizationId], date: UsageDate, now: UnixTime) -> Result<Found> {
    let members: Vec<Day<UserId>> = users::table
        .filter(users::client_org_id.eq_any(orgs))
        .filter(users::usage_date.eq(date))
        .filter(users::markup_cost.ge(SPEND_AT_LEAST).or(users::total_requests.ge(REQUESTS_AT_LEAST)))
        .select((
            users::client_org_id,
            users::user_id,
            users::markup_cost,
            users::total_requests,
            users::raw_cost,
        ))
        .load(conn)
        .map_err(StorageError::from)?;
    let of_models: Vec<Day<ModelName>> = models::table
        .filter(models::client_org_id.eq_any(orgs))
        .filter(models::usage_date.eq(date))
        .filter(models::markup_cost.ge(SPEND_AT_LEAST).or(models::total_requests.ge(REQUESTS_AT_LEAST)))
        .select((
            models::client_org_id,
            models::model_name,
            models::markup_cost,
            models::total_requests,
            models::raw_cost,
        ))
        .load(conn)
        .map_err(StorageError::from)?;
    let examined = members.len() + of_models.len();
    let mut anomalies = Vec::new();
    for (org, user, spend, requests, raw_cost) in members {
        let history: Vec<(Usd, i64)> = users::table
            .filter(users::client_org_id.eq(&org))
            .filter(users::user_id.eq(&user))
            .filter(users::usage_date.lt(date))
            .filter(users::total_requests.gt(0))
            .order(users::usage_date.desc())
            .limit(HISTORY_DAYS)
            .select((users::markup_cost, users::total_requests))
            .load(conn)
            .map_err(StorageError::from)?;
        let subject = (SubjectKind::Member, user.as_str());
        anomalies.extend(judged(&org, date, subject, (spend, requests, raw_cost), &history, now));
    }
    for (org, model, spend, requests, raw_cost) in of_models {
        let history: Vec<(Usd, i64)> = models::table
            .filter(models::client_org_id.eq(&org))
            .filter(models::model_name.eq(&model))
            .filter(models::usage_date.lt(date))
            .filter(models::total_requests.gt(0))
            .order(models::usage_date.desc())
            .limit(HISTORY_DAYS)
            .select((models::markup_cost, models::total_requests))
            .load(conn)
            .map_err(StorageError::from)?;
        let subject = (SubjectKind::Model, model.as_str());
        anomalies.extend(judged(&org, date, subject, (spend, requests, raw_cost), &history, now));
    }
    Ok(Found { examined, anomalies, stored: query::of_day(conn, orgs, date)? })
}

/// The measures by which a day stands out of its history.
fn judged(
    org: &OrganizationId,
    date: UsageDate,
    (subject_kind, subject): (SubjectKind, &str),
    (spend, requests, raw_cost): (Usd, i64, Usd),
    history: &[(Usd, i64)],
    now: UnixTime,
) -> Vec<AnomalyModel> {
    let spends: Vec<i64> = history.iter().map(|(spend, _)| spend.nanos()).collect();
    let counts: Vec<i64> = history.iter().map(|(_, requests)| *requests).collect();
    let measures = [
        (Measure::Spend, spend.nanos(), spends, SPEND_AT_LEAST),
        (Measure::Requests, requests, counts, REQUESTS_AT_LEAST),
    ];
    let mut found = Vec::new();
    for (measure, value, history, at_least) in measures {
        if let Some(judgement) = judge(&history, at_least).filter(|judgement| judgement.stands_out(value)) {
            found.push(AnomalyModel {
                client_org_id: org.clone(),
                usage_date: date,
                subject_kind,
                subject: subject.to_owned(),
                measure,
                value,
                median: judgement.median,
                deviation: judgement.deviation,
                threshold: judgement.threshold,
                history_days: i32::try_from(history.len()).unwrap_or(i32::MAX),
                raw_cost,
                detected_at: now,
                acknowledged_at: None,
                acknowledged_by: None,
                note: None,
            });
        }
    }
    found
}
