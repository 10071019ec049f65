//! `cargo xtask openapi`: writes the description of the API, which is checked in, from the handlers.

use std::{
    fs,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

use crate::{interrupts::Interrupts, test::build_binary, workspace_root};

/// Where the description is kept.
const FILE: &str = "docs/openapi.json";

/// Writes docs/openapi.json from the handlers of the API.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask openapi")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    let binary = build_binary(&Interrupts::catch()?)?;
    let printed = Command::new(binary).arg("openapi").output().context("mai-usage cannot be run")?;
    ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let path = workspace_root().join(FILE);
    fs::write(&path, printed.stdout).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {FILE}");
    Ok(ExitCode::SUCCESS)
}
