//! Programs that the tests need and that Debian and Ubuntu have in packages.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::interrupts::Interrupts;

/// Whether packages are Debian's here.
pub(crate) fn is_here() -> bool {
    Path::new("/etc/debian_version").exists()
}

/// Whether this process is root's.
pub(crate) fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// Whether a missing package may be installed without asking.
pub(crate) fn may_install(root: bool) -> bool {
    root && is_here()
}

/// Installs a package.
pub(crate) fn install(package: &str, interrupts: &Interrupts) -> Result<()> {
    eprintln!("{package} is missing and is being installed.");
    for arguments in [&["update"][..], &["install", "-y", "--no-install-recommends", package]] {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        let status = interrupts.run(apt, |mut child| Ok(child.wait()?))?;
        ensure!(status.success(), "`apt-get {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Sees to it that a program can be started whose package has the same name.
pub(crate) fn need(program: &str, interrupts: &Interrupts) -> Result<()> {
    need_from(program, program, interrupts)
}

/// Sees to it that a program of a package can be started.
pub(crate) fn need_from(program: &str, package: &str, interrupts: &Interrupts) -> Result<()> {
    let mut version = Command::new(program);
    version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    ensure!(
        may_install(is_root()?),
        "The tests need {program}. Install it, for example: sudo apt-get update && sudo apt-get install -y {package}"
    );
    install(package, interrupts)
}
