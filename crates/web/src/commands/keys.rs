//! `mai-usage keys …`.

use anyhow::{Context, Result, anyhow};
use mai_organization::{
    OrganizationServices,
    client_organization::{GatewayKeyModel, NewGatewayKey},
};
use mai_primitives::{OrganizationId, UserId};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Output, rotate_master};

/// What to do with gateway keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a key. It is shown only this once.
    #[command(after_help = "Example: mai-usage keys create --org org_… --trusted-client --name 'Open WebUI'")]
    Create(Create),
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
    /// What people call the key.
    #[arg(long, default_value = "gateway key")]
    name: String,
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
        Command::List(which) => list(which, services).await,
        Command::RotateMaster(_) => Err(anyhow!("the master key is changed without the services")),
    }
}

async fn create_key(create: Create, services: &OrganizationServices) -> Result<()> {
    let new = NewGatewayKey {
        name: create.name,
        user_id: create.user,
        is_trusted_client: create.trusted_client,
        expires_at: None,
    };
    let created = services
        .gateway_key_db
        .create(&create.org, new)
        .await
        .with_context(|| format!("cannot create a key for organization {}", create.org))?;
    let key = created.key.expose_secret();
    if create.output.json {
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
    for key in keys {
        let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
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
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
    })
}
