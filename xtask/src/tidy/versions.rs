//! Versions of dependencies stand in the workspace's table only, so that there is one of each.

use toml::{Table, Value};

use super::{
    Finding,
    metadata::{Package, line_of},
    tree::Tree,
};

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Dependencies of members that neither come from the workspace's table nor are a member by path.
pub(crate) fn check(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let path = &package.manifest_path;
        let text = tree.text(path).unwrap_or_default();
        match text.parse::<Table>() {
            Err(error) => findings.push(Finding::new(path, 1, format!("cannot be read as TOML: {error}"))),
            Ok(manifest) => findings.extend(own_versions(&manifest).into_iter().map(|name| {
                Finding::new(
                    path,
                    line_of(text, name),
                    format!(
                        "put {name} into [workspace.dependencies] and write `{name}.workspace = true` here"
                    ),
                )
            })),
        }
    }
    findings
}

fn own_versions(manifest: &Table) -> Vec<&str> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let sections = targets.filter_map(|(_, section)| section.as_table()).chain([manifest]);
    sections
        .flat_map(|section| KINDS.iter().filter_map(|kind| section.get(*kind)?.as_table()))
        .flatten()
        .filter(|(_, value)| !comes_from_workspace(value))
        .map(|(name, _)| name.as_str())
        .collect()
}

fn comes_from_workspace(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
        || (value.get("path").is_some() && value.get("version").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(manifest: &str) -> Vec<String> {
        let tree = Tree::of([("crates/x/Cargo.toml", manifest)]);
        let package = Package {
            name: "x".into(),
            manifest_path: "crates/x/Cargo.toml".into(),
            dependencies: Vec::new(),
        };
        check(&tree, &[package]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_workspace_and_members_by_path_pass() {
        let manifest = "[dependencies]\na.workspace = true\nb = { workspace = true, optional = true }\n\
                        [dev-dependencies]\nself = { path = \".\" }\n";
        assert_eq!(findings(manifest), [""; 0]);
    }

    #[test]
    fn a_version_of_its_own_fails_in_every_section() {
        for manifest in [
            "[dependencies]\nfoo = \"1\"\n",
            "[dev-dependencies]\nfoo = { version = \"1\", features = [\"x\"] }\n",
            "[build-dependencies]\nfoo = { git = \"https://example.com/foo\" }\n",
            "[target.'cfg(unix)'.dependencies]\nfoo = \"1\"\n",
            "[dependencies]\nfoo = { path = \"../foo\", version = \"1\" }\n",
        ] {
            let found = findings(manifest);
            assert_eq!(found.len(), 1, "{manifest}");
            assert!(found[0].starts_with("crates/x/Cargo.toml:2: put foo into"), "{found:?}");
        }
        assert!(findings("[dependencies\n")[0].contains("TOML"));
    }
}
