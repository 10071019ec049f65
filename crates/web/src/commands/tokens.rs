//! `mai-usage tokens …`.

use anyhow::{Result, anyhow};
use mai_organization::{
    OrganizationServices,
    client_organization::{ApiTokenModel, NewApiToken, Role, TokenScope},
};
use mai_primitives::{Clock, OrganizationId, SystemClock, UnixTime, UserId};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Output;

/// What to do with API tokens.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a token. It is shown only this once.
    #[command(after_help = "Example: mai-usage tokens create --org org_… --role admin")]
    Create(Create),
    /// List the tokens of an organization, or those of the reseller.
    #[command(after_help = "Example: mai-usage tokens list --org org_…")]
    List(List),
    /// Take a token back, for good.
    #[command(after_help = "Example: mai-usage tokens revoke --org org_… --id token_…")]
    Revoke(Revoke),
}

/// A token to take back.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Whose it is; without an organization it is the reseller's.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// Its id.
    #[arg(long)]
    id: String,
    #[command(flatten)]
    output: Output,
}

/// A new token.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The organization whose figures it opens; a reseller's token has none.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// What it may do: reseller, admin or member.
    #[arg(long, default_value = "admin", value_parser = role)]
    role: Role,
    /// The member whose token it is; needed for the role member.
    #[arg(long)]
    user: Option<UserId>,
    /// Let it read only and change nothing.
    #[arg(long)]
    read_only: bool,
    /// After how many days it works no longer; without it it works until it is revoked.
    #[arg(long, value_name = "DAYS")]
    expires_in_days: Option<u16>,
    /// What people call the token.
    #[arg(long, default_value = "API token")]
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Which tokens to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The organization; without one the reseller's tokens are listed.
    #[arg(long)]
    org: Option<OrganizationId>,
    #[command(flatten)]
    output: Output,
}

fn role(text: &str) -> Result<Role> {
    text.parse().map_err(|why: String| anyhow!(why))
}

pub(super) async fn run(command: Command, services: &OrganizationServices) -> Result<()> {
    match command {
        Command::Create(create) => create_token(create, services).await,
        Command::List(which) => list(which, services).await,
        Command::Revoke(which) => revoke(which, services).await,
    }
}

async fn create_token(create: Create, services: &OrganizationServices) -> Result<()> {
    let now: UnixTime = SystemClock.now().into();
    let new = NewApiToken {
        name: create.name,
        role: create.role,
        client_org_id: create.org,
        user_id: create.user,
        scope: if create.read_only { TokenScope::Read } else { TokenScope::Full },
        expires_at: create.expires_in_days.map(|days| now.plus_seconds(i64::from(days) * 86_400)),
    };
    let created = services.api_token_db.create(new).await?;
    let token = created.token.expose_secret();
    if create.output.json {
        let mut value = shown(&created.model);
        if let Value::Object(fields) = &mut value {
            fields.insert("token".to_owned(), Value::from(token));
        }
        say!("{value}")?;
    } else {
        say!("API token, shown only this once: {token}")?;
    }
    Ok(())
}

async fn list(which: List, services: &OrganizationServices) -> Result<()> {
    let tokens = services.api_token_db.list(which.org.as_ref()).await?;
    if which.output.json {
        say!("{}", Value::from(tokens.iter().map(shown).collect::<Vec<_>>()))?;
        return Ok(());
    }
    for token in tokens {
        let state = if token.revoked_at.is_some() { "revoked" } else { "active" };
        say!(
            "{:<26} {}… {:<9} {state:<8} {}",
            token.id,
            token.token_prefix,
            token.role.as_str(),
            token.name
        )?;
    }
    Ok(())
}

async fn revoke(which: Revoke, services: &OrganizationServices) -> Result<()> {
    services.api_token_db.revoke(which.org.as_ref(), &which.id).await?;
    if which.output.json {
        say!("{}", json!({ "id": which.id, "revoked": true }))?;
    } else {
        say!("The token {} works no longer.", which.id)?;
    }
    Ok(())
}

/// A token as it may be shown.
fn shown(token: &ApiTokenModel) -> Value {
    json!({
        "id": token.id,
        "token_prefix": token.token_prefix,
        "name": token.name,
        "role": token.role.as_str(),
        "scope": token.scope.as_str(),
        "client_org_id": token.client_org_id,
        "user_id": token.user_id,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "created_at": token.created_at,
    })
}
