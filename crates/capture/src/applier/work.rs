//! What a batch of settled calls of one organization means for the database.

use std::borrow::Cow;

use mai_client_organization::{
    MemberRole, MemberSource, SeenMember,
    external_ids::{redirect, together},
    register_seen,
};
use mai_generation_processing::{
    NewFailedCall, NewGeneration, NewPendingGeneration, PendingReason, UsageSource, insert_failed_calls,
    pending::{insert_pending, mark_unresolved},
    query as ledger,
};
use mai_primitives::{GenerationId, ModelName, OrganizationId, UnixTime, Usd};
use mai_storage::{DbConnection, TransactionError};
use mai_usage_tracking::{Recorded, record_generations};
use tracing::error;

use super::ApplyError;
use crate::{
    attribution::{attribute, is_unnamed},
    bounds::absurdity,
    call::{Call, ExchangeId},
    record::{ExactUsage, Outcome, Settled},
};

/// What a person should know of a call that an earlier process had sent when it died.
const SENT_AND_LOST: &str =
    "the gateway died after it had sent the call and before upstream named a generation";

/// Rows to write, by kind.
#[derive(Debug, Default, Clone)]
pub(crate) struct Work {
    generations: Vec<NewGeneration>,
    /// Our own ids of the calls of `generations`, in the same order.
    exchanges: Vec<ExchangeId>,
    pending: Vec<NewPendingGeneration>,
    /// Pending ones that only a person can settle, and what the person should know.
    explained: Vec<(GenerationId, String)>,
    failed: Vec<NewFailedCall>,
    members: Vec<SeenMember>,
    /// Why a generation is not among `generations` though its usage is exact.
    absurd: Option<String>,
}

impl Work {
    /// The rows of these calls.
    pub(crate) fn of(settled: &[Settled], now: UnixTime) -> Self {
        let mut work = Self::default();
        for one in settled {
            work.add(one, &one.outcome, now);
        }
        work
    }

    /// The rows of calls whose usage cannot be booked, with why.
    pub(super) fn of_unbookable(settled: &[Settled], why: &str) -> Self {
        let mut work = Self::default();
        for one in settled {
            // A report from outside only claims to be of the generation, which may be waiting itself.
            let id = if one.source.is_of_our_gateway() {
                ledger_id(one)
            } else {
                one.call.exchange.as_generation_id().clone()
            };
            work.pending.push(pending(&one.call, id.clone(), PendingReason::Unbookable));
            let known = match &one.outcome {
                Outcome::Exact(usage) => {
                    usage_text(usage.input_tokens, usage.output_tokens, &usage.cost_text)
                }
                Outcome::Unknown { .. } | Outcome::Failed { .. } => String::new(),
            };
            work.explained.push((id, format!("{why}{known}")));
        }
        work
    }

    /// Why one of the calls with exact usage is to wait for a person instead of being booked, if one is.
    pub(crate) fn absurd(&self) -> Option<&str> {
        self.absurd.as_deref()
    }

    /// Writes everything in the caller's transaction. Returns what became of the calls with exact
    /// usage, in their order, without those that are [absurd](Self::absurd).
    pub(crate) fn write(
        &self,
        conn: &mut DbConnection,
        org: &OrganizationId,
        now: UnixTime,
    ) -> Result<Vec<Recorded>, ApplyError> {
        // Before anything is read of members, so that an assignment of usage comes before or after all of it.
        together(conn, org)?;
        self.attributed(conn, org)?.write_attributed(conn, org, now)
    }

    /// The same rows counted for the members behind their users. The users of generations are told by
    /// their booking, but for those of whom only the OpenRouter id is known.
    fn attributed(&self, conn: &mut DbConnection, org: &OrganizationId) -> Result<Cow<'_, Self>, ApplyError> {
        let mut generations = self.generations.iter();
        let is_unnamed = generations.any(|row| is_unnamed(&row.user_id, &row.openrouter_user_id));
        if !is_unnamed && self.pending.is_empty() && self.failed.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut work = self.clone();
        let generations = work.generations.iter_mut().map(|row| (&mut row.user_id, &row.openrouter_user_id));
        let pending = work.pending.iter_mut().map(|row| (&mut row.user_id, &row.openrouter_user_id));
        attribute(conn, org, generations.chain(pending))?;
        let pending = work.pending.iter_mut().map(|row| &mut row.user_id);
        redirect(conn, org, pending.chain(work.failed.iter_mut().map(|row| &mut row.user_id)))?;
        Ok(Cow::Owned(work))
    }

    fn write_attributed(
        &self,
        conn: &mut DbConnection,
        org: &OrganizationId,
        now: UnixTime,
    ) -> Result<Vec<Recorded>, ApplyError> {
        match register_seen(conn, org, &self.members, now) {
            // Usage is booked whatever the state of an organization's settings.
            Err(cause) if cause.storage().is_none() => {
                error!(organization = %org, error = %cause, "members stay unregistered");
            }
            other => drop(other?),
        }
        let recorded = record_generations(conn, org, &self.generations, now)?;
        insert_pending(conn, &self.pending, now)?;
        for (id, why) in &self.explained {
            mark_unresolved(conn, org, id, why, now)?;
        }
        for ((generation, exchange), recorded) in self.generations.iter().zip(&self.exchanges).zip(&recorded)
        {
            match recorded {
                Recorded::New | Recorded::Duplicate | Recorded::Corrected => {}
                Recorded::Conflict => contradicted(conn, generation, exchange, now)?,
                Recorded::TooOld => too_old(conn, generation, now)?,
            }
        }
        insert_failed_calls(conn, &self.failed)?;
        Ok(recorded)
    }

    fn add(&mut self, settled: &Settled, outcome: &Outcome, now: UnixTime) {
        let call = &settled.call;
        self.members.extend(seen_member(call));
        match outcome {
            Outcome::Exact(usage) => {
                let generation = generation(call, ledger_id(settled), usage, settled.source);
                if let Some(why) = absurdity(&generation) {
                    self.add_absurd(call, &generation, why);
                    return;
                }
                self.generations.push(generation);
                self.exchanges.push(call.exchange.clone());
            }
            Outcome::Unknown { reason } => {
                let reason = match (&settled.generation_id, *reason) {
                    (Some(_), reason) | (None, reason @ PendingReason::NoAnswer) => reason,
                    (None, PendingReason::Crash) => {
                        // Whether upstream got the call, and what it cost, no look-up can tell.
                        self.explained.push((ledger_id(settled), SENT_AND_LOST.to_owned()));
                        PendingReason::Crash
                    }
                    (None, _) => PendingReason::NoGenerationId,
                };
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

    /// Leaves a call to a person whose usage cannot be true. It must not spoil the sums of its day.
    fn add_absurd(&mut self, call: &Call, generation: &NewGeneration, why: &str) {
        let id = &generation.id;
        error!(organization = %call.organization, generation = %id, error = why, "a generation waits for a person");
        self.absurd = Some(format!("generation {id} {why}"));
        let known = usage_text(generation.input_tokens, generation.output_tokens, &generation.cost_text);
        self.explained.push((id.clone(), format!("it {why}{known}")));
        self.pending.push(pending(call, id.clone(), PendingReason::Unbookable));
    }
}

/// The ledger has other usage under the id of this report and keeps it; the audit has the difference.
///
/// Of two calls of our own one must not be lost. Where the ledger's row comes from the gateway as well,
/// upstream gave two calls one id, and this one is kept under our own, for a person to decide. Where it
/// comes from a look-up, that tells the truth about this very call.
fn contradicted(
    conn: &mut DbConnection,
    generation: &NewGeneration,
    exchange: &ExchangeId,
    now: UnixTime,
) -> Result<(), ApplyError> {
    let (organization, id) = (&generation.client_org_id, &generation.id);
    let booked = ledger::find(conn, organization, id)?.map(|row| row.source);
    let is_of_two_calls = generation.source == UsageSource::Gateway
        && booked.is_some_and(|booked| booked.authority() <= generation.source.authority());
    if !is_of_two_calls {
        error!(%organization, generation = %id, source = %generation.source, "a report contradicts the ledger, which keeps what it has");
        return Ok(());
    }
    error!(%organization, generation = %id, %exchange, "two calls have the same generation id");
    let why = format!("the ledger has {id} with other usage");
    keep(conn, generation, exchange.as_generation_id(), (PendingReason::Conflict, &why), now)
}

/// The ledger no longer shows whether this report was booked. A call of our own is kept for a person
/// to decide; whoever reports from outside must do so in time.
fn too_old(conn: &mut DbConnection, generation: &NewGeneration, now: UnixTime) -> Result<(), ApplyError> {
    let (organization, id, day) = (&generation.client_org_id, &generation.id, generation.generation_date);
    error!(%organization, generation = %id, %day, source = %generation.source, "a report is too old to be booked");
    if !generation.source.is_of_our_gateway() {
        return Ok(());
    }
    let why = format!("the ledger of {day} was cleaned up, so nobody can tell if it was booked before");
    keep(conn, generation, id, (PendingReason::Unbookable, &why), now)
}

/// Keeps a report that could not be booked, visible and for a person to decide, so that it is not lost.
fn keep(
    conn: &mut DbConnection,
    generation: &NewGeneration,
    id: &GenerationId,
    (reason, why): (PendingReason, &str),
    now: UnixTime,
) -> Result<(), ApplyError> {
    let row = NewPendingGeneration {
        client_org_id: generation.client_org_id.clone(),
        id: id.clone(),
        generation_date: generation.generation_date,
        user_id: generation.user_id.clone(),
        openrouter_user_id: generation.openrouter_user_id.clone(),
        requested_model: generation.requested_model.clone(),
        markup_rate: generation.markup_rate,
        streamed: generation.streamed,
        gateway_key_id: generation.gateway_key_id.clone(),
        task: generation.task.clone(),
        started_at: generation.started_at,
        reason,
        // It is not booked, and most probably paid.
        reservation: generation.markup_rate.apply(generation.total_cost),
    };
    insert_pending(conn, &[row], now)?;
    let known = usage_text(generation.input_tokens, generation.output_tokens, &generation.cost_text);
    mark_unresolved(conn, &generation.client_org_id, id, &format!("{why}{known}"), now)?;
    Ok(())
}

fn usage_text(input_tokens: i64, output_tokens: i64, cost: &str) -> String {
    format!("; this call reported {input_tokens} in + {output_tokens} out tokens, cost {cost} USD")
}

/// Upstream's id, or ours where upstream gave none.
fn ledger_id(settled: &Settled) -> GenerationId {
    settled.generation_id.clone().unwrap_or_else(|| settled.call.exchange.as_generation_id().clone())
}

fn generation(call: &Call, id: GenerationId, usage: &ExactUsage, source: UsageSource) -> NewGeneration {
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
        tokens_estimated: usage.tokens_estimated,
        streamed: call.streamed,
        source,
        gateway_key_id: call.gateway_key_id.clone(),
        task: call.task.clone(),
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
        task: call.task.clone(),
        started_at: call.started_at,
        reason,
        reservation: call.held.as_ref().map(|held| Usd::from_nanos(held.nanos)),
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
