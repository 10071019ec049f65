//! Space that is kept on the disk: when the disk is full, it is given up, so that accepted work can finish.
//!
//! While it is missing the journal takes no new work, and tries about once a second to make it again.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use crate::{JournalError, files, shared::Shared};

const NAME: &str = "reserve";
const UNFINISHED_NAME: &str = "reserve.new";
const CHUNK_BYTES: usize = 64 * 1024;
const PAUSE: Duration = Duration::from_secs(1);

/// The reserve of an open journal, or why there is none.
pub(crate) struct Reserve {
    missing: Option<Missing>,
}

struct Missing {
    cause: Arc<io::Error>,
    retry_at: Instant,
}

impl Reserve {
    /// Makes the reserve. It is no error if the disk has no room for it.
    pub(crate) fn open(shared: &Shared) -> Result<Self, JournalError> {
        let mut reserve = Self { missing: None };
        match make(&shared.settings.dir, shared.settings.reserve_bytes()) {
            Ok(()) => {}
            Err(JournalError::NoSpace(cause)) => reserve.is_missing(shared, cause),
            Err(error) => return Err(error),
        }
        Ok(reserve)
    }

    /// Why there is no reserve, while there is none.
    pub(crate) fn missing(&self) -> Option<&Arc<io::Error>> {
        self.missing.as_ref().map(|missing| &missing.cause)
    }

    /// When to try to make it again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.missing.as_ref().map(|missing| missing.retry_at)
    }

    /// Gives the space back to the disk, which was too full for a write. Returns whether there was any.
    pub(crate) fn release(&mut self, shared: &Shared, cause: &Arc<io::Error>) -> bool {
        if self.missing.is_some() {
            return false;
        }
        self.is_missing(shared, Arc::clone(cause));
        // Some file systems can use the space only after the removal is committed, which the sync does.
        let path = shared.settings.dir.join(NAME);
        if let Err(error) = fs::remove_file(path).and_then(|()| files::sync_dir(&shared.settings.dir)) {
            tracing::warn!(error = %error, "cannot give up the journal's reserve");
        }
        true
    }

    /// Tries to make it again.
    pub(crate) fn remake(&mut self, shared: &Shared) {
        let Some(missing) = &mut self.missing else { return };
        match make(&shared.settings.dir, shared.settings.reserve_bytes()) {
            Ok(()) => {
                self.missing = None;
                shared.no_space.store(false, Ordering::Release);
                tracing::info!("the journal's disk has room again; new work is taken");
            }
            Err(error) => {
                tracing::debug!(error = %error, "cannot make the journal's reserve yet");
                missing.retry_at = Instant::now() + PAUSE;
            }
        }
    }

    fn is_missing(&mut self, shared: &Shared, cause: Arc<io::Error>) {
        tracing::error!(error = %cause, "the journal's disk is full; no new work is taken until there is room");
        shared.no_space.store(true, Ordering::Release);
        self.missing = Some(Missing { cause, retry_at: Instant::now() + PAUSE });
    }
}

/// Makes the file, unless it is there with this size. It gets its name once its bytes are on the disk.
fn make(dir: &Path, bytes: u64) -> Result<(), JournalError> {
    let (path, unfinished) = (dir.join(NAME), dir.join(UNFINISHED_NAME));
    if fs::metadata(&path).is_ok_and(|file| file.len() == bytes) {
        return Ok(());
    }
    // One of another size would be in the way of the new one.
    files::remove(&path)?;
    let made = fill(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, &path))
        .and_then(|()| files::sync_dir(dir));
    if let Err(source) = made {
        // A part of a reserve only takes the last room away.
        files::remove(&unfinished)?;
        return Err(JournalError::write(&path, source));
    }
    Ok(())
}

/// Writes bytes of which a file system that compresses saves nothing, because it would give their space away.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = files::private().create(true).truncate(true).open(path)?;
    let mut noise = Noise::default();
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let mut chunk: Vec<u8> = noise.by_ref().take(length.div_ceil(8)).flat_map(u64::to_le_bytes).collect();
        chunk.truncate(length);
        file.write_all(&chunk)?;
        left = left.saturating_sub(u64::try_from(length).unwrap_or(left));
    }
    file.sync_all()
}

/// Marsaglia's xorshift generator ("Xorshift RNGs", 2003) with the shifts 13, 7 and 17.
struct Noise(u64);

impl Default for Noise {
    fn default() -> Self {
        Self(0x2545_F491_4F6C_DD1D)
    }
}

impl Iterator for Noise {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tempfile::tempdir;

    use super::*;

    #[test]
    fn is_made_once_and_in_full() {
        let dir = tempdir().unwrap();
        let path = dir.path().join(NAME);
        for bytes in [0, 1, 100_000, 7] {
            make(dir.path(), bytes).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
        }
        fs::write(&path, "1234567").unwrap();
        make(dir.path(), 7).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"1234567", "what is there already is not written again");
        assert!(!dir.path().join(UNFINISHED_NAME).exists());
    }

    #[cfg(unix)]
    #[test]
    fn takes_its_space_from_the_disk() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempdir().unwrap();
        make(dir.path(), 1 << 20).unwrap();
        let path = dir.path().join(NAME);
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
        let bytes = fs::read(&path).unwrap();
        let words: HashSet<_> = bytes.chunks(8).collect();
        assert_eq!(words.len(), (1 << 20) / 8, "no part of it repeats");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_part_of_it_does_not_stay() {
        let dir = tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join(UNFINISHED_NAME)).unwrap();
        let refused = make(dir.path(), 10);
        assert!(matches!(refused, Err(JournalError::NoSpace(_))), "{refused:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
