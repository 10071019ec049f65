//! A throw-away PostgreSQL: made, started on a socket in a temporary folder, stopped and removed.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{
    debian,
    interrupts::{Interrupts, signal},
};

/// Where Debian and Ubuntu keep the programs of each major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The account that PostgreSQL runs as when we are root, because it refuses to run as root.
const ACCOUNT: &str = "postgres";

/// A PostgreSQL server that lives as long as this value, and not longer than this process.
pub(crate) struct Cluster {
    server: Child,
    folder: TempDir,
}

impl Cluster {
    /// Makes and starts a server, and waits until it answers. Installs PostgreSQL where it is missing
    /// and we may.
    pub(crate) fn start(interrupts: &Interrupts) -> Result<Self> {
        let root = debian::is_root()?;
        let programs = find_or_install(root, interrupts)?;
        let folder = tempfile::Builder::new().prefix("mai-postgres-").tempdir()?;
        if root {
            command_output(Command::new("chown").arg(ACCOUNT).arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        let mut initdb = unprivileged(root, programs.join("initdb"));
        initdb.arg("--pgdata").arg(&data);
        // Nobody else reaches the socket, and nothing in here outlives the tests.
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"]);
        command_output(initdb.process_group(0))?;

        let log = fs::File::create(folder.path().join("server.log"))?;
        let mut server = unprivileged(root, programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=300",
        ] {
            server.arg("-c").arg(setting);
        }
        // A group of its own, so that Ctrl-C does not take the database from under the tests.
        let server = server
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start postgres")?;
        let mut cluster = Self { server, folder };
        cluster.wait_until_ready(&programs, interrupts)?;
        Ok(cluster)
    }

    /// How to connect as the superuser.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=postgres", self.folder.path().display())
    }

    fn wait_until_ready(&mut self, programs: &Path, interrupts: &Interrupts) -> Result<()> {
        let mut ready = Command::new(programs.join("pg_isready"));
        ready.args(["--quiet", "--host"]).arg(self.folder.path());
        for _ in 0..600 {
            ensure!(!interrupts.came(), "interrupted");
            if ready.status().context("cannot run pg_isready")?.success() {
                return Ok(());
            }
            if self.server.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
        bail!("PostgreSQL did not start:\n{log}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGQUIT ends PostgreSQL at once, with all of its own processes.
        signal("QUIT", &self.server.id().to_string());
        if let Err(error) = self.server.wait() {
            eprintln!("cannot wait for PostgreSQL: {error}");
        }
    }
}

/// `program` as an account that PostgreSQL accepts, ended by the kernel when this process dies
/// without a chance to clean up.
fn unprivileged(root: bool, program: PathBuf) -> Command {
    if !root {
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

/// The folder of `initdb`, `postgres` and `pg_isready`.
fn find_or_install(root: bool, interrupts: &Interrupts) -> Result<PathBuf> {
    if let Some(found) = find(Path::new(DEBIAN), std::env::var_os("PATH").as_deref()) {
        return Ok(found);
    }
    ensure!(debian::may_install(root), "{}", install_hint());
    debian::install("postgresql", interrupts)?;
    find(Path::new(DEBIAN), None).with_context(|| format!("no PostgreSQL in {DEBIAN} after its installation"))
}

fn install_hint() -> &'static str {
    if debian::is_here() {
        "The tests need PostgreSQL. Install it: sudo apt-get update && sudo apt-get install -y postgresql"
    } else {
        "The tests need PostgreSQL (initdb, postgres and pg_isready). Install it and put its programs on PATH, \
         for example: export PATH=\"$(pg_config --bindir):$PATH\""
    }
}

/// The newest version below `versions`, else the first folder of `path` that has what is needed.
fn find(versions: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    let number = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let complete = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_isready"].iter().all(|program| folder.join(program).is_file())
    };
    let installed = fs::read_dir(versions).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed
        .filter_map(|folder| Some((number(&folder)?, folder.join("bin"))))
        .filter(|(_, programs)| complete(programs))
        .max();
    newest
        .map(|(_, programs)| programs)
        .or_else(|| std::env::split_paths(path?).find(|folder| complete(folder)))
}

/// The standard output of a command that must succeed.
fn command_output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(folder: &Path, programs: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for program in programs {
            fs::write(folder.join(program), "").unwrap();
        }
    }

    #[test]
    fn the_newest_complete_version_is_taken_and_path_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let all = ["initdb", "postgres", "pg_isready"];
        let versions = folder.path().join("versions");
        let elsewhere = folder.path().join("elsewhere");
        assert_eq!(find(&versions, None), None);
        install(&elsewhere, &all);
        assert_eq!(find(&versions, Some(elsewhere.as_os_str())), Some(elsewhere.clone()));
        install(&versions.join("9/bin"), &all);
        install(&versions.join("15/bin"), &all);
        install(&versions.join("17/bin"), &["initdb"]);
        assert_eq!(find(&versions, Some(elsewhere.as_os_str())), Some(versions.join("15/bin")));
    }
}
