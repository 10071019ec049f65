//! Open WebUI's package in an environment of its own, installed once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::super::succeed;
use crate::interrupts::Interrupts;

/// The version that the scripts speak to.
pub(super) const VERSION: &str = "0.12.4";

/// Prints the requirements of the slim installation, which are in the package itself.
const PRINT_REQUIREMENTS: &str = "\
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/open_webui-*.whl')[0])
sys.stdout.buffer.write(wheel.read('requirements-slim.txt'))
";

/// Ends well where the package runs on this Python.
const IS_RIGHT_PYTHON: &str = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))";

/// The folder of the programs of an environment with Open WebUI, made where it is missing.
///
/// The full package brings torch with it; the slim one needs 0.8 GB.
pub(super) fn environment(folder: &Path, interrupts: &Interrupts) -> Result<PathBuf> {
    let environment = folder.join(format!("open-webui-{VERSION}"));
    // Written last, because half an environment would be taken for a whole one the next time.
    let whole = environment.join("installed");
    if !whole.exists() {
        let begun = Instant::now();
        println!("Open WebUI {VERSION} is being installed once, which takes some minutes and 0.8 GB");
        if environment.exists() {
            fs::remove_dir_all(&environment)?;
        }
        install(&environment, interrupts)?;
        fs::write(&whole, "")?;
        println!("installed in {:.0} s", begun.elapsed().as_secs_f64());
    }
    Ok(environment.join("bin"))
}

fn install(environment: &Path, interrupts: &Interrupts) -> Result<()> {
    let mut make = Command::new(right_python()?);
    make.args(["-m", "venv"]).arg(environment);
    succeed(make, interrupts)
        .context("cannot make an environment; the package python3-venv may be missing")?;
    let python = environment.join("bin/python");
    let wheels = tempfile::tempdir_in(environment)?;
    let package = format!("open-webui=={VERSION}");
    let mut download = pip(&python, "download");
    download.args(["--no-deps", "--dest"]).arg(wheels.path()).arg(&package);
    succeed(download, interrupts).with_context(|| format!("{package} cannot be fetched"))?;
    let mut print = Command::new(&python);
    print.args(["-c", PRINT_REQUIREMENTS]).arg(wheels.path());
    let requirements = wheels.path().join("requirements-slim.txt");
    print.stdout(fs::File::create(&requirements)?);
    succeed(print, interrupts)?;
    let mut dependencies = pip(&python, "install");
    dependencies.arg("--requirement").arg(&requirements);
    succeed(dependencies, interrupts).context("what Open WebUI needs cannot be installed")?;
    let mut install = pip(&python, "install");
    install.args(["--no-deps", "--no-index", "--find-links"]).arg(wheels.path()).arg(&package);
    succeed(install, interrupts)
}

fn pip(python: &Path, command: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", command, "--quiet", "--disable-pip-version-check"]);
    pip
}

/// A Python that the package accepts.
fn right_python() -> Result<&'static str> {
    let found = ["python3.12", "python3.11", "python3"].into_iter().find(|program| {
        let mut asked = Command::new(program);
        asked.args(["-c", IS_RIGHT_PYTHON]).stdin(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    });
    found.context(
        "Python 3.11 or 3.12 with venv is needed. Install it: \
         sudo apt-get update && sudo apt-get install -y python3 python3-venv",
    )
}
