//! The command line. Each command has a file of its own.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use mai_organization::{MasterKey, OrganizationServices};
use mai_primitives::{Clock, SystemClock};
use mai_storage::{PoolSettings, Storage, migrate};

use crate::{application::master_key, settings::Settings, telemetry};

/// Prints a line to standard output. A reader that has gone away is an error like any other, which
/// ends the command.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($argument)*)
    }};
}

mod config;
mod demo;
mod demo_chat;
mod keys;
mod org;
mod serve;
mod tokens;

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
    /// Create and list organizations.
    #[command(subcommand)]
    Org(org::Command),
    /// Create and list gateway keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Create and list API tokens.
    #[command(subcommand)]
    Tokens(tokens::Command),
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

/// Runs a command. Errors are printed with their causes.
pub fn run(line: CommandLine) -> ExitCode {
    let outcome = actix_web::rt::System::new().block_on(dispatch(line));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if reader_is_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
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

async fn dispatch(line: CommandLine) -> Result<()> {
    // Both of our HTTP clients take the process's TLS implementation. A second installation, which
    // only tests in one process can cause, keeps the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Command::Config = line.command {
        return config::run(line.config.as_deref());
    }
    if let Command::Demo(arguments) = line.command {
        return demo::run(arguments).await;
    }
    let settings = Settings::load(line.config.as_deref())?;
    telemetry::start(&settings)?;
    match line.command {
        Command::Serve(arguments) => serve::run(settings, arguments).await,
        Command::Migrate => migrate_database(&settings),
        Command::Org(command) => org::run(command, &services(&settings)?, settings.time_zone).await,
        Command::Keys(command) => keys::run(command, &services(&settings)?).await,
        Command::Tokens(command) => tokens::run(command, &services(&settings)?).await,
        Command::Config | Command::Demo(_) => Ok(()),
    }
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
    let storage =
        Storage::open(&settings.database, PoolSettings { connections: 2, ..PoolSettings::default() });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Ok(OrganizationServices::new(storage, key, clock))
}

fn prepare_folder(settings: &Settings) -> Result<()> {
    std::fs::create_dir_all(&settings.data_dir)
        .with_context(|| format!("cannot create MAI_DATA_DIR {}", settings.data_dir.display()))
}
