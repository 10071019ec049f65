//! `mai-usage config`.

use std::path::Path;

use anyhow::Result;

use crate::settings::{Settings, effective, sources};

/// Prints every setting, then fails if one of them cannot be used.
pub(super) fn run(config: Option<&Path>) -> Result<()> {
    let values = sources(config)?;
    let source = |name: &str| values.get(name).cloned();
    for (name, value) in effective(source) {
        say!("{name}={value}")?;
    }
    Settings::from_source(source).map(|_| ())
}
