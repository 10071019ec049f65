//! Generations that were started and whose exact cost is not known yet.

use std::collections::BTreeMap;

use diesel::prelude::*;
use mai_primitives::{
    GenerationId, MarkupRate, ModelName, OpenRouterUserId, OrganizationId, UnixTime, UsageDate, Usd, UserId,
};
use mai_storage::{BATCH_ROWS, DbConnection, Result, load_for_update, on_backend, text_enum};

use crate::{query, schema::pending_generations as pending};

mod queue;
mod reserved;

pub(crate) use queue::set_due;
pub use queue::{claim_due, mark_unresolved, postpone, rest};
pub use reserved::{Reserved, reserved};

/// How long a generation is looked up after its request began.
pub const LOOKUP_SECONDS: i64 = 72 * 3_600;

/// Seconds between look-ups, in turn; the last one repeats. OpenRouter needs about a second to know
/// a generation, hence the dense beginning.
const PAUSES: [i64; 13] = [1, 1, 2, 3, 5, 8, 15, 30, 60, 300, 900, 1_800, 3_600];

/// The longest error text that a row keeps, in characters.
const MAX_ERROR_CHARS: usize = 500;

text_enum! {
    /// Why the cost of a generation is not known.
    pub enum PendingReason {
        /// The client left before the answer was complete.
        ClientGone = "client_gone",
        /// The upstream's answer broke off.
        UpstreamCut = "upstream_cut",
        /// The answer ended without a word about usage.
        NoUsage = "no_usage",
        /// The answer told the tokens and no cost.
        CostUnknown = "cost_unknown",
        /// Our process died during the call.
        Crash = "crash",
        /// The stream ended with an error event.
        ErrorEvent = "error_event",
        /// No id was seen, so that there is nothing to look up.
        NoGenerationId = "no_generation_id",
        /// The request was sent and no answer came; upstream may have billed it.
        NoAnswer = "no_answer",
        /// The usage is known and cannot be booked, for example because a sum would overflow.
        Unbookable = "unbookable",
        /// The ledger has the id already, from another call or with other usage.
        Conflict = "conflict",
    }
}

impl PendingReason {
    /// Whether a look-up can bring the cost. Otherwise upstream has told no id, or there is nothing
    /// left to learn.
    pub const fn can_be_looked_up(self) -> bool {
        match self {
            Self::ClientGone
            | Self::UpstreamCut
            | Self::NoUsage
            | Self::CostUnknown
            | Self::Crash
            | Self::ErrorEvent => true,
            Self::NoGenerationId | Self::NoAnswer | Self::Unbookable | Self::Conflict => false,
        }
    }
}

text_enum! {
    /// Where a pending generation stands.
    pub enum PendingState {
        /// It is looked up again when its time has come.
        Pending = "pending",
        /// It is no longer looked up; a person has to decide.
        Unresolved = "unresolved",
    }
}

/// A generation to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPendingGeneration {
    /// Who will pay.
    pub client_org_id: OrganizationId,
    /// The generation's id, or an id of ours where the reason is
    /// [`PendingReason::NoGenerationId`].
    pub id: GenerationId,
    /// The organization's local day on which the request began.
    pub generation_date: UsageDate,
    /// The member who asked.
    pub user_id: UserId,
    /// What OpenRouter knew the member as.
    pub openrouter_user_id: OpenRouterUserId,
    /// The model that was asked for.
    pub requested_model: Option<ModelName>,
    /// The rate that held for the organization when the request began.
    pub markup_rate: MarkupRate,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// The gateway key of the request.
    pub gateway_key_id: Option<String>,
    /// What the client says that the call was for, such as `title_generation`.
    pub task: Option<String>,
    /// When the request began.
    pub started_at: UnixTime,
    /// Why the cost is not known.
    pub reason: PendingReason,
    /// What limits count until it is known, in client price; none where the organization had no limit.
    pub reservation: Option<Usd>,
}

/// A row of `pending_generations`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = pending, treat_none_as_default_value = false)]
pub struct PendingGenerationModel {
    /// Who will pay.
    pub client_org_id: OrganizationId,
    /// The generation's id.
    pub id: GenerationId,
    /// The organization's local day on which the request began.
    pub generation_date: UsageDate,
    /// The member who asked.
    pub user_id: UserId,
    /// What OpenRouter knew the member as.
    pub openrouter_user_id: OpenRouterUserId,
    /// The model that was asked for.
    pub requested_model: Option<ModelName>,
    /// The rate that held for the organization when the request began.
    pub markup_rate: MarkupRate,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// The gateway key of the request.
    pub gateway_key_id: Option<String>,
    /// What the client says that the call was for, such as `title_generation`.
    pub task: Option<String>,
    /// When the request began.
    pub started_at: UnixTime,
    /// Why the cost is not known.
    pub reason: PendingReason,
    /// Where it stands.
    pub state: PendingState,
    /// How often it was claimed for a look-up.
    pub attempts: i32,
    /// When it may be claimed again.
    pub next_attempt_at: UnixTime,
    /// What the last look-up failed with, at most 500 characters.
    pub last_error: Option<String>,
    /// When the row was written.
    pub created_at: UnixTime,
    /// When the row was last changed.
    pub updated_at: UnixTime,
    /// What limits count until the cost is known, in client price.
    pub reservation: Option<Usd>,
}

/// Seconds to wait before the next look-up after `attempts` of them, for a generation whose request
/// began `age_seconds` ago; none when 72 hours are over and it has to become unresolved. The last
/// look-up falls on the end of the 72 hours.
pub fn next_pause_seconds(attempts: i32, age_seconds: i64) -> Option<i64> {
    let left = LOOKUP_SECONDS.checked_sub(age_seconds).filter(|left| *left > 0)?;
    let index = usize::try_from(attempts.max(0)).unwrap_or(usize::MAX);
    let pause = PAUSES.get(index).or(PAUSES.last()).copied()?;
    Some(pause.min(left))
}

/// Inserts generations that neither the queue nor the ledger has, and returns how many that were.
///
/// One that no look-up can help is unresolved at once. When the ledger gets the id at this very
/// moment the row stays behind; its look-up then meets a duplicate and removes it.
pub fn insert_pending(
    conn: &mut DbConnection,
    generations: &[NewPendingGeneration],
    now: UnixTime,
) -> Result<usize> {
    let mut by_organization: BTreeMap<&OrganizationId, BTreeMap<&GenerationId, &NewPendingGeneration>> =
        BTreeMap::new();
    for generation in generations {
        by_organization
            .entry(&generation.client_org_id)
            .or_default()
            .entry(&generation.id)
            .or_insert(generation);
    }
    let mut inserted = 0;
    for (org, generations) in by_organization {
        let ids: Vec<&GenerationId> = generations.keys().copied().collect();
        let booked = query::booked_ids(conn, org, &ids)?;
        let rows: Vec<PendingGenerationModel> = generations
            .into_values()
            .filter(|generation| !booked.contains(&generation.id))
            .map(|generation| first_row(generation, now))
            .collect();
        for chunk in rows.chunks(BATCH_ROWS) {
            inserted += on_backend!(conn, c => diesel::insert_into(pending::table)
                .values(chunk.iter().collect::<Vec<_>>())
                .on_conflict((pending::client_org_id, pending::id))
                .do_nothing()
                .execute(c))?;
        }
    }
    Ok(inserted)
}

fn first_row(generation: &NewPendingGeneration, now: UnixTime) -> PendingGenerationModel {
    let new = generation.clone();
    let can_be_looked_up = new.reason.can_be_looked_up();
    PendingGenerationModel {
        client_org_id: new.client_org_id,
        id: new.id,
        generation_date: new.generation_date,
        user_id: new.user_id,
        openrouter_user_id: new.openrouter_user_id,
        requested_model: new.requested_model,
        markup_rate: new.markup_rate,
        streamed: new.streamed,
        gateway_key_id: new.gateway_key_id,
        task: new.task,
        started_at: new.started_at,
        reason: new.reason,
        state: if can_be_looked_up { PendingState::Pending } else { PendingState::Unresolved },
        attempts: 0,
        next_attempt_at: now.plus_seconds(PAUSES[0]),
        last_error: None,
        created_at: now,
        updated_at: now,
        reservation: new.reservation,
    }
}

/// The member whom a generation that waits is counted for; none where it does not wait any more.
pub fn user_of(conn: &mut DbConnection, org: &OrganizationId, id: &GenerationId) -> Result<Option<UserId>> {
    Ok(pending::table.find((org, id)).select(pending::user_id).first(conn).optional()?)
}

/// Counts generations that wait for another member from now on, those of certain days, and returns how
/// many.
pub fn move_pending(
    conn: &mut DbConnection,
    org: &OrganizationId,
    (from, to): (&UserId, &UserId),
    is_day: impl Fn(UsageDate) -> bool,
) -> Result<usize> {
    let theirs: Vec<(GenerationId, UsageDate)> = pending::table
        .filter(pending::client_org_id.eq(org))
        .filter(pending::user_id.eq(from))
        .select((pending::id, pending::generation_date))
        .load(conn)?;
    let ids: Vec<GenerationId> =
        theirs.into_iter().filter(|(_, date)| is_day(*date)).map(|(id, _)| id).collect();
    let mut moved = 0;
    for chunk in ids.chunks(BATCH_ROWS) {
        let rows = pending::table
            .filter(pending::client_org_id.eq(org))
            .filter(pending::id.eq_any(chunk))
            .order(pending::id)
            .select(pending::id);
        let locked: Vec<GenerationId> = load_for_update!(conn, rows)?;
        let rows = pending::table.filter(pending::client_org_id.eq(org)).filter(pending::id.eq_any(&locked));
        moved += diesel::update(rows).set(pending::user_id.eq(to)).execute(conn)?;
    }
    Ok(moved)
}

/// Removes generations that were settled and returns how many waited.
pub fn delete_pending(conn: &mut DbConnection, org: &OrganizationId, ids: &[GenerationId]) -> Result<usize> {
    let mut deleted = 0;
    for chunk in ids.chunks(BATCH_ROWS) {
        deleted += diesel::delete(pending::table)
            .filter(pending::client_org_id.eq(org))
            .filter(pending::id.eq_any(chunk))
            .execute(conn)?;
    }
    Ok(deleted)
}

/// At most `limit` rows of one organization or of all, in one state or in any, the oldest request first.
pub fn list_pending(
    conn: &mut DbConnection,
    org: Option<&OrganizationId>,
    state: Option<PendingState>,
    limit: i64,
) -> Result<Vec<PendingGenerationModel>> {
    let mut rows = pending::table.order((pending::started_at, pending::id)).limit(limit).into_boxed();
    if let Some(org) = org {
        rows = rows.filter(pending::client_org_id.eq(org));
    }
    if let Some(state) = state {
        rows = rows.filter(pending::state.eq(state));
    }
    Ok(rows.load(conn)?)
}

/// Which generations to list, the oldest request first.
#[derive(Debug, Clone)]
pub struct PendingQuery {
    /// Only those of this organization.
    pub organization: Option<OrganizationId>,
    /// Only those in this state.
    pub state: Option<PendingState>,
    /// Only those behind this one: when its request began, its id, and its organization.
    pub after: Option<(UnixTime, GenerationId, OrganizationId)>,
    /// At most this many.
    pub limit: i64,
}

/// A page of the generations that a query names.
pub fn page_pending(conn: &mut DbConnection, query: &PendingQuery) -> Result<Vec<PendingGenerationModel>> {
    let order = (pending::started_at, pending::id, pending::client_org_id);
    let mut rows = pending::table.order(order).limit(query.limit).into_boxed();
    if let Some(org) = &query.organization {
        rows = rows.filter(pending::client_org_id.eq(org));
    }
    if let Some(state) = query.state {
        rows = rows.filter(pending::state.eq(state));
    }
    if let Some((started_at, id, org)) = &query.after {
        let same = pending::started_at.eq(started_at);
        let behind = pending::id.gt(id).or(pending::id.eq(id).and(pending::client_org_id.gt(org)));
        rows = rows.filter(pending::started_at.gt(started_at).or(same.and(behind)));
    }
    Ok(rows.load(conn)?)
}

/// A generation that waits or is unresolved; none where there is no such.
pub fn find_pending(
    conn: &mut DbConnection,
    org: &OrganizationId,
    id: &GenerationId,
) -> Result<Option<PendingGenerationModel>> {
    Ok(pending::table.find((org, id)).first(conn).optional()?)
}

/// How many generations there are in each state; a state without any is absent.
pub fn count_by_state(conn: &mut DbConnection) -> Result<BTreeMap<PendingState, i64>> {
    let counts: Vec<(PendingState, i64)> = pending::table
        .group_by(pending::state)
        .select((pending::state, diesel::dsl::count_star()))
        .load(conn)?;
    Ok(counts.into_iter().collect())
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_ERROR_CHARS).collect()
}
