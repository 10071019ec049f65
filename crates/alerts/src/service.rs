//! [`AlertTable`]: raising alerts, once each, and listing them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use diesel::prelude::*;
use mai_audit_log::{Actor, Details};
use mai_client_organization::{members::member, query::organization};
use mai_primitives::{Clock, OrganizationId, UnixTime, UserId};
use mai_storage::{BATCH_ROWS, DbConnection, Storage, on_backend};
use uuid::Uuid;

use crate::{
    alert::{AlertKey, AlertKind, AlertModel, Measure, NewAlert, Scope},
    deliveries,
    delivery::DeliveryModel,
    destination::DestinationModel,
    destinations::{find, tell},
    error::{Error, Result},
    schema::{alert_destinations, alerts},
};

/// How many tests may be about one organization in an hour, so that they are no way to flood anybody.
const TESTS_AN_HOUR: i64 = 30;

/// Which alerts.
#[derive(Debug, Clone, Default)]
pub struct AlertQuery {
    /// Only those about this organization.
    pub organization: Option<OrganizationId>,
    /// Only those of this kind.
    pub kind: Option<AlertKind>,
    /// Only those before this one, by when they were raised and by id.
    pub before: Option<(UnixTime, String)>,
    /// How many at most.
    pub limit: i64,
}

/// Raises and lists alerts.
#[derive(Clone)]
pub struct AlertTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
}

impl AlertTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock }
    }

    /// Alerts, the newest first.
    pub async fn list(&self, query: AlertQuery) -> Result<Vec<AlertModel>> {
        self.storage.read(move |conn| list(conn, &query)).await
    }

    /// Alerts by their organizations and ids: what deliveries are about.
    pub async fn find(&self, wanted: Vec<(OrganizationId, String)>) -> Result<Vec<AlertModel>> {
        let (organizations, ids): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        self.storage
            .read(move |conn| {
                let rows = alerts::table
                    .filter(alerts::client_org_id.eq_any(organizations))
                    .filter(alerts::id.eq_any(ids))
                    .select(AlertModel::as_select());
                Ok(rows.load(conn)?)
            })
            .await
    }

    /// Raises what was not raised before, and returns how many alerts that are. Nothing is written where all
    /// is known, so that it costs little to ask again and again. What is about an organization that is gone
    /// is left out.
    pub async fn raise(&self, noticed: Vec<NewAlert>) -> Result<usize> {
        let (unknown, now) = (self.unknown(noticed).await?, UnixTime::from(self.clock.now()));
        let mut raised = 0;
        for (_, alerts) in unknown {
            // One organization in a transaction, so that a cluster can keep its rows together.
            let of_one = move |conn: &mut DbConnection| {
                let mut raised = 0;
                for alert in &alerts {
                    match raise(conn, alert, now) {
                        Ok(row) => raised += usize::from(row.is_some()),
                        Err(Error::UnknownOrganization) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(raised)
            };
            raised += self.storage.write(of_one).await?;
        }
        Ok(raised)
    }

    /// What of it was not raised yet, by organization.
    async fn unknown(&self, noticed: Vec<NewAlert>) -> Result<BTreeMap<OrganizationId, Vec<NewAlert>>> {
        let mut by_organization: BTreeMap<OrganizationId, Vec<NewAlert>> = BTreeMap::new();
        for alert in noticed {
            by_organization.entry(alert.client_org_id.clone()).or_default().push(alert);
        }
        if by_organization.is_empty() {
            return Ok(by_organization);
        }
        self.storage
            .read(move |conn| {
                let known = known(conn, &by_organization)?;
                let mut unknown = by_organization.clone();
                unknown.retain(|organization, alerts| {
                    alerts.retain(|alert| !known.contains(&(organization.clone(), alert.key())));
                    !alerts.is_empty()
                });
                Ok::<_, Error>(unknown)
            })
            .await
    }

    /// Makes an alert about nothing, for one destination only, with its delivery in the caller's hands. The audit log
    /// tells who has asked for it.
    pub(crate) async fn test(
        &self,
        owner: Option<OrganizationId>,
        destination: &str,
        organization: &OrganizationId,
        actor: Actor,
    ) -> Result<DeliveryModel> {
        let (now, id) = (UnixTime::from(self.clock.now()), destination.to_owned());
        let alert = NewAlert {
            client_org_id: organization.clone(),
            kind: AlertKind::Test,
            scope: Scope::Organization,
            // Whatever is unique: a destination may be tried as often as somebody likes.
            subject: Uuid::new_v4().to_string(),
            period: String::new(),
            threshold: 0,
            measure: Measure::Spend,
            value: 0,
            bound: 0,
            typical: None,
        };
        self.storage
            .write(move |conn| {
                let destination = find(conn, owner.as_ref(), &id)?;
                if destination.client_org_id.as_ref().is_some_and(|own| *own != alert.client_org_id) {
                    return Err(Error::invalid(
                        "client_org_id",
                        "must be the destination's own organization",
                    ));
                }
                if !destination.is_active {
                    return Err(Error::WrongState("the destination is inactive"));
                }
                let tests = alerts::table
                    .filter(alerts::client_org_id.eq(&alert.client_org_id))
                    .filter(alerts::kind.eq(AlertKind::Test))
                    .filter(alerts::created_at.gt(now.plus_seconds(-3_600)));
                if tests.count().get_result::<i64>(conn)? >= TESTS_AN_HOUR {
                    return Err(Error::WrongState("there were 30 tests within an hour; try again later"));
                }
                let row = insert(conn, &alert, now)?.ok_or(Error::Storage(mai_storage::Error::NotFound))?;
                let made = deliveries::make(conn, &row, std::slice::from_ref(&destination), now)?;
                let delivery = made.into_iter().next().ok_or(Error::Storage(mai_storage::Error::NotFound))?;
                let details = Details::none().with("client_org_id", alert.client_org_id.as_str());
                tell(conn, &actor, now, &destination, "alert_destination.test", details)?;
                deliveries::take(conn, delivery, now)
            })
            .await
    }
}

/// Which alerts of these organizations and periods were raised.
fn known(
    conn: &mut DbConnection,
    noticed: &BTreeMap<OrganizationId, Vec<NewAlert>>,
) -> Result<HashSet<(OrganizationId, AlertKey)>> {
    let organizations: Vec<&OrganizationId> = noticed.keys().collect();
    let periods: HashSet<&str> = noticed.values().flatten().map(|alert| alert.period.as_str()).collect();
    let periods: Vec<&str> = periods.into_iter().collect();
    let mut known = HashSet::new();
    for organizations in organizations.chunks(BATCH_ROWS) {
        for periods in periods.chunks(BATCH_ROWS) {
            let rows: Vec<(OrganizationId, AlertKind, Scope, String, String, Measure, i32)> = alerts::table
                .filter(alerts::client_org_id.eq_any(organizations.iter().copied()))
                .filter(alerts::period.eq_any(periods.iter().copied()))
                .select((
                    alerts::client_org_id,
                    alerts::kind,
                    alerts::scope,
                    alerts::subject,
                    alerts::period,
                    alerts::measure,
                    alerts::threshold,
                ))
                .load(conn)?;
            let keyed = rows.into_iter().map(|(org, kind, scope, subject, period, measure, threshold)| {
                (org, (kind, scope, subject, period, measure, threshold))
            });
            known.extend(keyed);
        }
    }
    Ok(known)
}

/// Raises an alert in the caller's transaction, together with its deliveries to the organization's
/// destinations and the reseller's. None where it was raised before, by whichever process: then nothing is
/// written.
pub fn raise(conn: &mut DbConnection, new: &NewAlert, now: UnixTime) -> Result<Option<AlertModel>> {
    let Some(row) = insert(conn, new, now)? else { return Ok(None) };
    let destinations = destinations_for(conn, &row)?;
    deliveries::make(conn, &row, &destinations, now)?;
    Ok(Some(row))
}

fn insert(conn: &mut DbConnection, new: &NewAlert, now: UnixTime) -> Result<Option<AlertModel>> {
    let organization = organization(conn, &new.client_org_id)?.ok_or(Error::UnknownOrganization)?;
    let member = match (new.scope, UserId::new(&new.subject)) {
        (Scope::Member, Ok(user)) => member(conn, &new.client_org_id, &user)?,
        _ => None,
    };
    let names = (organization.name, member.and_then(|member| member.name));
    let row = AlertModel::new(new, Uuid::new_v4().to_string(), names, now)?;
    // Whoever comes second waits here for whoever came first, and then finds the row.
    let inserted = on_backend!(conn, inner => diesel::insert_into(alerts::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok((inserted > 0).then_some(row))
}

fn destinations_for(conn: &mut DbConnection, alert: &AlertModel) -> Result<Vec<DestinationModel>> {
    let theirs = alert_destinations::client_org_id
        .eq(&alert.client_org_id)
        .or(alert_destinations::client_org_id.is_null());
    let rows: Vec<DestinationModel> = alert_destinations::table
        .filter(alert_destinations::is_active.eq(true))
        .filter(theirs)
        .order(alert_destinations::id)
        .select(DestinationModel::as_select())
        .load(conn)?;
    let wants = |row: &DestinationModel| match alert.kind {
        AlertKind::LimitReached => row.wants_limits,
        AlertKind::Anomaly => row.wants_anomalies,
        AlertKind::Test => false,
    };
    Ok(rows.into_iter().filter(wants).collect())
}

fn list(conn: &mut DbConnection, query: &AlertQuery) -> Result<Vec<AlertModel>> {
    let mut rows = alerts::table
        .order((alerts::created_at.desc(), alerts::id.desc()))
        .limit(query.limit)
        .select(AlertModel::as_select())
        .into_boxed();
    if let Some(organization) = &query.organization {
        rows = rows.filter(alerts::client_org_id.eq(organization));
    }
    if let Some(kind) = query.kind {
        rows = rows.filter(alerts::kind.eq(kind));
    }
    if let Some((at, id)) = &query.before {
        let same = alerts::created_at.eq(at).and(alerts::id.lt(id));
        rows = rows.filter(alerts::created_at.lt(at).or(same));
    }
    Ok(rows.load(conn)?)
}
