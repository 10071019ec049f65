//! The master key, which the first start makes.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use mai_organization::MasterKey;
use secrecy::ExposeSecret;
use tracing::warn;

use crate::settings::Settings;

/// The master key from the settings, else from the data folder, where the first start makes one.
pub fn master_key(settings: &Settings) -> Result<MasterKey> {
    if let Some(text) = &settings.master_key {
        return MasterKey::from_base64(text.expose_secret()).context("MAI_MASTER_KEY cannot be used");
    }
    let path = settings.data_dir.join("master-key");
    if let Some(key) = read_master_key(&path)? {
        return Ok(key);
    }
    let key = MasterKey::generate()?;
    if write_secret(&path, key.to_base64().expose_secret())? {
        warn!(file = %path.display(), "a master key was made; keep a copy, without it provider keys cannot be read");
        return Ok(key);
    }
    // Another process that starts at the same moment was faster.
    read_master_key(&path)?.with_context(|| format!("{} has disappeared", path.display()))
}

fn read_master_key(path: &Path) -> Result<Option<MasterKey>> {
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
    // A link, unlike a rename, does not replace a key that somebody else has just written.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished).with_context(cannot)?;
    match linked {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(cause).with_context(cannot),
    }
}
