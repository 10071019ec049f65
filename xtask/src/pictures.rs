//! `cargo xtask pictures`: how the dashboard looks.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Result, ensure};

use crate::{cargo, debian, interrupts::Interrupts, test, workspace_root};

/// Takes pictures of every page of a seeded service, at the widths of a phone, a tablet and a desk, in both colours and both
/// languages. With --docs only those that the documentation shows, into `docs/pictures`.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask pictures --folder target/pictures")]
pub(crate) struct Args {
    /// Where they go.
    #[arg(long, default_value = "target/pictures")]
    folder: PathBuf,
    /// Take the pictures of the documentation.
    #[arg(long, conflicts_with = "folder")]
    docs: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    debian::need_from("chromedriver", "chromium-driver", &interrupts)?;
    let binary = test::build_binary(&interrupts)?;
    let mut build = cargo();
    // As the tests are built, so that nothing is built twice.
    build.args(["build", "--workspace", "--all-features", "--example", "pictures"]);
    let status = interrupts.run(build, |mut child| Ok(child.wait()?))?;
    ensure!(status.success(), "the program that takes the pictures does not build");
    let program = crate::tidy::metadata::load()?.target_directory.join("debug/examples/pictures");
    let mut take = Command::new(program);
    take.current_dir(workspace_root()).env("MAI_TEST_BINARY", binary);
    if args.docs {
        take.args(["docs/pictures", "docs"]);
    } else {
        take.arg(&args.folder);
    }
    let status = interrupts.run(take, |mut child| Ok(child.wait()?))?;
    ensure!(status.success(), "not every picture was taken");
    Ok(ExitCode::SUCCESS)
}
