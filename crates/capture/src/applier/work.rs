//! What a batch of settled calls of one organization means for the database.

use mai_client_organization::{MemberRole, MemberSource, SeenMember};
use mai_generation_processing::{
    NewFailedCall, NewGeneration, NewPendingGeneration, PendingReason, UsageSource,
};
use mai_primitives::{GenerationId, ModelName, UnixTime};

use crate::{
    call::Call,
    record::{ExactUsage, Outcome, Settled},
};

/// Rows to write, by kind.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) generations: Vec<NewGeneration>,
    pub(super) pending: Vec<NewPendingGeneration>,
    pub(super) failed: Vec<NewFailedCall>,
    pub(super) members: Vec<SeenMember>,
}

impl Work {
    /// The rows of these calls.
    pub(super) fn of(settled: &[Settled], now: UnixTime) -> Self {
        let mut work = Self::default();
        for one in settled {
            work.add(one, &one.outcome, now);
        }
        work
    }

    /// The rows of calls whose usage cannot be booked: they wait for a look-up, and for a person.
    pub(super) fn of_unbookable(settled: &[Settled], now: UnixTime) -> Self {
        let mut work = Self::default();
        for one in settled {
            work.add(one, &Outcome::Unknown { reason: PendingReason::CostUnknown }, now);
        }
        work
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn add(&mut self, settled: &Settled, outcome: &Outcome, now: UnixTime) {
        let call = &settled.call;
        self.members.extend(seen_member(call));
        match outcome {
            Outcome::Exact(usage) => self.generations.push(generation(call, ledger_id(settled), usage)),
            Outcome::Unknown { reason } => {
                let known = settled.generation_id.is_some();
                let reason = if known { *reason } else { PendingReason::NoGenerationId };
                self.pending.push(pending(call, ledger_id(settled), reason));
            }
            Outcome::Failed { status, reason } => self.failed.push(NewFailedCall {
                client_org_id: call.organization.clone(),
                id: call.exchange.to_string(),
                usage_date: call.usage_date,
                user_id: call.user.clone(),
                requested_model: call.requested_model.clone(),
                status: i32::from(*status),
                reason: reason.clone(),
                started_at: call.started_at,
                created_at: now,
            }),
        }
    }
}

/// Upstream's id, or ours where upstream gave none.
fn ledger_id(settled: &Settled) -> GenerationId {
    settled.generation_id.clone().unwrap_or_else(|| settled.call.exchange.as_generation_id().clone())
}

fn generation(call: &Call, id: GenerationId, usage: &ExactUsage) -> NewGeneration {
    let requested = || call.requested_model.clone();
    NewGeneration {
        client_org_id: call.organization.clone(),
        id,
        generation_date: call.usage_date,
        total_cost: usage.cost(),
        cost_text: usage.cost_text.clone(),
        markup_rate: call.markup_rate,
        user_id: call.user.clone(),
        openrouter_user_id: call.openrouter_user.clone(),
        model_name: usage.model.clone().or_else(requested).unwrap_or_else(ModelName::unknown),
        requested_model: requested(),
        serving_provider: usage.serving_provider.clone(),
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        is_byok: usage.is_byok,
        streamed: call.streamed,
        source: UsageSource::Gateway,
        gateway_key_id: call.gateway_key_id.clone(),
        started_at: call.started_at,
    }
}

fn pending(call: &Call, id: GenerationId, reason: PendingReason) -> NewPendingGeneration {
    NewPendingGeneration {
        client_org_id: call.organization.clone(),
        id,
        generation_date: call.usage_date,
        user_id: call.user.clone(),
        openrouter_user_id: call.openrouter_user.clone(),
        requested_model: call.requested_model.clone(),
        markup_rate: call.markup_rate,
        streamed: call.streamed,
        gateway_key_id: call.gateway_key_id.clone(),
        started_at: call.started_at,
        reason,
    }
}

fn seen_member(call: &Call) -> Option<SeenMember> {
    let said = call.new_member.as_ref()?;
    Some(SeenMember {
        user_id: call.user.clone(),
        openrouter_user_id: call.openrouter_user.clone(),
        name: said.name.clone(),
        email: said.email.clone(),
        role: said.role.as_deref().and_then(role),
        source: MemberSource::Gateway,
    })
}

/// Open WebUI's roles.
fn role(text: &str) -> Option<MemberRole> {
    match text {
        "admin" => Some(MemberRole::Admin),
        "user" => Some(MemberRole::Member),
        "pending" => Some(MemberRole::Pending),
        _ => None,
    }
}
