//! The master key, which the first start makes, and a change of it.
//!
//! In the data folder `master-key` is the present key, and every `master-key.old-ID` a former one, which
//! still opens what it has sealed. A running service reads them again when it seals something, and when
//! it meets something that no known key has sealed.

use std::{fs, path::Path, path::PathBuf};

use anyhow::{Context, Result, ensure};
use mai_organization::MasterKey;
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;

use crate::settings::Settings;

/// The file of the present key.
const FILE: &str = "master-key";
/// What the file of a former key begins with.
const FORMER: &str = "master-key.old-";

/// The master key from the settings, else from the data folder, where the first start makes one; with
/// the former keys of the same places.
pub fn master_key(settings: &Settings) -> Result<MasterKey> {
    let former = |text: &SecretString| MasterKey::from_base64(text.expose_secret());
    let former: Vec<MasterKey> = settings
        .former_master_keys
        .iter()
        .map(former)
        .collect::<Result<_, _>>()
        .context("MAI_MASTER_KEY_PREVIOUS cannot be used")?;
    if let Some(text) = &settings.master_key {
        let key = MasterKey::from_base64(text.expose_secret()).context("MAI_MASTER_KEY cannot be used")?;
        return Ok(key.with_former(&former));
    }
    let folder = settings.data_dir.clone();
    if read_key(&folder.join(FILE))?.is_none() {
        let (path, key) = (folder.join(FILE), MasterKey::generate()?);
        // Another process that starts at the same moment may be faster; then its key counts.
        if write_secret(&path, key.to_base64().expose_secret())? {
            warn!(file = %path.display(), "a master key was made; keep a copy, without it provider keys cannot be read");
        }
    }
    let read = move || read_keys(&folder, &former).map_err(|error| format!("{error:#}"));
    Ok(MasterKey::reloading(read)?)
}

/// Puts a new key in the place of the one in the data folder, which is kept as a former one, and returns
/// where. Nothing may be sealed with the new key before; whatever comes after opens both.
pub fn replace_master_key(settings: &Settings, new: &MasterKey) -> Result<PathBuf> {
    let folder = &settings.data_dir;
    let path = folder.join(FILE);
    let old = read_key(&path)?.with_context(|| format!("there is no {}", path.display()))?;
    ensure!(old.id() != new.id(), "this is the present master key");
    let kept = folder.join(format!("{FORMER}{}", old.id()));
    write_secret(&kept, old.to_base64().expose_secret())?;
    let cannot = || format!("cannot write {}", path.display());
    let unfinished = write_unfinished(&path, new.to_base64().expose_secret())?;
    fs::rename(&unfinished, &path).with_context(cannot)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
    Ok(kept)
}

/// The keys in the data folder, with those of the settings.
fn read_keys(folder: &Path, former: &[MasterKey]) -> Result<MasterKey> {
    let path = folder.join(FILE);
    // The present key comes first: whoever changes it has kept the one before already.
    let present = read_key(&path)?.with_context(|| format!("{} has disappeared", path.display()))?;
    let mut all = former.to_vec();
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if entry.file_name().to_str().is_some_and(is_former) {
            all.extend(read_key(&entry.path())?);
        }
    }
    Ok(present.with_former(&all))
}

/// Whether a file is a former key: the eight digits of an id are behind the beginning, and nothing else.
fn is_former(name: &str) -> bool {
    name.strip_prefix(FORMER)
        .is_some_and(|id| id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn read_key(path: &Path) -> Result<Option<MasterKey>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let key = MasterKey::from_base64(text.trim());
            Ok(Some(key.with_context(|| format!("{} cannot be used", path.display()))?))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file that only its owner can read, whole or not at all; false if there is one already.
fn write_secret(path: &Path, text: &str) -> Result<bool> {
    let cannot = || format!("cannot write {}", path.display());
    let unfinished = write_unfinished(path, text)?;
    // A link, unlike a rename, does not replace a key that somebody else has just written.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished).with_context(cannot)?;
    match linked {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(cause).with_context(cannot),
    }
}

/// Writes a durable file beside `path`.
fn write_unfinished(path: &Path, text: &str) -> Result<PathBuf> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let cannot = || format!("cannot write {}", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(cannot)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).with_context(cannot)?;
    Ok(unfinished)
}
