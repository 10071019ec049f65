//! `cargo xtask acceptance`: what takes too long for every change, or needs the network.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, ensure};

use crate::{
    cargo,
    crash::{self, Database},
    interrupts::Interrupts,
    test,
};

mod clients;
mod open_webui;
mod place;
mod schemathesis;

/// The database of known vulnerabilities that cargo-deny fetches.
const ADVISORIES: &str = "https://github.com/RustSec/advisory-db";

/// Uses the gateway by other people's clients and by a real Open WebUI, compares it with direct calls, puts
/// long loads and faults on both databases, and checks the dependencies. The last line says how many parts passed and
/// failed.
///
/// The packages of Python and Node, Open WebUI among them, go into environments of their own below target/acceptance.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask acceptance")]
pub(crate) struct Args {
    /// How many calls the mixed load makes on each database.
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// How many clients make them at once.
    #[arg(long, default_value_t = 50)]
    clients: u64,
    /// How many streams are left by their clients, on each database.
    #[arg(long, default_value_t = 1_000)]
    left: u64,
    /// How many calls just fit into a limit, on each database.
    #[arg(long, default_value_t = 100_000)]
    limited: u64,
    /// How often the gateway is killed, on each database.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// How long PostgreSQL is away.
    #[arg(long, default_value_t = 60)]
    away_seconds: u64,
    /// Run only the parts whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// What came of one part.
enum Outcome {
    Passed,
    NotRun(String),
}

/// A name and what to do. The part has failed where that returns an error.
type Part = (&'static str, fn(&Args, &Interrupts) -> Result<Outcome>);

const PARTS: [Part; 14] = [
    ("openai-python sees the same objects and errors", |_, interrupts| {
        clients::compare("openai_equal.py", interrupts)
    }),
    ("raw answers are equal byte for byte", |_, interrupts| clients::compare("bytes_equal.py", interrupts)),
    ("openai-python and anthropic on every route", |_, interrupts| clients::python(interrupts)),
    ("openai-node and Anthropic's client for Node on every route", |_, interrupts| clients::node(interrupts)),
    ("two people use a real Open WebUI", |_, interrupts| {
        open_webui::chats(open_webui::Identity::Plain, interrupts)
    }),
    ("two people use a real Open WebUI that signs who they are", |_, interrupts| {
        open_webui::chats(open_webui::Identity::Signed, interrupts)
    }),
    ("the API does what its description says", |_, interrupts| schemathesis::conforms(interrupts)),
    ("ledgers are equal after a long mixed load", mixed_load),
    ("streams that their clients left cost what upstream charged", left_streams),
    ("no call is refused for whom a limit has room", limited_calls),
    ("nothing is lost or doubled by kills", kills),
    ("nothing is lost while the database is away", database_away),
    ("licences, bans and sources of dependencies", |_, interrupts| dependencies(interrupts)),
    ("advisories about dependencies", |_, interrupts| advisories(interrupts)),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let parts: Vec<Part> = PARTS.into_iter().filter(|(name, _)| name.contains(&args.only)).collect();
    ensure!(!parts.is_empty(), "no part has `{}` in its name", args.only);
    let interrupts = Interrupts::catch()?;
    let (mut passed, mut failed) = (0, 0);
    for (name, part) in parts {
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

/// Runs end-to-end tests with a size that is too much for every change.
fn long_tests(file: &str, variables: &[(&str, &str)], interrupts: &Interrupts) -> Result<Outcome> {
    let runner = ["--test", "end_to_end", &format!("{file}::")].map(str::to_owned);
    let variables = [variables, &test::SHOWN, &[("NEXTEST_PROFILE", "acceptance")]].concat();
    let (tally, code) = test::run_all(&runner, &variables, interrupts)?;
    ensure!(code == 0 && tally.failed == 0 && tally.passed > 0, "see above");
    Ok(Outcome::Passed)
}

fn mixed_load(args: &Args, interrupts: &Interrupts) -> Result<Outcome> {
    let (calls, clients) = (args.calls.to_string(), args.clients.to_string());
    long_tests("mixed_load", &[("MAI_TEST_CALLS", &calls), ("MAI_TEST_CLIENTS", &clients)], interrupts)
}

fn left_streams(args: &Args, interrupts: &Interrupts) -> Result<Outcome> {
    long_tests("left_streams", &[("MAI_TEST_LEFT", &args.left.to_string())], interrupts)
}

fn limited_calls(args: &Args, interrupts: &Interrupts) -> Result<Outcome> {
    long_tests("limits", &[("MAI_TEST_LIMITED_CALLS", &args.limited.to_string())], interrupts)
}

fn kills(args: &Args, interrupts: &Interrupts) -> Result<Outcome> {
    for database in [Database::Sqlite, Database::Postgres] {
        let crash = crash::Args { kills: args.kills, database, seed: None };
        ensure!(crash::run_with(&crash, interrupts)? == 0, "see above");
    }
    Ok(Outcome::Passed)
}

fn database_away(args: &Args, interrupts: &Interrupts) -> Result<Outcome> {
    long_tests("database_away", &[("MAI_TEST_AWAY_SECONDS", &args.away_seconds.to_string())], interrupts)
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
