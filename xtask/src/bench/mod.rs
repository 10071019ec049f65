//! `cargo xtask bench`: measures the real programs.

mod batch;
mod dashboard;
mod gateway;
mod nginx;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// Measures the real programs, built for release.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    Batch(batch::Args),
    Dashboard(dashboard::Args),
    Gateway(gateway::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.bench {
        Bench::Batch(args) => batch::run(args),
        Bench::Dashboard(args) => dashboard::run(args),
        Bench::Gateway(args) => gateway::run(args),
    }
}
