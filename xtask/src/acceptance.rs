//! `cargo xtask acceptance`: what takes too long for every change, or needs the network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cargo,
    interrupts::Interrupts,
    stack::{self, PROVIDER_KEY, Stack},
    test,
};

/// The database of known vulnerabilities that cargo-deny fetches.
const ADVISORIES: &str = "https://github.com/RustSec/advisory-db";

/// Compares the gateway with direct calls by openai-python and byte by byte, puts a long mixed load on
/// both databases, and checks the dependencies. The last line says how many parts passed and failed.
///
/// The Python packages go into an environment of their own below target/acceptance.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask acceptance")]
pub(crate) struct Args {
    /// How many calls the mixed load makes on each database.
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// How many clients make them at once.
    #[arg(long, default_value_t = 50)]
    clients: u64,
}

/// What came of one part.
enum Outcome {
    Passed,
    NotRun(String),
}

/// A name and what to do. The part has failed where that returns an error.
type Part = (&'static str, fn(&Args, &Interrupts) -> Result<Outcome>);

const PARTS: [Part; 5] = [
    ("openai-python sees the same objects and errors", |_, interrupts| {
        compare("openai_equal.py", interrupts)
    }),
    ("raw answers are equal byte for byte", |_, interrupts| compare("bytes_equal.py", interrupts)),
    ("ledgers are equal after a long mixed load", mixed_load),
    ("licences, bans and sources of dependencies", |_, interrupts| dependencies(interrupts)),
    ("advisories about dependencies", |_, interrupts| advisories(interrupts)),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    let (mut passed, mut failed) = (0, 0);
    for (name, part) in PARTS {
        println!("\n== {name}");
        let outcome = part(args, &interrupts);
        if interrupts.came() {
            eprintln!("interrupted");
            return Ok(ExitCode::from(130));
        }
        match outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("PASS {name}");
            }
            Ok(Outcome::NotRun(why)) => println!("NOT RUN {name}: {why}"),
            Err(error) => {
                failed += 1;
                println!("FAIL {name}: {error:#}");
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a script against a mock and a gateway of its own.
fn compare(script: &str, interrupts: &Interrupts) -> Result<Outcome> {
    let target = crate::tidy::metadata::load()?.target_directory;
    let folder = target.join("acceptance");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let scripts = crate::workspace_root().join("xtask/acceptance");
    let python = python_environment(&folder.join("venv"), &scripts.join("requirements.txt"), interrupts)?;
    stack::build(&[], interrupts)?;
    let programs = target.join("debug");
    let stack = Stack::start(&programs, &folder.join("services.log"))?;

    let list = Command::new(programs.join("examples/serve")).arg("--list").output()?;
    let list = String::from_utf8(list.stdout)?;
    let behaviours = list.lines().filter_map(|line| line.split_whitespace().next());
    let mut command = Command::new(python);
    // Nothing is left in the folder of the scripts.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(scripts.join(script));
    command.args(["--direct", &stack.mock_url, PROVIDER_KEY]);
    command.args(["--gateway", &stack.gateway_url, &stack.key]);
    command.arg("--").args(behaviours);
    succeed(command, interrupts)?;
    Ok(Outcome::Passed)
}

/// The Python of an environment with the packages of `requirements`, made where it is missing.
fn python_environment(folder: &Path, requirements: &Path, interrupts: &Interrupts) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    if !python.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(folder);
        if succeed(make, interrupts).is_err() {
            // Half an environment would be taken for a whole one the next time.
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            bail!(
                "Python 3 with venv is needed. Install it: \
                 sudo apt-get update && sudo apt-get install -y python3 python3-venv"
            );
        }
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.arg(requirements);
    succeed(install, interrupts).context("the Python packages cannot be installed")?;
    Ok(python)
}

fn mixed_load(args: &Args, interrupts: &Interrupts) -> Result<Outcome> {
    let runner = ["--package", "mai-tests", "--test", "mixed_load"].map(str::to_owned);
    let (calls, clients) = (args.calls.to_string(), args.clients.to_string());
    let variables = [("MAI_TEST_CALLS", calls.as_str()), ("MAI_TEST_CLIENTS", clients.as_str())];
    let (tally, code) = test::run_all(&runner, &variables, interrupts)?;
    ensure!(code == 0 && tally.failed == 0 && tally.passed > 0, "see above");
    Ok(Outcome::Passed)
}

fn dependencies(interrupts: &Interrupts) -> Result<Outcome> {
    if let Some(missing) = missing_cargo_deny() {
        return Ok(missing);
    }
    let mut deny = cargo();
    deny.args(["deny", "--all-features", "check", "bans", "licenses", "sources"]);
    succeed(deny, interrupts)?;
    Ok(Outcome::Passed)
}

fn advisories(interrupts: &Interrupts) -> Result<Outcome> {
    if let Some(missing) = missing_cargo_deny() {
        return Ok(missing);
    }
    let mut reach = Command::new("timeout");
    reach.args(["30", "git", "ls-remote", "--quiet", "--exit-code", ADVISORIES, "HEAD"]);
    reach.stdout(Stdio::null()).stderr(Stdio::null());
    if succeed(reach, interrupts).is_err() {
        return Ok(Outcome::NotRun(format!("{ADVISORIES} cannot be reached")));
    }
    let mut deny = cargo();
    deny.args(["deny", "--all-features", "check", "advisories"]);
    succeed(deny, interrupts)?;
    Ok(Outcome::Passed)
}

fn missing_cargo_deny() -> Option<Outcome> {
    let mut version = cargo();
    version.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    let installed = version.status().is_ok_and(|status| status.success());
    let hint = "cargo-deny is not installed; install it: cargo install cargo-deny --locked";
    (!installed).then(|| Outcome::NotRun(hint.to_owned()))
}

/// Runs a command that tells on the terminal what is wrong.
fn succeed(command: Command, interrupts: &Interrupts) -> Result<()> {
    let program = command.get_program().display().to_string();
    let status = interrupts.run(command, |mut child| Ok(child.wait()?))?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}
