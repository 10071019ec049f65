//! [`AuditLogTable`]: the log as a service.

use std::sync::Arc;

use diesel::prelude::*;
use mai_primitives::{Clock, OrganizationId, UnixTime};
use mai_storage::{DbConnection, Result, Storage};

use crate::{
    actor::Actor,
    chain::{self, Broken, Verified},
    entry::{AuditEntryModel, NewEntry},
    schema::audit_log,
};

/// Which entries to list, the newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only those about this organization.
    pub organization: Option<OrganizationId>,
    /// Only those of this action, or of every action that begins with it and a point.
    pub action: Option<String>,
    /// Only those by actors whose id is this.
    pub actor: Option<String>,
    /// Only those before this place in the chain.
    pub before: Option<i64>,
    /// Only those from this instant on.
    pub from: Option<UnixTime>,
    /// Only those before this instant.
    pub to: Option<UnixTime>,
    /// At most this many.
    pub limit: i64,
}

/// Writes, lists and checks the audit log.
#[derive(Clone)]
pub struct AuditLogTable {
    storage: Storage,
    clock: Arc<dyn Clock>,
}

impl AuditLogTable {
    /// A service on `storage`.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock }
    }

    /// Writes an entry in a transaction of its own: about what was refused, or changed elsewhere.
    pub async fn record(
        &self,
        actor: &Actor,
        organization: Option<&OrganizationId>,
        action: &str,
        target: &str,
        result: &str,
    ) -> Result<()> {
        let (actor, organization, now) = (actor.clone(), organization.cloned(), self.clock.now().into());
        let [action, target, result] = [action, target, result].map(str::to_owned);
        self.storage
            .write(move |conn| {
                let entry = NewEntry::done(organization.as_ref(), &action, &target);
                chain::append(conn, &actor, now, &NewEntry { result: &result, ..entry }).map(drop)
            })
            .await
    }

    /// The entries that a query names, the newest first.
    pub async fn list(&self, query: AuditQuery) -> Result<Vec<AuditEntryModel>> {
        self.storage.read(move |conn| list(conn, &query)).await
    }

    /// At most `limit` entries behind a place in the chain, in its order.
    pub async fn entries_after(&self, seq: i64, limit: i64) -> Result<Vec<AuditEntryModel>> {
        self.storage.read(move |conn| chain::entries_after(conn, seq, limit)).await
    }

    /// Walks the whole chain; the outer error is the database's.
    pub async fn verify(&self) -> Result<Result<Verified, Broken>> {
        self.storage.read(chain::verify).await
    }
}

/// The entries that a query names, the newest first.
pub fn list(conn: &mut DbConnection, query: &AuditQuery) -> Result<Vec<AuditEntryModel>> {
    let mut entries = audit_log::table
        .order(audit_log::seq.desc())
        .limit(query.limit)
        .select(AuditEntryModel::as_select())
        .into_boxed();
    if let Some(organization) = &query.organization {
        entries = entries.filter(audit_log::client_org_id.eq(organization));
    }
    if let Some(action) = &query.action {
        // The slash is the character behind the point. LIKE would ignore case on one of the databases.
        let (from, to) = (format!("{action}."), format!("{action}/"));
        let below = audit_log::action.ge(from).and(audit_log::action.lt(to));
        entries = entries.filter(audit_log::action.eq(action).or(below));
    }
    if let Some(actor) = &query.actor {
        entries = entries.filter(audit_log::actor_id.eq(actor));
    }
    if let Some(before) = query.before {
        entries = entries.filter(audit_log::seq.lt(before));
    }
    if let Some(from) = query.from {
        entries = entries.filter(audit_log::created_at.ge(from));
    }
    if let Some(to) = query.to {
        entries = entries.filter(audit_log::created_at.lt(to));
    }
    entries.load(conn).map_err(Into::into)
}
