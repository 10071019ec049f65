//! `mai-usage keys rotate-master`: another master key, while the service runs.
//!
//! The order makes every moment safe: first everything is opened once; then the new key is put in the
//! place of the old one, which is kept beside it, so that whoever reads the keys from now on opens both;
//! only then is everything sealed with the new key, in one transaction. After a crash in between,
//! `--finish` does the rest.

use std::{fs::File, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use mai_organization::{
    MasterKey,
    audit_log::{Actor, ActorKind},
    client_organization::sealed,
};
use mai_primitives::{Clock, SystemClock};
use mai_storage::Storage;
use serde_json::json;

use super::Output;
use crate::{
    application::{master_key, replace_master_key},
    settings::Settings,
};

/// Which key to take.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// `-` reads the new key from standard input; without it a new one is made.
    #[arg(long, value_name = "-", conflicts_with = "finish")]
    new_key: Option<String>,
    /// Take no new key; only seal with the present one what former ones have sealed.
    #[arg(long)]
    finish: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings, storage: &Storage) -> Result<()> {
    // The lock goes with the process, however it ends.
    let lock = settings.data_dir.join("master-key.lock");
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    lock.try_lock().context("another change of the master key is under way")?;
    let old = master_key(settings)?;
    storage
        .read_blocking(|conn| sealed::check(conn, &old))
        .context("nothing was changed, because a secret cannot be opened; clear it, or bring its key")?;
    let former = old.id();
    let kept = if arguments.finish { None } else { Some(replace(arguments, settings)?) };
    let key = master_key(settings)?;
    let actor = Actor::new(ActorKind::CommandLine, "");
    let resealed =
        storage.write_blocking(|conn| sealed::reseal(conn, &key, &actor, SystemClock.now().into())).context(
            "the secrets are still sealed as before, and open; run `mai-usage keys rotate-master --finish`",
        )?;
    let present = key.id();
    if arguments.output.json {
        let kept = kept.map(|path| path.display().to_string());
        say!(
            "{}",
            json!({ "former": former, "present": present, "resealed": resealed, "former_key_file": kept })
        )?;
        return Ok(());
    }
    say!("Master key {present}: {resealed} secrets were sealed anew.")?;
    if let Some(path) = kept {
        say!(
            "The former key {former} is kept in {}, for backups and for what is sealed at this moment.",
            path.display()
        )?;
    }
    Ok(())
}

/// Puts the new key in place and returns where the old one is kept.
fn replace(arguments: &Arguments, settings: &Settings) -> Result<PathBuf> {
    ensure!(
        settings.master_key.is_none(),
        "MAI_MASTER_KEY names the key: put the new one there and the old one into MAI_MASTER_KEY_PREVIOUS, then run \
         this with --finish; docs/operating.md has the order"
    );
    let new = match arguments.new_key.as_deref() {
        None => MasterKey::generate()?,
        Some("-") => {
            let text = std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?;
            MasterKey::from_base64(&text)?
        }
        Some(_) => bail!(
            "a key on the command line could be seen by others; pass it by standard input, `--new-key -`"
        ),
    };
    replace_master_key(settings, &new)
}
