//! Usage that a person, or a program that embeds these crates, records by hand.

use mai_client_organization::external_ids::together;
use mai_generation_processing::{NewGeneration, PendingGenerationModel, UsageSource, by_hand::lock_pending};
use mai_primitives::{
    GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationCalendar, OrganizationId, UnixTime,
    UsageDate, Usd, UserId,
};
use mai_storage::DbConnection;

use crate::{
    error::{Error, Result},
    record::{OldReports, Recorded, book, only},
};

/// One generation to record, as the original's `record_usage` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecordDto {
    /// Who pays.
    pub client_org_id: OrganizationId,
    /// The member who asked.
    pub user_id: UserId,
    /// What OpenRouter knew the member as.
    pub openrouter_user_id: OpenRouterUserId,
    /// The model that answered.
    pub model_name: ModelName,
    /// The organization's local day of the request; not later than today.
    pub usage_date: UsageDate,
    /// Native tokens of the prompt.
    pub input_tokens: i64,
    /// Native tokens of the answer.
    pub output_tokens: i64,
    /// What OpenRouter charged.
    pub raw_cost: Usd,
    /// The client's price. None computes it by the rate of that day; a price that is named must be
    /// exactly the computed one.
    pub markup_cost: Option<Usd>,
    /// The host that served the model. The author's display name follows from the model.
    pub provider: Option<String>,
    /// The generation's id, by which a repetition is recognized. None makes a new one, so that a
    /// repetition is booked again.
    pub generation_id: Option<GenerationId>,
}

impl UsageRecordDto {
    /// Tokens of prompt and answer together; none when the sum leaves the range.
    pub fn total_tokens(&self) -> Option<i64> {
        self.input_tokens.checked_add(self.output_tokens)
    }

    /// The instant whose rate holds: now, or the last second of a day that is over.
    pub(crate) fn instant(
        &self,
        calendar: OrganizationCalendar,
        today: UsageDate,
        now: UnixTime,
    ) -> Result<UnixTime> {
        if self.usage_date > today {
            return Err(Error::FutureDate(self.usage_date));
        }
        let next_day = calendar.start_of(self.usage_date.plus_days(1));
        Ok(next_day.plus_seconds(-1).min(now))
    }

    /// The generation that is booked, at the rate of `at`.
    pub(crate) fn generation(
        &self,
        id: GenerationId,
        rate: MarkupRate,
        at: UnixTime,
    ) -> Result<NewGeneration> {
        if let Some(named) = self.markup_cost {
            let computed = rate.apply(self.raw_cost).ok_or(Error::OutOfRange("client prices"))?;
            if named != computed {
                return Err(Error::MarkupMismatch { named, computed });
            }
        }
        Ok(NewGeneration {
            client_org_id: self.client_org_id.clone(),
            id,
            generation_date: self.usage_date,
            total_cost: self.raw_cost,
            cost_text: self.raw_cost.to_string(),
            markup_rate: rate,
            user_id: self.user_id.clone(),
            openrouter_user_id: self.openrouter_user_id.clone(),
            model_name: self.model_name.clone(),
            requested_model: None,
            serving_provider: self.provider.clone(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            is_byok: false,
            tokens_estimated: false,
            streamed: false,
            source: UsageSource::Manual,
            gateway_key_id: None,
            task: None,
            started_at: at,
        })
    }
}

/// What a person knows of a generation whose cost could not be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) total_cost: Usd,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) model_name: ModelName,
}

/// Books a pending generation with these figures, and otherwise as the call was made: its member, day
/// and markup rate. It is never too old, because it would not be pending if it had been booked.
pub(crate) fn settle(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
    figures: &Figures,
    now: UnixTime,
) -> Result<Recorded> {
    together(conn, org)?;
    let row = figures.of(lock_pending(conn, org, id)?).row(now)?;
    let recorded = book(conn, org, vec![row], OldReports::Book, now)?;
    Ok(only(&recorded))
}

impl Figures {
    fn of(&self, pending: PendingGenerationModel) -> NewGeneration {
        NewGeneration {
            client_org_id: pending.client_org_id,
            id: pending.id,
            generation_date: pending.generation_date,
            total_cost: self.total_cost,
            cost_text: self.total_cost.to_string(),
            markup_rate: pending.markup_rate,
            user_id: pending.user_id,
            openrouter_user_id: pending.openrouter_user_id,
            model_name: self.model_name.clone(),
            requested_model: pending.requested_model,
            serving_provider: None,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            is_byok: false,
            tokens_estimated: false,
            streamed: pending.streamed,
            source: UsageSource::Manual,
            gateway_key_id: pending.gateway_key_id,
            task: pending.task,
            started_at: pending.started_at,
        }
    }
}
