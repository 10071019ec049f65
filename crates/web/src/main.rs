//! The binary `mai-usage`.

use std::process::ExitCode;

use clap::Parser;
use mai_web::commands::{self, CommandLine};

fn main() -> ExitCode {
    commands::run(CommandLine::parse())
}
