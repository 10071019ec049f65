//! `mai-usage users …`: the people who sign in with a password.

use anyhow::{Context, Result, anyhow};
use mai_organization::{
    OrganizationServices,
    client_organization::{AccountModel, AccountPatch, CreatedSignInLink, NewAccount, Role, Standing},
};
use mai_primitives::{OrganizationId, UserId};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Output;
use crate::{api::accounts::link, settings::Settings};

/// What to do with accounts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an account and print a link with which its owner signs in once and chooses a password.
    #[command(
        after_help = "Example: mai-usage users create --email anna@abc.example --role admin --org org_…"
    )]
    Create(Create),
    /// List the accounts of an organization, or those of the reseller.
    #[command(after_help = "Example: mai-usage users list --org org_…")]
    List(List),
    /// Print a new link for the owner of an account; earlier ones work no longer.
    #[command(after_help = "Example: mai-usage users link --email anna@abc.example")]
    Link(One),
    /// Deactivate an account, which ends everything that is signed in with it.
    #[command(after_help = "Example: mai-usage users deactivate --email anna@abc.example")]
    Deactivate(One),
    /// Let the owner of a deactivated account in again.
    #[command(after_help = "Example: mai-usage users activate --email anna@abc.example")]
    Activate(One),
}

/// A new account.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The address, which no other account may have.
    #[arg(long)]
    email: String,
    /// What people call the owner; by default the address.
    #[arg(long)]
    name: Option<String>,
    /// What the owner may do: reseller, admin or member.
    #[arg(long, value_parser = role)]
    role: Role,
    /// The organization; the reseller's accounts have none.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// Who the owner is among the members; needed for the role member.
    #[arg(long)]
    user: Option<UserId>,
    #[command(flatten)]
    output: Output,
}

/// Which accounts to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The organization; without one the reseller's accounts are listed.
    #[arg(long)]
    org: Option<OrganizationId>,
    #[command(flatten)]
    output: Output,
}

/// One account.
#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// Its address.
    #[arg(long)]
    email: String,
    #[command(flatten)]
    output: Output,
}

fn role(text: &str) -> Result<Role> {
    text.parse().map_err(|why: String| anyhow!(why))
}

pub(super) async fn run(
    command: Command,
    services: &OrganizationServices,
    settings: &Settings,
) -> Result<()> {
    match command {
        Command::Create(create) => create_account(create, services, settings).await,
        Command::List(which) => list(which, services).await,
        Command::Link(one) => {
            let account = find(&one.email, services).await?;
            print_link(&account, &one.output, services, settings).await
        }
        Command::Deactivate(one) => set_active(one, false, services).await,
        Command::Activate(one) => set_active(one, true, services).await,
    }
}

async fn create_account(create: Create, services: &OrganizationServices, settings: &Settings) -> Result<()> {
    let standing = Standing { role: create.role, client_org_id: create.org, user_id: create.user };
    let name = create.name.unwrap_or_else(|| create.email.clone());
    let account = services.account_db.create(NewAccount { email: create.email, name, standing }).await?;
    print_link(&account, &create.output, services, settings).await
}

async fn print_link(
    account: &AccountModel,
    output: &Output,
    services: &OrganizationServices,
    settings: &Settings,
) -> Result<()> {
    let created: CreatedSignInLink =
        services.sign_in_link_db.create(account.client_org_id.as_ref(), &account.id).await?;
    let token = created.token.expose_secret();
    let link = link(&settings.base_url(), token);
    if output.json {
        let mut value = shown(account);
        if let Value::Object(fields) = &mut value {
            fields.insert("link".to_owned(), Value::from(link));
            fields.insert("token".to_owned(), Value::from(token));
            fields.insert("link_expires_at".to_owned(), json!(created.expires_at));
        }
        say!("{value}")?;
    } else {
        say!("Link for {}, shown only this once; it signs in once, within a day:\n{link}", account.email)?;
    }
    Ok(())
}

async fn list(which: List, services: &OrganizationServices) -> Result<()> {
    let accounts = services.account_db.list(which.org.as_ref()).await?;
    if which.output.json {
        say!("{}", Value::from(accounts.iter().map(shown).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if accounts.is_empty() {
        say!("There are no accounts. Create one: mai-usage users create --email ADDRESS --role ROLE")?;
    }
    for account in accounts {
        let state = match (account.is_active, &account.password_hash) {
            (false, _) => "inactive",
            (true, None) => "invited",
            (true, Some(_)) => "active",
        };
        let role = account.role.as_str();
        say!("{:<20} {role:<9} {state:<9} {:<36} {}", account.id, account.email, account.name)?;
    }
    Ok(())
}

async fn set_active(one: One, is_active: bool, services: &OrganizationServices) -> Result<()> {
    let account = find(&one.email, services).await?;
    let patch = AccountPatch { is_active: Some(is_active), ..AccountPatch::default() };
    let account = services.account_db.update(account.client_org_id.as_ref(), &account.id, patch).await?;
    if one.output.json {
        say!("{}", shown(&account))?;
    } else {
        say!("The account of {} is {} now.", account.email, if is_active { "active" } else { "inactive" })?;
    }
    Ok(())
}

async fn find(email: &str, services: &OrganizationServices) -> Result<AccountModel> {
    let found = services.account_db.get_by_email(email).await?;
    found.with_context(|| format!("there is no account with the address {email}"))
}

/// An account as it may be shown.
fn shown(account: &AccountModel) -> Value {
    json!({
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "role": account.role.as_str(),
        "client_org_id": account.client_org_id,
        "user_id": account.user_id,
        "is_active": account.is_active,
        "has_password": account.password_hash.is_some(),
        "locked_until": account.locked_until,
        "last_sign_in_at": account.last_sign_in_at,
        "created_at": account.created_at,
    })
}
