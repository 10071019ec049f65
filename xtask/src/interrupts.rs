//! Ctrl-C and SIGTERM end the command that runs, not this process, so that what was started before
//! it is stopped in the ordinary way, by destructors.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};

/// Catches Ctrl-C, SIGTERM and SIGHUP for as long as this process lives.
#[derive(Clone, Default)]
pub(crate) struct Interrupts(Arc<State>);

#[derive(Default)]
struct State {
    came: AtomicBool,
    /// The process group of the command that runs; 0 when there is none.
    group: AtomicU32,
}

impl Interrupts {
    /// Begins to catch. May be called once.
    pub(crate) fn catch() -> Result<Self> {
        let interrupts = Self::default();
        let state = Arc::clone(&interrupts.0);
        ctrlc::set_handler(move || {
            state.came.store(true, Ordering::SeqCst);
            state.end_group();
        })
        .context("cannot catch Ctrl-C")?;
        Ok(interrupts)
    }

    /// Whether we were told to end.
    pub(crate) fn came(&self) -> bool {
        self.0.came.load(Ordering::SeqCst)
    }

    /// Starts `command` in a process group of its own, which an interrupt ends, and gives it to
    /// `follow`, which waits for it.
    pub(crate) fn run<T>(&self, mut command: Command, follow: impl FnOnce(Child) -> Result<T>) -> Result<T> {
        if self.came() {
            bail!("interrupted");
        }
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        // With the command our own ends of its pipes close, so that reading ends when it ends.
        drop(command);
        self.0.group.store(child.id(), Ordering::SeqCst);
        if self.came() {
            self.0.end_group();
        }
        let outcome = follow(child);
        self.0.group.store(0, Ordering::SeqCst);
        outcome
    }
}

impl State {
    fn end_group(&self) {
        let group = self.group.load(Ordering::SeqCst);
        if group != 0 {
            signal("TERM", &format!("-{group}"));
        }
    }
}

/// Sends a signal by the `kill` of the system, because the standard library knows only SIGKILL.
pub(crate) fn signal(name: &str, target: &str) {
    let sent = Command::new("kill").args(["-s", name, "--", target]).stderr(Stdio::null()).status();
    if let Err(error) = sent {
        eprintln!("cannot run kill: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_ends_the_command_and_no_other_starts() {
        let interrupts = Interrupts::default();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & wait"]);
        let status = interrupts
            .run(command, |mut child| {
                interrupts.0.came.store(true, Ordering::SeqCst);
                interrupts.0.end_group();
                Ok(child.wait()?)
            })
            .unwrap();
        assert!(!status.success());
        assert!(interrupts.run(Command::new("true"), |mut child| Ok(child.wait()?)).is_err());
    }
}
