//! What `cargo metadata` says about the members of the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The part of `cargo metadata --no-deps` that we need.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// The name, such as `mai-storage`.
    pub(crate) name: String,
    /// The path of its Cargo.toml; after [`Metadata::packages_in`] from the root of the workspace.
    pub(crate) manifest_path: String,
    /// What its Cargo.toml names, of all kinds and targets.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One dependency of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the package, not the local alias.
    pub(crate) name: String,
    /// `dev`, `build`, or nothing for a normal dependency.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// The members, with the paths of their manifests as seen from `root`.
    pub(crate) fn packages_in(self, root: &Path) -> Vec<Package> {
        let prefix = format!("{}/", root.display());
        let mut packages = self.packages;
        for package in &mut packages {
            if let Some(relative) = package.manifest_path.strip_prefix(&prefix) {
                package.manifest_path = relative.to_owned();
            }
        }
        packages
    }
}

/// Asks cargo. Reads manifests only, so it needs no network.
pub(crate) fn load() -> Result<Metadata> {
    let output = crate::cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
}

/// The line of a manifest on which `name` is a key, or 1.
pub(crate) fn line_of(manifest: &str, name: &str) -> usize {
    let is_key = |line: &str| {
        let rest = line.trim_start().trim_start_matches('"').strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=', '"']))
    };
    manifest.lines().position(is_key).map_or(1, |index| index + 1)
}
