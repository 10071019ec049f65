//! `POST usage/manual-record`: usage that a person enters.

use actix_web::{HttpResponse, post, web};
use chrono::{DateTime, Utc};
use mai_organization::{client_organization::OrganizationEntry, generation_processing::UsageSource};
use mai_primitives::{GenerationId, UnixTime, UserId};

use super::{
    record::{ManualRecord, When},
    report::{self, ReportedUsage, Who},
};
use crate::api::{
    Api, ApiError,
    asked::Asked,
    caller::{Caller, Role, unknown_organization},
    error::{ErrorBody, Refusals},
};

/// The longest body.
const BODY_AT_MOST: usize = 64 * 1024;

/// Books usage by hand, for a reseller or an organization's administrator.
#[utoipa::path(
    tag = "reports",
    extensions(("x-access" = json!("admin"))),
    request_body(
        content = super::record::Body,
        example = json!({
            "client_org_id": "abc", "model": "openai/o3", "tokens": 100, "cost": 0.5, "date": "2026-11-20",
            "request_id": "invoice-7",
        }),
    ),
    responses(
        (status = 200, description = "Booked, or known already", body = report::Answer<'static>),
        (status = 202, description = "Durable; booked when the database can be reached", body = report::Answer<'static>),
        (status = 422, description = "It cannot be booked as it is", body = ErrorBody<'static>),
        Refusals,
    ),
    security(("bearer" = []), ("session" = [])),
)]
#[post("/usage/manual-record")]
pub(super) async fn manual_record(
    caller: Caller,
    asked: Asked,
    api: web::Data<Api>,
) -> Result<HttpResponse, ApiError> {
    if matches!(caller.role, Role::Member(..)) {
        return Err(ApiError::forbidden("only an administrator may record usage by hand"));
    }
    let body = asked.body(BODY_AT_MOST).await?;
    let record = ManualRecord::parse(&body).map_err(|error| ApiError::report(&error))?;
    let id = caller.administered(record.client_org_id.as_deref())?;
    let (directory, now) = (api.directory.current(), api.clock.now());
    let organization = directory.organization(&id).ok_or_else(unknown_organization)?;

    let user = record.user_id.map_or_else(|| UserId::new(UserId::MANUAL), Ok);
    let who = user.and_then(|user| Who::member(organization, user, None));
    let who = who.map_err(|error| ApiError::invalid(error.to_string()))?;
    let call = report::call(organization, who, started_at(record.when, organization, now)?);
    let usage = ReportedUsage {
        id: record.request_id,
        model: record.model,
        tokens: record.tokens,
        cost: record.cost,
        cost_text: record.cost_text,
    };
    let report = report::settled(call, usage, UsageSource::Manual);
    // Before the booking, which may have to wait in the journal; a refusal has an entry of its own.
    let target = report.generation_id.as_ref().map_or("", GenerationId::as_str);
    let audit = &api.services.audit_log_db;
    audit.record(&caller.actor, Some(&id), "usage.manual_record", target, "accepted").await?;
    let reported = api.ingest.report(&report).await.map_err(|error| report::not_taken(&error))?;
    report::answer(&report, reported)
}

/// Of a day that is over, its last second; of today, now.
fn started_at(
    when: When,
    organization: &OrganizationEntry,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, ApiError> {
    let at = match when {
        When::Now => return Ok(now),
        When::At(at) => {
            report::check_not_in_future(at, now)?;
            at
        }
        When::On(day) => {
            if day > organization.calendar.usage_date(now) {
                return Err(ApiError::in_future("the field `date` has not begun in the organization's zone"));
            }
            organization.calendar.start_of(day.plus_days(1)).plus_seconds(-1).min(UnixTime::from(now))
        }
    };
    Ok(report::started_at(at, now))
}
