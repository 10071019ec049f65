//! [`AnomalyTable`]: listing anomalies, and saying that one knows of them.

use std::sync::Arc;

use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_primitives::{Clock, OrganizationId, UnixTime, UsageDate};
use mai_storage::Storage;

use super::{AnomalyKey, AnomalyModel, query};
use crate::error::Result;

/// Anomalies of organizations.
#[derive(Clone)]
pub struct AnomalyTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

impl AnomalyTable {
    /// A service on a database.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, actor: Actor::system() }
    }

    /// The same service in the name of `actor`, whom the audit log will tell.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// The anomalies of an organization on the days from `from` to `to`, both included, the newest day
    /// first.
    pub async fn list(
        &self,
        org: &OrganizationId,
        from: UsageDate,
        to: UsageDate,
    ) -> Result<Vec<AnomalyModel>> {
        let org = org.clone();
        self.storage.read(move |conn| query::list(conn, &org, from, to)).await
    }

    /// The same of all organizations, those of a day by organization.
    pub async fn list_of_all(&self, from: UsageDate, to: UsageDate) -> Result<Vec<AnomalyModel>> {
        self.storage.read(move |conn| query::list_of_all(conn, from, to)).await
    }

    /// Notes that the actor knows of an anomaly, with a word about it. Who did so first stays.
    pub async fn acknowledge(
        &self,
        org: &OrganizationId,
        key: AnomalyKey,
        note: Option<String>,
    ) -> Result<AnomalyModel> {
        let (org, actor, now) = (org.clone(), self.actor.clone(), UnixTime::from(self.clock.now()));
        self.storage
            .write(move |conn| {
                let by = format!("{} {}", actor.kind(), actor.id());
                let (anomaly, is_new) =
                    query::acknowledge(conn, &org, &key, (by.trim(), note.as_deref()), now)?;
                if is_new {
                    let details = Details::none()
                        .with("usage_date", key.usage_date.to_string())
                        .with("subject_kind", key.subject_kind.as_str())
                        .with("measure", key.measure.as_str())
                        .with_some("note", note.as_deref());
                    let entry = NewEntry::done(Some(&org), "anomaly.acknowledge", &key.subject);
                    append(conn, &actor, now, &entry.with(details))?;
                }
                Ok(anomaly)
            })
            .await
    }
}
