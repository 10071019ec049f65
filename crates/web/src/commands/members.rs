//! `mai-usage members …`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use mai_organization::{
    OrganizationServices,
    client_organization::{ImportOptions, ImportReport, MemberList, MemberModel, MemberQuery, import::csv},
    usage_tracking::{Assigned, Assignment, query::UserSums, verify::Days},
};
use mai_primitives::{OrganizationId, UsageDate, UserId};
use mai_storage::DatabaseUrl;
use serde_json::{Value, json};

use super::Output;
use crate::{
    open_webui::registry::{Registry, UsersApi},
    settings::Settings,
};

/// What to do with members.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Take over members from a CSV file (columns user_id, email, name, role, active) or from an Open
    /// WebUI. Exit code: 0 done, 1 nothing was changed.
    #[command(
        after_help = "Examples:\n  mai-usage members import --org org_… --csv members.csv --dry-run\n  \
                            mai-usage members import --org org_… --open-webui-database sqlite:webui.db"
    )]
    Import(Import),
    /// List the members of an organization.
    #[command(after_help = "Example: mai-usage members list --org org_… --search kowalski")]
    List(List),
    /// List users with usage who are no members.
    #[command(after_help = "Example: mai-usage members unassigned --org org_… --from 2026-11-01")]
    Unassigned(Unassigned),
    /// Give usage that was counted for one user to a member.
    #[command(
        after_help = "Examples:\n  mai-usage members assign --org org_… --from-user a.nowak --to-user UUID\n  \
                            mai-usage members assign --org org_… --from-user unattributed --to-user UUID \
                            --from 2026-11-01 --to 2026-11-07"
    )]
    Assign(Assign),
}

/// A list to take over.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// Whose members they are.
    #[arg(long)]
    org: OrganizationId,
    #[command(flatten)]
    from: From,
    /// Members of the same source who are missing in the list become inactive.
    #[arg(long)]
    deactivate_missing: bool,
    /// Change nothing; say what would be.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// Where a list comes from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// A CSV file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The API of Open WebUI that WEBUI_BASE_URL and MAI_WEBUI_API_KEY name.
    #[arg(long)]
    open_webui: bool,
    /// The database of an Open WebUI, `sqlite:PATH` or `postgres://…`. It is only read.
    #[arg(long, value_name = "URL", env = "MAI_IMPORT_DATABASE_URL", hide_env_values = true)]
    open_webui_database: Option<DatabaseUrl>,
}

/// Which members.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// Only those with this in the name, the address or the id.
    #[arg(long)]
    search: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Which days.
#[derive(Debug, clap::Args)]
pub(super) struct Unassigned {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// The first day, by default that of the month.
    #[arg(long, value_parser = UsageDate::parse)]
    from: Option<UsageDate>,
    /// The last day, by default today.
    #[arg(long, value_parser = UsageDate::parse)]
    to: Option<UsageDate>,
    #[command(flatten)]
    output: Output,
}

/// Whose usage is to be whose.
#[derive(Debug, clap::Args)]
pub(super) struct Assign {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// For whom it was counted.
    #[arg(long)]
    from_user: UserId,
    /// The registered member whose it is.
    #[arg(long)]
    to_user: UserId,
    /// The first day; only for `unattributed` and `manual_admin`.
    #[arg(long, value_parser = UsageDate::parse)]
    from: Option<UsageDate>,
    /// The last day; only for `unattributed` and `manual_admin`.
    #[arg(long, value_parser = UsageDate::parse)]
    to: Option<UsageDate>,
    /// The first one is an active member too, who is the same person and becomes inactive.
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(
    command: Command,
    services: &OrganizationServices,
    settings: &Settings,
) -> Result<ExitCode> {
    match command {
        Command::Import(wanted) => return import(wanted, services, settings).await,
        Command::List(which) => list(which, services).await?,
        Command::Unassigned(which) => unassigned(which, services).await?,
        Command::Assign(wanted) => assign(wanted, services).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(from: From, settings: &Settings) -> Result<MemberList> {
    if let Some(path) = from.csv {
        let length = std::fs::metadata(&path).map(|file| file.len());
        let length = length.with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            usize::try_from(length).is_ok_and(|length| length <= csv::MAX_BYTES),
            "{} is longer than {} bytes",
            path.display(),
            csv::MAX_BYTES
        );
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        return csv::parse(&bytes).with_context(|| format!("cannot use {}", path.display()));
    }
    let registry = match from.open_webui_database {
        Some(url) => Registry::Database(url),
        None => match settings.registry.as_ref().and_then(|registry| registry.api.as_ref()) {
            Some((base_url, key)) => Registry::Api(UsersApi::new(base_url, key.clone())?),
            None => bail!("--open-webui needs WEBUI_BASE_URL, MAI_WEBUI_API_KEY and MAI_WEBUI_ORGANIZATION"),
        },
    };
    Ok(registry.read().await?)
}

async fn import(wanted: Import, services: &OrganizationServices, settings: &Settings) -> Result<ExitCode> {
    let list = read(wanted.from, settings).await?;
    let options = ImportOptions { dry_run: wanted.dry_run, deactivate_missing: wanted.deactivate_missing };
    let report = services.member_db.import(&wanted.org, list, options).await?;
    if wanted.output.json {
        say!("{}", report_json(&report))?;
    } else {
        for one in &report.refused {
            say!("line {}: {}: {}", one.line, one.user_id, one.reason)?;
        }
        let ImportReport { new, changed, unchanged, merged, deactivated, refused, .. } = &report;
        let done = match (report.applied, wanted.dry_run) {
            (true, _) => "Done",
            (false, true) => "Nothing was changed (dry run)",
            (false, false) => "Nothing was changed",
        };
        let refused = refused.len();
        say!(
            "{done}: {new} new, {changed} changed, {unchanged} unchanged, {merged} known by another id, \
             {deactivated} inactive, {refused} refused."
        )?;
    }
    Ok(ExitCode::from(u8::from(!report.applied && !wanted.dry_run)))
}

fn report_json(report: &ImportReport) -> Value {
    let refused = report.refused.iter();
    let refused: Vec<Value> = refused
        .map(|one| json!({ "line": one.line, "user_id": one.user_id, "reason": one.reason }))
        .collect();
    json!({
        "applied": report.applied,
        "listed": report.listed,
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "merged": report.merged,
        "deactivated": report.deactivated,
        "refused": refused,
    })
}

async fn list(which: List, services: &OrganizationServices) -> Result<()> {
    let query = MemberQuery { search: which.search, ..MemberQuery::default() };
    let members = services.member_db.search(&which.org, query).await?;
    if which.output.json {
        say!("{}", Value::from(members.iter().map(member_json).collect::<Vec<_>>()))?;
        return Ok(());
    }
    for one in members {
        let state = if one.is_active { "active" } else { "inactive" };
        let (name, email) = (one.name.unwrap_or_default(), one.email.unwrap_or_default());
        say!(
            "{:<36} {:<8} {state:<8} {:<10} {name} {email}",
            one.user_id.as_str(),
            one.role.as_str(),
            one.source.as_str()
        )?;
    }
    Ok(())
}

fn member_json(one: &MemberModel) -> Value {
    json!({
        "user_id": one.user_id,
        "name": one.name,
        "email": one.email,
        "role": one.role.as_str(),
        "source": one.source.as_str(),
        "is_active": one.is_active,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    })
}

async fn unassigned(which: Unassigned, services: &OrganizationServices) -> Result<()> {
    let found = services.client_usage_db.get_unassigned_usage(&which.org, which.from, which.to).await?;
    if which.output.json {
        say!("{}", Value::from(found.iter().map(usage_json).collect::<Vec<_>>()))?;
        return Ok(());
    }
    if found.is_empty() {
        say!("Everybody with usage is a member.")?;
    }
    for one in found {
        let (requests, cost) = (one.totals.requests, one.totals.markup_cost.to_string());
        say!("{:<36} {requests:>10} requests {cost:>16} USD", one.user_id.as_str())?;
    }
    Ok(())
}

fn usage_json(one: &UserSums) -> Value {
    json!({
        "user_id": one.user_id,
        "openrouter_user_id": one.openrouter_user_id,
        "total_tokens": one.totals.tokens,
        "total_requests": one.totals.requests,
        "raw_cost": one.totals.raw_cost.to_string(),
        "markup_cost": one.totals.markup_cost.to_string(),
        "days_active": one.days_active,
    })
}

async fn assign(wanted: Assign, services: &OrganizationServices) -> Result<()> {
    let assignment = Assignment {
        from: wanted.from_user,
        to: wanted.to_user,
        days: Days { from: wanted.from, to: wanted.to },
        merge: wanted.merge,
    };
    let done = services.client_usage_db.assign(&wanted.org, assignment.clone()).await?;
    let Assigned { days, totals, ledger_rows, pending, failed, is_external_id } = done;
    if wanted.output.json {
        say!(
            "{}",
            json!({
                "days": days,
                "total_tokens": totals.tokens,
                "total_requests": totals.requests,
                "raw_cost": totals.raw_cost.to_string(),
                "markup_cost": totals.markup_cost.to_string(),
                "ledger_rows": ledger_rows,
                "pending_generations": pending,
                "failed_calls": failed,
                "later_usage": is_external_id,
            })
        )?;
        return Ok(());
    }
    let Assignment { from, to, .. } = &assignment;
    let (requests, cost) = (totals.requests, totals.markup_cost);
    say!("{requests} requests of {days} days, {cost} USD, are {to}'s now.")?;
    if is_external_id {
        say!("Whatever is counted for {from} later is {to}'s as well.")?;
    }
    Ok(())
}
