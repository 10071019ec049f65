//! Other people's clients against the real gateway: environments of their own, and what they report.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Outcome,
    place::{Place, python_environment, python_script, scripts},
    succeed,
};
use crate::{interrupts::Interrupts, stack::PROVIDER_KEY};

/// Runs a script that makes one generation a call, and compares its count with the ledger.
fn use_every_route(place: &Place, mut command: Command, interrupts: &Interrupts) -> Result<Outcome> {
    command.stdout(Stdio::piped());
    let output = interrupts.run(command, |child| Ok(child.wait_with_output()?))?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    ensure!(output.status.success(), "some routes do not work");
    let calls = said.lines().last().and_then(|line| line.split_once(" calls")?.0.parse().ok());
    let calls: u64 = calls.context("the script does not say how many calls it made")?;
    let recorded = place.stack.wait_for_records(calls, interrupts)?;
    ensure!(calls > 0 && recorded == calls, "{calls} calls were made, {recorded} are in the ledger");
    println!("{recorded} generations in the ledger");
    Ok(Outcome::Passed)
}

/// Runs a script that compares answers of the mock itself with those through the gateway.
pub(super) fn compare(script: &str, interrupts: &Interrupts) -> Result<Outcome> {
    let place = Place::prepare(&[], interrupts)?;
    let python = python_environment(&place.folder.join("venv"), "requirements.txt", interrupts)?;
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
    let place = Place::prepare(&[], interrupts)?;
    let python = python_environment(&place.folder.join("venv"), "requirements.txt", interrupts)?;
    let mut command = python_script(&python, "clients.py");
    command.args(["--gateway", &place.stack.gateway_url, &place.stack.key]);
    use_every_route(&place, command, interrupts)
}

/// Every route that openai-node and Anthropic's client for Node know.
pub(super) fn node(interrupts: &Interrupts) -> Result<Outcome> {
    let place = Place::prepare(&[], interrupts)?;
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
    use_every_route(&place, command, interrupts)
}
