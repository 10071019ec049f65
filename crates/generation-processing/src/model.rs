//! The rows of the ledger and what they are made of.

use diesel::prelude::*;
use mai_primitives::{
    GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, Usd, UserId,
};
use mai_storage::text_enum;

use crate::{
    error::{Error, Result, Unbookable},
    schema::processed_generations,
};

text_enum! {
    /// Who told us about a generation.
    pub enum UsageSource {
        /// Our own gateway saw the answer pass.
        Gateway = "gateway",
        /// OpenRouter's `GET /generation?id=`.
        GenerationLookup = "generation_lookup",
        /// OpenRouter's Broadcast (OTLP).
        Broadcast = "broadcast",
        /// The webhook of the original system.
        Webhook = "webhook",
        /// A person, or a program that embeds these crates.
        Manual = "manual",
    }
}

impl UsageSource {
    /// Whether a booking by this source ends the look-up of a generation: those that OpenRouter itself
    /// stands behind. Whoever pays can send a webhook or a manual record, so these do not.
    pub const fn ends_look_up(self) -> bool {
        self.authority() >= Self::Broadcast.authority()
    }

    /// How far the source is believed when two differ, greater is more: the product contract,
    /// section 3 (`/generation` > gateway > Broadcast > webhook > manual).
    pub const fn authority(self) -> u8 {
        match self {
            Self::GenerationLookup => 4,
            Self::Gateway => 3,
            Self::Broadcast => 2,
            Self::Webhook => 1,
            Self::Manual => 0,
        }
    }

    /// Whether the report is of a call that ran through our own gateway, which fixed the markup rate
    /// when the call began. Reports of all other sources are priced when they are booked.
    pub const fn is_of_our_gateway(self) -> bool {
        matches!(self, Self::Gateway | Self::GenerationLookup)
    }
}

/// What is known of a generation whose cost is exact: the facts, without anything that follows
/// from them. [`NewGeneration::row`] prices it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGeneration {
    /// Who pays.
    pub client_org_id: OrganizationId,
    /// The generation's id, unique within the organization.
    pub id: GenerationId,
    /// The organization's local day on which the request began.
    pub generation_date: UsageDate,
    /// What OpenRouter charged.
    pub total_cost: Usd,
    /// The upstream's own text of that cost.
    pub cost_text: String,
    /// The rate that held for the organization when the request began. Booking replaces it by the
    /// organization's dated rate unless the source [is our gateway](UsageSource::is_of_our_gateway).
    pub markup_rate: MarkupRate,
    /// The member who asked.
    pub user_id: UserId,
    /// What OpenRouter knew the member as.
    pub openrouter_user_id: OpenRouterUserId,
    /// The model that answered.
    pub model_name: ModelName,
    /// The model that was asked for.
    pub requested_model: Option<ModelName>,
    /// The host that served the model.
    pub serving_provider: Option<String>,
    /// Native (billing) tokens of the prompt, cached ones included.
    pub input_tokens: i64,
    /// Native (billing) tokens of the answer, reasoning included.
    pub output_tokens: i64,
    /// Tokens read from a cache, part of `input_tokens`.
    pub cached_tokens: Option<i64>,
    /// Tokens written to a cache, part of `input_tokens`.
    pub cache_write_tokens: Option<i64>,
    /// Tokens of reasoning, part of `output_tokens`.
    pub reasoning_tokens: Option<i64>,
    /// Whether the organization's own key at the provider was used.
    pub is_byok: bool,
    /// Whether a token count is OpenRouter's normalised one, because it reports no native one, as
    /// for some cancelled calls. The cost is exact all the same.
    pub tokens_estimated: bool,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Who told us.
    pub source: UsageSource,
    /// The gateway key of the request.
    pub gateway_key_id: Option<String>,
    /// What the client says that the call was for, such as `title_generation`.
    pub task: Option<String>,
    /// When the request began.
    pub started_at: UnixTime,
}

impl NewGeneration {
    /// The ledger's row of this generation: with its sum of tokens and the client's price.
    /// Costs and tokens below zero, and results out of range, are refused.
    pub fn row(&self, processed_at: UnixTime) -> Result<ProcessedGenerationModel> {
        let unbookable = |reason| Error::Unbookable { id: self.id.clone(), reason };
        let parts = [self.cached_tokens, self.cache_write_tokens, self.reasoning_tokens];
        let mut counts = parts.into_iter().flatten().chain([self.input_tokens, self.output_tokens]);
        if self.total_cost < Usd::ZERO {
            return Err(unbookable(Unbookable::NegativeCost));
        }
        if counts.any(|count| count < 0) {
            return Err(unbookable(Unbookable::NegativeTokens));
        }
        let out_of_range = || unbookable(Unbookable::OutOfRange);
        Ok(ProcessedGenerationModel {
            client_org_id: self.client_org_id.clone(),
            id: self.id.clone(),
            generation_date: self.generation_date,
            processed_at,
            total_cost: self.total_cost,
            total_tokens: self.input_tokens.checked_add(self.output_tokens).ok_or_else(out_of_range)?,
            markup_cost: self.markup_rate.apply(self.total_cost).ok_or_else(out_of_range)?,
            markup_rate: self.markup_rate,
            cost_text: self.cost_text.clone(),
            user_id: self.user_id.clone(),
            openrouter_user_id: self.openrouter_user_id.clone(),
            model_name: self.model_name.clone(),
            requested_model: self.requested_model.clone(),
            serving_provider: self.serving_provider.clone(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cached_tokens: self.cached_tokens,
            cache_write_tokens: self.cache_write_tokens,
            reasoning_tokens: self.reasoning_tokens,
            is_byok: self.is_byok,
            tokens_estimated: self.tokens_estimated,
            streamed: self.streamed,
            source: self.source,
            tokens_source: self.source,
            gateway_key_id: self.gateway_key_id.clone(),
            task: self.task.clone(),
            started_at: self.started_at,
        })
    }
}

/// A row of `processed_generations`: a generation that was booked. It is what the most authoritative
/// of all reports says, the first of equal ones. Only where that one has no native token counts, the
/// two counts are those of another report of the same cost that has them.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = processed_generations, primary_key(client_org_id, id))]
#[diesel(treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct ProcessedGenerationModel {
    /// Who pays.
    pub client_org_id: OrganizationId,
    /// The generation's id, unique within the organization.
    pub id: GenerationId,
    /// The organization's local day on which the request began.
    pub generation_date: UsageDate,
    /// When the row was last written.
    pub processed_at: UnixTime,
    /// What OpenRouter charged.
    pub total_cost: Usd,
    /// Tokens of prompt and answer together.
    pub total_tokens: i64,
    /// What the client is charged.
    pub markup_cost: Usd,
    /// The rate that made it.
    pub markup_rate: MarkupRate,
    /// The upstream's own text of the cost.
    pub cost_text: String,
    /// The member who asked.
    pub user_id: UserId,
    /// What OpenRouter knew the member as.
    pub openrouter_user_id: OpenRouterUserId,
    /// The model that answered.
    pub model_name: ModelName,
    /// The model that was asked for.
    pub requested_model: Option<ModelName>,
    /// The host that served the model.
    pub serving_provider: Option<String>,
    /// Native tokens of the prompt.
    pub input_tokens: i64,
    /// Native tokens of the answer.
    pub output_tokens: i64,
    /// Tokens read from a cache, part of `input_tokens`.
    pub cached_tokens: Option<i64>,
    /// Tokens written to a cache, part of `input_tokens`.
    pub cache_write_tokens: Option<i64>,
    /// Tokens of reasoning, part of `output_tokens`.
    pub reasoning_tokens: Option<i64>,
    /// Whether the organization's own key at the provider was used.
    pub is_byok: bool,
    /// Whether a token count is OpenRouter's normalised one, because it reports no native one, as
    /// for some cancelled calls. The cost is exact all the same.
    pub tokens_estimated: bool,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// Who told us.
    pub source: UsageSource,
    /// Who told us `input_tokens` and `output_tokens`: another one than `source` where that had only
    /// an estimate.
    pub tokens_source: UsageSource,
    /// The gateway key of the request.
    pub gateway_key_id: Option<String>,
    /// What the client says that the call was for, such as `title_generation`.
    pub task: Option<String>,
    /// When the request began.
    pub started_at: UnixTime,
}

/// What the original system told about a ledger row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessedGenerationInfo {
    /// The generation.
    pub generation_id: GenerationId,
    /// Who pays.
    pub client_org_id: OrganizationId,
    /// The organization's local day.
    pub generation_date: UsageDate,
    /// What OpenRouter charged.
    pub total_cost: Usd,
    /// Tokens of prompt and answer together.
    pub total_tokens: i64,
    /// When the row was written.
    pub processed_at: UnixTime,
}

impl From<ProcessedGenerationModel> for ProcessedGenerationInfo {
    fn from(row: ProcessedGenerationModel) -> Self {
        Self {
            generation_id: row.id,
            client_org_id: row.client_org_id,
            generation_date: row.generation_date,
            total_cost: row.total_cost,
            total_tokens: row.total_tokens,
            processed_at: row.processed_at,
        }
    }
}

/// Sums over the ledger rows of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessedGenerationStats {
    /// The organization.
    pub client_org_id: OrganizationId,
    /// The number of generations.
    pub total_processed: i64,
    /// What OpenRouter charged for them.
    pub total_cost: Usd,
    /// Their tokens.
    pub total_tokens: i64,
    /// The first and the last day of the range, both included.
    pub date_range: (UsageDate, UsageDate),
}

/// What the ledger says about a report of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateCheck {
    /// The ledger does not have the id.
    Unknown,
    /// The ledger has the id with the same cost.
    Duplicate,
    /// The ledger has the id with another cost.
    Conflict {
        /// The cost that was booked.
        booked: Usd,
    },
}
