//! The command line. Each command has a file of its own.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use mai_organization::{
    MasterKey, OrganizationServices,
    audit_log::{Actor, ActorKind},
    client_organization::Change,
};
use mai_primitives::{Clock, SystemClock};
use mai_storage::{PoolSettings, Storage, migrate};
use secrecy::SecretString;

use crate::{application::master_key, settings::Settings, telemetry};

/// Prints a line to standard output. A reader that has gone away is an error like any other, which
/// ends the command.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($argument)*)
    }};
}

mod audit;
mod close_month;
mod config;
mod demo;
mod demo_chat;
mod drift;
mod keys;
mod limits;
mod members;
mod openapi;
mod org;
mod pending;
mod rebuild;
mod rotate_master;
mod run_batch;
mod serve;
mod tokens;
mod users;
mod verify;

/// Meters, resells and reports LLM usage.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct CommandLine {
    /// A TOML file with settings; the environment and .env go before it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway, the API and the jobs.
    #[command(after_help = "Example: MAI_LISTEN=0.0.0.0:8080 mai-usage serve")]
    Serve(serve::Arguments),
    /// Show everything on a throw-away database with a built-in OpenRouter: no key, no network.
    #[command(after_help = "Example: mai-usage demo --once")]
    Demo(demo::Arguments),
    /// Bring the schema of the database up to date.
    #[command(after_help = "Example: MAI_DATABASE_URL=postgres://… mai-usage migrate")]
    Migrate,
    /// Create, change and list organizations.
    #[command(subcommand)]
    Org(org::Command),
    /// Create, change, rotate, revoke and list gateway keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// List, set and clear what members and models may cost in a month.
    #[command(subcommand)]
    Limits(limits::Command),
    /// Take over, list and merge members, and give them usage that nobody was known for.
    #[command(subcommand)]
    Members(members::Command),
    /// Create, list and revoke API tokens.
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Create, list and deactivate accounts, and make links for their owners.
    #[command(subcommand)]
    Users(users::Command),
    /// Check that the books agree with themselves. Exit code: 0 they do, 1 they do not, 2 not checked.
    #[command(after_help = "Example: mai-usage verify --org org_… --from 2026-11-01 --to 2026-11-30 --json")]
    Verify(verify::Arguments),
    /// Compute the daily rows of a month again from the ledger. Exit code: 0 nothing differs or it was
    /// made right, 1 something differs, 2 not compared.
    #[command(after_help = "Example: mai-usage rebuild --org org_… --month 2026-11 --apply")]
    Rebuild(rebuild::Arguments),
    /// Do the daily run now. Exit code: 0 it succeeded or was done before, 1 it failed or could not be done.
    #[command(after_help = "Example: mai-usage run-batch --date 2026-11-25 --json")]
    RunBatch(run_batch::Arguments),
    /// Show what statements of a month would say and what holds them back, or issue them. Exit code: 0 done, 1 some
    /// could not be issued, or it failed.
    #[command(after_help = "Example: mai-usage close-month --month 2026-10 --issue --json")]
    CloseMonth(close_month::Arguments),
    /// Compare what was booked with what OpenRouter charged, by key and UTC day.
    #[command(after_help = "Example: mai-usage drift --org org_… --days 7 --json")]
    Drift(drift::Arguments),
    /// List, settle and dismiss generations whose cost is not known.
    #[command(subcommand)]
    Pending(pending::Command),
    /// List, export and check the audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print the description of the API (OpenAPI 3.1).
    #[command(after_help = "Example: mai-usage openapi > openapi.json")]
    Openapi,
    /// Print the effective settings, secrets masked.
    #[command(after_help = "Example: mai-usage config --config mai.toml")]
    Config,
}

/// Whether a command prints for people or for programs.
#[derive(Debug, Args)]
struct Output {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A secret of the command line, or what standard input holds where it is `-`.
fn secret(text: &str) -> Result<SecretString> {
    if text != "-" {
        return Ok(SecretString::from(text.to_owned()));
    }
    let text = std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?;
    Ok(SecretString::from(text.trim().to_owned()))
}

/// A value to set, or the word that takes it away.
fn change<T, E: Into<anyhow::Error>>(
    text: &str,
    cleared_by: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Change<T>> {
    if text == cleared_by { Ok(Change::Clear) } else { parse(text).map(Change::Set).map_err(Into::into) }
}

/// Exit code of a check that could not be made; 1 says that something was found.
const NOT_CHECKED: u8 = 2;

/// Runs a command. Errors are printed with their causes.
pub fn run(line: CommandLine) -> ExitCode {
    let is_check = matches!(
        line.command,
        Command::Verify(_) | Command::Rebuild(_) | Command::Audit(audit::Command::Verify(_))
    );
    let outcome = actix_web::rt::System::new().block_on(dispatch(line));
    match outcome {
        Ok(code) => code,
        Err(error) if reader_is_gone(&error) && !is_check => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            if is_check { ExitCode::from(NOT_CHECKED) } else { ExitCode::FAILURE }
        }
    }
}

/// `mai-usage org list | head -1` has got what it wanted.
fn reader_is_gone(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

#[expect(clippy::print_stderr, reason = "the last words of a command that failed")]
fn print_error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

async fn dispatch(line: CommandLine) -> Result<ExitCode> {
    // Both of our HTTP clients take the process's TLS implementation. A second installation, which
    // only tests in one process can cause, keeps the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Command::Config = line.command {
        return config::run(line.config.as_deref()).map(|()| ExitCode::SUCCESS);
    }
    if let Command::Openapi = line.command {
        return openapi::run().map(|()| ExitCode::SUCCESS);
    }
    if let Command::Demo(arguments) = line.command {
        return demo::run(arguments).await.map(|()| ExitCode::SUCCESS);
    }
    let settings = Settings::load(line.config.as_deref())?;
    telemetry::start(&settings)?;
    match line.command {
        Command::Serve(arguments) => serve::run(settings, arguments).await?,
        Command::Migrate => migrate_database(&settings)?,
        Command::Org(command) => org::run(command, &services(&settings)?, settings.time_zone).await?,
        Command::Keys(keys::Command::RotateMaster(arguments)) => {
            rotate_master::run(&arguments, &settings, &migrated(&settings)?)?;
        }
        Command::Keys(command) => keys::run(command, &services(&settings)?).await?,
        Command::Limits(command) => limits::run(command, &services(&settings)?, &open(&settings)).await?,
        Command::Members(command) => return members::run(command, &services(&settings)?, &settings).await,
        Command::Tokens(command) => tokens::run(command, &services(&settings)?).await?,
        Command::Users(command) => users::run(command, &services(&settings)?, &settings).await?,
        Command::Pending(command) => pending::run(command, &services(&settings)?).await?,
        Command::Verify(arguments) => return verify::run(&arguments, &migrated(&settings)?),
        Command::Audit(command) => return audit::run(command, || migrated(&settings)),
        Command::Rebuild(arguments) => return rebuild::run(&arguments, &migrated(&settings)?),
        Command::RunBatch(arguments) => {
            migrated(&settings)?;
            return run_batch::run(&arguments, &settings).await;
        }
        Command::CloseMonth(arguments) => {
            return close_month::run(&arguments, &settings, migrated(&settings)?).await;
        }
        Command::Drift(arguments) => drift::run(&arguments, &migrated(&settings)?)?,
        Command::Config | Command::Demo(_) | Command::Openapi => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn migrate_database(settings: &Settings) -> Result<()> {
    prepare_folder(settings)?;
    let ran = migrate::run(&settings.database).context("the schema could not be brought up to date")?;
    match ran.as_slice() {
        [] => say!("The schema of {} is up to date.", settings.database)?,
        names => say!("Ran on {}: {}", settings.database, names.join(", "))?,
    }
    Ok(())
}

/// The services for a command that works on the database beside a running `serve`.
fn services(settings: &Settings) -> Result<OrganizationServices> {
    prepare_folder(settings)?;
    let key: MasterKey = master_key(settings)?;
    migrate::run(&settings.database).context("the schema could not be brought up to date")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let services = OrganizationServices::new(open(settings), key, clock);
    Ok(services.acting_as(&Actor::new(ActorKind::CommandLine, "")))
}

/// The database for a command that looks at it as it is and changes no schema.
fn migrated(settings: &Settings) -> Result<Storage> {
    let pending = migrate::pending(&settings.database).context("the schema could not be read")?;
    ensure!(pending.is_empty(), "the schema is not up to date; run `mai-usage migrate` first");
    Ok(open(settings))
}

fn open(settings: &Settings) -> Storage {
    Storage::open(&settings.database, PoolSettings { connections: 2, ..PoolSettings::default() })
}

fn prepare_folder(settings: &Settings) -> Result<()> {
    std::fs::create_dir_all(&settings.data_dir)
        .with_context(|| format!("cannot create MAI_DATA_DIR {}", settings.data_dir.display()))
}
