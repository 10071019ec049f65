//! `cargo xtask bench`: measures the real programs against each other.

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
    Gateway(gateway::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.bench {
        Bench::Gateway(args) => gateway::run(args),
    }
}
