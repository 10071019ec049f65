//! The database for those who write queries of their own.

use mai_storage::{DbConnection, Storage, TransactionError};

/// Runs `work` on a connection, in a transaction that is committed when `work` succeeds and rolled
/// back when it fails: the scoped session of the original. `work` runs again when another writer
/// collides with it. Reading alone is better done by [`Storage::read`].
pub async fn get_db<T, E>(
    storage: &Storage,
    work: impl FnMut(&mut DbConnection) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: TransactionError + Send + 'static,
{
    storage.write(work).await
}
