//! `cargo xtask seed`: fills a database with made-up usage.

use std::{process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mai_primitives::{Clock as _, OrganizationCalendar, SystemClock, UsageDate};
use mai_seed::SeedPlan;
use mai_storage::{DatabaseUrl, PoolSettings, Storage};

/// Migrates a database and fills it with realistic usage. The same numbers make the same rows.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask seed
  cargo run --release --package mai-xtask -- seed --database sqlite:data/large.db --organizations 1000 --users 50 --days 400")]
pub(crate) struct Args {
    /// The database, `sqlite:PATH` or `postgres://…`.
    #[arg(
        long,
        env = "MAI_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite:data/mai-usage.db"
    )]
    database: DatabaseUrl,
    /// Everything follows from this number; another one makes other organizations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many organizations.
    #[arg(long, default_value_t = 1)]
    organizations: u64,
    /// How many members each organization has. Up to 100 in all, the last 60 days get their ledger.
    #[arg(long, default_value_t = 12)]
    users: u64,
    /// How many days of usage; the default is thirteen months.
    #[arg(long, default_value_t = 396)]
    days: u64,
    /// The last day, YYYY-MM-DD; without it yesterday, so that nothing lies in the future.
    #[arg(long, value_parser = UsageDate::parse)]
    end: Option<UsageDate>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let end = match args.end {
        Some(end) => end,
        None => OrganizationCalendar::parse("Europe/Warsaw")?.usage_date(SystemClock.now()).minus_days(1),
    };
    let Args { seed, organizations, users, days, .. } = *args;
    let plan = SeedPlan { seed, organizations, users, days, end };
    crate::migrate::run_pending(&args.database)?;
    let storage = Storage::open(&args.database, PoolSettings::default());
    let style = ProgressStyle::with_template("{bar:40} {percent}% {elapsed}, {eta} left")?;
    let bar = ProgressBar::new(plan.organization_days()).with_style(style);
    let begun = Instant::now();
    let report = mai_seed::seed(&storage, &plan, |done| bar.set_position(done))
        .with_context(|| format!("cannot seed {}; was this seed planted there before?", args.database))?;
    bar.finish_and_clear();
    println!(
        "{} organizations, {} members, {} generations, {} rows of earlier days until {end} in {} s",
        report.organizations,
        report.members,
        report.ledger_rows,
        report.daily_rows,
        begun.elapsed().as_secs()
    );
    Ok(ExitCode::SUCCESS)
}
