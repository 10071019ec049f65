//! `mai-usage keys …`.

use anyhow::{Context, Result, anyhow};
use mai_organization::{
    OrganizationServices,
    client_organization::{CreatedGatewayKey, GatewayKeyModel, NewGatewayKey},
};
use mai_primitives::{Clock, OrganizationId, SystemClock, UnixTime, UserId};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Output, rotate_master, secret};

const SECONDS_OF_HOUR: u32 = 3_600;
const SECONDS_OF_DAY: i64 = 86_400;

/// What to do with gateway keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a key. It is shown only this once.
    #[command(
        after_help = "Example: mai-usage keys create --org org_… --name 'Open WebUI' --trusted-client \
                            --open-webui --identity-secret - < secret.txt"
    )]
    Create(Create),
    /// Replace a key by a new one, which is shown only this once; the old one works for a while longer.
    #[command(after_help = "Example: mai-usage keys rotate --org org_… --id key_… --grace-hours 24")]
    Rotate(Rotate),
    /// Take a key back, at once and for good.
    #[command(after_help = "Example: mai-usage keys revoke --org org_… --id key_…")]
    Revoke(Revoke),
    /// List the keys of an organization.
    #[command(after_help = "Example: mai-usage keys list --org org_…")]
    List(List),
    /// Replace the master key that seals the secrets in the database, while the service runs.
    #[command(after_help = "Example: mai-usage keys rotate-master")]
    RotateMaster(rotate_master::Arguments),
}

/// A new key.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The organization that pays.
    #[arg(long)]
    org: OrganizationId,
    /// The member whose key it is; without one it belongs to the organization as a whole.
    #[arg(long)]
    user: Option<UserId>,
    /// Believe the identity headers of the client that uses the key, such as Open WebUI.
    #[arg(long)]
    trusted_client: bool,
    /// The client is Open WebUI: errors within a stream are shown in the form that it needs.
    #[arg(long)]
    open_webui: bool,
    /// What the client signs its users with (FORWARD_USER_INFO_HEADER_JWT_SECRET of Open WebUI). Plain
    /// headers are refused then. `-` reads it from standard input.
    #[arg(long, value_name = "SECRET", env = "MAI_NEW_IDENTITY_SECRET", hide_env_values = true)]
    identity_secret: Option<String>,
    /// How many calls a minute the key may bring, 1 to 1000000; without it only each member is limited.
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true)]
    requests_per_minute: Option<i64>,
    /// After how many days the key stops working, 1 to 3650; without it never.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=3_650))]
    expires_in_days: Option<i64>,
    /// What people call the key.
    #[arg(long, default_value = "gateway key")]
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Which key to replace.
#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The key, as `keys list` shows it.
    #[arg(long)]
    id: String,
    /// For how many hours the old key works on, at most 8760.
    #[arg(long, default_value = "24", value_parser = clap::value_parser!(u32).range(0..=8_760))]
    grace_hours: u32,
    #[command(flatten)]
    output: Output,
}

/// Which key to take back.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The key, as `keys list` shows it.
    #[arg(long)]
    id: String,
    #[command(flatten)]
    output: Output,
}

/// Which keys to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(command: Command, services: &OrganizationServices) -> Result<()> {
    match command {
        Command::Create(create) => create_key(create, services).await,
        Command::Rotate(rotate) => rotate_key(rotate, services).await,
        Command::Revoke(revoke) => revoke_key(revoke, services).await,
        Command::List(which) => list(which, services).await,
        Command::RotateMaster(_) => Err(anyhow!("the master key is changed without the services")),
    }
}

async fn create_key(create: Create, services: &OrganizationServices) -> Result<()> {
    let now = UnixTime::from(SystemClock.now());
    let new = NewGatewayKey {
        name: create.name,
        user_id: create.user,
        is_trusted_client: create.trusted_client,
        is_open_webui: create.open_webui,
        identity_secret: create.identity_secret.as_deref().map(secret).transpose()?,
        requests_per_minute: create.requests_per_minute,
        expires_at: create.expires_in_days.map(|days| now.plus_seconds(days.saturating_mul(SECONDS_OF_DAY))),
    };
    let created = services
        .gateway_key_db
        .create(&create.org, new)
        .await
        .with_context(|| format!("cannot create a key for organization {}", create.org))?;
    show_once(&created, create.output.json)
}

async fn rotate_key(rotate: Rotate, services: &OrganizationServices) -> Result<()> {
    let grace_seconds = rotate.grace_hours.saturating_mul(SECONDS_OF_HOUR);
    let created = services
        .gateway_key_db
        .rotate(&rotate.org, &rotate.id, grace_seconds)
        .await
        .with_context(|| format!("cannot rotate the key {} of organization {}", rotate.id, rotate.org))?;
    show_once(&created, rotate.output.json)
}

async fn revoke_key(revoke: Revoke, services: &OrganizationServices) -> Result<()> {
    let revoked = services
        .gateway_key_db
        .revoke(&revoke.org, &revoke.id)
        .await
        .with_context(|| format!("cannot revoke the key {} of organization {}", revoke.id, revoke.org))?;
    if revoke.output.json {
        say!("{}", shown(&revoked))?;
    } else {
        say!("The key {} ({}) does not work any more.", revoked.id, revoked.name)?;
    }
    Ok(())
}

/// Prints a new key, the only time that it is there.
fn show_once(created: &CreatedGatewayKey, json: bool) -> Result<()> {
    let key = created.key.expose_secret();
    if json {
        let mut value = shown(&created.model);
        if let Value::Object(fields) = &mut value {
            fields.insert("key".to_owned(), Value::from(key));
        }
        say!("{value}")?;
    } else {
        say!("Gateway key, shown only this once: {key}")?;
    }
    Ok(())
}

async fn list(which: List, services: &OrganizationServices) -> Result<()> {
    let keys = services.gateway_key_db.list(&which.org).await?;
    if which.output.json {
        say!("{}", Value::from(keys.iter().map(shown).collect::<Vec<_>>()))?;
        return Ok(());
    }
    let now = UnixTime::from(SystemClock.now());
    for key in keys {
        let state = match (key.revoked_at, key.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            (None, Some(_)) => "expires",
            (None, None) => "active",
        };
        let user = key.user_id.as_ref().map_or("the organization", UserId::as_str);
        say!("{:<24} {}… {state:<8} {user:<38} {}", key.id, key.key_prefix, key.name)?;
    }
    Ok(())
}

/// A key as it may be shown.
fn shown(key: &GatewayKeyModel) -> Value {
    json!({
        "id": key.id,
        "client_org_id": key.client_org_id,
        "key_prefix": key.key_prefix,
        "name": key.name,
        "user_id": key.user_id,
        "is_trusted_client": key.is_trusted_client,
        "is_open_webui": key.is_open_webui,
        "signs_identities": key.identity_secret.is_some(),
        "requests_per_minute": key.requests_per_minute,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
    })
}
