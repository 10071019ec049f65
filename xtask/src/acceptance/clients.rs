//! Other people's clients against the real gateway: environments of their own, and what they report.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Outcome, succeed};
use crate::{
    interrupts::Interrupts,
    stack::{self, PROVIDER_KEY, Stack},
};

/// The folder of the scripts.
fn scripts() -> PathBuf {
    crate::workspace_root().join("xtask/acceptance")
}

/// A mock and a gateway of their own, and the folder for what clients need.
struct Place {
    folder: PathBuf,
    programs: PathBuf,
    stack: Stack,
}

impl Place {
    fn prepare(interrupts: &Interrupts) -> Result<Self> {
        let target = crate::tidy::metadata::load()?.target_directory;
        let folder = target.join("acceptance");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        stack::build(&[], interrupts)?;
        let programs = target.join("debug");
        let stack = Stack::start(&programs, &folder.join("services.log"))?;
        Ok(Self { folder, programs, stack })
    }

    /// Runs a script that makes one generation a call, and compares its count with the ledger.
    fn use_every_route(&self, mut command: Command, interrupts: &Interrupts) -> Result<Outcome> {
        command.stdout(Stdio::piped());
        let output = interrupts.run(command, |child| Ok(child.wait_with_output()?))?;
        let said = String::from_utf8_lossy(&output.stdout);
        print!("{said}");
        ensure!(output.status.success(), "some routes do not work");
        let calls = said.lines().last().and_then(|line| line.split_once(" calls")?.0.parse().ok());
        let calls: u64 = calls.context("the script does not say how many calls it made")?;
        let recorded = self.stack.wait_for_records(calls, interrupts)?;
        ensure!(calls > 0 && recorded == calls, "{calls} calls were made, {recorded} are in the ledger");
        println!("{recorded} generations in the ledger");
        Ok(Outcome::Passed)
    }
}

/// Runs a script that compares answers of the mock itself with those through the gateway.
pub(super) fn compare(script: &str, interrupts: &Interrupts) -> Result<Outcome> {
    let place = Place::prepare(interrupts)?;
    let python = python_environment(&place.folder.join("venv"), interrupts)?;
    let list = Command::new(place.programs.join("examples/serve")).arg("--list").output()?;
    let list = String::from_utf8(list.stdout)?;
    let behaviours = list.lines().filter_map(|line| line.split_whitespace().next());
    let mut command = python_script(&python, script);
    command.args(["--direct", &place.stack.mock_url, PROVIDER_KEY]);
    command.args(["--gateway", &place.stack.gateway_url, &place.stack.key]);
    command.arg("--").args(behaviours);
    succeed(command, interrupts)?;
    Ok(Outcome::Passed)
}

/// Every route that openai-python and anthropic know.
pub(super) fn python(interrupts: &Interrupts) -> Result<Outcome> {
    let place = Place::prepare(interrupts)?;
    let python = python_environment(&place.folder.join("venv"), interrupts)?;
    let mut command = python_script(&python, "clients.py");
    command.args(["--gateway", &place.stack.gateway_url, &place.stack.key]);
    place.use_every_route(command, interrupts)
}

/// Every route that openai-node and Anthropic's client for Node know.
pub(super) fn node(interrupts: &Interrupts) -> Result<Outcome> {
    let place = Place::prepare(interrupts)?;
    // Node looks for packages in the folders above a script.
    let folder = place.folder.join("node");
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "clients.mjs"] {
        fs::copy(scripts().join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let mut install = Command::new("npm");
    install
        .args(["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"])
        .current_dir(&folder);
    succeed(install, interrupts).context(
        "Node 20 with npm is needed. Install it: sudo apt-get update && sudo apt-get install -y nodejs npm",
    )?;
    let mut command = Command::new("node");
    command.arg(folder.join("clients.mjs")).args([&place.stack.gateway_url, &place.stack.key]);
    place.use_every_route(command, interrupts)
}

fn python_script(python: &Path, script: &str) -> Command {
    let mut command = Command::new(python);
    // Nothing is left in the folder of the scripts.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(scripts().join(script));
    command
}

/// The Python of an environment with the packages that the scripts need, made where it is missing.
fn python_environment(folder: &Path, interrupts: &Interrupts) -> Result<PathBuf> {
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
    install.arg(scripts().join("requirements.txt"));
    succeed(install, interrupts).context("the Python packages cannot be installed")?;
    Ok(python)
}
