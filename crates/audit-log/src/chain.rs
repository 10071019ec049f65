//! Writing and walking the chain.

use diesel::prelude::*;
use mai_primitives::UnixTime;
use mai_storage::{DbConnection, Result as StorageResult};
use thiserror::Error;

use crate::{
    actor::Actor,
    entry::{AuditEntryModel, NewEntry},
    schema::{audit_head, audit_log},
};

/// How many entries are read at once.
const PAGE: i64 = 1_000;

/// Writes an entry at the end of the chain, in the caller's transaction.
///
/// From here to the commit the end of the chain is locked, so this should be the last thing that a
/// transaction does, and after [`bump_revision`] where it calls that, so that writers lock in one order.
///
/// [`bump_revision`]: https://docs.rs/mai-global-settings
pub fn append(
    conn: &mut DbConnection,
    actor: &Actor,
    now: UnixTime,
    entry: &NewEntry<'_>,
) -> StorageResult<i64> {
    // The update locks the head, so that what is read behind it stays true until the commit.
    diesel::update(audit_head::table).set(audit_head::seq.eq(audit_head::seq + 1)).execute(conn)?;
    let (seq, previous) =
        audit_head::table.select((audit_head::seq, audit_head::hash)).first::<(i64, String)>(conn)?;
    let row = entry.row(actor, now, seq, &previous);
    diesel::insert_into(audit_log::table).values(&row).execute(conn)?;
    diesel::update(audit_head::table).set(audit_head::hash.eq(&row.hash)).execute(conn)?;
    Ok(seq)
}

/// What a walk of an unbroken chain has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries there are.
    pub entries: i64,
    /// The hash of the last one; empty where there is none. Kept elsewhere, it shows later whether the
    /// log still begins with the same entries.
    pub head: String,
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Broken {
    /// An entry is missing, or one was put in.
    #[error("entry {expected} of the audit log is missing; {found} comes in its place")]
    Gap {
        /// Which should come.
        expected: i64,
        /// Which came.
        found: i64,
    },
    /// An entry does not fit its hash, or its hash does not fit the entry before it.
    #[error("entry {0} of the audit log was changed")]
    Changed(i64),
    /// The end of the log is not where the head says.
    #[error("the audit log ends with entry {found}, but its head says {expected}")]
    End {
        /// The last entry by the head.
        expected: i64,
        /// The last entry that is there.
        found: i64,
    },
}

/// A walk along the chain, entry by entry, wherever they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walk {
    seq: i64,
    hash: String,
}

impl Walk {
    /// Goes on to the next entry, which must follow the one before.
    pub fn step(&mut self, entry: &AuditEntryModel) -> Result<(), Broken> {
        let expected = self.seq.saturating_add(1);
        if entry.seq != expected {
            return Err(Broken::Gap { expected, found: entry.seq });
        }
        if entry.hash != entry.hash_behind(&self.hash) {
            return Err(Broken::Changed(entry.seq));
        }
        (self.seq, self.hash) = (entry.seq, entry.hash.clone());
        Ok(())
    }

    /// What was seen so far.
    pub fn seen(self) -> Verified {
        Verified { entries: self.seq, head: self.hash }
    }
}

/// At most `limit` entries behind a place in the chain, in its order.
pub fn entries_after(conn: &mut DbConnection, seq: i64, limit: i64) -> StorageResult<Vec<AuditEntryModel>> {
    let rows = audit_log::table
        .filter(audit_log::seq.gt(seq))
        .order(audit_log::seq)
        .limit(limit)
        .select(AuditEntryModel::as_select());
    Ok(rows.load(conn)?)
}

/// Walks the whole chain, in pages; the outer error is the database's. To be run in one transaction, so
/// that entries which come meanwhile do not matter.
pub fn verify(conn: &mut DbConnection) -> StorageResult<Result<Verified, Broken>> {
    let mut walk = Walk::default();
    loop {
        let rows = entries_after(conn, walk.seq, PAGE)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if let Err(broken) = walk.step(&row) {
                return Ok(Err(broken));
            }
        }
    }
    let (expected, head) =
        audit_head::table.select((audit_head::seq, audit_head::hash)).first::<(i64, String)>(conn)?;
    let seen = walk.seen();
    if (expected, &head) != (seen.entries, &seen.head) {
        return Ok(Err(Broken::End { expected, found: seen.entries }));
    }
    Ok(Ok(seen))
}
