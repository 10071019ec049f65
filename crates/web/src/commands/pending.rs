//! `mai-usage pending …`.

use anyhow::{Context, Result, anyhow, bail, ensure};
use mai_organization::{
    OrganizationServices,
    generation_processing::{PendingGenerationModel, PendingState},
    usage_tracking::Recorded,
};
use mai_primitives::{Clock as _, GenerationId, ModelName, OrganizationId, SystemClock, UnixTime, Usd};
use serde_json::{Value, json};

use super::Output;

/// What to do with generations whose cost is not known.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List them, the oldest first.
    #[command(after_help = "Example: mai-usage pending list --state unresolved --json")]
    List(List),
    /// Book one with what you found out; it is then no longer pending.
    #[command(
        after_help = "Example: mai-usage pending settle --org org_… --id gen-… --cost 0.0123 --input-tokens 900 \
                      --output-tokens 120"
    )]
    Settle(Settle),
    /// End the waiting of one that was not charged; the reason goes into the audit.
    #[command(
        after_help = "Example: mai-usage pending dismiss --org org_… --id mai-… --reason 'not on the invoice'"
    )]
    Dismiss(Dismiss),
    /// Ask OpenRouter for the cost of one again, now.
    #[command(after_help = "Example: mai-usage pending retry --org org_… --id gen-…")]
    Retry(Which),
}

/// Which ones to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// One organization; without it those of all are listed.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// pending or unresolved; without it both are listed.
    #[arg(long, value_parser = state)]
    state: Option<PendingState>,
    /// How many at most.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    #[command(flatten)]
    output: Output,
}

/// One generation.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The generation's id, as `pending list` shows it.
    #[arg(long)]
    id: GenerationId,
    #[command(flatten)]
    output: Output,
}

/// What a person found out.
#[derive(Debug, clap::Args)]
pub(super) struct Settle {
    #[command(flatten)]
    which: Which,
    /// What OpenRouter charged, in USD.
    #[arg(long, value_parser = cost, value_name = "USD")]
    cost: Usd,
    /// Native tokens of the prompt.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    input_tokens: i64,
    /// Native tokens of the answer.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    output_tokens: i64,
    /// The model that answered; without it the one that was asked for.
    #[arg(long)]
    model: Option<ModelName>,
}

/// Why there is nothing to book.
#[derive(Debug, clap::Args)]
pub(super) struct Dismiss {
    #[command(flatten)]
    which: Which,
    /// Why it was not charged.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

fn state(text: &str) -> Result<PendingState> {
    text.parse().map_err(|why: String| anyhow!(why))
}

fn cost(text: &str) -> Result<Usd> {
    let cost = Usd::parse(text)?;
    ensure!(cost >= Usd::ZERO, "a cost is not below zero");
    Ok(cost)
}

pub(super) async fn run(command: Command, services: &OrganizationServices) -> Result<()> {
    match command {
        Command::List(which) => list(&which, services).await,
        Command::Settle(settle) => settle_one(settle, services).await,
        Command::Dismiss(Dismiss { which, reason }) => {
            services.processed_generation_db.dismiss(&which.org, &which.id, &reason).await?;
            done(&which, "dismissed")
        }
        Command::Retry(which) => {
            services.processed_generation_db.look_up_again(&which.org, &which.id).await?;
            done(&which, "due for a look-up")
        }
    }
}

async fn list(which: &List, services: &OrganizationServices) -> Result<()> {
    let table = &services.processed_generation_db;
    let rows = table.list_pending(which.org.as_ref(), which.state, which.limit).await?;
    let now = UnixTime::from(SystemClock.now());
    if which.output.json {
        say!("{}", Value::from(rows.iter().map(|row| as_json(row, now)).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if rows.is_empty() {
        say!("No generation waits for its cost.")?;
    }
    for row in rows {
        let model = row.requested_model.as_ref().map_or("-", ModelName::as_str);
        say!(
            "{:<24} {:<40} {:<10} {:<16} {:>4} look-ups {:>7} {model} {} {}",
            row.client_org_id.as_str(),
            row.id.as_str(),
            row.state.as_str(),
            row.reason.as_str(),
            row.attempts,
            age(&row, now),
            row.user_id,
            row.last_error.as_deref().unwrap_or_default()
        )?;
    }
    Ok(())
}

async fn settle_one(settle: Settle, services: &OrganizationServices) -> Result<()> {
    let Settle { which, cost, input_tokens, output_tokens, model } = settle;
    let model = match model {
        Some(model) => model,
        None => requested_model(&which, services).await?,
    };
    let usage = &services.client_usage_db;
    let recorded = usage
        .settle_by_hand(&which.org, &which.id, cost, input_tokens, output_tokens, model)
        .await
        .with_context(|| format!("{} cannot be settled", which.id))?;
    match recorded {
        Recorded::New | Recorded::Duplicate | Recorded::Corrected => done(&which, "settled"),
        Recorded::Conflict => {
            bail!("{} was booked meanwhile with other figures; nothing was changed", which.id)
        }
        Recorded::TooOld => bail!("{} is too old to be booked; nothing was changed", which.id),
    }
}

/// The model that a pending call asked for.
async fn requested_model(which: &Which, services: &OrganizationServices) -> Result<ModelName> {
    let rows = services.processed_generation_db.list_pending(Some(&which.org), None, i64::MAX).await?;
    let row = rows.into_iter().find(|row| row.id == which.id);
    let row = row.with_context(|| format!("generation {} is not pending", which.id))?;
    row.requested_model
        .with_context(|| format!("{} does not say which model it asked for; add --model", which.id))
}

fn done(which: &Which, what: &str) -> Result<()> {
    if which.output.json {
        say!("{}", json!({ "client_org_id": which.org, "id": which.id, "result": what }))?;
    } else {
        say!("{} is {what}.", which.id)?;
    }
    Ok(())
}

fn age_seconds(row: &PendingGenerationModel, now: UnixTime) -> i64 {
    now.seconds().saturating_sub(row.started_at.seconds()).max(0)
}

/// The time since the call began, in its greatest whole unit.
fn age(row: &PendingGenerationModel, now: UnixTime) -> String {
    match age_seconds(row, now) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn as_json(row: &PendingGenerationModel, now: UnixTime) -> Value {
    json!({
        "client_org_id": row.client_org_id,
        "id": row.id,
        "reason": row.reason.as_str(),
        "state": row.state.as_str(),
        "attempts": row.attempts,
        "age_seconds": age_seconds(row, now),
        "started_at": row.started_at,
        "usage_date": row.generation_date,
        "last_error": row.last_error,
        "model": row.requested_model,
        "user_id": row.user_id,
    })
}
