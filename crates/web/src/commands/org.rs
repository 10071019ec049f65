//! `mai-usage org …`.

use anyhow::{Context, Result, bail};
use mai_organization::{
    ClientOrganizationForm, ClientOrganizationModel, OrganizationServices,
    client_organization::{
        Change, ClientOrganizationPatch, DayRatePolicy, StatementRatePolicy, new_webhook_secret,
    },
};
use mai_primitives::{MarkupRate, OrganizationCalendar, OrganizationId, Usd};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Output, change, secret};

/// What to do with organizations.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an organization.
    #[command(
        after_help = "Example: mai-usage org create --name 'ABC Sp. z o.o.' --markup 1.3 < provider-key.txt"
    )]
    Create(Create),
    /// Change an organization: what is not named stays as it is.
    #[command(
        after_help = "Example: mai-usage org update --org abc --markup 1.25 --site-url https://chat.abc.example"
    )]
    Update(Update),
    /// List all organizations.
    #[command(after_help = "Example: mai-usage org list --json")]
    List(Output),
    /// Set or clear the secret with which an organization signs its posts to the usage webhook.
    #[command(after_help = "Example: mai-usage org webhook-secret --org abc")]
    WebhookSecret(SetWebhookSecret),
}

/// A change of a webhook secret.
#[derive(Debug, clap::Args)]
pub(super) struct SetWebhookSecret {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The secret; without one a new secret is made and shown once. `-` reads it from standard input.
    #[arg(long, env = "MAI_NEW_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// Ask for no signature any more.
    #[arg(long, conflicts_with = "secret")]
    clear: bool,
    #[command(flatten)]
    output: Output,
}

/// A new organization.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// What people call it.
    #[arg(long)]
    name: String,
    /// Its id; without one a new id is made.
    #[arg(long)]
    id: Option<OrganizationId>,
    /// Its OpenRouter key. `-` reads it from standard input, which keeps it out of the process list.
    #[arg(long, value_name = "KEY", env = "MAI_NEW_PROVIDER_KEY", hide_env_values = true)]
    provider_key: Option<String>,
    /// Its factor on raw cost, such as 1.3; without one the global default holds.
    #[arg(long, value_parser = MarkupRate::parse)]
    markup: Option<MarkupRate>,
    /// What it may spend in a calendar month, in USD of client price; without one there is no limit.
    #[arg(long, value_parser = Usd::parse, value_name = "USD")]
    monthly_limit: Option<Usd>,
    /// Its IANA time zone; without one MAI_TIME_ZONE holds.
    #[arg(long)]
    time_zone: Option<String>,
    /// Where its statements go.
    #[arg(long)]
    billing_email: Option<String>,
    /// Read answers to their end when the client has left, so that their cost is known at once.
    #[arg(long)]
    drain_on_disconnect: bool,
    /// What OpenRouter gets as HTTP-Referer; without one none is sent.
    #[arg(long, value_name = "URL")]
    site_url: Option<String>,
    /// Which of NBP's tables gives a day its rate: same_day_or_before or before_day.
    #[arg(long, value_name = "POLICY", default_value_t)]
    day_rate_policy: DayRatePolicy,
    /// Which of NBP's tables gives a statement its rate: before_period_end or before_issue_day.
    #[arg(long, value_name = "POLICY", default_value_t)]
    statement_rate_policy: StatementRatePolicy,
    #[command(flatten)]
    output: Output,
}

/// A change of an organization.
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// Its factor on raw cost from now on, such as 1.3, or `default`.
    #[arg(long, value_parser = markup)]
    markup: Option<Change<MarkupRate>>,
    /// What it may spend in a calendar month, in USD of client price, or `none`.
    #[arg(long, value_parser = limit, value_name = "USD")]
    monthly_limit: Option<Change<Usd>>,
    /// Its IANA time zone; days that are booked already keep their date.
    #[arg(long)]
    time_zone: Option<String>,
    /// Where its statements go, or `none`.
    #[arg(long, value_parser = text, value_name = "ADDRESS")]
    billing_email: Option<Change<String>>,
    /// Another OpenRouter key: `-` reads it from standard input and `env` from MAI_NEW_PROVIDER_KEY; `none`
    /// takes it away. It is not taken from here, where every user of the machine could see it.
    #[arg(long, value_name = "-|env|none")]
    provider_key: Option<String>,
    /// Whether its keys work. A key that was made at OpenRouter follows only where it is done by API.
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    /// What OpenRouter gets as HTTP-Referer, or `none`.
    #[arg(long, value_parser = text, value_name = "URL")]
    site_url: Option<Change<String>>,
    /// Whether answers are read to their end when the client has left.
    #[arg(long, value_name = "true|false")]
    drain_on_disconnect: Option<bool>,
    /// Which of NBP's tables gives a day its rate: same_day_or_before or before_day. Days that have a rate
    /// keep it.
    #[arg(long, value_name = "POLICY")]
    day_rate_policy: Option<DayRatePolicy>,
    /// Which of NBP's tables gives a statement its rate: before_period_end or before_issue_day.
    #[arg(long, value_name = "POLICY")]
    statement_rate_policy: Option<StatementRatePolicy>,
    #[command(flatten)]
    output: Output,
}

fn markup(text: &str) -> Result<Change<MarkupRate>> {
    change(text, "default", MarkupRate::parse)
}

fn limit(text: &str) -> Result<Change<Usd>> {
    change(text, "none", Usd::parse)
}

/// The key that `--provider-key` means. What else may stand there is not repeated: it may be a key.
fn provider_key(from: Option<&str>) -> Result<Change<SecretString>> {
    match from {
        None => Ok(Change::Keep),
        Some("none") => Ok(Change::Clear),
        Some("-") => secret("-").map(Change::Set),
        Some("env") => {
            let key = std::env::var("MAI_NEW_PROVIDER_KEY").context("MAI_NEW_PROVIDER_KEY is not set")?;
            Ok(Change::Set(SecretString::from(key.trim())))
        }
        Some(_) => bail!("--provider-key takes `-`, `env` or `none`, and never the key itself"),
    }
}

fn text(text: &str) -> Result<Change<String>> {
    change(text, "none", str::parse)
}

pub(super) async fn run(
    command: Command,
    services: &OrganizationServices,
    usual_zone: OrganizationCalendar,
) -> Result<()> {
    match command {
        Command::Create(create) => create_organization(create, services, usual_zone).await,
        Command::Update(update) => update_organization(update, services).await,
        Command::List(output) => list(&output, services).await,
        Command::WebhookSecret(change) => set_webhook_secret(change, services).await,
    }
}

async fn set_webhook_secret(set: SetWebhookSecret, services: &OrganizationServices) -> Result<()> {
    let (webhook_secret, made) = match (set.clear, set.secret.as_deref()) {
        (true, _) => (Change::Clear, None),
        (false, Some(text)) => (Change::Set(secret(text)?), None),
        (false, None) => {
            let made = new_webhook_secret()?;
            (Change::Set(made.clone()), Some(made))
        }
    };
    let patch = ClientOrganizationPatch { webhook_secret, ..ClientOrganizationPatch::default() };
    services.client_organization_db.update(&set.org, patch).await?;
    let made = made.as_ref().map(ExposeSecret::expose_secret);
    match (set.output.json, set.clear, made) {
        (true, ..) => say!("{}", json!({ "id": set.org, "signed": !set.clear, "webhook_secret": made }))?,
        (false, true, _) => say!("{} need not sign its reports any more.", set.org)?,
        (false, false, Some(made)) => say!("Webhook secret of {}, shown only this once: {made}", set.org)?,
        (false, false, None) => say!("{} must sign its reports from now on.", set.org)?,
    }
    Ok(())
}

async fn create_organization(
    create: Create,
    services: &OrganizationServices,
    usual_zone: OrganizationCalendar,
) -> Result<()> {
    let provider_key = create.provider_key.as_deref().map(secret).transpose()?;
    let form = ClientOrganizationForm {
        id: create.id,
        name: create.name,
        openrouter_api_key: provider_key,
        openrouter_key_hash: None,
        markup_rate: create.markup,
        monthly_limit: create.monthly_limit,
        billing_email: create.billing_email,
        timezone: Some(create.time_zone.unwrap_or_else(|| usual_zone.zone().to_owned())),
        drain_on_disconnect: create.drain_on_disconnect,
        site_url: create.site_url,
        day_rate_policy: create.day_rate_policy,
        statement_rate_policy: create.statement_rate_policy,
    };
    let organization = services.client_organization_db.create(form).await?;
    if create.output.json {
        say!("{}", shown(&organization))?;
    } else {
        say!("Created organization {} ({}).", organization.id, organization.name)?;
        say!("Next: mai-usage keys create --org {}", organization.id)?;
    }
    Ok(())
}

async fn update_organization(update: Update, services: &OrganizationServices) -> Result<()> {
    let patch = ClientOrganizationPatch {
        openrouter_api_key: provider_key(update.provider_key.as_deref())?,
        timezone: update.time_zone,
        billing_email: update.billing_email.unwrap_or_default(),
        is_active: update.active,
        name: update.name,
        markup_rate: update.markup.unwrap_or_default(),
        monthly_limit: update.monthly_limit.unwrap_or_default(),
        site_url: update.site_url.unwrap_or_default(),
        drain_on_disconnect: update.drain_on_disconnect,
        day_rate_policy: update.day_rate_policy,
        statement_rate_policy: update.statement_rate_policy,
        ..ClientOrganizationPatch::default()
    };
    let organization = services.client_organization_db.update(&update.org, patch).await;
    let organization = organization.with_context(|| format!("cannot change organization {}", update.org))?;
    if update.output.json {
        say!("{}", shown(&organization))?;
    } else {
        say!("Changed organization {} ({}).", organization.id, organization.name)?;
        if let (Some(hash), Some(_)) = (&organization.openrouter_key_hash, update.active) {
            say!("Its key {hash} at OpenRouter stays as it is there; the API switches it as well.")?;
        }
    }
    Ok(())
}

async fn list(output: &Output, services: &OrganizationServices) -> Result<()> {
    let organizations = services.client_organization_db.get_all().await?;
    if output.json {
        say!("{}", Value::from(organizations.iter().map(shown).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if organizations.is_empty() {
        say!("There are no organizations yet. Create one: mai-usage org create --name NAME")?;
    }
    for one in organizations {
        let state = if one.is_active { "active" } else { "inactive" };
        let markup = one.markup_rate.map_or_else(|| "default".to_owned(), |rate| rate.to_string());
        say!("{:<28} {state:<9} markup {markup:<8} {:<20} {}", one.id.as_str(), one.timezone, one.name)?;
    }
    Ok(())
}

/// An organization without its secrets.
fn shown(one: &ClientOrganizationModel) -> Value {
    json!({
        "id": one.id,
        "name": one.name,
        "is_active": one.is_active,
        "markup_rate": one.markup_rate.map(|rate| rate.to_string()),
        "monthly_limit_usd": one.monthly_limit.map(|limit| limit.to_string()),
        "timezone": one.timezone,
        "billing_email": one.billing_email,
        "provider_key_last4": one.provider_key.last4,
        "signs_webhooks": one.webhook_secret.is_some(),
        "drain_on_disconnect": one.drain_on_disconnect,
        "site_url": one.site_url,
        "day_rate_policy": one.day_rate_policy.as_str(),
        "statement_rate_policy": one.statement_rate_policy.as_str(),
        "created_at": one.created_at,
    })
}
