//! Where the parts with other people's programs run: our own programs, a folder, the scripts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::succeed;
use crate::{
    interrupts::Interrupts,
    stack::{self, Stack},
};

/// What everything that was started logs, in `target/acceptance`.
pub(super) const LOG: &str = "services.log";

/// The folder of the scripts.
pub(super) fn scripts() -> PathBuf {
    crate::workspace_root().join("xtask/acceptance")
}

/// A mock and a gateway of their own, and the folder for what clients need.
pub(super) struct Place {
    /// `target/acceptance`.
    pub(super) folder: PathBuf,
    /// Where cargo put our programs.
    pub(super) programs: PathBuf,
    pub(super) stack: Stack,
}

impl Place {
    /// Builds and starts both; the gateway gets these settings beside those of the stack.
    pub(super) fn prepare(settings: &[(&str, &str)], interrupts: &Interrupts) -> Result<Self> {
        let target = crate::tidy::metadata::load()?.target_directory;
        let folder = target.join("acceptance");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        stack::build(&[], interrupts)?;
        let programs = target.join("debug");
        let stack = Stack::start_with(&programs, &folder.join(LOG), settings)?;
        Ok(Self { folder, programs, stack })
    }
}

/// A command that runs one of the scripts.
pub(super) fn python_script(python: &Path, script: &str) -> Command {
    let mut command = Command::new(python);
    // Nothing is left in the folder of the scripts.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(scripts().join(script));
    command
}

/// The Python of an environment with the packages of a list among the scripts, made where it is missing.
pub(super) fn python_environment(folder: &Path, list: &str, interrupts: &Interrupts) -> Result<PathBuf> {
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
    install.arg(scripts().join(list));
    succeed(install, interrupts).context("the Python packages cannot be installed")?;
    Ok(python)
}
