//! Which crate may depend on which. The table is the architecture; a new edge is a decision.

use super::{
    Finding,
    metadata::{Dependency, Package, line_of},
    tree::Tree,
};

/// What a crate may depend on within the workspace.
enum May {
    /// These crates only.
    Only(&'static [&'static str]),
    /// Every crate but the two that stand beside the product.
    AllButTools,
    /// Every crate.
    All,
}

use May::{All, AllButTools, Only};

const EDGES: [(&str, May); 22] = [
    ("mai-primitives", Only(&[])),
    ("mai-openrouter", Only(&["mai-primitives"])),
    ("mai-journal", Only(&[])),
    ("mai-pdf", Only(&[])),
    ("mai-storage", Only(&[])),
    ("mai-mock-openrouter", Only(&[])),
    ("mai-audit-log", Only(&["mai-primitives", "mai-storage"])),
    ("mai-global-settings", Only(&["mai-primitives", "mai-storage", "mai-audit-log"])),
    ("mai-exchange-rates", Only(&["mai-primitives", "mai-storage"])),
    (
        "mai-client-organization",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-audit-log",
            "mai-global-settings",
            "mai-exchange-rates",
        ]),
    ),
    ("mai-model-prices", Only(&["mai-primitives", "mai-openrouter", "mai-storage"])),
    ("mai-generation-processing", Only(&["mai-primitives", "mai-storage", "mai-audit-log"])),
    (
        "mai-usage-tracking",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-audit-log",
            "mai-generation-processing",
            "mai-client-organization",
            "mai-exchange-rates",
            "mai-model-prices",
        ]),
    ),
    (
        "mai-organization",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-audit-log",
            "mai-global-settings",
            "mai-client-organization",
            "mai-generation-processing",
            "mai-usage-tracking",
            "mai-exchange-rates",
        ]),
    ),
    (
        "mai-billing",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-audit-log",
            "mai-global-settings",
            "mai-client-organization",
            "mai-generation-processing",
            "mai-usage-tracking",
            "mai-exchange-rates",
            "mai-model-prices",
            "mai-pdf",
        ]),
    ),
    (
        "mai-alerts",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-audit-log",
            "mai-global-settings",
            "mai-client-organization",
        ]),
    ),
    (
        "mai-capture",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-journal",
            "mai-openrouter",
            "mai-client-organization",
            "mai-generation-processing",
            "mai-usage-tracking",
            "mai-model-prices",
        ]),
    ),
    (
        "mai-batch",
        Only(&[
            "mai-primitives",
            "mai-storage",
            "mai-audit-log",
            "mai-client-organization",
            "mai-generation-processing",
            "mai-usage-tracking",
            "mai-exchange-rates",
            "mai-model-prices",
            "mai-billing",
        ]),
    ),
    ("mai-seed", Only(&["mai-primitives", "mai-storage", "mai-organization"])),
    ("mai-web", AllButTools),
    ("mai-tests", All),
    ("mai-xtask", All),
];

/// Stand beside the product; nothing depends on them.
const TOOLS: [&str; 2] = ["mai-tests", "mai-xtask"];

/// The tests of every crate may use a database and the stand-in for the provider, and whatever the
/// crates that it depends on are made of.
const FOR_TESTS: [&str; 2] = ["mai-storage", "mai-mock-openrouter"];

/// The only crate of the product that knows the web framework.
const WEB: &str = "mai-web";

/// Dependencies that the tables above do not allow.
pub(crate) fn check(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let manifest = tree.text(&package.manifest_path).unwrap_or_default();
        let mut complain = |name: &str, message: String| {
            findings.push(Finding::new(&package.manifest_path, line_of(manifest, name), message));
        };
        let Some((_, may)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            complain("name", format!("{} has no row in the table of crate edges; add one", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let may_know_actix = package.name == WEB || TOOLS.contains(&package.name.as_str());
            if dependency.name.starts_with("actix") && !may_know_actix {
                complain(&dependency.name, format!("only {WEB} may know actix; move what needs it there"));
            }
            if dependency.name.starts_with("mai-") && !is_allowed(may, dependency) {
                complain(
                    &dependency.name,
                    format!(
                        "{} may not depend on {}; use a lower layer, or change the table of crate edges with a reason",
                        package.name, dependency.name
                    ),
                );
            }
        }
    }
    findings
}

fn is_allowed(may: &May, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    let is_for_tests = || dependency.kind.as_deref() == Some("dev");
    match may {
        Only(names) => {
            names.contains(&name) || (is_for_tests() && (FOR_TESTS.contains(&name) || is_below(names, name)))
        }
        AllButTools => !TOOLS.contains(&name),
        All => true,
    }
}

/// Whether one of `names` depends on `wanted`, by the table and however indirectly.
fn is_below(names: &[&str], wanted: &str) -> bool {
    EDGES
        .iter()
        .filter(|(name, _)| names.contains(name))
        .any(|(_, may)| matches!(may, Only(lower) if lower.contains(&wanted) || is_below(lower, wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(package: &str, dependency: &str, kind: Option<&str>) -> Vec<String> {
        let tree =
            Tree::of([("crates/x/Cargo.toml", &format!("[dependencies]\n{dependency}.workspace = true\n"))]);
        let package = Package {
            name: package.into(),
            manifest_path: "crates/x/Cargo.toml".into(),
            dependencies: vec![Dependency { name: dependency.into(), kind: kind.map(Into::into) }],
        };
        check(&tree, &[package]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn edges_of_the_table_pass() {
        for (package, dependency, kind) in [
            ("mai-openrouter", "mai-primitives", None),
            ("mai-openrouter", "serde", None),
            ("mai-primitives", "mai-storage", Some("dev")),
            ("mai-web", "mai-seed", None),
            ("mai-web", "actix-web", None),
            ("mai-tests", "mai-web", None),
            ("mai-tests", "actix-web", None),
            ("mai-usage-tracking", "mai-global-settings", Some("dev")),
        ] {
            assert_eq!(findings(package, dependency, kind), [""; 0], "{package} {dependency}");
        }
    }

    #[test]
    fn every_other_edge_fails_at_its_line() {
        for (package, dependency, kind) in [
            ("mai-primitives", "mai-storage", None),
            ("mai-primitives", "mai-storage", Some("build")),
            ("mai-journal", "mai-openrouter", Some("dev")),
            ("mai-generation-processing", "mai-usage-tracking", None),
            ("mai-web", "mai-xtask", None),
            ("mai-capture", "actix-http", None),
            ("mai-usage-tracking", "mai-global-settings", None),
            ("mai-usage-tracking", "mai-organization", Some("dev")),
        ] {
            let found = findings(package, dependency, kind);
            assert_eq!(found.len(), 1, "{package} {dependency}");
            assert!(found[0].starts_with("crates/x/Cargo.toml:2: "), "{found:?}");
        }
    }

    #[test]
    fn an_unknown_crate_fails() {
        assert!(findings("mai-new", "serde", None)[0].contains("no row"));
    }
}
