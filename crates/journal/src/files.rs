//! The files of a journal's directory: private to their owner, and durable by name.
//!
//! `{position of the first byte, 20 digits}.log` are the segments, `checkpoint` says what is forgotten,
//! `reserve` keeps space for a full disk, `lock` belongs to the process that has the journal open.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::JournalError;

const SEGMENT_EXTENSION: &str = "log";

pub(crate) fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.{SEGMENT_EXTENSION}"))
}

/// The first positions of all segments in the directory, in order.
pub(crate) fn segment_bases(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let path = entry.map_err(JournalError::io("list", dir))?.path();
        if path.extension() == Some(OsStr::new(SEGMENT_EXTENSION)) {
            let base = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok());
            bases.extend(base.filter(|base| segment_path(dir, *base) == path));
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Creates an empty segment. Its name is durable once the directory is synced.
pub(crate) fn create_segment(dir: &Path, base: u64) -> Result<File, JournalError> {
    let path = segment_path(dir, base);
    private().create_new(true).open(&path).map_err(|source| JournalError::write(&path, source))
}

/// Removes a segment; one that is gone already is no error.
pub(crate) fn remove_segment(dir: &Path, base: u64) -> Result<(), JournalError> {
    remove(&segment_path(dir, base))
}

/// Removes a file; one that is gone already is no error.
pub(crate) fn remove(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(JournalError::io("remove", path)(source))
        }
        _ => Ok(()),
    }
}

/// Takes the directory for this process, for as long as the returned file is open.
pub(crate) fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let file = private().create(true).truncate(false).open(&path).map_err(JournalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(JournalError::io("lock", &path)(source)),
    }
}

/// What the checkpoint says, if there is a valid one.
///
/// It is not synced when it is written, so a power loss may leave an older one, an empty one or none. All
/// that follows is that records are handed out again.
pub(crate) fn read_checkpoint(dir: &Path) -> Result<Option<u64>, JournalError> {
    let path = dir.join("checkpoint");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JournalError::io("read", &path)(source)),
    };
    let valid = bytes.split_first_chunk::<8>().filter(|(position, sum)| **sum == checkpoint_sum(**position));
    if valid.is_none() {
        tracing::warn!(path = %path.display(), "the journal's checkpoint is not valid; its records are replayed");
    }
    Ok(valid.map(|(position, _)| u64::from_le_bytes(*position)))
}

/// Replaces the checkpoint in one step.
pub(crate) fn write_checkpoint(dir: &Path, position: u64) -> Result<(), JournalError> {
    let (path, fresh) = (dir.join("checkpoint"), dir.join("checkpoint.new"));
    let bytes = position.to_le_bytes();
    private()
        .create(true)
        .truncate(true)
        .open(&fresh)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            file.write_all(&checkpoint_sum(bytes))
        })
        .and_then(|()| fs::rename(&fresh, &path))
        .map_err(|source| JournalError::write(&path, source))
}

fn checkpoint_sum(position: [u8; 8]) -> [u8; 4] {
    crc32fast::hash(&position).to_le_bytes()
}

/// Creates the directory, if it is missing, with its parents, each durable in its own parent.
pub(crate) fn create_dir(dir: &Path) -> Result<(), JournalError> {
    if dir.is_dir() {
        return Ok(());
    }
    // A relative path of one name has the empty path as its parent.
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    create_dir(parent)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(JournalError::io("create", dir)(source));
        }
        _ => {}
    }
    sync_dir(parent).map_err(JournalError::io("sync", parent))
}

/// Makes created and removed names durable.
#[cfg(unix)]
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file, and its file system keeps names by itself.
#[cfg(not(unix))]
pub(crate) fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Read and write, for the owner only.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
