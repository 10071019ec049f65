//! `mai-usage serve`.

use std::sync::Arc;

use anyhow::Result;
use mai_primitives::SystemClock;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::{application::Application, settings::Settings};

/// How to serve.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Do not touch the schema; fail if it is not up to date.
    #[arg(long)]
    no_migrate: bool,
}

/// Serves until SIGTERM or Ctrl-C.
pub(super) async fn run(settings: Settings, arguments: Arguments) -> Result<()> {
    let stop = stop_signal()?;
    let application = Application::build(settings, Arc::new(SystemClock), !arguments.no_migrate).await?;
    info!(address = %application.address(), "serving");
    say!("mai-usage listens on http://{}", application.address())?;
    application.run_until(stop).await
}

/// Ends when the process is asked to stop.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
