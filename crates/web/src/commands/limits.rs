//! `mai-usage limits …`.

use anyhow::{Context, Result, bail};
use mai_billing::{BillingMonth, LimitState, limits::LimitedModel, states};
use mai_model_prices::{PriceList, query::load_other};
use mai_organization::{
    OrganizationServices,
    client_organization::{LimitScope, LimitSubject},
};
use mai_primitives::{Clock, ModelName, OrganizationId, SystemClock, Usd, UserId};
use mai_storage::Storage;
use serde_json::{Value, json};

use super::Output;

/// What to do with limits.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the limits of an organization, its members and its models, with what was spent.
    #[command(after_help = "Example: mai-usage limits list --org abc --month 2026-11 --json")]
    List(List),
    /// Set what a member or a model may cost in a calendar month. The organization's own limit is set by
    /// `mai-usage org update --monthly-limit`.
    #[command(after_help = "Example: mai-usage limits set --org abc --model openai/o3 --usd 50")]
    Set(Set),
    /// Take the limit of a member or a model away.
    #[command(after_help = "Example: mai-usage limits clear --org abc --member anna")]
    Clear(Clear),
}

/// Which limits.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The month; without one the present month of the organization.
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<BillingMonth>,
    #[command(flatten)]
    output: Output,
}

/// What a limit is about.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Subject {
    /// A member.
    #[arg(long, value_name = "USER")]
    member: Option<UserId>,
    /// A model, without a variant such as `:free`.
    #[arg(long)]
    model: Option<ModelName>,
}

/// A limit to set.
#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    #[command(flatten)]
    subject: Subject,
    /// What it may cost in a month, in USD of client price; with 0 nothing may be bought.
    #[arg(long, value_parser = Usd::parse, value_name = "USD", allow_negative_numbers = true)]
    usd: Usd,
    #[command(flatten)]
    output: Output,
}

/// A limit to take away.
#[derive(Debug, clap::Args)]
pub(super) struct Clear {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    output: Output,
}

impl Subject {
    /// One of them is there.
    fn named(&self) -> (LimitScope, &str) {
        match (&self.member, &self.model) {
            (Some(member), _) => (LimitScope::Member, member.as_str()),
            (None, model) => (LimitScope::Model, model.as_ref().map_or("", ModelName::as_str)),
        }
    }
}

pub(super) async fn run(command: Command, services: &OrganizationServices, storage: &Storage) -> Result<()> {
    match command {
        Command::List(list) => self::list(list, services, storage).await,
        Command::Set(set) => {
            let known = match &set.subject.model {
                Some(model) => is_known(model, storage).await?,
                None => true,
            };
            let row = services.usage_limit_db.set(&set.org, set.subject.named(), set.usd).await;
            let row = row.context("cannot set the limit")?;
            if set.output.json {
                let (scope, limit) = (row.scope.as_str(), row.monthly_limit.to_string());
                let subject = &row.subject;
                say!(
                    "{}",
                    json!({ "scope": scope, "subject": subject, "monthly_limit_usd": limit, "known": known })
                )?;
            } else {
                say!("The limit of {} is {} USD a month.", row.about()?, row.monthly_limit)?;
                if !known {
                    say!("Warning: the price list has no such model; see that the name is right.")?;
                }
            }
            Ok(())
        }
        Command::Clear(clear) => {
            let (scope, subject) = clear.subject.named();
            let gone = services.usage_limit_db.clear(&clear.org, (scope, subject)).await;
            gone.context("cannot take the limit away")?;
            if clear.output.json {
                say!(
                    "{}",
                    json!({ "scope": scope.as_str(), "subject": subject, "monthly_limit_usd": null })
                )?;
            } else {
                say!("{} has no limit any more.", LimitSubject::new(scope, subject)?)?;
            }
            Ok(())
        }
    }
}

async fn prices(storage: &Storage) -> Result<PriceList> {
    Ok(storage.read(|conn| load_other(conn, None)).await?.unwrap_or_else(PriceList::built_in))
}

/// Whether the price list has a model; refused where it counts the model under another name.
async fn is_known(model: &ModelName, storage: &Storage) -> Result<bool> {
    match LimitedModel::of(model, &prices(storage).await?) {
        LimitedModel::Known => Ok(true),
        LimitedModel::Unknown => Ok(false),
        LimitedModel::CountedAs(family) => bail!("`{model}` is counted as `{family}`; set the limit of that"),
    }
}

async fn list(list: List, services: &OrganizationServices, storage: &Storage) -> Result<()> {
    let organization = services.client_organization_db.get_any_by_id(&list.org).await?;
    let organization = organization.with_context(|| format!("there is no organization `{}`", list.org))?;
    let today = organization.calendar()?.usage_date(SystemClock.now());
    let month = list.month.unwrap_or_else(|| BillingMonth::of(today));
    let prices = prices(storage).await?;
    let id = organization.id;
    let read = storage.read(move |conn| states(conn, std::slice::from_ref(&id), month, &prices));
    let states = read.await?;
    if list.output.json {
        say!("{}", Value::from(states.iter().map(shown).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if states.is_empty() {
        say!(
            "There are no limits. Set one: mai-usage limits set --org {} --model MODEL --usd USD",
            list.org
        )?;
    }
    for state in states {
        let (percent, standing) = (state.percent(), state.standing().as_str());
        say!(
            "{percent:>4} % {standing:<8} {:>14} of {:>12} USD  {}",
            state.used(),
            state.limit,
            state.subject
        )?;
    }
    Ok(())
}

fn shown(state: &LimitState) -> Value {
    json!({
        "month": state.month.to_string(),
        "scope": state.subject.scope(),
        "subject": state.subject.name(),
        "monthly_limit_usd": state.limit.to_string(),
        "spent_usd": state.spent.to_string(),
        "pending_usd": state.pending.to_string(),
        "percent": state.percent(),
        "state": state.standing().as_str(),
    })
}
