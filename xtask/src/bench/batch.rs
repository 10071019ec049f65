//! `cargo xtask bench batch`: how long the daily run takes for a fleet of organizations.

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Result, bail, ensure};
use indicatif::ProgressBar;
use mai_batch::{Backups, Batch, BatchSettings, Claim, RunStatus, Schedule, StartedBy, Wanted};
use mai_organization::{
    audit_log::{Actor, ActorKind},
    generation_processing::{NewGeneration, UsageSource},
    usage_tracking::{query, record_generations, verify::organizations},
};
use mai_primitives::{
    Clock, GenerationId, MarkupRate, OrganizationCalendar, OrganizationId, SystemClock, UnixTime, UsageDate,
    Usd,
};
use mai_seed::SeedPlan;
use mai_storage::{DatabaseUrl, DbConnection, PoolSettings, Storage, migrate};
use tokio_util::sync::CancellationToken;

use crate::{interrupts::Interrupts, postgres::Cluster};

/// Does the daily run on a throw-away database with made-up usage and tells how long each step took. Meant
/// for a release build.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo run --release --package mai-xtask -- bench batch --postgres")]
pub(crate) struct Args {
    /// On PostgreSQL instead of SQLite.
    #[arg(long)]
    postgres: bool,
    /// How many organizations.
    #[arg(long, default_value_t = 10_000)]
    organizations: u64,
    /// How many members each of them has.
    #[arg(long, default_value_t = 5)]
    users: u64,
    /// How many days of usage there are before the day that is processed.
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// How many generations each member has on the day that is processed, all of them in the ledger.
    #[arg(long, default_value_t = 4)]
    generations: u32,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let cluster = args.postgres.then(|| Cluster::start(&Interrupts::catch()?)).transpose()?;
    let url = match &cluster {
        Some(cluster) => cluster.url().parse()?,
        None => DatabaseUrl::Sqlite(folder.path().join("bench.db")),
    };
    migrate::run(&url)?;
    let storage = Storage::open(&url, PoolSettings::default());
    let calendar = OrganizationCalendar::default();
    let date = calendar.usage_date(SystemClock.now()).minus_days(1);
    let booked = fill(&storage, args, date)?;
    println!("{} organizations, {booked} generations on {date}", args.organizations);

    let settings = BatchSettings {
        schedule: Schedule { calendar, time: Schedule::time("13:00").map_err(anyhow::Error::msg)? },
        retention_days: 60,
        backups: Some(Backups { folder: folder.path().join("backups"), keep: 2 }),
        lease_seconds: 60,
        at_once: 4,
        sources: None,
    };
    let (batch, _) = Batch::new(storage, Arc::new(SystemClock), settings, "bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    for (what, is_forced) in [("first run", false), ("second run, all days again", true)] {
        let begun = Instant::now();
        let wanted = Wanted { processing_date: Some(date), is_forced, started_by: StartedBy::CommandLine };
        let run = runtime.block_on(async {
            let actor = Actor::new(ActorKind::CommandLine, "");
            let Claim::Mine(claimed) = batch.claim(wanted, &actor).await? else {
                bail!("it was done before")
            };
            let id = claimed.run.id.clone();
            batch.work_off(claimed, &CancellationToken::new()).await?;
            Ok(batch.run(&id).await?)
        });
        let ((run, steps), took) = (run?, begun.elapsed());
        ensure!(run.status == RunStatus::Succeeded, "it failed: {:?}", run.error);
        println!("{what}: {}.{:03} s", took.as_secs(), took.subsec_millis());
        for step in steps {
            println!("  {:<22} {:>7} ms", step.name, step.duration_ms.unwrap_or_default());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Organizations with a history, and the usage of the day that is to be processed, generation by generation.
fn fill(storage: &Storage, args: &Args, date: UsageDate) -> Result<u64> {
    let plan = SeedPlan {
        seed: 1,
        organizations: args.organizations,
        users: args.users,
        days: args.days,
        end: date.minus_days(1),
    };
    let bar = ProgressBar::new(plan.organization_days());
    mai_seed::seed(storage, &plan, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let all = storage.read_blocking(organizations)?;
    let bar = ProgressBar::new(args.organizations);
    let mut booked = 0;
    for org in all {
        let generations = storage.read_blocking(|conn| generations(conn, &org, date, args.generations))?;
        let now = UnixTime::from(SystemClock.now());
        storage.write_blocking(|conn| record_generations(conn, &org, &generations, now))?;
        booked += u64::try_from(generations.len())?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(booked)
}

/// What the members of the day before used, with its models.
fn generations(
    conn: &mut DbConnection,
    org: &OrganizationId,
    date: UsageDate,
    each: u32,
) -> mai_storage::Result<Vec<NewGeneration>> {
    let (before, mut found) = (date.minus_days(1), Vec::new());
    let members = query::user_daily_rows(conn, org, before, before)?;
    let models = query::model_daily_rows(conn, org, before, before)?;
    let mut models = models.iter().cycle();
    for member in members {
        for number in 0..each {
            let (Some(model), Ok(id)) =
                (models.next(), GenerationId::new(format!("gen-bench-{}-{number}", member.user_id)))
            else {
                continue;
            };
            found.push(NewGeneration {
                client_org_id: org.clone(),
                id,
                generation_date: date,
                total_cost: Usd::from_nanos(300_000_000),
                cost_text: "0.3".into(),
                markup_rate: MarkupRate::DEFAULT,
                user_id: member.user_id.clone(),
                openrouter_user_id: member.openrouter_user_id.clone(),
                model_name: model.model_name.clone(),
                requested_model: None,
                serving_provider: None,
                input_tokens: 1_000,
                output_tokens: 200,
                cached_tokens: None,
                cache_write_tokens: None,
                reasoning_tokens: None,
                is_byok: false,
                tokens_estimated: false,
                streamed: true,
                source: UsageSource::Gateway,
                gateway_key_id: None,
                task: None,
                started_at: OrganizationCalendar::default().start_of(date).plus_seconds(43_200),
            });
        }
    }
    Ok(found)
}
