//! Tasks of the workspace; `cargo xtask --help` lists them, each in a file of its own.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the terminal it was started from"
)]

mod acceptance;
mod axe;
mod bench;
mod crash;
mod debian;
mod interrupts;
mod migrate;
mod openapi;
mod pictures;
mod postgres;
mod seed;
mod stack;
mod test;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

/// Tasks of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    Acceptance(acceptance::Args),
    Bench(bench::Args),
    Crash(crash::Args),
    Migrate(migrate::Args),
    Openapi(openapi::Args),
    Pictures(pictures::Args),
    Seed(seed::Args),
    Test(test::Args),
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Acceptance(args) => acceptance::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Crash(args) => crash::run(&args),
        Task::Migrate(args) => migrate::run(args),
        Task::Openapi(args) => openapi::run(&args),
        Task::Pictures(args) => pictures::run(&args),
        Task::Seed(args) => seed::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Tidy(args) => tidy::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The folder of the workspace, wherever the task was started.
fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs this task. It is not told that a task runs it, because build scripts run again where that differs.
fn cargo() -> std::process::Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(program);
    command.current_dir(workspace_root());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name.to_string_lossy().starts_with("CARGO_MANIFEST_")
        {
            command.env_remove(name);
        }
    }
    command
}
