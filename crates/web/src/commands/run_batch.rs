//! `mai-usage run-batch`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mai_batch::{Batch, Claim, Current, RunModel, RunStatus, Sources, StartedBy, StepModel, Wanted};
use mai_model_prices::ModelPriceTable;
use mai_openrouter::OpenRouterClient;
use mai_organization::{
    audit_log::{Actor, ActorKind},
    exchange_rates::{NbpClient, NbpSettings, RateUpdater},
};
use mai_primitives::{Clock, SystemClock, UsageDate};
use mai_storage::{PoolSettings, Storage};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Output, serve::stop_signal};
use crate::{api::batch::BatchRun, application::batch, settings::Settings};

/// How often the bar moves.
const MOVE_EVERY: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The last day that the run is about, YYYY-MM-DD; without it yesterday.
    #[arg(long, value_parser = UsageDate::parse)]
    date: Option<UsageDate>,
    /// Do it again where it was done, and validate all days again that the ledger still has.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: Output,
}

/// Does the run in this process, after any that another process left behind.
pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // It works on several organizations at once.
    let pool = PoolSettings { connections: settings.database_connections, ..PoolSettings::default() };
    let storage = Storage::open(&settings.database, pool);
    let nbp =
        NbpClient::new(NbpSettings::at(&settings.nbp_base_url)).context("NBP_BASE_URL cannot be used")?;
    let openrouter = OpenRouterClient::new(&settings.openrouter_base_url)?;
    let sources = Sources {
        rates: RateUpdater::new(storage.clone(), nbp, Arc::clone(&clock)),
        prices: ModelPriceTable::new(storage.clone(), openrouter, Arc::clone(&clock)),
    };
    let (batch, _) = batch(settings, &storage, &clock, sources);
    let wanted = Wanted {
        processing_date: arguments.date,
        is_forced: arguments.force,
        started_by: StartedBy::CommandLine,
    };
    let claimed = match batch.claim(wanted, &Actor::new(ActorKind::CommandLine, "")).await? {
        Claim::Done(run) => {
            let (run, steps) = batch.run(&run.id).await?;
            if !arguments.output.json {
                say!("{} was processed before; --force does it again.", run.processing_date)?;
            }
            return print(run, steps, arguments.output.json);
        }
        Claim::Mine(claimed) => claimed,
    };
    let id = claimed.run.id.clone();
    let stop = CancellationToken::new();
    let bar = ProgressBar::new(0);
    let signal = stop_signal()?;
    // The run is left as it is, for a process that serves or the next run-batch to go on with.
    let stopping = async {
        signal.await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let worked = tokio::select! {
        worked = batch.work_off(claimed, &stop) => worked,
        never = show(&batch, &bar) => match never? {},
        () = stopping => return Ok(ExitCode::FAILURE),
    };
    bar.finish_and_clear();
    worked?;
    let (run, steps) = batch.run(&id).await?;
    print(run, steps, arguments.output.json)
}

/// Moves a bar on standard error, which is invisible where that is no terminal.
async fn show(batch: &Batch, bar: &ProgressBar) -> Result<std::convert::Infallible> {
    bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}")?);
    loop {
        if let Some(Current { step, position, steps, done, total, .. }) = batch.progress().current() {
            bar.set_message(format!("{}/{steps} {step}", position + 1));
            bar.set_length(u64::try_from(total.unwrap_or(1)).unwrap_or(1));
            bar.set_position(u64::try_from(done).unwrap_or(0));
        }
        tokio::time::sleep(MOVE_EVERY).await;
    }
}

fn print(run: RunModel, steps: Vec<StepModel>, json: bool) -> Result<ExitCode> {
    let code = ExitCode::from(u8::from(run.status != RunStatus::Succeeded));
    if json {
        say!("{}", serde_json::to_string(&BatchRun::complete(run, steps)?)?)?;
        return Ok(code);
    }
    for step in &steps {
        let milliseconds = step.duration_ms.unwrap_or_default();
        let seconds = format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000);
        let (status, name) = (step.status.to_string(), &step.name);
        say!("{name:<22} {status:<10} {seconds:>9} s {}", told(step)?)?;
    }
    let date = run.processing_date;
    match run.error {
        None => say!("The daily run of {date} succeeded.")?,
        Some(why) => say!("The daily run of {date} failed: {why}")?,
    }
    Ok(code)
}

/// The figures of a step's result, or why it failed.
fn told(step: &StepModel) -> Result<String> {
    if let Some(why) = &step.error {
        return Ok(why.clone());
    }
    let details: Value = serde_json::from_str(&step.details)?;
    let figures = details.as_object().into_iter().flatten();
    let figures = figures.filter(|(_, value)| value.is_number() || value.is_string());
    let figures: Vec<String> = figures
        .map(|(name, value)| {
            format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect();
    Ok(figures.join(", "))
}
