//! axe-core, which finds what keeps people out of a page. Tests of the dashboard run it in the browser.
//!
//! It is one file of a package of npm's registry, in one version, and never part of what we ship.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{debian, interrupts::Interrupts};

/// The package and its version.
const PACKAGE: &str = "axe-core@4.14.1";
/// The SHA-256 of the file in that version.
const SHA256: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

/// The file, below the folder of everything that is built; fetched where it is not there yet.
pub(crate) fn file(interrupts: &Interrupts) -> Result<PathBuf> {
    let folder = crate::tidy::metadata::load()?.target_directory.join("axe-core");
    let file = folder.join("package/axe.min.js");
    if !is_whole(&file)? {
        debian::need("npm", interrupts)?;
        fetch(&folder, interrupts)?;
        ensure!(is_whole(&file)?, "{} is not the file of {PACKAGE}", file.display());
    }
    Ok(file)
}

fn is_whole(file: &Path) -> Result<bool> {
    if !file.is_file() {
        return Ok(false);
    }
    let output = Command::new("sha256sum").arg(file).output().context("cannot run sha256sum")?;
    Ok(String::from_utf8_lossy(&output.stdout).starts_with(SHA256))
}

fn fetch(folder: &Path, interrupts: &Interrupts) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let archive = folder.join("axe-core.tgz");
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", PACKAGE]).current_dir(folder).stdout(Stdio::null());
    let mut unpack = Command::new("tar");
    unpack.args(["xzf"]).arg(&archive).arg("package/axe.min.js").current_dir(folder);
    run("npm pack", pack, interrupts)?;
    fs::rename(folder.join(PACKAGE.replace('@', "-") + ".tgz"), &archive).context("npm packed nothing")?;
    run("tar", unpack, interrupts)
}

fn run(name: &str, command: Command, interrupts: &Interrupts) -> Result<()> {
    let status = interrupts.run(command, |mut child| Ok(child.wait()?))?;
    ensure!(status.success(), "`{name}` failed");
    Ok(())
}
