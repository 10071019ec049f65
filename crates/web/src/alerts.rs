//! Alerts in this process: their services, and the jobs that notice what is worth one.
//!
//! Nothing here is on the way of a request. What was missed while the database was away is noticed
//! afterwards, because what was raised is known from the database and not from memory.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use mai_alerts::{
    AlertKind, AlertTable, Channel, Deliverer, DeliveryTable, DestinationTable, NewAlert, Scope,
    thresholds_passed,
};
use mai_batch::{AnomalyModel, Measure, SubjectKind, anomalies::query::new_since};
use mai_billing::{BillingMonth, LimitState};
use mai_model_prices::ModelPrices;
use mai_organization::{
    MasterKey,
    client_organization::{LimitSubject, query::active_organizations, usage_limits::limited_organizations},
};
use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::Storage;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::settings::alerts::AlertSettings;

/// How often it is looked for what is worth an alert.
const EVERY: Duration = Duration::from_secs(15);

/// How far back anomalies are looked at, in seconds: seven days. It bounds what is read, and is longer than
/// any process is away between finding an anomaly and raising the alert.
const ANOMALIES_SINCE: i64 = 7 * 86_400;

/// The services of alerts. Clones share them.
#[derive(Clone)]
pub struct Alerts {
    /// Raising and listing alerts.
    pub raised: AlertTable,
    /// Where they go.
    pub destinations: DestinationTable,
    /// What became of them.
    pub deliveries: DeliveryTable,
    /// What sends them.
    pub deliverer: Deliverer,
}

impl Alerts {
    /// The services on a database.
    pub fn new(
        settings: &AlertSettings,
        storage: &Storage,
        master_key: &MasterKey,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self> {
        let (storage, master_key) = (storage.clone(), master_key.clone());
        let deliverer = Deliverer::new(
            storage.clone(),
            Arc::clone(clock),
            master_key.clone(),
            settings.reach,
            settings.mailer.clone(),
        );
        Ok(Self {
            raised: AlertTable::new(storage.clone(), Arc::clone(clock)),
            destinations: DestinationTable::new(
                storage.clone(),
                Arc::clone(clock),
                master_key,
                settings.reach,
            ),
            deliveries: DeliveryTable::new(storage, Arc::clone(clock)),
            deliverer: deliverer.context("webhooks cannot be sent")?,
        })
    }

    /// Delivers until `stop`. Where mail is wanted and no server is set up, a warning says so once.
    pub async fn deliver(self, stop: CancellationToken) {
        if !self.deliverer.has_mail() {
            match self.destinations.list(None).await {
                Ok(rows) if rows.iter().any(|row| row.channel == Channel::Email && row.is_active) => warn!(
                    "alerts are to go out by mail, and MAI_SMTP_URL is not set: they wait until it is, here or \
                     in another process"
                ),
                Ok(_) => {}
                Err(cause) => warn!(error = %cause, "it is not known whether alerts are to go out by mail"),
            }
        }
        self.deliverer.run(stop).await;
    }

    /// Raises what is worth an alert, until `stop`.
    pub async fn notice(
        self,
        storage: Storage,
        prices: ModelPrices,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        let (mut limits, mut anomalies) = (Told::default(), Told::default());
        let look = async {
            loop {
                limits.tell("limits", self.notice_limits(&storage, &prices, clock.now()).await);
                anomalies.tell("anomalies", self.notice_anomalies(&storage, clock.now().into()).await);
                tokio::time::sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(look).await;
    }

    /// Raises an alert for each part of a limit that is used up in the present month, and returns how many were new. A
    /// month that is over is left alone: limits are those of today, and one set on the first of a month says nothing of
    /// the month before.
    async fn notice_limits(
        &self,
        storage: &Storage,
        prices: &ModelPrices,
        now: DateTime<Utc>,
    ) -> Result<usize> {
        let prices = prices.current();
        let passed = storage.read(move |conn| {
            let mut months: BTreeMap<BillingMonth, Vec<OrganizationId>> = BTreeMap::new();
            let limited = limited_organizations(conn)?;
            if limited.is_empty() {
                return Ok(Vec::new());
            }
            for organization in active_organizations(conn)? {
                if limited.contains(&organization.id) {
                    let month = BillingMonth::of(organization.calendar()?.usage_date(now));
                    months.entry(month).or_default().push(organization.id);
                }
            }
            let mut passed = Vec::new();
            for (month, organizations) in months {
                let states = mai_billing::states(conn, &organizations, month, &prices)?;
                passed.extend(states.iter().flat_map(of_limit));
            }
            Ok::<_, mai_billing::Error>(passed)
        });
        Ok(self.raised.raise(passed.await?).await?)
    }

    /// Raises an alert for each anomaly that nobody has acknowledged, and returns how many were new.
    async fn notice_anomalies(&self, storage: &Storage, now: UnixTime) -> Result<usize> {
        let since = now.plus_seconds(-ANOMALIES_SINCE);
        let rows = storage.read(move |conn| new_since(conn, since)).await?;
        Ok(self.raised.raise(rows.into_iter().map(of_anomaly).collect()).await?)
    }
}

/// Whether it was told that looking fails, so that it is told once until it works again.
#[derive(Default)]
struct Told {
    is_failing: bool,
}

impl Told {
    fn tell(&mut self, what: &str, looked: Result<usize>) {
        match looked {
            Ok(raised) => {
                self.is_failing = false;
                if raised > 0 {
                    info!(raised, "alerts about {what} were raised");
                }
            }
            Err(cause) => {
                if !self.is_failing {
                    warn!(error = %cause, "alerts about {what} cannot be raised at the moment");
                }
                self.is_failing = true;
            }
        }
    }
}

/// An alert for each part of a limit that is used up. What is only reserved is not spent yet.
fn of_limit(state: &LimitState) -> impl Iterator<Item = NewAlert> {
    thresholds_passed(state.limit, state.spent).map(|threshold| {
        let (scope, subject) = match &state.subject {
            LimitSubject::Organization => (Scope::Organization, String::new()),
            LimitSubject::Member(user) => (Scope::Member, user.to_string()),
            LimitSubject::Model(model) => (Scope::Model, model.to_string()),
        };
        NewAlert {
            client_org_id: state.client_org_id.clone(),
            kind: AlertKind::LimitReached,
            scope,
            subject,
            period: state.month.to_string(),
            threshold,
            measure: mai_alerts::Measure::Spend,
            value: state.spent.nanos(),
            bound: state.limit.nanos(),
            typical: None,
        }
    })
}

/// The alert about an anomaly.
fn of_anomaly(row: AnomalyModel) -> NewAlert {
    NewAlert {
        client_org_id: row.client_org_id,
        kind: AlertKind::Anomaly,
        scope: match row.subject_kind {
            SubjectKind::Member => Scope::Member,
            SubjectKind::Model => Scope::Model,
        },
        subject: row.subject,
        period: row.usage_date.to_string(),
        threshold: 0,
        measure: match row.measure {
            Measure::Spend => mai_alerts::Measure::Spend,
            Measure::Requests => mai_alerts::Measure::Requests,
        },
        value: row.value,
        bound: row.threshold,
        typical: Some(row.median),
    }
}

#[cfg(test)]
mod tests {
    use mai_alerts::THRESHOLDS;
    use mai_billing::limits::WARNING_PERCENT;

    use super::*;

    fn state(spent: i64) -> LimitState {
        LimitState {
            client_org_id: OrganizationId::new("a").unwrap(),
            month: "2026-11".parse().unwrap(),
            subject: LimitSubject::Organization,
            limit: mai_primitives::Usd::from_nanos(1_000),
            spent: mai_primitives::Usd::from_nanos(spent),
            pending: mai_primitives::Usd::ZERO,
        }
    }

    /// Lists warn from where an alert is raised on, and call a limit reached when the last one is.
    #[test]
    fn lists_warn_where_alerts_are_raised() {
        assert!(THRESHOLDS.map(i64::from).contains(&WARNING_PERCENT));
        assert_eq!(THRESHOLDS.last(), Some(&100));
        for spent in [0, 499, 500, 799, 800, 999, 1_000, 2_000] {
            let (state, warning) = (state(spent), i32::try_from(WARNING_PERCENT).unwrap());
            let told: Vec<_> = of_limit(&state).map(|alert| alert.threshold).collect();
            assert_eq!(told.contains(&warning), state.percent() >= WARNING_PERCENT, "{spent}");
            let is_reached = state.standing() == mai_billing::LimitStanding::Reached;
            assert_eq!(told.contains(&100), is_reached, "{spent}");
        }
    }
}
