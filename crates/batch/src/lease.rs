//! The lease: one process at a time does the daily run.
//!
//! A lease is one row. Who takes it makes the token greater, and every write of a run checks in its own
//! transaction that the token is still the one it began with, and locks the row against being taken until
//! it ends. So a process that was thought dead and is not can write nothing after another took over.

use diesel::prelude::*;
use mai_primitives::UnixTime;
use mai_storage::{DbConnection, Storage, load_for_key_share, load_unlocked_for_update};

use crate::{
    error::{Error, Result},
    schema::batch_lease as lease,
};

const ROW: i32 = 1;

/// The lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = lease)]
pub struct LeaseModel {
    /// The process that has it.
    pub holder: Option<String>,
    /// Grows with each holder.
    pub token: i64,
    /// Until when it lasts unless renewed.
    pub expires_at: UnixTime,
}

impl LeaseModel {
    /// Who has it at a moment.
    pub fn holder_at(&self, now: UnixTime) -> Option<&str> {
        self.holder.as_deref().filter(|_| self.expires_at > now)
    }
}

/// The lease as it is now.
pub fn read(conn: &mut DbConnection) -> Result<LeaseModel> {
    let row = lease::table.find(ROW).select(LeaseModel::as_select()).first(conn);
    Ok(row.map_err(mai_storage::Error::from)?)
}

/// Takes the lease, where nobody has it or its time is over, and returns the token. None where somebody has
/// it, or is writing under it at this moment.
pub(crate) fn take(
    conn: &mut DbConnection,
    holder: &str,
    now: UnixTime,
    seconds: i64,
) -> Result<Option<i64>> {
    let rows = lease::table.find(ROW).select((lease::holder, lease::token, lease::expires_at));
    let rows: Vec<(Option<String>, i64, UnixTime)> =
        load_unlocked_for_update!(conn, rows).map_err(mai_storage::Error::from)?;
    let Some((former, token, expires_at)) = rows.into_iter().next() else { return Ok(None) };
    let current = LeaseModel { holder: former, token, expires_at };
    if current.holder_at(now).is_some() {
        return Ok(None);
    }
    let token = token.checked_add(1).ok_or(Error::OutOfRange("the token of the lease"))?;
    diesel::update(lease::table.find(ROW))
        .set((
            lease::holder.eq(Some(holder)),
            lease::token.eq(token),
            lease::expires_at.eq(now.plus_seconds(seconds)),
        ))
        .execute(conn)
        .map_err(mai_storage::Error::from)?;
    Ok(Some(token))
}

/// A lease that was taken.
#[derive(Clone)]
pub struct Lease {
    storage: Storage,
    token: i64,
}

impl Lease {
    pub(crate) const fn new(storage: Storage, token: i64) -> Self {
        Self { storage, token }
    }

    /// The token under which it was taken.
    pub const fn token(&self) -> i64 {
        self.token
    }

    /// One write transaction that only commits if nobody has taken over. Nobody can, until it ends.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut DbConnection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let token = self.token;
        let guarded = move |conn: &mut DbConnection| {
            require(conn, token)?;
            work(conn)
        };
        self.storage.write(guarded).await
    }

    /// Keeps it for longer, and does some more work in the same transaction. Transactions that write under
    /// the lease meanwhile do not keep it from being renewed.
    pub(crate) async fn renew(
        &self,
        until: UnixTime,
        mut work: impl FnMut(&mut DbConnection) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let token = self.token;
        let renewed = move |conn: &mut DbConnection| {
            let mine = lease::table.filter(lease::id.eq(ROW)).filter(lease::token.eq(token));
            let renewed = diesel::update(mine).set(lease::expires_at.eq(until)).execute(conn);
            if renewed.map_err(mai_storage::Error::from)? == 0 {
                return Err(Error::LeaseLost);
            }
            work(conn)
        };
        self.storage.write(renewed).await
    }

    /// Gives it back, unless somebody has taken over.
    pub(crate) async fn release(&self) -> Result<()> {
        let token = self.token;
        let released = move |conn: &mut DbConnection| {
            let mine = lease::table.filter(lease::id.eq(ROW)).filter(lease::token.eq(token));
            let free = (lease::holder.eq(None::<String>), lease::expires_at.eq(UnixTime::from_seconds(0)));
            diesel::update(mine).set(free).execute(conn).map_err(mai_storage::Error::from)?;
            Ok::<_, Error>(())
        };
        self.storage.write(released).await
    }
}

/// [`Error::LeaseLost`] where somebody has taken over; else nobody can until the transaction ends.
fn require(conn: &mut DbConnection, token: i64) -> Result<()> {
    let row = lease::table.find(ROW).select(lease::token);
    let current: Vec<i64> = load_for_key_share!(conn, row).map_err(mai_storage::Error::from)?;
    if current == [token] { Ok(()) } else { Err(Error::LeaseLost) }
}
