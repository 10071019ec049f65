//! `cargo xtask crash`: SIGKILL at random moments under load, then our ledger beside upstream's.

use std::process::ExitCode;

use anyhow::Result;
use mai_primitives::{Clock as _, SystemClock};

use crate::{interrupts::Interrupts, test};

/// Runs a load of known calls on the real program, kills it at random moments, starts it again, lets it
/// settle and compares its ledger with the mock's. Prints the seed and what was counted.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask crash --kills 20 --database postgres")]
pub(crate) struct Args {
    /// How often the program is killed.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kills: u32,
    /// The database under it.
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    pub(crate) database: Database,
    /// Repeats the random choices of an earlier run.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// A database that the program can use.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Database {
    /// The embedded one.
    Sqlite,
    /// A server that this task starts.
    Postgres,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    let code = run_with(args, &interrupts);
    if interrupts.came() {
        eprintln!("interrupted");
        return Ok(ExitCode::from(130));
    }
    Ok(ExitCode::from(code?))
}

/// The same, for a task that catches interrupts already. Returns the test runner's exit code.
pub(crate) fn run_with(args: &Args, interrupts: &Interrupts) -> Result<u8> {
    let name = match args.database {
        Database::Sqlite => "kills_on_sqlite_lose_and_double_nothing",
        Database::Postgres => "kills_on_postgres_lose_and_double_nothing",
    };
    let seed = args.seed.map_or_else(seed_of_now, Ok)?;
    let (kills, seed_text) = (args.kills.to_string(), seed.to_string());
    let variables = [("MAI_TEST_KILLS", kills.as_str()), ("MAI_TEST_SEED", &seed_text)];
    let variables = [variables.as_slice(), &test::SHOWN].concat();
    let runner = ["--test", "end_to_end", name].map(str::to_owned);
    let (tally, code) = test::run_all(&runner, &variables, interrupts)?;
    println!("seed {seed}: {} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.passed == 0 { code.max(1) } else { code })
}

fn seed_of_now() -> Result<u64> {
    Ok(u64::try_from(SystemClock.now().timestamp())?)
}
