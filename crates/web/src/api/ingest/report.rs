//! From a report to a record, and from what became of it to an answer.

use actix_web::HttpResponse;
use chrono::{DateTime, Utc};
use mai_capture::{
    Call, ExchangeId, IngestError, Reported,
    record::{ExactUsage, Outcome, Settled},
};
use mai_organization::{
    client_organization::{OrganizationEntry, openrouter_user_id},
    generation_processing::UsageSource,
    usage_tracking::Recorded,
};
use mai_primitives::{GenerationId, IdError, ModelName, OpenRouterUserId, UnixTime, Usd, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::ReportedTokens;
use crate::api::ApiError;

/// How far a reporter's clock may be ahead of ours, in seconds.
const CLOCK_AHEAD: i64 = 300;

/// Whose usage a report is about, as far as the reporter says it.
pub(super) struct Who {
    user: UserId,
    openrouter_user: OpenRouterUserId,
}

impl Who {
    /// A member by our own id, with the id that OpenRouter has of it, if the reporter knows that.
    pub(super) fn member(
        organization: &OrganizationEntry,
        user: UserId,
        sent: Option<OpenRouterUserId>,
    ) -> Result<Self, IdError> {
        let known = sent.or_else(|| organization.openrouter_user_ids.get(&user).cloned());
        let openrouter_user = known.map_or_else(|| openrouter_user_id(&organization.id, &user), Ok)?;
        Ok(Self { user, openrouter_user })
    }

    /// Somebody by a name from outside. It may be our own id of a member; else it stands for the user
    /// until the booking finds the member behind it, and for good if there is none.
    pub(super) fn outsider(
        organization: &OrganizationEntry,
        name: OpenRouterUserId,
    ) -> Result<Self, IdError> {
        let user = UserId::new(name.as_str())?;
        let openrouter_user = organization.openrouter_user_ids.get(&user).cloned().unwrap_or(name);
        Ok(Self { user, openrouter_user })
    }
}

/// When a reported request began. No request begins after now, whatever the reporter's clock says.
pub(super) fn started_at(reported: UnixTime, now: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(reported.seconds(), 0).map_or(now, |at| at.min(now))
}

/// Refuses instants that a clock which is merely ahead does not explain, such as milliseconds.
pub(super) fn check_not_in_future(reported: UnixTime, now: DateTime<Utc>) -> Result<(), ApiError> {
    if reported > UnixTime::from(now).plus_seconds(CLOCK_AHEAD) {
        return Err(ApiError::in_future("the field `timestamp` is more than 5 minutes in the future"));
    }
    Ok(())
}

/// The call that a report is about. Its rate is only carried along: the booking takes the one that
/// held when it started.
pub(super) fn call(organization: &OrganizationEntry, who: Who, started_at: DateTime<Utc>) -> Call {
    Call {
        exchange: ExchangeId::new(),
        organization: organization.id.clone(),
        user: who.user,
        openrouter_user: who.openrouter_user,
        requested_model: None,
        markup_rate: organization.markup_rate,
        started_at: UnixTime::from(started_at),
        usage_date: organization.calendar.usage_date(started_at),
        streamed: false,
        gateway_key_id: None,
        task: None,
        new_member: None,
        held: None,
    }
}

/// The usage that a webhook or a person reports.
pub(super) struct ReportedUsage {
    pub(super) id: Option<GenerationId>,
    pub(super) model: ModelName,
    pub(super) tokens: ReportedTokens,
    pub(super) cost: Usd,
    pub(super) cost_text: String,
}

/// The record of a report. Without an id it gets our own of the call.
pub(super) fn settled(call: Call, usage: ReportedUsage, source: UsageSource) -> Settled {
    let outcome = Outcome::Exact(ExactUsage {
        model: Some(usage.model),
        serving_provider: None,
        input_tokens: usage.tokens.input,
        output_tokens: usage.tokens.output,
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        cost_nanos: usage.cost.nanos(),
        cost_text: usage.cost_text,
        is_byok: false,
        tokens_estimated: usage.tokens.estimated,
    });
    let id = usage.id.unwrap_or_else(|| call.exchange.as_generation_id().clone());
    Settled { call, generation_id: Some(id), outcome, source }
}

/// The original's `status` and `message`, and what became of the report.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportAnswer)]
pub(super) struct Answer<'a> {
    success: bool,
    status: &'static str,
    message: &'static str,
    /// Null while nobody knows.
    duplicate: Option<bool>,
    corrected: bool,
    queued: bool,
    #[schema(value_type = Option<String>)]
    generation_id: Option<&'a GenerationId>,
}

/// What the reporter of one generation is told.
pub(super) fn answer(report: &Settled, reported: Reported) -> Result<HttpResponse, ApiError> {
    let answer = |message, duplicate| Answer {
        success: true,
        status: "success",
        message,
        duplicate: Some(duplicate),
        corrected: false,
        queued: false,
        generation_id: report.generation_id.as_ref(),
    };
    match reported {
        Reported::Recorded(Recorded::New) => Ok(HttpResponse::Ok().json(answer("Usage recorded", false))),
        Reported::Recorded(Recorded::Duplicate) => {
            Ok(HttpResponse::Ok().json(answer("Duplicate request ignored", true)))
        }
        Reported::Recorded(Recorded::Corrected) => {
            let answer = Answer { corrected: true, ..answer("Usage corrected", false) };
            Ok(HttpResponse::Ok().json(answer))
        }
        Reported::Recorded(Recorded::Conflict) => Err(ApiError::conflicting_usage(
            "this generation is booked with other usage, from a source that is believed as much or more",
        )),
        Reported::Recorded(Recorded::TooOld) => Err(ApiError::too_old()),
        Reported::Queued | Reported::CostUnknown => {
            let message = "Usage accepted; it is booked when the database can be reached";
            let answer = answer(message, false);
            let answer = Answer { status: "accepted", duplicate: None, queued: true, ..answer };
            Ok(HttpResponse::Accepted().json(answer))
        }
        Reported::Unbookable(why) => Err(ApiError::unbookable(why)),
    }
}

/// The refusal of a report that could not be made durable.
pub(super) fn not_taken(error: &IngestError) -> ApiError {
    tracing::error!(error = %mai_capture::causes(error), "a report of usage was not taken");
    ApiError::recording_unavailable("usage cannot be recorded now; please send it again later")
}
