//! The gateway's view of organizations and keys, held in memory and kept fresh.
//!
//! A request is answered from a snapshot, never from the database. While the database is away the
//! last snapshot stays in use.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use mai_client_organization::{Directory, Error, MasterKey, revision};
use mai_storage::Storage;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How often the revision of the directory is compared.
const REFRESH_EVERY: Duration = Duration::from_millis(500);

/// The current snapshot. Clones share it.
#[derive(Clone)]
pub struct SharedDirectory(Arc<Shared>);

struct Shared {
    current: ArcSwap<Directory>,
    /// When it was last seen to be what the database has.
    confirmed: ArcSwapOption<Instant>,
    /// One refresh at a time, so that what was read earlier never replaces what was read later.
    turn: Mutex<()>,
}

impl SharedDirectory {
    /// A directory that begins with `first`.
    pub fn new(first: Directory) -> Self {
        let (current, confirmed) = (ArcSwap::from_pointee(first), ArcSwapOption::empty());
        Self(Arc::new(Shared { current, confirmed, turn: Mutex::default() }))
    }

    /// The snapshot of this moment. Holding it longer is fine; it only grows old.
    pub fn current(&self) -> Arc<Directory> {
        self.0.current.load_full()
    }

    /// How long ago it was last seen to be what the database has; none while it was never compared.
    pub fn age(&self) -> Option<Duration> {
        self.0.confirmed.load().as_ref().map(|confirmed| confirmed.elapsed())
    }

    /// Replaces the snapshot by one that was just loaded, whatever its revision: the number says nothing
    /// when the database is another one than before.
    pub fn replace(&self, loaded: Directory) {
        self.0.current.store(Arc::new(loaded));
        self.confirm();
    }

    fn confirm(&self) {
        self.0.confirmed.store(Some(Arc::new(Instant::now())));
    }

    /// Replaces the snapshot whenever something was changed, until `stop`.
    pub async fn keep_fresh(self, storage: Storage, master_key: MasterKey, stop: CancellationToken) {
        let mut failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH_EVERY)).await.is_some() {
            let refreshed = self.refresh(&storage, &master_key).await;
            match &refreshed {
                Err(cause) if !failing => {
                    error!(error = %cause, "organizations and keys cannot be read; the last known ones stay in use");
                }
                Ok(()) if failing => info!("organizations and keys can be read again"),
                _ => {}
            }
            failing = refreshed.is_err();
        }
    }

    /// Loads the directory again if something was changed since the last time.
    pub async fn refresh(&self, storage: &Storage, master_key: &MasterKey) -> Result<(), Error> {
        let _turn = self.0.turn.lock().await;
        let known = self.current().revision;
        let master_key = master_key.clone();
        let newer = storage
            .read(move |conn| {
                if revision(conn)? == known { Ok(None) } else { Directory::load(conn, &master_key).map(Some) }
            })
            .await?;
        match newer {
            Some(newer) => self.replace(newer),
            None => self.confirm(),
        }
        Ok(())
    }
}
