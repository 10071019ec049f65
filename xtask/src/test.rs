//! `cargo xtask test`: every test of the workspace, with the servers that they need.

use std::{
    io::{BufRead as _, BufReader, Write},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{axe, cargo, debian, interrupts::Interrupts, postgres::Cluster};

/// Runs all tests on a PostgreSQL of its own, which is gone afterwards. The last line says how many
/// passed and failed.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -- --package mai-storage some_name"
)]
pub(crate) struct Args {
    /// Handed to the test runner; documentation tests run only without them.
    #[arg(last = true)]
    runner: Vec<String>,
}

/// What runs the tests, and thereby the form of its summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Nextest,
    Cargo,
}

/// Shows what long tests count, whichever runner there is, and not what the programs under test log.
pub(crate) const SHOWN: [(&str, &str); 3] =
    [("NEXTEST_SUCCESS_OUTPUT", "immediate"), ("RUST_TEST_NOCAPTURE", "1"), ("MAI_TEST_LOG", "off")];

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    let outcome = run_all(&args.runner, &[], &interrupts);
    if interrupts.came() {
        eprintln!("interrupted");
        return Ok(ExitCode::from(130));
    }
    let (tally, code) = outcome?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(ExitCode::from(code))
}

/// Runs tests on a PostgreSQL of their own, with more environment variables. Returns the sum of all
/// runs, and the exit code of the first that failed.
pub(crate) fn run_all(
    arguments: &[String],
    variables: &[(&str, &str)],
    interrupts: &Interrupts,
) -> Result<(Tally, u8)> {
    let cluster = Cluster::start(interrupts)?;
    // Tests of failing disks make system calls fail by it.
    debian::need("strace", interrupts)?;
    // Tests of the dashboard drive a browser; the package brings Chromium with it.
    debian::need_from("chromedriver", "chromium-driver", interrupts)?;
    let axe = axe::file(interrupts)?;
    let binary = build_binary(interrupts)?;
    let mut sum = Tally::default();
    let mut first_failure = 0;
    for (runner, mut command) in runners(arguments) {
        command.envs(variables.iter().copied());
        command.env("MAI_TEST_POSTGRES_URL", cluster.url()).env("MAI_TEST_BINARY", &binary);
        command.env("MAI_TEST_AXE", &axe);
        let (tally, code) = run_one(runner, command, interrupts, &mut std::io::stdout())?;
        sum.passed += tally.passed;
        // A runner that fails without a failed test did not get to them: a build error, for example.
        sum.failed += if code == 0 { tally.failed } else { tally.failed.max(1) };
        if first_failure == 0 {
            first_failure = code;
        }
    }
    Ok((sum, first_failure))
}

/// Builds the program, which end-to-end tests drive. Its libraries are built as for the tests, or else everything
/// would be built twice.
pub(crate) fn build_binary(interrupts: &Interrupts) -> Result<String> {
    let mut build = cargo();
    // With one of the tests, because what they depend on switches features of others on.
    build.args(["build", "--workspace", "--all-features", "--bin", "mai-usage", "--test", "end_to_end"]);
    let status = interrupts.run(build, |mut child| Ok(child.wait()?))?;
    ensure!(status.success(), "the binary mai-usage does not build");
    let binary = crate::tidy::metadata::load()?.target_directory.join("debug/mai-usage");
    ensure!(binary.is_file(), "{} was not built", binary.display());
    Ok(binary.display().to_string())
}

/// cargo-nextest where it is installed, which leaves documentation tests to cargo; else cargo alone.
fn runners(arguments: &[String]) -> Vec<(Runner, Command)> {
    let has_nextest = cargo()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut main = cargo();
    if has_nextest {
        main.args(["nextest", "run", "--no-fail-fast", "--all-features"]);
    } else {
        main.args(["test", "--no-fail-fast", "--all-features"]);
    }
    let one_package =
        arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    if !one_package {
        main.arg("--workspace");
    }
    main.args(arguments);
    let runner = if has_nextest { Runner::Nextest } else { Runner::Cargo };
    let mut runners = vec![(runner, main)];
    if has_nextest && arguments.is_empty() {
        let mut documentation = cargo();
        documentation.args(["test", "--quiet", "--doc", "--no-fail-fast", "--all-features", "--workspace"]);
        runners.push((Runner::Cargo, documentation));
    }
    runners
}

/// Shows on `out` what the runner prints as it comes, and counts.
fn run_one(
    runner: Runner,
    mut command: Command,
    interrupts: &Interrupts,
    out: &mut impl Write,
) -> Result<(Tally, u8)> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    interrupts.run(command, |mut child| {
        let mut tally = Tally::default();
        for line in BufReader::new(reader).split(b'\n') {
            let line = line?;
            out.write_all(&line)?;
            out.write_all(b"\n")?;
            out.flush()?;
            if let Some(more) = count(runner, &String::from_utf8_lossy(&line)) {
                tally.passed += more.passed;
                tally.failed += more.failed;
            }
        }
        let status = child.wait().context("cannot wait for the test runner")?;
        let code = status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1));
        Ok((tally, code))
    })
}

/// What a line of the runner's output says about the end of a run, if it does.
///
/// cargo-nextest: `Summary [ 1.2s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`, where tests
/// may also have `timed out` or `exec failed`; it also shows what failed tests printed, which is no
/// summary of ours. cargo: `test result: ok. 4 passed; 1 failed; 0 ignored; …`, once for each binary.
fn count(runner: Runner, line: &str) -> Option<Tally> {
    let counts = match runner {
        Runner::Nextest => line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?.1,
        Runner::Cargo => line.strip_prefix("test result: ")?.split_once(". ")?.1,
    };
    let mut tally = Tally::default();
    let mut depth = 0_u32;
    let outer: String = counts
        .chars()
        .filter(|character| {
            // What stands in parentheses describes the number before it.
            match character {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect();
    for part in outer.split([',', ';']) {
        let Some((number, what)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what.trim() {
            "passed" => tally.passed += number,
            "failed" | "timed out" | "exec failed" => tally.failed += number,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_both_runners_are_counted() {
        let nextest = [
            ("     Summary [   0.012s] 5 tests run: 5 passed, 0 skipped", 5, 0),
            ("     Summary [   0.012s] 1 test run: 1 passed, 7 skipped", 1, 0),
            (
                "Summary [  9.1s] 9 tests run: 5 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 1 exec failed, 3 skipped",
                5,
                4,
            ),
            (
                "  Summary [ 0.1s] 2/5 tests run: 1 passed (1 leaky), 1 failed (1 due to being leaky), 0 skipped",
                1,
                1,
            ),
        ];
        let cargo = [
            (
                "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
                4,
                0,
            ),
            ("test result: FAILED. 4 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out", 4, 3),
        ];
        for (line, passed, failed) in nextest {
            assert_eq!(count(Runner::Nextest, line), Some(Tally { passed, failed }), "{line}");
            assert_eq!(count(Runner::Cargo, line), None);
        }
        for (line, passed, failed) in cargo {
            assert_eq!(count(Runner::Cargo, line), Some(Tally { passed, failed }), "{line}");
            // This is how nextest shows the output of a test that failed.
            assert_eq!(count(Runner::Nextest, &format!("    {line}")), None);
        }
        assert_eq!(count(Runner::Nextest, "        PASS [   0.005s] mai-xtask test::tests::some"), None);
        assert_eq!(count(Runner::Cargo, "test tests::five_passed ... ok"), None);
    }

    #[test]
    fn a_run_reports_the_count_and_the_exit_code() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo 'Summary [ 0.1s] 3 tests run: 2 passed, 1 failed, 0 skipped' >&2; exit 100"]);
        let mut out = Vec::new();
        let outcome = run_one(Runner::Nextest, command, &Interrupts::default(), &mut out).unwrap();
        assert_eq!(outcome, (Tally { passed: 2, failed: 1 }, 100));
        assert_eq!(out, b"Summary [ 0.1s] 3 tests run: 2 passed, 1 failed, 0 skipped\n");
    }
}
