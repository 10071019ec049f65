//! `cargo xtask bench gateway`: what passing a call on and recording it costs.
//!
//! The mock, the load generator and what is measured share the machine, so only figures of the same
//! run are compared. Rounds are interleaved, so that a disturbance hits every target.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    nginx::{self, Nginx},
    report::{CASES, Case, Measured, Run, Target, tables},
};
use crate::{
    interrupts::Interrupts,
    stack::{self, PROVIDER_KEY, Stack},
};

/// Streams that are open at once while memory is measured.
const OPEN_STREAMS: u64 = 1_000;

/// Measures the gateway against direct calls and against nginx as a plain proxy, with recording on and
/// made durable on disk. Fails when a call fails or is not recorded.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask bench gateway --seconds 5 --rounds 3")]
pub(super) struct Args {
    /// How long each load is put on each target, in each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often; the tables show medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    let outcome = measure(args, &interrupts);
    if interrupts.came() {
        eprintln!("interrupted");
        return Ok(ExitCode::from(130));
    }
    outcome
}

fn measure(args: &Args, interrupts: &Interrupts) -> Result<ExitCode> {
    let target_folder = crate::tidy::metadata::load()?.target_directory;
    stack::build(&["--release"], interrupts)?;
    let programs = target_folder.join("release");
    let log = target_folder.join("bench-gateway.log");
    fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
    let busy = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let stack = Stack::start(&programs, &log)?;
    let nginx = if nginx::is_installed() { Some(Nginx::start(&stack.mock_url, &log)?) } else { None };
    let load = Load { program: programs.join("examples/load"), interrupts, stack: &stack, nginx };

    let idle_kib = stack.gateway.memory_kib("VmRSS")?;
    let streams = load.many_open_streams()?;
    let streams_kib = stack.gateway.memory_kib("VmHWM")?;
    let mut sent = streams.requests + load.warm_up()?;
    let runs = load.all_cases(args)?;
    let after_kib = stack.gateway.memory_kib("VmRSS")?;

    let ours = || runs.iter().filter(|run| run.target == Target::MaiUsage);
    sent += ours().map(|run| run.measured.requests).sum::<u64>();
    let errors = streams.errors + runs.iter().map(|run| run.measured.errors).sum::<u64>();
    let recorded = stack.wait_for_records(sent, interrupts)?;

    println!("{}", tables(&runs));
    println!(
        "memory in MiB: {} idle, {} at most with {OPEN_STREAMS} open streams, {} after the load",
        idle_kib / 1024,
        streams_kib / 1024,
        after_kib / 1024
    );
    println!("start to serving: {} ms", stack.start.as_millis());
    println!(
        "calls through the gateway: {sent} answered, {recorded} recorded; {errors} errors on any target"
    );
    let results = json!({
        "cores": thread::available_parallelism()?,
        "load_average_before": busy.trim(),
        "seconds": args.seconds,
        "rounds": args.rounds,
        "memory_kib": { "idle": idle_kib, "open_streams_peak": streams_kib, "after_load": after_kib },
        "start_ms": u64::try_from(stack.start.as_millis())?,
        "answered": sent,
        "recorded": recorded,
        "runs": runs,
    });
    let file = target_folder.join("bench-gateway.json");
    fs::write(&file, format!("{results:#}\n")).with_context(|| format!("cannot write {}", file.display()))?;
    let complete = errors == 0 && recorded == sent;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts loads on targets.
struct Load<'a> {
    program: PathBuf,
    interrupts: &'a Interrupts,
    stack: &'a Stack,
    nginx: Option<Nginx>,
}

impl Load<'_> {
    /// Base URL and key of a target; none where it is not installed.
    fn address(&self, target: Target) -> Option<(&str, &str)> {
        match target {
            Target::Direct => Some((&self.stack.mock_url, PROVIDER_KEY)),
            Target::MaiUsage => Some((&self.stack.gateway_url, &self.stack.key)),
            Target::Nginx => Some((&self.nginx.as_ref()?.url, PROVIDER_KEY)),
        }
    }

    /// Every case on every target in every round.
    fn all_cases(&self, args: &Args) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for round in 1..=args.rounds {
            for case in &CASES {
                for target in Target::ALL {
                    let Some(address) = self.address(target) else { continue };
                    let measured = self.one(address, case, args.seconds)?;
                    eprintln!(
                        "round {round}, {}, {}: {}/s, p50 {} µs, p99 {} µs",
                        case.name,
                        target.name(),
                        measured.requests_per_second,
                        measured.p50_us,
                        measured.p99_us
                    );
                    runs.push(Run { case, target, round, measured });
                }
            }
        }
        Ok(runs)
    }

    fn one(&self, address: (&str, &str), case: &Case, seconds: u64) -> Result<Measured> {
        let rate = case.rate.map(|rate| format!(" --rate {rate}")).unwrap_or_default();
        let stream = if case.stream { " --stream" } else { "" };
        let options = format!("--connections {} --seconds {seconds}{rate}{stream}", case.connections);
        self.run(address, &options)
    }

    /// One second on each target, so that connections, caches and files are there when it counts.
    /// Returns how many calls went through the gateway.
    fn warm_up(&self) -> Result<u64> {
        let mut sent = 0;
        for target in Target::ALL {
            let Some(address) = self.address(target) else { continue };
            let measured = self.run(address, "--connections 32 --seconds 1")?;
            ensure!(measured.errors == 0, "calls to {} fail", target.name());
            if target == Target::MaiUsage {
                sent = measured.requests;
            }
        }
        Ok(sent)
    }

    /// Opens many streams through the gateway at once; each takes about four seconds.
    fn many_open_streams(&self) -> Result<Measured> {
        let options = format!("--connections {OPEN_STREAMS} --seconds 1 --stream --model mock/slow-200");
        let address = self.address(Target::MaiUsage).context("the gateway is not there")?;
        self.run(address, &options)
    }

    fn run(&self, (url, key): (&str, &str), options: &str) -> Result<Measured> {
        let mut command = Command::new(&self.program);
        command.args(["--url", url, "--key", key]).args(options.split_whitespace()).stdout(Stdio::piped());
        let output = self.interrupts.run(command, |child| Ok(child.wait_with_output()?))?;
        ensure!(output.status.success(), "the load generator failed");
        serde_json::from_slice(&output.stdout).context("cannot read what the load generator measured")
    }
}
