//! `mai-usage audit …`: the audit log, who changed what.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use mai_organization::audit_log::{
    AuditEntryModel, AuditQuery, Broken, Verified, Walk, entries_after, export, service, verify,
};
use mai_primitives::OrganizationId;
use mai_storage::Storage;
use serde_json::json;

use super::Output;

/// How many entries are read at once.
const PAGE: i64 = 1_000;

/// What to do with the audit log.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Walk its chain. Exit code: 0 it is unbroken, 1 it is broken, 2 not checked.
    #[command(after_help = "Example: mai-usage audit verify --file audit-log.jsonl")]
    Verify(Verify),
    /// Print all of it, an entry per line, in the order of the chain.
    #[command(after_help = "Example: mai-usage audit export > audit-log.jsonl")]
    Export,
    /// List entries, the newest first.
    #[command(after_help = "Example: mai-usage audit list --org org_… --action gateway_key --limit 20")]
    List(List),
}

/// What to walk.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// An export; without one the database is walked.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Which entries to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those about this organization.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// Only those of this action, or of all that begin with it, such as `gateway_key`.
    #[arg(long)]
    action: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(command: Command, storage: impl FnOnce() -> Result<Storage>) -> Result<ExitCode> {
    match command {
        Command::Verify(Verify { file: Some(file), output }) => told(&walk_file(&file)?, &output),
        Command::Verify(Verify { file: None, output }) => {
            told(&storage()?.read_blocking(verify).context("the audit log cannot be read")?, &output)
        }
        Command::Export => export_all(&storage()?).map(|()| ExitCode::SUCCESS),
        Command::List(which) => list(which, &storage()?).map(|()| ExitCode::SUCCESS),
    }
}

fn walk_file(path: &Path) -> Result<Result<Verified, Broken>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut walk = Walk::default();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let at = || format!("{}, line {}", path.display(), number.saturating_add(1));
        let entry = export::parse(&line.with_context(at)?).with_context(at)?;
        if let Err(broken) = walk.step(&entry) {
            return Ok(Err(broken));
        }
    }
    Ok(Ok(walk.seen()))
}

fn told(outcome: &Result<Verified, Broken>, output: &Output) -> Result<ExitCode> {
    match outcome {
        Ok(seen) if output.json => {
            say!("{}", json!({ "unbroken": true, "entries": seen.entries, "head": seen.head }))?;
        }
        Err(broken) if output.json => say!("{}", json!({ "unbroken": false, "broken": broken.to_string() }))?,
        Ok(seen) => say!("{}", as_text(seen))?,
        Err(broken) => say!("The audit log is broken: {broken}.")?,
    }
    Ok(ExitCode::from(u8::from(outcome.is_err())))
}

/// An unbroken chain for people.
pub(super) fn as_text(seen: &Verified) -> String {
    match seen.entries {
        0 => "The audit log is empty.".to_owned(),
        entries => {
            format!("The audit log is unbroken: {entries} entries, the last has the hash {}.", seen.head)
        }
    }
}

fn export_all(storage: &Storage) -> Result<()> {
    use std::io::Write as _;
    let mut last = 0;
    loop {
        let rows = storage.read_blocking(|conn| entries_after(conn, last, PAGE))?;
        let Some(end) = rows.last().map(|row| row.seq) else { return Ok(()) };
        for row in rows {
            write!(std::io::stdout(), "{}", export::line(row)?)?;
        }
        last = end;
    }
}

fn list(which: List, storage: &Storage) -> Result<()> {
    let query = AuditQuery {
        organization: which.org,
        action: which.action,
        limit: which.limit,
        ..AuditQuery::default()
    };
    for row in storage.read_blocking(|conn| service::list(conn, &query))? {
        if which.output.json {
            use std::io::Write as _;
            write!(std::io::stdout(), "{}", export::line(row)?)?;
        } else {
            say!("{}", shown(&row))?;
        }
    }
    Ok(())
}

fn shown(row: &AuditEntryModel) -> String {
    let AuditEntryModel { seq, created_at, actor_kind, actor_id, action, target, result, details, .. } = row;
    let organization = row.client_org_id.as_ref().map_or("-", OrganizationId::as_str);
    let seconds = created_at.seconds();
    let actor_kind = actor_kind.as_str();
    format!("{seq:>8} {seconds} {actor_kind} {actor_id} {organization} {action} {target} {result} {details}")
}
