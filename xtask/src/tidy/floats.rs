//! No binary float anywhere near money.

use super::{
    Finding,
    rust_text::{code_only, is_word},
    tree::Tree,
};

/// Folders below `crates/` that hold, parse, store or add money.
const MONEY: [&str; 9] = [
    "primitives",
    "openrouter",
    "storage",
    "global-settings",
    "client-organization",
    "generation-processing",
    "usage-tracking",
    "organization",
    "capture",
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&["rs"]) {
        let folder = path.strip_prefix("crates/").and_then(|rest| rest.split('/').next());
        if !folder.is_some_and(|folder| MONEY.contains(&folder)) {
            continue;
        }
        for (index, line) in code_only(text).lines().enumerate() {
            if let Some(float) = line.split(|character| !is_word(character)).find(|word| is_float(word)) {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!(
                        "`{float}` in a crate that handles money; use Usd, Pln, a rate or a whole number"
                    ),
                ));
            }
        }
    }
    findings
}

/// The types, and numbers that end with them such as `1_f64`.
fn is_float(word: &str) -> bool {
    let is_number = word.starts_with(|first: char| first.is_ascii_digit()) && !word.starts_with("0x");
    ["f32", "f64"].iter().any(|float| word == *float || (is_number && word.ends_with(float)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of([(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn floats_in_money_crates_fail_at_their_line() {
        for text in ["//! a\nfn a(x: f64) {}\n", "//! a\nlet x = y as f32;\n", "//! a\nlet x = 1_f64 + 2;\n"]
        {
            let found = findings("crates/storage/src/a.rs", text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].starts_with("crates/storage/src/a.rs:2: "), "{found:?}");
        }
    }

    #[test]
    fn words_about_floats_and_other_crates_pass() {
        let text = "//! Never f64.\nlet x = \"f64\"; let my_f64 = 0xf64; // f32\n";
        assert_eq!(findings("crates/storage/src/a.rs", text), [""; 0]);
        assert_eq!(findings("crates/web/src/a.rs", "fn a(x: f64) {}\n"), [""; 0]);
    }
}
