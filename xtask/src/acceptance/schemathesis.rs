//! The API of the running program against its own OpenAPI file, by the inputs that schemathesis invents.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use mai_primitives::{Clock as _, OrganizationCalendar, SystemClock};
use mai_seed::SeedPlan;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Outcome,
    place::{Place, python_environment, python_script, scripts},
    succeed,
};
use crate::{
    interrupts::Interrupts,
    stack::{ADMIN_TOKEN, ORGANIZATION},
};

/// The description of the API, which the program serves as well.
const DESCRIPTION: &str = "docs/openapi.json";

/// What schemathesis does, among the scripts.
const SETTINGS: &str = "schemathesis.toml";

/// What opens the management of keys at the mock.
const MANAGEMENT_KEY: &str = "sk-or-v1-management";

/// What OpenRouter's Broadcast presents.
const BROADCAST_TOKEN: &str = "broadcast-token-of-the-acceptance";

/// What sessions of an Open WebUI would be signed with.
const OPEN_WEBUI_SECRET: &str = "open-webui-secret-of-the-acceptance";

/// What no invented input succeeds with: an import needs an Open WebUI or a file with the right head, and an
/// anomaly weeks of usage and a run that finds it. The tests of members and of the daily run do both.
const NOT_BY_CHANCE: [&str; 2] = [
    "POST /api/v1/client-organizations/clients/{client_id}/members/import",
    "POST /api/v1/client-organizations/clients/{client_id}/anomalies/acknowledge",
];

/// How many inputs are invented for each operation.
const EXAMPLES: &str = "50";

/// No answer is a server error, has an undocumented status, or breaks its schema; and each operation was
/// seen to succeed, because else nothing would be known of what it answers.
pub(super) fn conforms(interrupts: &Interrupts) -> Result<Outcome> {
    let settings = [
        ("MAI_BROADCAST_TOKEN", BROADCAST_TOKEN),
        ("MAI_RATE_LIMIT_PER_MINUTE", "0"),
        ("MAI_SIGN_IN_ATTEMPTS_PER_MINUTE", "1000000"),
        ("MAI_WEBUI_ORGANIZATION", ORGANIZATION),
        ("OPENROUTER_PROVISIONING_KEY", MANAGEMENT_KEY),
        ("WEBUI_SECRET_KEY", OPEN_WEBUI_SECRET),
    ];
    let place = Place::prepare(&settings, interrupts)?;
    let api = place.stack.gateway_url.trim_end_matches("/v1");
    seed(&place)?;
    let environment = place.folder.join("schemathesis");
    let python = python_environment(&environment, "requirements-schemathesis.txt", interrupts)?;
    // It leaves what it has found out in the folder where it runs.
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join(SETTINGS);
    fs::copy(scripts().join(SETTINGS), &settings).with_context(|| format!("cannot copy {SETTINGS}"))?;
    let mut prepare = python_script(&python, "schemathesis_prepare.py");
    prepare.args(["--api", api, ADMIN_TOKEN, "--open-webui-secret", OPEN_WEBUI_SECRET]);
    prepare.arg("--folder").arg(folder.path());
    succeed(prepare, interrupts).context("nothing could be made to ask about")?;
    let exchanges = folder.path().join("exchanges.json");
    let description = crate::workspace_root().join(DESCRIPTION);
    let mut command = Command::new(environment.join("bin/schemathesis"));
    command.arg("--config-file").arg(&settings).args(["--no-color", "run"]);
    command.arg(&description).args(["--max-examples", EXAMPLES, "--url", api]);
    command.args(["--report", "har", "--report-har-path"]).arg(&exchanges);
    command.env("MAI_ACCEPTANCE_TOKEN", ADMIN_TOKEN);
    command.env("MAI_ACCEPTANCE_BROADCAST_TOKEN", BROADCAST_TOKEN).current_dir(folder.path());
    succeed(command, interrupts)?;
    let mut missing = never_successful(&read(&description)?, &read(&exchanges)?);
    missing.retain(|operation| !NOT_BY_CHANCE.contains(&operation.as_str()));
    ensure!(missing.is_empty(), "no success was seen of {}", missing.join(", "));
    Ok(Outcome::Passed)
}

/// Fills the database with what the settings of schemathesis name and its usage, and with the organization
/// of the examples in the description.
fn seed(place: &Place) -> Result<()> {
    place.stack.create_organization("abc", "sk-or-v1-abc")?;
    let end = OrganizationCalendar::parse("Europe/Warsaw")?.usage_date(SystemClock.now()).minus_days(1);
    let plan = SeedPlan { seed: 1, organizations: 2, users: 9, days: 70, end };
    mai_seed::seed(&place.stack.storage(), &plan, |_| ()).context("cannot fill the database")?;
    Ok(())
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))
}

/// What we need of a description.
#[derive(Deserialize)]
struct Description {
    paths: std::collections::BTreeMap<String, serde_json::Map<String, Value>>,
}

/// What was sent and answered, in the format of browsers' archives.
#[derive(Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
}

/// The operations that no call succeeded with.
fn never_successful(description: &Description, archive: &Archive) -> Vec<String> {
    let successes: BTreeSet<(&str, &str)> = archive
        .log
        .entries
        .iter()
        .filter(|exchange| (200..300).contains(&exchange.response.status))
        .filter_map(|exchange| {
            let path = exchange.request.url.split_once("://")?.1.split_once('/')?.1.split('?').next()?;
            Some((exchange.request.method.as_str(), template_of(path, description)?))
        })
        .collect();
    let operations = description.paths.iter().flat_map(|(path, methods)| {
        methods.keys().map(move |method| (method.to_ascii_uppercase(), path.as_str()))
    });
    operations
        .filter(|(method, path)| !successes.contains(&(method.as_str(), *path)))
        .map(|(method, path)| format!("{method} {path}"))
        .collect()
}

/// The path of the description that a path without its first slash belongs to; one without placeholders
/// goes first.
fn template_of<'a>(path: &str, description: &'a Description) -> Option<&'a str> {
    let fits = |template: &str| {
        let parts = template.trim_start_matches('/').split('/');
        parts.clone().count() == path.split('/').count()
            && parts.zip(path.split('/')).all(|(part, here)| part.starts_with('{') || part == here)
    };
    let fitting = description.paths.keys().map(String::as_str).filter(|template| fits(template));
    fitting.min_by_key(|template| template.matches('{').count())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_never_succeeded_is_named() {
        let description = json!({"paths": {
            "/a/{id}": {"get": {}, "delete": {}},
            "/a/list": {"get": {}},
            "/b": {"post": {}},
        }});
        let entry = |method: &str, path: &str, status: u16| json!({"request": {"method": method, "url": format!("http://127.0.0.1:1/{path}")}, "response": {"status": status}});
        let archive = json!({"log": {"entries": [
            entry("GET", "a/list?x=/", 200),
            entry("GET", "a/7", 404),
            entry("DELETE", "a/7", 204),
            entry("POST", "b", 201),
            entry("POST", "c", 200),
        ]}});
        let (description, archive) =
            (serde_json::from_value(description).unwrap(), serde_json::from_value(archive).unwrap());
        assert_eq!(never_successful(&description, &archive), ["GET /a/{id}"]);
    }
}
