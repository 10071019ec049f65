//! A PostgreSQL of a test's own, which can be taken away and brought back.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::gateway::free_port;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Debian and Ubuntu keep the programs of each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The account that PostgreSQL runs as when we are root, because it refuses to run as root.
const ACCOUNT: &str = "postgres";

/// A server on a socket in a folder of its own. It is gone with this value.
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    /// Of a server that takes connections by TLS.
    port: Option<u16>,
    server: Option<Child>,
}

impl Cluster {
    /// Makes a server and starts it.
    pub fn start_new() -> Self {
        let mut cluster = Self::make();
        cluster.start();
        cluster
    }

    /// A server that takes connections at a port of this machine as well, by TLS only. `certificate` and
    /// `key` are its own, as PEM.
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        let mut cluster = Self::make();
        let write = |name: &str, text: &str| {
            let path = cluster.data().join(name);
            std::fs::write(&path, text).expect("it can be written");
            succeed(Command::new("chmod").arg("600").arg(&path));
            if is_root() {
                succeed(Command::new("chown").arg(ACCOUNT).arg(&path));
            }
        };
        write("server.crt", certificate);
        write("server.key", key);
        write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
        cluster.port = Some(free_port());
        cluster.start();
        cluster
    }

    fn make() -> Self {
        let folder = tempfile::Builder::new().prefix("mai-away-").tempdir().expect("a temporary folder");
        if is_root() {
            succeed(Command::new("chown").arg(ACCOUNT).arg(folder.path()));
        }
        let cluster = Self { programs: programs(), folder, port: None, server: None };
        let mut initdb = unprivileged(&cluster.programs.join("initdb"));
        initdb.arg("--pgdata").arg(cluster.data());
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"]);
        succeed(&mut initdb);
        cluster
    }

    /// How to connect as the superuser.
    pub fn url(&self) -> String {
        let port = self.port.map(|port| format!("&port={port}")).unwrap_or_default();
        format!("postgres:///postgres?host={}&user=postgres{port}", self.folder.path().display())
    }

    /// How to connect as the superuser at the port, with more parameters of libpq.
    pub fn tcp_url(&self, parameters: &str) -> String {
        let port = self.port.expect("a server with a port");
        format!("postgres://postgres@localhost:{port}/postgres?{parameters}")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server and waits until it answers. What a killed one left behind may be in the way for
    /// a moment, so a start that fails is tried again.
    pub fn start(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let log = self.folder.path().join("server.log");
        while Instant::now() < deadline {
            let file = File::options().create(true).append(true).open(&log).expect("a log");
            let mut server = unprivileged(&self.programs.join("postgres"));
            server.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
            // A crash of the server alone loses nothing without fsync.
            for setting in ["fsync=off", "max_connections=50"] {
                server.arg("-c").arg(setting);
            }
            match self.port {
                Some(port) => {
                    server.args([
                        "-c",
                        "listen_addresses=127.0.0.1",
                        "-c",
                        "ssl=on",
                        "-p",
                        &port.to_string(),
                    ]);
                }
                None => {
                    server.args(["-c", "listen_addresses="]);
                }
            }
            let output = file.try_clone().expect("a second handle");
            let server = server.stdin(Stdio::null()).stdout(output).stderr(file).spawn();
            if self.wait_until_ready(server.expect("postgres starts"), deadline) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("PostgreSQL did not start:\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// Whether the server answers before it ends.
    fn wait_until_ready(&mut self, mut server: Child, deadline: Instant) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.args(["--quiet", "--host"]).arg(self.folder.path());
        if let Some(port) = self.port {
            ready.args(["--port", &port.to_string()]);
        }
        while Instant::now() < deadline {
            if server.try_wait().expect("it can be waited for").is_some() {
                return false;
            }
            if ready.status().expect("pg_isready runs").success() {
                self.server = Some(server);
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = server.kill();
        let _ = server.wait();
        false
    }

    /// SIGQUIT: the server ends at once, and says so to its clients.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            succeed(Command::new("kill").args(["-QUIT", &server.id().to_string()]));
            server.wait().expect("it ends");
        }
    }

    /// SIGKILL: the server says nothing any more.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("it can be killed");
            server.wait().expect("it ends");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // A server that ended by itself needs no signal.
            let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id runs");
    output.stdout.trim_ascii() == b"0"
}

/// A program as an account that PostgreSQL accepts, ended by the kernel when this process dies.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        &format!("--reuid={ACCOUNT}"),
        &format!("--regid={ACCOUNT}"),
        "--init-groups",
        "--pdeathsig=QUIT",
        "--",
    ]);
    command.arg(program).current_dir("/");
    command
}

/// The folder of `initdb`, `postgres` and `pg_isready`: of the newest version, else on the path.
fn programs() -> PathBuf {
    let number = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let complete = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let installed = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed
        .filter_map(|folder| Some((number(&folder)?, folder.join("bin"))))
        .filter(|(_, programs)| complete(programs))
        .max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest
        .map(|(_, programs)| programs)
        .or_else(|| std::env::split_paths(&path).find(complete))
        .expect("PostgreSQL is installed; `cargo xtask test` says how")
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
