//! Every secret that the database holds, and sealing them anew when the master key changes.
//!
//! A column that holds something sealed has its line in [`visit`]. Its secrets must be sealed for the
//! place `table/column/id`, with every column of the id.

use diesel::prelude::*;
use mai_audit_log::{Actor, Details, NewEntry, append};
use mai_global_settings::{MasterKey, SecretError, bump_revision, schema::global_settings};
use mai_primitives::UnixTime;
use mai_storage::{DbConnection, TransactionError};
use thiserror::Error;

use self::above::alert_destinations;
use crate::schema::{client_organizations, gateway_keys, sessions};

/// What has to be known here of tables that belong to crates above this one.
mod above {
    diesel::table! {
        /// Of `mai-alerts`.
        alert_destinations (id) {
            id -> Text,
            secret -> Nullable<Text>,
            previous_secret -> Nullable<Text>,
        }
    }
}

/// Why nothing was sealed anew.
#[derive(Debug, Error)]
pub enum ResealError {
    /// The database refused.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// A secret cannot be opened or sealed.
    #[error("{place}: {cause}")]
    Secret {
        /// Table, column and id.
        place: String,
        /// What is wrong.
        cause: SecretError,
    },
}

impl TransactionError for ResealError {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            Self::Secret { .. } => None,
        }
    }
}

impl From<diesel::result::Error> for ResealError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// What is done with a sealed secret at a place; what it returns takes the secret's place.
type Visit<'a> = &'a mut dyn FnMut(&str, &str) -> Result<Option<String>, ResealError>;

/// Visits the secrets of one column.
macro_rules! column {
    (@text $id:ident) => { String };
    ($conn:ident, $visit:ident, $table:ident . $column:ident by $($id:ident),+) => {
        let rows = $table::table
            .filter($table::$column.is_not_null())
            .select(($($table::$id,)+ $table::$column.assume_not_null()))
            .load::<($(column!(@text $id),)+ String)>($conn)?;
        for ($($id,)+ sealed) in rows {
            let place = [stringify!($table), stringify!($column), $($id.as_str()),+].join("/");
            if let Some(new) = $visit(&place, &sealed)? {
                diesel::update($table::table)
                    $(.filter($table::$id.eq(&$id)))+
                    .set($table::$column.eq(&new))
                    .execute($conn)?;
            }
        }
    };
}

/// Visits every secret.
fn visit(conn: &mut DbConnection, visit: Visit<'_>) -> Result<(), ResealError> {
    column!(conn, visit, global_settings.openrouter_provisioning_key by id);
    column!(conn, visit, client_organizations.openrouter_api_key by id);
    column!(conn, visit, client_organizations.webhook_secret by id);
    column!(conn, visit, gateway_keys.identity_secret by client_org_id, id);
    column!(conn, visit, sessions.sealed_token by id);
    column!(conn, visit, alert_destinations.secret by id);
    column!(conn, visit, alert_destinations.previous_secret by id);
    Ok(())
}

/// What a look at all secrets has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedSecretsCount {
    /// How many there are.
    pub all: usize,
    /// How many the present master key has not sealed.
    pub former: usize,
}

/// Opens every secret and changes nothing. The first that cannot be opened is an error.
pub fn check(conn: &mut DbConnection, master_key: &MasterKey) -> Result<SealedSecretsCount, ResealError> {
    let mut count = SealedSecretsCount::default();
    visit(conn, &mut |place, sealed| {
        let opened = master_key.open(place, sealed);
        opened.map_err(|cause| ResealError::Secret { place: place.to_owned(), cause })?;
        count.all += 1;
        count.former += usize::from(!master_key.is_present(sealed));
        Ok(None)
    })?;
    Ok(count)
}

/// Seals with the present master key what former ones have sealed, and returns how many secrets that
/// were. To be run in one transaction; an error leaves everything as it was.
pub fn reseal(
    conn: &mut DbConnection,
    master_key: &MasterKey,
    actor: &Actor,
    now: UnixTime,
) -> Result<usize, ResealError> {
    bump_revision(conn)?;
    let mut resealed: usize = 0;
    visit(conn, &mut |place, sealed| {
        if master_key.is_present(sealed) {
            return Ok(None);
        }
        let opened = master_key.open(place, sealed);
        let new = opened.and_then(|secret| master_key.seal(place, &secret));
        resealed += 1;
        new.map(Some).map_err(|cause| ResealError::Secret { place: place.to_owned(), cause })
    })?;
    let details = Details::none().with("secrets", resealed);
    let id = master_key.id();
    append(conn, actor, now, &NewEntry::done(None, "master_key.rotate", &id).with(details))?;
    Ok(resealed)
}
