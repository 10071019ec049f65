//! Links from our documents to files that are not there.

use super::{Finding, tree::Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&["md"]) {
        let mut in_code = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            if in_code {
                continue;
            }
            for target in targets(line) {
                if resolve(path, target).is_some_and(|file| !tree.exists(&file)) {
                    findings.push(Finding::new(
                        path,
                        index + 1,
                        format!("{target} does not exist; correct the link or add the file"),
                    ));
                }
            }
        }
    }
    findings
}

/// What stands between `](` and `)`, without a title.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')?.0.split_whitespace().next())
}

/// The path from the root that `target` names in the document `from`; none for other sites and for
/// places in the document itself. A path that leaves the workspace stays wrong.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.trim_start_matches('<').trim_end_matches('>');
    let file = target.split(['#', '?']).next().unwrap_or_default();
    if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if file.starts_with('/') {
        parts.clear();
    }
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let tree = Tree::of([("docs/a.md", text), ("docs/decisions/0001-x.md", "x\n"), ("README.md", "x\n")]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](decisions/0001-x.md#why) ![b](../README.md \"title\") [c](#here) [d](https://x.example/y)\n\
                    [folder](decisions/) [root](/README.md) [mail](mailto:a@b.example)\n\
                    ```\n[code](nowhere.md)\n```\n";
        assert_eq!(findings(text), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_fail_at_their_line() {
        for target in ["b.md", "decision", "../docs/decisions/0002.md#x", "../../README.md", "README.md"] {
            let found = findings(&format!("one\n[x]({target})\n"));
            assert_eq!(found.len(), 1, "{target}");
            assert!(found[0].starts_with("docs/a.md:2: "), "{found:?}");
        }
    }
}
