//! `mai-usage serve` as a child process.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mai_mock_openrouter::Mock;
use mai_storage::testing::TestDb;
use serde_json::Value;

use crate::database_url;

/// The provider key of an organization of the tests.
pub fn provider_key(organization: &str) -> String {
    format!("sk-or-v1-test-{organization}")
}

/// How long a process may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The settings of a gateway under test, and the command line on them.
pub struct Installation {
    /// Folder of the journal.
    pub data: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Installation {
    /// An installation on a database, with a mock as its upstream.
    pub fn new(database: &TestDb, mock: &Mock) -> Self {
        Self::on(&database_url(database), mock)
    }

    /// An installation on the database of a URL.
    pub fn on(database_url: &str, mock: &Mock) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let variables = [
            ("MAI_LISTEN", "127.0.0.1:0".to_owned()),
            ("MAI_DATABASE_URL", database_url.to_owned()),
            ("MAI_DATA_DIR", data.path().display().to_string()),
            ("MAI_ADMIN_TOKEN", "reseller-token-of-tests-0123456789".to_owned()),
            ("OPENROUTER_BASE_URL", mock.base_url()),
            ("NBP_BASE_URL", mock.nbp_url()),
            // Most tests call as fast as they can, with what is wrong among it.
            ("MAI_RATE_LIMIT_PER_MINUTE", "0".to_owned()),
            ("MAI_SIGN_IN_ATTEMPTS_PER_MINUTE", "1000".to_owned()),
            // Long runs are silenced: what upstream does on purpose would fill pages.
            ("MAI_LOG", std::env::var("MAI_TEST_LOG").unwrap_or_else(|_| "warn,mai_capture=info".to_owned())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        Self { data, variables }
    }

    /// Sets or replaces a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .current_dir(self.data.path());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// Runs a command that reads its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    /// Runs a command that prints one JSON value.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("the command prints JSON")
    }

    /// An organization with a provider key, a gateway key and an API token.
    pub fn organization(&self, name: &str) -> Organization {
        let id = name.to_lowercase().replace(' ', "_");
        let arguments =
            ["org", "create", "--name", name, "--id", &id, "--provider-key", &provider_key(&id), "--json"];
        let created = self.json(&arguments);
        let id = created["id"].as_str().expect("an id").to_owned();
        let key = self.key(&id, &[]);
        let token = self.json(&["tokens", "create", "--org", &id, "--json"]);
        Organization { key, token: token["token"].as_str().expect("a token").to_owned(), id }
    }

    /// A gateway key of an organization.
    pub fn key(&self, organization: &str, more: &[&str]) -> String {
        let arguments = [&["keys", "create", "--org", organization, "--json"], more].concat();
        self.json(&arguments)["key"].as_str().expect("a key").to_owned()
    }

    /// Tries to serve and waits until the binary has given up; what it said then.
    pub fn refuses_to_serve(&self) -> String {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("it can be waited for").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("it can be killed");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = child.wait_with_output().expect("it can be waited for");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts serving and waits until it answers.
    pub fn serve(&self) -> Gateway {
        self.serve_with(&[])
    }

    /// As [`Installation::serve`], with options of the command.
    pub fn serve_with(&self, options: &[&str]) -> Gateway {
        Self::start(self.command(&[&["serve"], options].concat()))
    }

    /// The same with the journal on a disk of 8 MiB, which nobody else sees and which is gone with the process.
    pub fn serve_on_a_small_disk(&self) -> Gateway {
        let journal = self.data.path().join("journal");
        std::fs::create_dir_all(&journal).expect("a folder");
        let mount = format!("mount -t tmpfs -o size=8m small-disk '{}'", journal.display());
        // With the rights of root, or in a user namespace of its own.
        let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let way = ways.into_iter().find(|way| {
            let attempt = Command::new("unshare").args(*way).args(["sh", "-c", &mount]).output();
            attempt.expect("unshare of util-linux runs").status.success()
        });
        let way = way.expect("the right to mount: run as root, or where user namespaces are allowed");
        let serve = self.command(&["serve"]);
        let mut command = Command::new("unshare");
        command
            .args(way)
            .args(["sh", "-c", &format!("{mount} && exec \"$0\" serve")])
            .arg(serve.get_program());
        command.env_clear().envs(self.variables.iter().cloned()).current_dir(self.data.path());
        // Where the programs are that make the disk.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Self::start(command)
    }

    fn start(mut command: Command) -> Gateway {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let said = Arc::new(Mutex::new(String::new()));
        let complaints = listen(child.stderr.take().expect("its errors"), Arc::clone(&said));
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut printed = Vec::new();
        let base = lines.map_while(Result::ok).find_map(|line| {
            let base = line.split_once("listens on ").map(|(_, url)| url.to_owned());
            printed.push(line);
            base
        });
        let base = base.expect("the binary says where it listens");
        Gateway { child, base, printed, said, complaints: Some(complaints) }
    }
}

/// An organization and what opens it.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its id.
    pub id: String,
    /// A gateway key.
    pub key: String,
    /// An admin's API token.
    pub token: String,
}

/// A running `mai-usage serve`.
pub struct Gateway {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub base: String,
    /// What it printed until it listened.
    pub printed: Vec<String>,
    /// Its log so far.
    said: Arc<Mutex<String>>,
    /// Ends with the process, with whether it has panicked.
    complaints: Option<JoinHandle<bool>>,
}

impl Gateway {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.said.lock().expect("no listener has panicked").clone()
    }

    /// Its resident memory in KiB.
    pub fn resident_kib(&self) -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches("kB").trim().parse().expect("a number")
    }

    /// The answer of `/readyz`, and whether its status is 200.
    pub async fn ready(&self) -> (bool, Value) {
        let answer = reqwest::get(format!("{}/readyz", self.base)).await.expect("an answer");
        let ok = answer.status() == reqwest::StatusCode::OK;
        (ok, serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON"))
    }

    /// SIGKILL: no destructor runs.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and wait for the orderly end. No thread may have panicked until then: a server may
    /// survive it, and the call of that thread would be lost.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                let complaints = self.complaints.take().expect("it was not stopped before");
                assert!(!complaints.join().expect("its errors are text"), "the gateway has panicked");
                return status;
            }
            assert!(Instant::now() < deadline, "the gateway did not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        let status = Command::new("kill").arg(self.pid().to_string()).status().expect("kill runs");
        assert!(status.success());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It is gone already after `kill` and `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shows what a gateway complains of, and tells at its end whether a thread has panicked.
fn listen(stderr: ChildStderr, said: Arc<Mutex<String>>) -> JoinHandle<bool> {
    std::thread::spawn(move || {
        let mut panicked = false;
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.expect("it can be read");
            let line = String::from_utf8_lossy(&line);
            eprintln!("{line}");
            panicked |= line.contains("panicked at");
            let mut said = said.lock().expect("no reader has panicked");
            said.push_str(&line);
            said.push('\n');
        }
        panicked
    })
}

/// A port that nobody listens on, for a gateway that is started again in the same place. Below the range
/// from which clients get theirs.
pub fn free_port() -> u16 {
    let start = std::process::id() % 15_000;
    (0..15_000)
        .map(|step| 15_000 + u16::try_from((start + step) % 15_000).expect("less than 15,000"))
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// The binary under test: named by the environment, else beside this test's own executable.
pub fn binary() -> PathBuf {
    if let Ok(path) = std::env::var("MAI_TEST_BINARY") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test's own path");
    let path = test.parent().and_then(Path::parent).expect("the target folder").join("mai-usage");
    assert!(
        path.exists(),
        "{} is missing; run the tests by `cargo xtask test`, which builds it",
        path.display()
    );
    path
}
