//! The log: one subscriber for the process.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::settings::Settings;

/// Starts logging to standard error, as text or as JSON.
pub fn start(settings: &Settings) -> Result<()> {
    let filter = EnvFilter::try_new(&settings.log).context("MAI_LOG cannot be used")?;
    let registry = tracing_subscriber::registry().with(filter);
    let writer = std::io::stderr;
    if settings.log_json {
        registry.with(fmt::layer().json().with_writer(writer)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(writer().is_terminal()).with_writer(writer)).try_init()
    }
    .context("logging was started twice")
}
