//! The directory on disk, so that a gateway can start while its database is away.
//!
//! A snapshot is a text file of two lines, which only its owner may read: a header with version, id of
//! the master key and SHA-256 of the second line, and that line, which is JSON. Provider keys are in it
//! as the database has them, sealed, and gateway keys as hashes.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use mai_global_settings::MasterKey;
use mai_primitives::UnixTime;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{digest::sha256_hex, directory::Directory, stored::StoredDirectory};

/// The first word of every snapshot.
const MAGIC: &str = "mai-directory";
/// The layout. One that a newer or older program wrote is refused, as the database makes a new one.
const VERSION: &str = "1";

/// Why a snapshot was not written or is not used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The file system refused.
    #[error("cannot {what} the snapshot {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        cause: io::Error,
    },
    /// The file is not what was written.
    #[error("the snapshot {} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another version of this program wrote it.
    #[error("the snapshot {} has version {version}, and this program reads version {VERSION}", path.display())]
    OtherVersion {
        /// Which file.
        path: PathBuf,
        /// The version that it has.
        version: String,
    },
    /// Its provider keys were sealed with another master key than the present one.
    #[error(
        "the snapshot {} belongs to the master key {sealed_with}, but the present one is {present}",
        path.display()
    )]
    OtherMasterKey {
        /// Which file.
        path: PathBuf,
        /// The id of the key that is needed.
        sealed_with: String,
        /// The id of the key that is there.
        present: String,
    },
}

/// A directory that was read from disk.
#[derive(Debug)]
pub struct Snapshot {
    /// Organizations and keys as they were then.
    pub directory: Directory,
    /// When it was written.
    pub written_at: UnixTime,
}

/// The second line.
#[derive(Serialize, Deserialize)]
struct Content<D> {
    written_at: UnixTime,
    directory: D,
}

/// Writes a snapshot in place of the former one, whole or not at all, and makes it durable. There must
/// be one writer at a time. Blocks for the file system.
pub fn save(
    path: &Path,
    directory: &Directory,
    master_key: &MasterKey,
    written_at: UnixTime,
) -> Result<(), SnapshotError> {
    let content = Content { written_at, directory: directory.stored() };
    let written = serde_json::to_string(&content).map_err(io::Error::from).and_then(|content| {
        let header = format!("{MAGIC} {VERSION} {} {}", master_key.id(), sha256_hex(&content));
        let pieces = [header.as_bytes(), b"\n", content.as_bytes(), b"\n"];
        replace(path, &path.with_extension("unfinished"), &pieces)
    });
    written.map_err(|cause| SnapshotError::Io { what: "write", path: path.to_owned(), cause })
}

fn replace(path: &Path, unfinished: &Path, pieces: &[&[u8]]) -> io::Result<()> {
    // What a crash left behind may have another mode, so it is not written over.
    match fs::remove_file(unfinished) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(unfinished)?;
    for piece in pieces {
        file.write_all(piece)?;
    }
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads a snapshot; none where there is no file. Blocks for the file system.
pub fn load(path: &Path, master_key: &MasterKey) -> Result<Option<Snapshot>, SnapshotError> {
    let text = match fs::read(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|cause| SnapshotError::Io { what: "read", path: path.to_owned(), cause })?,
    };
    let damaged = |why: &str| SnapshotError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let text = String::from_utf8(text).map_err(|_| damaged("it is no text"))?;
    let (header, content) = text.split_once('\n').ok_or_else(|| damaged("it has no header"))?;
    let content = content.strip_suffix('\n').ok_or_else(|| damaged("it was cut"))?;
    let mut fields = header.split(' ');
    if fields.next() != Some(MAGIC) {
        return Err(damaged("it does not begin as a snapshot"));
    }
    let mut field = || fields.next().ok_or_else(|| damaged("its header was cut"));
    let (version, sealed_with, checksum) = (field()?, field()?, field()?);
    if version != VERSION {
        return Err(SnapshotError::OtherVersion { path: path.to_owned(), version: version.to_owned() });
    }
    if checksum != sha256_hex(content) {
        return Err(damaged("its checksum is another one"));
    }
    if !master_key.knows(sealed_with) {
        let (path, sealed_with) = (path.to_owned(), sealed_with.to_owned());
        return Err(SnapshotError::OtherMasterKey { path, sealed_with, present: master_key.id() });
    }
    let content: Content<StoredDirectory> =
        serde_json::from_str(content).map_err(|cause| damaged(&cause.to_string()))?;
    let directory = Directory::open(content.directory, master_key);
    Ok(Some(Snapshot { directory, written_at: content.written_at }))
}
