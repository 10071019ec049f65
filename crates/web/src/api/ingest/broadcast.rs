//! `POST webhook/openrouter-broadcast`: OpenRouter's own reports, as OTLP/JSON.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, post, put, web};
use chrono::{DateTime, Utc};
use mai_capture::{
    Reported,
    record::{ExactUsage, Outcome, Settled},
};
use mai_openrouter::{BroadcastSpan, UsageReport, parse_broadcast};
use mai_organization::{
    client_organization::Directory,
    generation_processing::{PendingReason, UsageSource},
    usage_tracking::Recorded,
};
use mai_primitives::{GenerationId, ModelName, OpenRouterUserId, OrganizationId};
use serde::Serialize;

use tracing::{error, warn};
use utoipa::ToSchema;

use super::report::{self, Who};
use crate::{
    api::{Api, ApiError, asked::Asked, error::Refusals},
    gateway::identity::bearer,
    settings::same_secret,
};

/// The longest body: prompts and answers travel along unless OpenRouter's privacy mode is on.
const BODY_AT_MOST: usize = 16 * 1024 * 1024;

/// What became of the spans of one document.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
struct Counts {
    /// Newly booked.
    recorded: u64,
    /// Booked before, with the same usage.
    duplicates: u64,
    /// Booked before by a source that is believed less, and put right.
    corrected: u64,
    /// Booked with other usage by a source that is believed as much or more.
    conflicts: u64,
    /// Of a time of which the ledger is no longer complete.
    too_old: u64,
    /// Without a cost: looked up, unless the ledger has them.
    pending: u64,
    /// Durable, and booked later.
    queued: u64,
    /// Of other users of the same OpenRouter account, or without an id.
    ignored: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BroadcastAnswer)]
struct Answer {
    success: bool,
    status: &'static str,
    #[serde(flatten)]
    counts: Counts,
}

/// Books the generations of one document of OpenRouter's Broadcast (OTLP/JSON).
#[utoipa::path(
    tag = "reports",
    extensions(("x-access" = json!("public"))),
    request_body = serde_json::Value,
    responses((status = 200, description = "What became of its spans", body = Answer), Refusals),
)]
#[post("/webhook/openrouter-broadcast")]
pub(super) async fn broadcast(asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    book(asked, &api).await
}

/// The same by the other method that a Broadcast may be set to.
#[utoipa::path(
    tag = "reports",
    extensions(("x-access" = json!("public"))),
    request_body = serde_json::Value,
    responses((status = 200, description = "What became of its spans", body = Answer), Refusals),
)]
#[put("/webhook/openrouter-broadcast")]
pub(super) async fn broadcast_put(asked: Asked, api: web::Data<Api>) -> Result<HttpResponse, ApiError> {
    book(asked, &api).await
}

async fn book(asked: Asked, api: &Api) -> Result<HttpResponse, ApiError> {
    let request = asked.request.clone();
    authenticate(&request, api)?;
    let body = asked.body(BODY_AT_MOST).await?;
    let is_probe = request.headers().get("x-test-connection").is_some_and(|value| value == "true");
    let spans = if is_probe {
        Vec::new()
    } else {
        parse_broadcast(&body).map_err(|error| ApiError::body(error.to_string()))?
    };
    let (directory, now) = (api.directory.current(), api.clock.now());
    let mut counts = Counts::default();
    let mut by_organization: BTreeMap<OrganizationId, Vec<Settled>> = BTreeMap::new();
    for span in spans {
        match settled(&directory, span, now) {
            Some(one) => by_organization.entry(one.call.organization.clone()).or_default().push(one),
            None => counts.ignored += 1,
        }
    }
    let mut refusal = None;
    for reports in by_organization.values() {
        // What others have reported is taken even if one organization's reports are not.
        if let Err(error) = take(api, reports, &mut counts).await {
            refusal = Some(error);
        }
    }
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(HttpResponse::Ok().json(Answer { success: true, status: "success", counts })),
    }
}

/// OpenRouter sends static headers only, and its documentation shows the second of these.
fn authenticate(request: &HttpRequest, api: &Api) -> Result<(), ApiError> {
    let Some(ours) = &api.broadcast_token else {
        return Err(ApiError::not_configured("Broadcast is not set up here: MAI_BROADCAST_TOKEN is not set"));
    };
    let signature = request.headers().get("x-webhook-signature").and_then(|value| value.to_str().ok());
    match bearer(request).or(signature.map(str::trim)) {
        Some(presented) if same_secret(presented, ours) => Ok(()),
        _ => Err(ApiError::unauthorized("the Broadcast token is missing or wrong")),
    }
}

/// The record of a span; none for somebody else's, and for one that cannot be told from others.
fn settled(directory: &Directory, span: BroadcastSpan, now: DateTime<Utc>) -> Option<Settled> {
    let user = OpenRouterUserId::new(span.user?).ok()?;
    let organization = directory.organization_of(&user)?;
    let id = span.generation_id.and_then(|id| GenerationId::new(id).ok());
    if id.is_none() {
        warn!(organization = %organization.id, "a Broadcast span has no generation id");
    }
    let who = Who::outsider(organization, user).ok()?;
    let started_at = span.started_at.map_or(now, |at| report::started_at(at, now));
    let mut call = report::call(organization, who, started_at);
    let requested = span.requested_model.or_else(|| span.model.clone());
    call.requested_model = requested.and_then(|name| ModelName::new(name).ok());
    call.streamed = span.streamed.unwrap_or(false);
    let outcome = match span.usage {
        UsageReport::Exact(usage) if !span.failed => {
            Outcome::Exact(ExactUsage::new(&usage, span.model.as_deref(), span.serving_provider.as_deref()))
        }
        _ => Outcome::Unknown { reason: PendingReason::CostUnknown },
    };
    Some(Settled { call, generation_id: Some(id?), outcome, source: UsageSource::Broadcast })
}

/// Makes the reports of one organization durable and counts them.
async fn take(api: &Api, reports: &[Settled], counts: &mut Counts) -> Result<(), ApiError> {
    let refused = |error| report::not_taken(&error);
    let reported = api.ingest.report_all(reports).await.map_err(refused)?;
    for (report, reported) in reports.iter().zip(reported) {
        match reported {
            Reported::Recorded(Recorded::New) => counts.recorded += 1,
            Reported::Recorded(Recorded::Duplicate) => counts.duplicates += 1,
            Reported::Recorded(Recorded::Corrected) => counts.corrected += 1,
            Reported::Recorded(Recorded::Conflict) => counts.conflicts += 1,
            Reported::Recorded(Recorded::TooOld) => counts.too_old += 1,
            Reported::CostUnknown => counts.pending += 1,
            Reported::Queued => counts.queued += 1,
            Reported::Unbookable(why) => {
                // OpenRouter does not read answers: a person has to see it, which the applier sees to.
                error!(organization = %report.call.organization, error = why, "a Broadcast span cannot be booked");
                api.ingest.queue(std::slice::from_ref(report)).await.map_err(refused)?;
                counts.queued += 1;
            }
        }
    }
    Ok(())
}
