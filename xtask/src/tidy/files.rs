//! Rules about each file on its own: its length, its first line, its white space.

use super::{Finding, rust_text::code_only, tree::Tree};

/// A file longer than this should be split soon.
const LONG: usize = 400;
/// A file longer than this must be split.
const TOO_LONG: usize = 600;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&["rs"]) {
        findings.extend(length(path, text));
        findings.extend(module_doc(path, text));
        findings.extend(white_space(path, &code_only(text)));
    }
    for (path, text) in tree.texts(&["toml", "md", "sql"]) {
        findings.extend(white_space(path, text));
    }
    findings
}

fn length(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let mut finding =
        Finding::new(path, LONG + 1, format!("{lines} lines; split the file, {TOO_LONG} is the limit"));
    finding.is_warning = lines <= TOO_LONG;
    (lines > LONG).then_some(finding)
}

/// Tests in files of their own say by their names what they are.
fn module_doc(path: &str, text: &str) -> Option<Finding> {
    let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    (!is_test && !text.starts_with("//!"))
        .then(|| Finding::new(path, 1, "begin the file with a `//!` line that says why it exists"))
}

fn white_space(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::new(path, index + 1, "remove the white space at the end of the line"));
        } else if line.contains('\t') {
            findings.push(Finding::new(path, index + 1, "write spaces instead of the tab"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::new(path, text.lines().count(), "end the file with a newline"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of([(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_file_warns_and_a_longer_one_fails() {
        let file = |lines: usize| format!("//! Doc.\n{}", "// x\n".repeat(lines - 1));
        assert_eq!(findings("src/a.rs", &file(LONG)), [""; 0]);
        assert!(findings("src/a.rs", &file(LONG + 1))[0].starts_with("src/a.rs:401: warning: 401 lines"));
        assert!(findings("src/a.rs", &file(TOO_LONG))[0].contains("warning"));
        assert!(findings("src/a.rs", &file(TOO_LONG + 1))[0].starts_with("src/a.rs:401: 601 lines"));
    }

    #[test]
    fn a_file_begins_with_its_doc() {
        assert_eq!(findings("crates/a/src/b.rs", "//! Doc.\n"), [""; 0]);
        assert_eq!(findings("crates/a/src/b/tests/c.rs", "use a;\n"), [""; 0]);
        assert_eq!(findings("crates/a/src/b/tests.rs", "use a;\n"), [""; 0]);
        assert!(
            findings("crates/a/src/b.rs", "use a;\n//! Doc.\n")[0].starts_with("crates/a/src/b.rs:1: begin")
        );
        assert!(findings("crates/a/src/my_tests.rs", "use a;\n")[0].contains("begin"));
    }

    #[test]
    fn white_space_is_plain() {
        assert_eq!(findings("a.md", "x\n\n    y\n"), [""; 0]);
        assert_eq!(findings("a.md", ""), [""; 0]);
        assert_eq!(findings("src/a.rs", "//! Doc.\nconst A: &str = \"x \n\ty\";\n"), [""; 0]);
        assert!(findings("src/a.rs", "//! Doc. \n")[0].starts_with("src/a.rs:1: remove"));
        assert!(findings("a.md", "x\ny \n")[0].starts_with("a.md:2: remove"));
        assert!(findings("a.sql", "x\r\n")[0].starts_with("a.sql:1: remove"));
        assert!(findings("a.toml", "x\n\ty\n")[0].starts_with("a.toml:2: write spaces"));
        assert!(findings("a.md", "x\ny")[0].starts_with("a.md:2: end"));
    }
}
