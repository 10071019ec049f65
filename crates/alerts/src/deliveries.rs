//! [`DeliveryTable`]: what became of alerts, and replaying them; and the queries of whoever delivers.

use std::sync::Arc;

use diesel::{dsl::min, prelude::*};
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::{BATCH_ROWS, DbConnection, Storage, load_for_update, load_unlocked_for_update, on_backend};
use uuid::Uuid;

use crate::{
    alert::AlertModel,
    delivery::{DeliveryModel, DeliveryState, LEASE, Outcome, Verdict, pause_after},
    destination::{Channel, DestinationModel},
    destinations::{self, find},
    error::{Error, Result},
    schema::{alert_deliveries as table, alert_destinations, alerts},
};

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Only those of alerts about this organization.
    pub organization: Option<OrganizationId>,
    /// Only those to destinations of this organization: what an administrator may see.
    pub owner: Option<OrganizationId>,
    /// Only those to this destination.
    pub destination: Option<String>,
    /// Only those that stand so.
    pub state: Option<DeliveryState>,
    /// Only those before this one, by when they were made and by id.
    pub before: Option<(UnixTime, String)>,
    /// How many at most.
    pub limit: i64,
}

/// How many deliveries wait or have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Webhooks that wait, to active destinations.
    pub waiting_webhooks: i64,
    /// Mail that waits, to active destinations.
    pub waiting_mail: i64,
    /// Webhooks that were given up.
    pub failed_webhooks: i64,
    /// Mail that was given up.
    pub failed_mail: i64,
    /// When the oldest webhook that waits was made.
    pub oldest_webhook: Option<UnixTime>,
    /// When the oldest mail that waits was made.
    pub oldest_mail: Option<UnixTime>,
}

/// Lists and replays deliveries.
#[derive(Clone)]
pub struct DeliveryTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl DeliveryTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Deliveries, the newest first.
    pub async fn list(&self, query: DeliveryQuery) -> Result<Vec<DeliveryModel>> {
        self.storage.read(move |conn| list(conn, &query)).await
    }

    /// Sends an alert about an organization once more, with the same id and the same bytes, wherever the
    /// delivery stands. An `owner` reaches those to its own destinations only.
    pub async fn replay(
        &self,
        organization: &OrganizationId,
        owner: Option<OrganizationId>,
        id: &str,
    ) -> Result<DeliveryModel> {
        let (now, actor) = (UnixTime::from(self.clock.now()), self.actor.clone());
        let (organization, id) = (organization.clone(), id.to_owned());
        self.storage
            .write(move |conn| {
                let row = table::table.find((&organization, &id));
                let found: Vec<DeliveryModel> =
                    load_for_update!(conn, row.select(DeliveryModel::as_select()))?;
                let mut row = found.into_iter().next().ok_or(Error::UnknownDelivery)?;
                match find(conn, owner.as_ref(), &row.destination_id) {
                    Ok(destination) if destination.is_active => {}
                    Ok(_) => return Err(Error::WrongState("the destination is inactive")),
                    Err(Error::UnknownDestination) => return Err(Error::UnknownDelivery),
                    Err(other) => return Err(other),
                }
                (row.state, row.tries, row.next_attempt_at) = (DeliveryState::Waiting, 0, now);
                (row.claim, row.claimed_until) = (None, None);
                diesel::update(table::table.find((&organization, &id))).set(again(now)).execute(conn)?;
                let entry = NewEntry::done(Some(&organization), "alert_delivery.replay", &id);
                append(conn, &actor, now, &entry)?;
                Ok(row)
            })
            .await
    }

    /// Sends once more what has failed at a destination and was made at an instant or later. Returns how many
    /// deliveries that are.
    pub async fn replay_failed(
        &self,
        owner: Option<OrganizationId>,
        destination: &str,
        since: UnixTime,
    ) -> Result<usize> {
        let (now, actor, id) = (UnixTime::from(self.clock.now()), self.actor.clone(), destination.to_owned());
        self.storage
            .write(move |conn| {
                let destination = find(conn, owner.as_ref(), &id)?;
                if !destination.is_active {
                    return Err(Error::WrongState("the destination is inactive"));
                }
                let failed = table::table
                    .filter(table::destination_id.eq(&id))
                    .filter(table::state.eq(DeliveryState::Failed))
                    .filter(table::created_at.ge(since));
                let count = diesel::update(failed).set(again(now)).execute(conn)?;
                let details = Details::none().with("since", since.seconds()).with("deliveries", count);
                let owner = destination.client_org_id.as_ref();
                let entry = NewEntry::done(owner, "alert_destination.replay", &id).with(details);
                append(conn, &actor, now, &entry)?;
                Ok(count)
            })
            .await
    }
}

/// What makes a delivery due at an instant as if it was new. Nobody has it in hand then.
type Again = (
    diesel::dsl::Eq<table::state, DeliveryState>,
    diesel::dsl::Eq<table::tries, i32>,
    diesel::dsl::Eq<table::next_attempt_at, UnixTime>,
    diesel::dsl::Eq<table::claim, Option<String>>,
    diesel::dsl::Eq<table::claimed_until, Option<UnixTime>>,
);

fn again(now: UnixTime) -> Again {
    (
        table::state.eq(DeliveryState::Waiting),
        table::tries.eq(0),
        table::next_attempt_at.eq(now),
        table::claim.eq(None),
        table::claimed_until.eq(None),
    )
}

fn list(conn: &mut DbConnection, query: &DeliveryQuery) -> Result<Vec<DeliveryModel>> {
    let mut rows = table::table
        .order((table::created_at.desc(), table::id.desc()))
        .limit(query.limit)
        .select(DeliveryModel::as_select())
        .into_boxed();
    if let Some(organization) = &query.organization {
        rows = rows.filter(table::client_org_id.eq(organization));
    }
    if let Some(owner) = &query.owner {
        let own = alert_destinations::table
            .filter(alert_destinations::client_org_id.eq(owner))
            .select(alert_destinations::id);
        rows = rows.filter(table::destination_id.eq_any(own));
    }
    if let Some(destination) = &query.destination {
        rows = rows.filter(table::destination_id.eq(destination));
    }
    if let Some(state) = query.state {
        rows = rows.filter(table::state.eq(state));
    }
    if let Some((at, id)) = &query.before {
        let same = table::created_at.eq(at).and(table::id.lt(id));
        rows = rows.filter(table::created_at.lt(at).or(same));
    }
    Ok(rows.load(conn)?)
}

/// Makes the deliveries of an alert, one for each destination.
pub(crate) fn make(
    conn: &mut DbConnection,
    alert: &AlertModel,
    destinations: &[DestinationModel],
    now: UnixTime,
) -> Result<Vec<DeliveryModel>> {
    let row = |destination: &DestinationModel| DeliveryModel {
        client_org_id: alert.client_org_id.clone(),
        id: Uuid::new_v4().to_string(),
        alert_id: alert.id.clone(),
        destination_id: destination.id.clone(),
        channel: destination.channel,
        state: DeliveryState::Waiting,
        attempts: 0,
        tries: 0,
        next_attempt_at: now,
        claim: None,
        claimed_until: None,
        last_attempt_at: None,
        last_status: None,
        last_error: None,
        delivered_at: None,
        created_at: now,
    };
    let rows: Vec<DeliveryModel> = destinations.iter().map(row).collect();
    for rows in rows.chunks(BATCH_ROWS) {
        on_backend!(conn, inner => diesel::insert_into(table::table).values(rows).execute(inner))?;
    }
    Ok(rows)
}

/// Gives up what waits for a destination, and returns how many deliveries that are.
pub(crate) fn give_up(conn: &mut DbConnection, destination: &str, why: &str) -> Result<usize> {
    let waiting = table::table
        .filter(table::destination_id.eq(destination))
        .filter(table::state.eq(DeliveryState::Waiting));
    let change = (
        table::state.eq(DeliveryState::Failed),
        table::last_error.eq(why),
        table::claim.eq(None::<String>),
        table::claimed_until.eq(None::<UnixTime>),
    );
    Ok(diesel::update(waiting).set(change).execute(conn)?)
}

/// Whether something is due by one of the ways, so that it is worth a transaction that writes.
pub(crate) fn is_due(conn: &mut DbConnection, channels: &[Channel], now: UnixTime) -> Result<bool> {
    let active = alert_destinations::table
        .filter(alert_destinations::is_active.eq(true))
        .select(alert_destinations::id);
    let first: Option<String> = table::table
        .filter(table::state.eq(DeliveryState::Waiting))
        .filter(table::next_attempt_at.le(now))
        .filter(table::claimed_until.is_null().or(table::claimed_until.le(now)))
        .filter(table::channel.eq_any(channels))
        .filter(table::destination_id.eq_any(active))
        .select(table::id)
        .first(conn)
        .optional()?;
    Ok(first.is_some())
}

/// Takes what is due into one's hands for [`LEASE`] seconds, what waits longest first. It counts as begun,
/// also where the process is killed in the attempt.
pub(crate) fn claim(
    conn: &mut DbConnection,
    channels: &[Channel],
    limit: i64,
    now: UnixTime,
) -> Result<Vec<DeliveryModel>> {
    let active = alert_destinations::table
        .filter(alert_destinations::is_active.eq(true))
        .select(alert_destinations::id);
    let due = table::table
        .filter(table::state.eq(DeliveryState::Waiting))
        .filter(table::next_attempt_at.le(now))
        .filter(table::claimed_until.is_null().or(table::claimed_until.le(now)))
        .filter(table::channel.eq_any(channels))
        .filter(table::destination_id.eq_any(active))
        .order((table::next_attempt_at, table::id))
        .limit(limit);
    let rows: Vec<DeliveryModel> = load_unlocked_for_update!(conn, due.select(DeliveryModel::as_select()))?;
    rows.into_iter().map(|row| take(conn, row, now)).collect()
}

/// Takes one delivery into one's hands.
pub(crate) fn take(conn: &mut DbConnection, mut row: DeliveryModel, now: UnixTime) -> Result<DeliveryModel> {
    row.claim = Some(Uuid::new_v4().to_string());
    row.claimed_until = Some(now.plus_seconds(LEASE));
    row.last_attempt_at = Some(now);
    row.attempts = row.attempts.saturating_add(1);
    row.tries = row.tries.saturating_add(1);
    diesel::update(table::table.find((&row.client_org_id, &row.id)))
        .set((
            table::claim.eq(&row.claim),
            table::claimed_until.eq(row.claimed_until),
            table::last_attempt_at.eq(row.last_attempt_at),
            table::attempts.eq(row.attempts),
            table::tries.eq(row.tries),
        ))
        .execute(conn)?;
    Ok(row)
}

/// The alert and the destination of a delivery.
pub(crate) fn parts(conn: &mut DbConnection, row: &DeliveryModel) -> Result<(AlertModel, DestinationModel)> {
    let alert = alerts::table.find((&row.client_org_id, &row.alert_id)).select(AlertModel::as_select());
    let destination =
        alert_destinations::table.find(&row.destination_id).select(DestinationModel::as_select());
    Ok((alert.first(conn)?, destination.first(conn)?))
}

/// Writes down what became of an attempt, and returns the delivery. What is no longer in the attempt's hands,
/// because its time ran out or somebody asked for a replay, stays as it is.
pub(crate) fn settle(
    conn: &mut DbConnection,
    mut row: DeliveryModel,
    outcome: &Outcome,
    may_try_again: bool,
    now: UnixTime,
) -> Result<DeliveryModel> {
    let pause = pause_after(row.tries).filter(|_| may_try_again && outcome.verdict == Verdict::Again);
    row.state = match (outcome.verdict, pause) {
        (Verdict::Delivered, _) => DeliveryState::Delivered,
        (_, Some(_)) => DeliveryState::Waiting,
        (_, None) => DeliveryState::Failed,
    };
    if let Some(pause) = pause {
        row.next_attempt_at = now.plus_seconds(pause);
    }
    if outcome.verdict == Verdict::Delivered {
        row.delivered_at = Some(now);
    }
    (row.last_status, row.last_error) = (outcome.status, outcome.error.clone());
    let own = table::table.find((&row.client_org_id, &row.id)).filter(table::claim.eq(&row.claim));
    let written = diesel::update(own)
        .set((
            table::state.eq(row.state),
            table::next_attempt_at.eq(row.next_attempt_at),
            table::delivered_at.eq(row.delivered_at),
            table::last_status.eq(row.last_status),
            table::last_error.eq(&row.last_error),
            table::claim.eq(None::<String>),
            table::claimed_until.eq(None::<UnixTime>),
        ))
        .execute(conn)?;
    if written > 0 && outcome.verdict == Verdict::Gone {
        destinations::gone(conn, &row.destination_id, now)?;
    }
    (row.claim, row.claimed_until) = (None, None);
    Ok(row)
}

/// What waits and what has failed. Nothing waits for an inactive destination, although it may go on later.
pub fn backlog(conn: &mut DbConnection) -> Result<Backlog> {
    let active = alert_destinations::table
        .filter(alert_destinations::is_active.eq(true))
        .select(alert_destinations::id);
    let waiting: Vec<(Channel, i64, Option<UnixTime>)> = table::table
        .filter(table::state.eq(DeliveryState::Waiting))
        .filter(table::destination_id.eq_any(active))
        .group_by(table::channel)
        .select((table::channel, diesel::dsl::count_star(), min(table::created_at)))
        .load(conn)?;
    let failed: Vec<(Channel, i64)> = table::table
        .filter(table::state.eq(DeliveryState::Failed))
        .group_by(table::channel)
        .select((table::channel, diesel::dsl::count_star()))
        .load(conn)?;
    let mut backlog = Backlog::default();
    for (channel, count) in failed {
        match channel {
            Channel::Webhook => backlog.failed_webhooks = count,
            Channel::Email => backlog.failed_mail = count,
        }
    }
    for (channel, count, oldest) in waiting {
        match channel {
            Channel::Webhook => (backlog.waiting_webhooks, backlog.oldest_webhook) = (count, oldest),
            Channel::Email => (backlog.waiting_mail, backlog.oldest_mail) = (count, oldest),
        }
    }
    Ok(backlog)
}
