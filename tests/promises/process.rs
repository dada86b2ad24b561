//! A worker in a process of its own, to be killed and stopped: see `worker_process.rs`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Result;
use howdah_tests::MEMORY;
use howdah_tests::recorder::RECORDS;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// It is killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(url: &str, lease_ms: u32, heartbeat_ms: u32) -> Result<Self> {
        Ok(Self(Self::command(url, lease_ms, heartbeat_ms).spawn()?))
    }

    /// One whose jobs write into a file in this folder.
    pub(crate) fn recording(url: &str, lease_ms: u32, heartbeat_ms: u32, folder: &Path) -> Result<Self> {
        Ok(Self(Self::command(url, lease_ms, heartbeat_ms).env(RECORDS, folder).spawn()?))
    }

    /// One that may map so many bytes of memory, and says nothing.
    pub(crate) fn limited(url: &str, lease_ms: u32, heartbeat_ms: u32, bytes: u64) -> Result<Self> {
        let mut command = Self::command(url, lease_ms, heartbeat_ms);
        Ok(Self(command.env(MEMORY, bytes.to_string()).stderr(Stdio::null()).spawn()?))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    fn command(url: &str, lease_ms: u32, heartbeat_ms: u32) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker-process"));
        command.args([url.to_owned(), lease_ms.to_string(), heartbeat_ms.to_string()]).stdin(Stdio::null());
        command
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
