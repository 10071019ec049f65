//! [`DeliveryTable`]: what became of alerts, and replaying them; and the queries of whoever delivers.

use std::sync::Arc;

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::{BATCH_ROWS, DbConnection, Storage, load_for_update, load_unlocked_for_update, on_backend};
use uuid::Uuid;

use crate::{
    alert::{AlertKind, AlertModel},
    delivery::{DeliveryModel, DeliveryState, LEASE, Outcome, Verdict, pause_after},
    destination::{Channel, DestinationModel},
    destinations::{self, count_replay, find_to_change},
    error::{Error, Result},
    schema::{alert_deliveries as table, alert_destinations, alerts},
};

/// How long after its last attempt a delivery cannot be replayed, in seconds.
const REST: i64 = 60;

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
    /// delivery stands, but for one that was tried within the last minute, for tests, and for more replays than a
    /// destination may have in an hour. An `owner` reaches those to its own destinations only.
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
                let row = || table::table.find((&organization, &id));
                let destination: Option<String> =
                    row().select(table::destination_id).first(conn).optional()?;
                let destination = destination.ok_or(Error::UnknownDelivery)?;
                // The destination first, as whoever removes it.
                match find_to_change(conn, owner.as_ref(), &destination) {
                    Ok(destination) if destination.is_active => {}
                    Ok(_) => return Err(Error::WrongState("the destination is inactive")),
                    Err(Error::UnknownDestination) => return Err(Error::UnknownDelivery),
                    Err(other) => return Err(other),
                }
                let found: Vec<DeliveryModel> =
                    load_for_update!(conn, row().select(DeliveryModel::as_select()))?;
                let mut row = found.into_iter().next().ok_or(Error::UnknownDelivery)?;
                require_replayable(conn, &row, now)?;
                count_replay(conn, &destination, now)?;
                (row.state, row.tries, row.next_attempt_at) = (DeliveryState::Waiting, 0, now);
                (row.claim, row.claimed_until) = (None, None);
                diesel::update(table::table.find((&organization, &id))).set(again(now)).execute(conn)?;
                let entry = NewEntry::done(Some(&organization), "alert_delivery.replay", &id);
                append(conn, &actor, now, &entry)?;
                Ok(row)
            })
            .await
    }

    /// Sends once more what has failed at a destination and was made at an instant or later, but for tests and for
    /// what was tried within the last minute. Returns how many deliveries that are. It counts as one replay of the
    /// destination.
    pub async fn replay_failed(
        &self,
        owner: Option<OrganizationId>,
        destination: &str,
        since: UnixTime,
    ) -> Result<usize> {
        let (now, actor, id) = (UnixTime::from(self.clock.now()), self.actor.clone(), destination.to_owned());
        self.storage
            .write(move |conn| {
                let destination = find_to_change(conn, owner.as_ref(), &id)?;
                if !destination.is_active {
                    return Err(Error::WrongState("the destination is inactive"));
                }
                count_replay(conn, &id, now)?;
                let tests = alerts::table.filter(alerts::kind.eq(AlertKind::Test)).select(alerts::id);
                let is_old = table::last_attempt_at.le(now.plus_seconds(-REST));
                let failed = table::table
                    .filter(table::destination_id.eq(&id))
                    .filter(table::state.eq(DeliveryState::Failed))
                    .filter(table::created_at.ge(since))
                    .filter(table::last_attempt_at.is_null().or(is_old))
                    .filter(table::alert_id.ne_all(tests));
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

/// Refuses to replay what was tried a moment ago, which would be a way to flood a receiver, and a test, of which
/// another can be sent.
fn require_replayable(conn: &mut DbConnection, row: &DeliveryModel, now: UnixTime) -> Result<()> {
    if row.last_attempt_at.is_some_and(|at| now < at.plus_seconds(REST)) {
        return Err(Error::WrongState("it was tried less than a minute ago; try again later"));
    }
    let alert = alerts::table.find((&row.client_org_id, &row.alert_id));
    if alert.select(alerts::kind).first::<AlertKind>(conn)? == AlertKind::Test {
        return Err(Error::WrongState("it is a test; send another one"));
    }
    Ok(())
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

/// Makes the deliveries of an alert, one for each destination. That of a test has failed unless its only attempt
/// says otherwise: where that dies with its process, nothing must try it again.
pub(crate) fn make(
    conn: &mut DbConnection,
    alert: &AlertModel,
    destinations: &[DestinationModel],
    now: UnixTime,
) -> Result<Vec<DeliveryModel>> {
    let (state, last_error) = match alert.kind {
        AlertKind::Test => (DeliveryState::Failed, Some("the attempt did not end")),
        AlertKind::LimitReached | AlertKind::Anomaly => (DeliveryState::Waiting, None),
    };
    let row = |destination: &DestinationModel| DeliveryModel {
        client_org_id: alert.client_org_id.clone(),
        id: Uuid::new_v4().to_string(),
        alert_id: alert.id.clone(),
        destination_id: destination.id.clone(),
        channel: destination.channel,
        state,
        attempts: 0,
        tries: 0,
        next_attempt_at: now,
        claim: None,
        claimed_until: None,
        last_attempt_at: None,
        last_status: None,
        last_error: last_error.map(str::to_owned),
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

/// What is due by some ways at an instant: it waits, nobody has it in hand, and its destination is active. A macro,
/// because the type of such a query cannot be written.
macro_rules! due {
    ($channels:expr, $now:expr) => {
        table::table
            .filter(table::state.eq(DeliveryState::Waiting))
            .filter(table::next_attempt_at.le($now))
            .filter(table::claimed_until.is_null().or(table::claimed_until.le($now)))
            .filter(table::channel.eq_any($channels))
            .filter(
                table::destination_id.eq_any(
                    alert_destinations::table
                        .filter(alert_destinations::is_active.eq(true))
                        .select(alert_destinations::id),
                ),
            )
    };
}

/// Whether something is due by one of the ways, so that it is worth a transaction that writes.
pub(crate) fn is_due(conn: &mut DbConnection, channels: &[Channel], now: UnixTime) -> Result<bool> {
    let first: Option<String> = due!(channels, now).select(table::id).first(conn).optional()?;
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
    let due = due!(channels, now).order((table::next_attempt_at, table::id)).limit(limit);
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

/// Writes down what became of an attempt to send to `target`, and returns the delivery. What is no longer in the
/// attempt's hands, because its time ran out or somebody asked for a replay, stays as it is. What has failed when it
/// was begun, a test, is not tried again.
pub(crate) fn settle(
    conn: &mut DbConnection,
    mut row: DeliveryModel,
    (outcome, target): (&Outcome, &str),
    now: UnixTime,
) -> Result<DeliveryModel> {
    let may_try_again = row.state == DeliveryState::Waiting && outcome.verdict == Verdict::Again;
    let pause = pause_after(row.tries).filter(|_| may_try_again);
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
        destinations::gone(conn, &row.destination_id, target, now)?;
    }
    (row.claim, row.claimed_until) = (None, None);
    Ok(row)
}
