//! `cargo xtask tidy`: the rules of this workspace that no compiler checks.
//!
//! Each rule is a function from what is there to what is wrong with it, so that a test can hand it a
//! made-up tree.

mod edges;
mod files;
mod floats;
mod links;
pub(crate) mod metadata;
mod migrations;
mod rust_text;
mod sql;
mod tree;
mod versions;

use std::{fmt, process::ExitCode};

use anyhow::Result;

use tree::Tree;

/// Checks the rules that no compiler checks and says how to mend what breaks them: crate edges, floats
/// near money, migrations, file lengths, module docs, dependency versions, white space, links.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask tidy")]
pub(crate) struct Args {}

/// Something that breaks a rule. A warning does not fail the run.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
    is_warning: bool,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into(), is_warning: false }
    }
}

/// `path:line: what is wrong and how to mend it`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.is_warning { "warning: " } else { "" };
        write!(f, "{}:{}: {level}{}", self.path, self.line, self.message)
    }
}

pub(crate) fn run(_args: &Args) -> Result<ExitCode> {
    let root = crate::workspace_root();
    let tree = Tree::load(&root)?;
    let packages = metadata::load()?.packages_in(&root);
    let mut findings = Vec::new();
    findings.extend(edges::check(&tree, &packages));
    findings.extend(versions::check(&tree, &packages));
    findings.extend(floats::check(&tree));
    findings.extend(migrations::check(&tree));
    findings.extend(files::check(&tree));
    findings.extend(links::check(&tree));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| !finding.is_warning).count();
    if errors == 0 {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{errors} to mend");
    Ok(ExitCode::FAILURE)
}
