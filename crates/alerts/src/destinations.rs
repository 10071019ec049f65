//! [`DestinationTable`]: destinations as a service.

use std::sync::Arc;

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_client_organization::query::organization;
use mai_global_settings::MasterKey;
use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::{DbConnection, Storage, load_for_update};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    address::Reach,
    deliveries,
    destination::{
        Channel, DestinationModel, DestinationPatch, NewDestination, WithSecret, name, sealed_for, target,
    },
    error::{Error, Result},
    schema::alert_destinations as table,
    signature::new_secret,
};

/// For how long the secret before a new one signs too, unless told otherwise: a day, in seconds.
pub const GRACE: i64 = 86_400;
/// The longest such time: 30 days.
pub const GRACE_AT_MOST: i64 = 30 * 86_400;

/// How many replays there may be at one destination in an hour, so that they are no way to flood anybody.
const REPLAYS_AN_HOUR: i32 = 30;

/// How many destinations an organization, or the reseller, may have, so that one alert stays a few mails.
pub const DESTINATIONS_AT_MOST: usize = 100;

/// Makes, lists, changes and removes destinations. Whoever acts for an organization names it as `owner` and
/// reaches its own destinations only; the reseller names none and reaches all.
#[derive(Clone)]
pub struct DestinationTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    master_key: MasterKey,
    reach: Reach,
    actor: Actor,
}

impl DestinationTable {
    /// A service on `storage`. `reach` says which URLs a webhook may have.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>, master_key: MasterKey, reach: Reach) -> Self {
        Self { storage, clock, master_key, reach, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The destinations of an organization, or all with those of the reseller, by when they were made. What
    /// was removed is not among them.
    pub async fn list(&self, owner: Option<OrganizationId>) -> Result<Vec<DestinationModel>> {
        self.storage
            .read(move |conn| {
                let rows = table::table
                    .filter(table::removed_at.is_null())
                    .order((table::created_at, table::id))
                    .select(DestinationModel::as_select())
                    .into_boxed();
                let rows = match owner {
                    Some(owner) => rows.filter(table::client_org_id.eq(owner)),
                    None => rows,
                };
                Ok(rows.load(conn)?)
            })
            .await
    }

    /// One destination.
    pub async fn get(&self, owner: Option<OrganizationId>, id: &str) -> Result<DestinationModel> {
        let id = id.to_owned();
        self.storage.read(move |conn| find(conn, owner.as_ref(), &id)).await
    }

    /// Makes a destination; that of a webhook with a new secret.
    pub async fn create(&self, new: NewDestination) -> Result<WithSecret> {
        let (now, actor) = (UnixTime::from(self.clock.now()), self.actor.clone());
        let id = format!("alert_dest_{}", Uuid::new_v4().simple());
        let secret = (new.channel == Channel::Webhook).then(new_secret).transpose()?;
        let sealed = secret.as_ref().map(|secret| self.master_key.seal(&sealed_for("secret", &id), secret));
        let model = DestinationModel {
            id,
            channel: new.channel,
            target: target(new.channel, &new.target, self.reach)?,
            name: name(&new.name)?,
            client_org_id: new.client_org_id,
            language: new.language,
            wants_limits: new.wants_limits,
            wants_anomalies: new.wants_anomalies,
            is_active: true,
            gone_at: None,
            secret: sealed.transpose()?,
            previous_secret: None,
            previous_until: None,
            removed_at: None,
            created_at: now,
            updated_at: now,
        };
        let model = self
            .storage
            .write(move |conn| {
                if let Some(owner) = &model.client_org_id {
                    organization(conn, owner)?.ok_or(Error::UnknownOrganization)?;
                }
                if of(conn, model.client_org_id.as_ref())?.len() >= DESTINATIONS_AT_MOST {
                    return Err(Error::WrongState("there are 100 destinations already; remove one first"));
                }
                diesel::insert_into(table::table).values(&model).execute(conn)?;
                let details = Details::none()
                    .with("channel", model.channel.as_str())
                    .with("name", model.name.as_str())
                    .with("wants_limits", model.wants_limits)
                    .with("wants_anomalies", model.wants_anomalies);
                tell(conn, &actor, now, &model, "alert_destination.create", details)?;
                Ok::<_, Error>(model.clone())
            })
            .await?;
        Ok(WithSecret { secret, model })
    }

    /// Changes a destination. Making it active again forgets that the receiver was gone.
    pub async fn update(
        &self,
        owner: Option<OrganizationId>,
        id: &str,
        patch: DestinationPatch,
    ) -> Result<DestinationModel> {
        let (now, actor, id, reach) =
            (UnixTime::from(self.clock.now()), self.actor.clone(), id.to_owned(), self.reach);
        self.storage
            .write(move |conn| {
                let mut row = find_to_change(conn, owner.as_ref(), &id)?;
                let mut details = Details::none();
                if let Some(text) = &patch.target {
                    row.target = target(row.channel, text, reach)?;
                    // URLs often hold what opens a door, and addresses are people's; neither is told.
                    details = details.with("target", "changed");
                }
                if let Some(text) = &patch.name {
                    row.name = name(text)?;
                    details = details.with("name", row.name.as_str());
                }
                if let Some(language) = patch.language {
                    row.language = language;
                    details = details.with("language", language.as_str());
                }
                for (name, field, change) in [
                    ("wants_limits", &mut row.wants_limits, patch.wants_limits),
                    ("wants_anomalies", &mut row.wants_anomalies, patch.wants_anomalies),
                    ("is_active", &mut row.is_active, patch.is_active),
                ] {
                    if let Some(change) = change {
                        *field = change;
                        details = details.with(name, change);
                    }
                }
                if patch.is_active == Some(true) {
                    row.gone_at = None;
                }
                row.updated_at = now;
                store(conn, &row)?;
                tell(conn, &actor, now, &row, "alert_destination.update", details)?;
                Ok(row)
            })
            .await
    }

    /// Removes a destination, for good. What waits for it has failed.
    pub async fn remove(&self, owner: Option<OrganizationId>, id: &str) -> Result<()> {
        let (now, actor, id) = (UnixTime::from(self.clock.now()), self.actor.clone(), id.to_owned());
        self.storage
            .write(move |conn| {
                let row = find_to_change(conn, owner.as_ref(), &id)?;
                diesel::update(table::table.find(&id))
                    .set((
                        table::is_active.eq(false),
                        table::removed_at.eq(Some(now)),
                        table::updated_at.eq(now),
                    ))
                    .execute(conn)?;
                let given_up = deliveries::give_up(conn, &id, "the destination was removed")?;
                let details = Details::none().with("given_up", given_up);
                tell(conn, &actor, now, &row, "alert_destination.remove", details)
            })
            .await
    }

    /// Gives a webhook a new secret. The one before signs too for so many seconds, 0 to [`GRACE_AT_MOST`];
    /// one that was replaced earlier no longer does.
    pub async fn rotate_secret(
        &self,
        owner: Option<OrganizationId>,
        id: &str,
        grace: i64,
    ) -> Result<WithSecret> {
        if !(0..=GRACE_AT_MOST).contains(&grace) {
            return Err(Error::invalid("grace_seconds", format!("must be 0 to {GRACE_AT_MOST}")));
        }
        let (now, actor, id) = (UnixTime::from(self.clock.now()), self.actor.clone(), id.to_owned());
        let (secret, master_key) = (new_secret()?, self.master_key.clone());
        let new = secret.clone();
        let model = self
            .storage
            .write(move |conn| {
                let mut row = find_to_change(conn, owner.as_ref(), &id)?;
                let Some(old) = &row.secret else {
                    return Err(Error::WrongState("only webhooks have a secret"));
                };
                let old = master_key.open(&sealed_for("secret", &id), old)?;
                let kept = (grace > 0).then(|| master_key.seal(&sealed_for("previous_secret", &id), &old));
                row.previous_secret = kept.transpose()?;
                row.previous_until = (grace > 0).then(|| now.plus_seconds(grace));
                row.secret = Some(master_key.seal(&sealed_for("secret", &id), &new)?);
                row.updated_at = now;
                diesel::update(table::table.find(&id))
                    .set((
                        table::secret.eq(&row.secret),
                        table::previous_secret.eq(&row.previous_secret),
                        table::previous_until.eq(row.previous_until),
                        table::updated_at.eq(now),
                    ))
                    .execute(conn)?;
                let details = Details::none().with("grace_seconds", grace);
                tell(conn, &actor, now, &row, "alert_destination.rotate_secret", details)?;
                Ok(row)
            })
            .await?;
        Ok(WithSecret { secret: Some(secret), model })
    }
}

/// What a webhook is signed with at an instant: its secret, and the one before while that still counts.
pub(crate) fn secrets(
    master_key: &MasterKey,
    row: &DestinationModel,
    now: UnixTime,
) -> Result<Vec<SecretString>> {
    let previous = row.previous_secret.as_ref().filter(|_| row.previous_until.is_some_and(|end| now < end));
    let sealed = [("secret", row.secret.as_ref()), ("previous_secret", previous)];
    let present = sealed.into_iter().filter_map(|(column, sealed)| Some((column, sealed?)));
    let open = |(column, sealed): (&str, &String)| master_key.open(&sealed_for(column, &row.id), sealed);
    Ok(present.map(open).collect::<Result<_, _>>()?)
}

/// The ids of the destinations of an organization, or of the reseller.
fn of(conn: &mut DbConnection, owner: Option<&OrganizationId>) -> Result<Vec<String>> {
    let ids = table::table.filter(table::removed_at.is_null()).select(table::id).into_boxed();
    let ids = match owner {
        Some(owner) => ids.filter(table::client_org_id.eq(owner)),
        None => ids.filter(table::client_org_id.is_null()),
    };
    Ok(ids.load(conn)?)
}

/// A destination that was not removed, of an owner or of anybody.
pub(crate) fn find(
    conn: &mut DbConnection,
    owner: Option<&OrganizationId>,
    id: &str,
) -> Result<DestinationModel> {
    let row: Option<DestinationModel> = table::table
        .find(id)
        .filter(table::removed_at.is_null())
        .select(DestinationModel::as_select())
        .first(conn)
        .optional()?;
    of_owner(row, owner)
}

/// As [`find`], and nobody else changes it until the transaction ends. Else of two changes at once the later would
/// write what the earlier has replaced.
pub(crate) fn find_to_change(
    conn: &mut DbConnection,
    owner: Option<&OrganizationId>,
    id: &str,
) -> Result<DestinationModel> {
    let row = table::table.find(id).filter(table::removed_at.is_null());
    let found: Vec<DestinationModel> = load_for_update!(conn, row.select(DestinationModel::as_select()))?;
    of_owner(found.into_iter().next(), owner)
}

fn of_owner(row: Option<DestinationModel>, owner: Option<&OrganizationId>) -> Result<DestinationModel> {
    row.filter(|row| owner.is_none() || row.client_org_id.as_ref() == owner).ok_or(Error::UnknownDestination)
}

/// Notes that a receiver is gone, and sends nothing there any more; unless the destination leads elsewhere since
/// something was sent to `target`, for then nobody knows of the new receiver.
pub(crate) fn gone(conn: &mut DbConnection, id: &str, target: &str, now: UnixTime) -> Result<()> {
    let row = match find_to_change(conn, None, id) {
        // Somebody was faster.
        Err(Error::UnknownDestination) => return Ok(()),
        found => found?,
    };
    if row.target != target {
        return Ok(());
    }
    diesel::update(table::table.find(id))
        .set((table::is_active.eq(false), table::gone_at.eq(Some(now)), table::updated_at.eq(now)))
        .execute(conn)?;
    tell(conn, &Actor::system(), now, &row, "alert_destination.gone", Details::none())
}

/// Counts a replay at a destination, which the caller has [locked](find_to_change); refused where there were too many
/// within an hour.
pub(crate) fn count_replay(conn: &mut DbConnection, id: &str, now: UnixTime) -> Result<()> {
    let (from, replays): (Option<UnixTime>, i32) =
        table::table.find(id).select((table::replays_from, table::replays)).first(conn)?;
    let hour = from.filter(|from| now < from.plus_seconds(3_600));
    let (from, replays) = hour.map_or((now, 0), |from| (from, replays));
    if replays >= REPLAYS_AN_HOUR {
        return Err(Error::WrongState("there were 30 replays within an hour; try again later"));
    }
    diesel::update(table::table.find(id))
        .set((table::replays_from.eq(Some(from)), table::replays.eq(replays.saturating_add(1))))
        .execute(conn)?;
    Ok(())
}

/// Writes what a change may be about, and nothing else.
fn store(conn: &mut DbConnection, row: &DestinationModel) -> Result<()> {
    diesel::update(table::table.find(&row.id))
        .set((
            table::target.eq(&row.target),
            table::name.eq(&row.name),
            table::language.eq(row.language),
            table::wants_limits.eq(row.wants_limits),
            table::wants_anomalies.eq(row.wants_anomalies),
            table::is_active.eq(row.is_active),
            table::gone_at.eq(row.gone_at),
            table::updated_at.eq(row.updated_at),
        ))
        .execute(conn)?;
    Ok(())
}

pub(crate) fn tell(
    conn: &mut DbConnection,
    actor: &Actor,
    now: UnixTime,
    row: &DestinationModel,
    action: &str,
    details: Details,
) -> Result<()> {
    append(conn, actor, now, &NewEntry::done(row.client_org_id.as_ref(), action, &row.id).with(details))?;
    Ok(())
}
