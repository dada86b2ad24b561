//! A program and the processes that it starts: one process group.
//!
//! Invariant: no group outlives its attempt if that was cancelled or dropped. Limit: a process that leaves the
//! group (a daemon) is its own business.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// How long after SIGTERM comes SIGKILL.
const POLITE: Duration = Duration::from_secs(5);

/// The groups that run now: for an end without time for anything else.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups(Arc<Mutex<HashSet<Pid>>>);

impl Groups {
    fn ids(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SIGKILL for all of them.
    pub(super) fn kill_all(&self) {
        for id in self.ids().drain() {
            let _ = killpg(id, Signal::SIGKILL);
        }
    }
}

/// A running process group.
pub(super) struct Group {
    groups: Groups,
    child: Child,
    /// Its id, until the program's end was seen: later the number may be another's.
    id: Option<Pid>,
}

impl Group {
    /// Starts it with pipes for its three streams, in a group of its own: a Ctrl-C for us is not one for it.
    pub(super) fn spawn(mut command: Command, groups: &Groups) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        groups.ids().extend(id);
        Ok(Self { groups: groups.clone(), child, id })
    }

    /// Its streams; once.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for its end, which is hastened when `cancelled` fires.
    pub(super) async fn end(&mut self, cancelled: &tokio_util::sync::CancellationToken) -> io::Result<ExitStatus> {
        let ended = tokio::select! {
            ended = self.child.wait() => ended,
            () = cancelled.cancelled() => {
                self.signal(Signal::SIGTERM);
                match tokio::time::timeout(POLITE, self.child.wait()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        self.signal(Signal::SIGKILL);
                        self.child.wait().await
                    }
                }
            }
        };
        self.forget();
        ended
    }

    fn forget(&mut self) {
        if let Some(id) = self.id.take() {
            self.groups.ids().remove(&id);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // It may have ended by itself just now.
            let _ = killpg(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.forget();
    }
}

/// `exit 1` or `signal 9`.
pub(super) fn name_of(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}
