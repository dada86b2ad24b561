//! The processes of a run: started, killed, stopped, replaced.
//!
//! Invariant: each has a name of its own, and none outlives this. Limit: they tell what goes wrong on standard error only.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::actor::Way;
use super::stage::Stage;
use crate::history::Event;
use crate::seed::Seed;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Producer,
    Worker,
    SqlWorker,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Worker => "worker",
            Self::SqlWorker => "sql-worker",
        }
    }
}

/// One process.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) kind: Kind,
    way: Way,
    child: Child,
}

impl Part {
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself or was killed.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All processes.
#[derive(Debug)]
pub(super) struct Cast {
    program: PathBuf,
    seed: Seed,
    started: usize,
    wanted: [(Kind, usize); 3],
    parts: Vec<Part>,
}

impl Cast {
    /// Nobody yet. `program` plays a part if it is told `actor` and then what [`play`](super::actor::play) is told.
    pub(super) fn new(program: PathBuf, seed: Seed, wanted: [(Kind, usize); 3]) -> Self {
        Self { program, seed, started: 0, wanted, parts: Vec::new() }
    }

    /// Starts who is missing; while the queue drains only workers are replaced.
    pub(super) fn keep_up(&mut self, stage: &Stage, draining: bool) -> Result<()> {
        self.parts.retain_mut(|part| !part.has_ended());
        for (kind, wanted) in self.wanted {
            while (!draining || kind == Kind::Worker) && self.count(kind) < wanted {
                self.start(stage, kind)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, stage: &Stage, kind: Kind) -> Result<()> {
        self.started += 1;
        let name = format!("{}{}", kind.name(), self.started);
        let way = self.way(stage, kind);
        let mut command = Command::new(&self.program);
        command.args(["actor", kind.name(), &name]).arg(stage.folder()).args([
            &stage.url(way),
            way.name(),
            &self.seed.next_number().to_string(),
        ]);
        let quiet = std::env::var_os("RUST_LOG").is_none();
        let errors = if quiet { Stdio::null() } else { Stdio::inherit() };
        let child = command.env("RUST_BACKTRACE", "0").stdin(Stdio::piped()).stderr(errors).spawn();
        let child = child.with_context(|| format!("cannot start {}", self.program.display()))?;
        self.parts.push(Part { name, kind, way, child });
        Ok(())
    }

    /// Half of all go through the proxy; of the producers one goes through the pooler, if there is any.
    fn way(&self, stage: &Stage, kind: Kind) -> Way {
        let pooled = self.parts.iter().any(|part| part.way == Way::Pooler);
        if kind == Kind::Producer && stage.has_pooler() && !pooled {
            Way::Pooler
        } else if self.started.is_multiple_of(2) {
            Way::Direct
        } else {
            Way::Proxy
        }
    }

    /// How many of a kind there are.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.parts.iter().filter(|part| part.kind == kind).count()
    }

    /// One of a kind.
    pub(super) fn one(&self, kind: Kind, which: usize) -> Option<&Part> {
        let of_kind: Vec<&Part> = self.parts.iter().filter(|part| part.kind == kind).collect();
        of_kind.get(which.checked_rem(of_kind.len())?).copied()
    }

    /// The one of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// Kills one at once.
    pub(super) fn kill(&mut self, stage: &Stage, name: &str) -> Result<()> {
        if let Some(at) = self.parts.iter().position(|part| part.name == name) {
            let part = self.parts.swap_remove(at);
            part.signal(Signal::SIGKILL)?;
            stage.log.write(Event::Killed { actor: name.to_owned() });
        }
        Ok(())
    }

    pub(super) fn parts(&mut self) -> &mut Vec<Part> {
        &mut self.parts
    }
}
