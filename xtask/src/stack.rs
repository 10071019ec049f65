//! The real programs side by side: the mock OpenRouter and a gateway in front of it, with one key.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use mai_organization::usage_tracking::{query, verify};
use mai_primitives::{OrganizationId, UsageDate};
use mai_storage::{DatabaseUrl, PoolSettings, Storage};
use serde_json::Value;
use tempfile::TempDir;

use crate::interrupts::{Interrupts, signal};

/// What the organization of the stack buys with; any key of this form opens the mock.
pub(crate) const PROVIDER_KEY: &str = "sk-or-v1-bench";

/// The id of the only organization.
pub(crate) const ORGANIZATION: &str = "bench";

/// The reseller's token.
pub(crate) const ADMIN_TOKEN: &str = "reseller-token-of-the-stack-0123456789";

/// How long the last records may take from the journal to the database.
const APPLY_AT_MOST: Duration = Duration::from_secs(120);

/// How long a program may take to end in an orderly way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Builds the gateway, the mock and the load generator. `options` may name a profile.
///
/// Each package is built on its own, as the other tasks do: together they would ask for other features
/// of what both depend on, and cargo would build all of that once more.
pub(crate) fn build(options: &[&str], interrupts: &Interrupts) -> Result<()> {
    for what in [["mai-web", "--bins"], ["mai-mock-openrouter", "--examples"]] {
        let mut build = crate::cargo();
        build.args(["build", "--package"]).args(what).args(options);
        let status = interrupts.run(build, |mut child| Ok(child.wait()?))?;
        ensure!(status.success(), "the gateway and the mock do not build");
    }
    Ok(())
}

/// A program that runs beside this one and ends when this value is dropped.
pub(crate) struct Service {
    child: Child,
    /// Kept open, because a program that prints into a closed pipe dies of it.
    output: BufReader<ChildStdout>,
}

impl Service {
    /// Starts a program in a process group of its own, so that Ctrl-C leaves it to us. What it logs is
    /// appended to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let program = command.get_program().display().to_string();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let output = child.stdout.take().with_context(|| format!("{program} has no output"))?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    /// Reads what it prints until a line has `marker`, and returns what stands behind that.
    pub(crate) fn announced(&mut self, marker: &str) -> Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.output.read_line(&mut line)?;
            ensure!(read > 0, "a program ended before it said `{marker}`; see its log");
            if let Some((_, rest)) = line.split_once(marker) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// A figure of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`.
    pub(crate) fn memory_kib(&self, name: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        figure.with_context(|| format!("{path} has no {name}"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        signal("TERM", &group);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        signal("KILL", &group);
        if let Err(error) = self.child.wait() {
            eprintln!("cannot wait for a program: {error}");
        }
    }
}

/// A mock and a gateway on a new SQLite database, with one organization and one key.
pub(crate) struct Stack {
    /// `mai-usage serve`. It ends before the mock does.
    pub(crate) gateway: Service,
    _mock: Service,
    /// Base URL of the gateway, with `/v1`.
    pub(crate) gateway_url: String,
    /// Base URL of the mock, with `/api/v1`.
    pub(crate) mock_url: String,
    /// Base URL of the mock's NBP.
    pub(crate) nbp_url: String,
    /// The gateway key.
    pub(crate) key: String,
    installation: Installation,
    organization: OrganizationId,
    /// How long the gateway took from its start until it listened, on a database that exists already.
    pub(crate) start: Duration,
    _folder: TempDir,
}

impl Stack {
    /// Starts both from the programs that cargo built into `programs`, such as `target/release`.
    pub(crate) fn start(programs: &Path, log: &Path) -> Result<Self> {
        Self::start_with(programs, log, &[])
    }

    /// The same with further settings of the gateway, as environment variables.
    ///
    /// The database and the journal lie beside the programs, because a temporary folder may be in
    /// memory, where making data durable costs nothing.
    pub(crate) fn start_with(programs: &Path, log: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("stack-").tempdir_in(programs)?;
        let mut command = Command::new(programs.join("examples/serve"));
        command.args(["--port", "0"]);
        let mut mock = Service::start(command, log)?;
        let mock_url = mock.announced("OPENROUTER_BASE_URL=")?;
        let nbp_url = mock.announced("NBP_BASE_URL=")?;
        let installation = Installation {
            binary: programs.join("mai-usage"),
            folder: folder.path().to_path_buf(),
            upstream: mock_url.clone(),
            settings: [("NBP_BASE_URL", nbp_url.as_str())]
                .iter()
                .chain(settings)
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        let created = ["--name", "Bench", "--id", ORGANIZATION, "--provider-key", PROVIDER_KEY, "--json"];
        installation.json(&[&["org", "create"], &created[..]].concat())?;
        let key = installation.secret(&["keys", "create"], &[], "key")?;
        let begun = Instant::now();
        let mut gateway = Service::start(installation.command(&["serve"]), log)?;
        let gateway_url = format!("{}/v1", gateway.announced("listens on ")?);
        Ok(Self {
            gateway,
            _mock: mock,
            gateway_url,
            mock_url,
            nbp_url,
            key,
            organization: OrganizationId::new(ORGANIZATION)?,
            start: begun.elapsed(),
            installation,
            _folder: folder,
        })
    }

    /// The file of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.installation.database()
    }

    /// The database, beside the gateway.
    pub(crate) fn storage(&self) -> Storage {
        Storage::open(&DatabaseUrl::Sqlite(self.database()), PoolSettings::default())
    }

    /// Makes another organization, with this key at the mock.
    pub(crate) fn create_organization(&self, id: &str, provider_key: &str) -> Result<()> {
        let options = ["--name", id, "--id", id, "--provider-key", provider_key, "--json"];
        self.installation.json(&[&["org", "create"], &options[..]].concat())?;
        Ok(())
    }

    /// Makes another gateway key with these options of `keys create`. The gateway knows it within a second.
    pub(crate) fn create_key(&self, options: &[&str]) -> Result<String> {
        self.installation.secret(&["keys", "create"], options, "key")
    }

    /// Makes an administrator of an organization and returns the token that signs it in, once.
    pub(crate) fn sign_in_token(&self, organization: &OrganizationId) -> Result<String> {
        let who =
            ["--email", "bench@example.com", "--role", "admin", "--org", organization.as_str(), "--json"];
        let made = self.installation.json(&[&["users", "create"], &who[..]].concat())?;
        Ok(made.get("token").and_then(Value::as_str).context("the token is not shown")?.to_owned())
    }

    /// Waits until as many calls are recorded as were sent, checks that the daily tables and the ledger
    /// agree, and returns how many calls the ledger has.
    pub(crate) fn wait_for_records(&self, sent: u64, interrupts: &Interrupts) -> Result<u64> {
        let storage = self.storage();
        let (from, to) = (UsageDate::parse("2000-01-01")?, UsageDate::parse("2100-01-01")?);
        let deadline = Instant::now() + APPLY_AT_MOST;
        loop {
            let days = storage.read_blocking(|conn| query::daily_rows(conn, &self.organization, from, to))?;
            let recorded = u64::try_from(days.iter().map(|day| day.total_requests).sum::<i64>())?;
            if recorded >= sent || Instant::now() > deadline {
                let check = |conn: &mut _| verify::check_days(conn, &self.organization, from, to, Some(from));
                let mismatches = storage.read_blocking(check)?;
                if !mismatches.is_empty() {
                    bail!("the daily tables and the ledger disagree: {mismatches:?}");
                }
                return Ok(recorded);
            }
            ensure!(!interrupts.came(), "interrupted");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The settings of the gateway, and its command line on them.
struct Installation {
    binary: PathBuf,
    folder: PathBuf,
    upstream: String,
    /// Further settings.
    settings: Vec<(String, String)>,
}

impl Installation {
    fn database(&self) -> PathBuf {
        self.folder.join("mai-usage.db")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env_clear().current_dir(&self.folder).envs([
            ("MAI_LISTEN", "127.0.0.1:0"),
            ("MAI_DATABASE_URL", &format!("sqlite:{}", self.database().display())),
            ("MAI_DATA_DIR", &self.folder.display().to_string()),
            ("MAI_ADMIN_TOKEN", ADMIN_TOKEN),
            ("MAI_JOURNAL_SYNC", "disk"),
            ("MAI_LOG", "warn"),
            // The load is that of one key. Its calls are counted all the same, as in production.
            ("MAI_RATE_LIMIT_PER_MINUTE", "1000000"),
            ("OPENROUTER_BASE_URL", &self.upstream),
            // The mock is NBP as well.
            ("NBP_BASE_URL", &self.upstream.replace("/api/v1", "/nbp/api")),
        ]);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command for the organization that shows a new secret once, and returns that.
    fn secret(&self, command: &[&str], options: &[&str], field: &str) -> Result<String> {
        let made = self.json(&[command, &["--org", ORGANIZATION, "--json"], options].concat())?;
        Ok(made.get(field).and_then(Value::as_str).context("the new secret is not shown")?.to_owned())
    }

    /// Runs a command that prints one JSON value.
    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command(arguments).output().context("cannot run mai-usage")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mai-usage {} failed: {}", arguments.join(" "), said.trim());
        serde_json::from_slice(&output.stdout).context("cannot read what mai-usage printed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_announces_itself_and_is_gone_with_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo trouble >&2; echo noise; echo it listens on here; sleep 600 & wait"]);
        let log = folder.path().join("log");
        let mut service = Service::start(command, &log).unwrap();
        assert_eq!(service.announced("listens on ").unwrap(), "here");
        assert!(service.is_running().unwrap());
        assert!(service.memory_kib("VmRSS").unwrap() > 0);
        assert!(service.memory_kib("VmNothing").is_err());
        let process = PathBuf::from(format!("/proc/{}", service.child.id()));
        assert!(process.exists());
        drop(service);
        assert!(!process.exists());
        assert_eq!(fs::read_to_string(log).unwrap(), "trouble\n");
    }

    #[test]
    fn a_service_that_ends_at_once_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut service = Service::start(Command::new("true"), &folder.path().join("log")).unwrap();
        assert!(service.announced("listens on ").is_err());
    }
}
