//! Copies a SQLite database, and says for PostgreSQL who has to.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use mai_primitives::UsageDate;
use mai_storage::{DatabaseUrl, backup::copy_to};
use serde_json::json;

use crate::{
    error::{Error, Result},
    service::Backups,
    step::{Context, Outcome},
};

const PREFIX: &str = "mai-usage-";
const SUFFIX: &str = ".db";
const UNFINISHED: &str = ".unfinished";

pub(crate) async fn run(context: &Context<'_>) -> Result<Outcome> {
    let url = context.storage.url().clone();
    if let DatabaseUrl::Postgres(_) = url {
        return Outcome::done(json!({
            "made": false,
            "message": "backups of PostgreSQL are made by its own programs: pg_dump, or an archive of its WAL",
        }));
    }
    let Some(backups) = context.settings.backups.clone() else {
        return Outcome::done(json!({ "made": false, "message": "MAI_BACKUPS_KEPT is 0" }));
    };
    let (date, token) = (context.run.processing_date, context.lease.token());
    let made = tokio::task::spawn_blocking(move || make(&url, &backups, date, token)).await;
    let (file, bytes, kept) = made.map_err(|cause| Error::Backup(cause.to_string()))??;
    Outcome::done(json!({ "made": true, "file": file.display().to_string(), "bytes": bytes, "kept": kept }))
}

/// Makes the copy of a date, in place of an earlier one, and removes the oldest. Returns the file, its
/// length, and how many copies there are.
fn make(url: &DatabaseUrl, backups: &Backups, date: UsageDate, token: i64) -> Result<(PathBuf, u64, usize)> {
    let failed = |cause: io::Error| Error::Backup(format!("{}: {cause}", backups.folder.display()));
    fs::create_dir_all(&backups.folder).map_err(failed)?;
    for left in files(&backups.folder, UNFINISHED).map_err(failed)? {
        fs::remove_file(left).map_err(failed)?;
    }
    let file = backups.folder.join(format!("{PREFIX}{date}{SUFFIX}"));
    let unfinished = backups.folder.join(format!("{PREFIX}{date}-{token}{UNFINISHED}"));
    copy_to(url, &unfinished)?;
    // It holds what the database holds: hashes of passwords, and names.
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    fs::rename(&unfinished, &file).map_err(failed)?;
    fs::File::open(&backups.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    let bytes = fs::metadata(&file).map_err(failed)?.len();
    let mut copies = files(&backups.folder, SUFFIX).map_err(failed)?;
    copies.sort();
    let too_many = copies.len().saturating_sub(backups.keep.max(1));
    for old in copies.drain(..too_many) {
        fs::remove_file(old).map_err(failed)?;
    }
    Ok((file, bytes, copies.len()))
}

/// The files of ours in a folder whose names end so.
fn files(folder: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(found)
}
