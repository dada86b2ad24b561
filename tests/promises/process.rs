//! A worker in a process of its own, to be killed and stopped: see `worker_process.rs`.

use std::process::{Child, Command, Stdio};

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// It is killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(url: &str, lease_ms: u32, heartbeat_ms: u32) -> Result<Self> {
        let program = env!("CARGO_BIN_EXE_worker-process");
        let arguments = [url.to_owned(), lease_ms.to_string(), heartbeat_ms.to_string()];
        Ok(Self(Command::new(program).args(arguments).stdin(Stdio::null()).spawn()?))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.0.id())?), signal)?)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
