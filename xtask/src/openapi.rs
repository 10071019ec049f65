//! `cargo xtask openapi`: writes the description of the API, which is checked in, from the handlers.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, ensure};

use crate::{cargo, workspace_root};

/// Where the description is kept.
const FILE: &str = "docs/openapi.json";

/// Writes docs/openapi.json from the handlers of the API.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask openapi")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    let mut print = cargo();
    print.args(["run", "--quiet", "--all-features", "--bin", "mai-usage", "--", "openapi"]);
    let printed = print.output().context("cargo cannot be run")?;
    ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let path = workspace_root().join(FILE);
    fs::write(&path, printed.stdout).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {FILE}");
    Ok(ExitCode::SUCCESS)
}
