//! The worker processes of the demo: this program again, with a hidden command.
//!
//! Invariant: no worker outlives the demo: one whose standard input ends stops by itself. Limit: Unix only.

use std::process::Stdio;
use std::time::{Duration, Instant};

use howdah::Howdah;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};

use super::worker::{NAME, URL};
use crate::failure::{Failure, Result};
use crate::sql;

/// How long the workers may take to start, and to stop.
const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How often one with jobs in hand is looked for, and how long it is halted, so that what it has sent is done.
const TRIES: u32 = 20;
const HALT: Duration = Duration::from_millis(15);

/// One worker process.
struct Process {
    child: Child,
    /// Open as long as it is to work.
    input: Option<ChildStdin>,
    name: String,
}

/// All of them.
pub(super) struct Fleet(Vec<Process>);

/// The one that was killed.
pub(super) struct Victim {
    pub(super) name: String,
    pub(super) pid: i32,
    pub(super) worker_id: i64,
    pub(super) was_keeper: bool,
    /// When, in microseconds since 1970 by the server's clock.
    pub(super) at_us: i64,
}

impl Fleet {
    /// Starts so many. The URL goes by the environment: a command line is for all to see.
    pub(super) fn start(url: &str, workers: usize) -> Result<Self> {
        let program = std::env::current_exe()?;
        let start = |n: usize| {
            let name = format!("demo worker {n}");
            let mut command = Command::new(&program);
            command.arg("demo-worker").env(URL, url).env(NAME, &name).stdin(Stdio::piped()).stdout(Stdio::null());
            // A group of its own: Ctrl-C is for the demo, which then ends its workers.
            let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
            Ok(Process { input: child.stdin.take(), child, name })
        };
        Ok(Self((1..=workers).map(start).collect::<Result<_>>()?))
    }

    /// Waits until all are registered.
    pub(super) async fn wait_until_ready(&mut self, howdah: &Howdah) -> Result<()> {
        let end = Instant::now() + START_PATIENCE;
        loop {
            let ready: i64 = sqlx::query_scalar(sql::of(howdah, "SELECT count(*) FROM howdah.workers"))
                .fetch_one(howdah.pool())
                .await?;
            if usize::try_from(ready).is_ok_and(|n| n == self.0.len()) {
                eprintln!("{ready} worker processes are ready");
                return Ok(());
            }
            for process in &mut self.0 {
                if let Some(status) = process.child.try_wait()? {
                    return Err(Failure::no(format!("{} ended before it worked: {status}", process.name)));
                }
            }
            if Instant::now() > end {
                return Err(Failure::no(format!("only {ready} of {} workers have started", self.0.len())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills one with SIGKILL that has jobs in hand, and waits until its sessions have ended, so that nothing of
    /// it is still under way. Halted first, as what it holds changes every millisecond.
    pub(super) async fn kill_one(&mut self, howdah: &Howdah) -> Result<Victim> {
        for last in (0..TRIES).map(|n| n + 1 == TRIES) {
            let (worker_id, name, was_keeper, _) = busiest(howdah, None).await?;
            let Some(place) = self.0.iter().position(|p| p.name == name) else { continue };
            let Some(pid) = self.0[place].child.id().and_then(|id| i32::try_from(id).ok()) else { continue };
            let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
            tokio::time::sleep(HALT).await;
            let (_, _, _, held) = busiest(howdah, Some(worker_id)).await?;
            if held == 0 && !last {
                let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
                tokio::time::sleep(HALT).await;
                continue;
            }
            let at_us = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
                .fetch_one(howdah.pool())
                .await?;
            // SIGKILL, and waits for the end of the process.
            self.0.remove(place).child.kill().await?;
            sessions_end(howdah, &name).await?;
            return Ok(Victim { name, pid, worker_id, was_keeper, at_us });
        }
        Err(Failure::no("there is no worker left to kill"))
    }

    /// Lets those that are left end in order.
    pub(super) async fn stop(mut self) {
        for process in &mut self.0 {
            process.input = None;
        }
        let stopping = async {
            for process in &mut self.0 {
                let _ = process.child.wait().await;
            }
        };
        let _ = tokio::time::timeout(STOP_PATIENCE, stopping).await;
    }
}

/// Waits until the server has seen the end of a process.
async fn sessions_end(howdah: &Howdah, name: &str) -> Result<()> {
    let statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    for _ in 0..100 {
        let sessions: i64 = sqlx::query_scalar(statement).bind(name).fetch_one(howdah.pool()).await?;
        if sessions == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The worker that has the most jobs in hand, of all or this one: its id, its name, whether it is the keeper, and
/// how many.
async fn busiest(howdah: &Howdah, only: Option<i64>) -> Result<(i64, String, bool, i64)> {
    let statement = "SELECT w.id, w.name, w.keeper, (
            SELECT count(*) FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs),
                   generate_series(u.first_id, u.first_id + u.jobs - 1) g(id)
             WHERE l.worker_id = w.id
               AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = g.id)) AS held
          FROM howdah.workers w WHERE $1 IS NULL OR w.id = $1 ORDER BY held DESC, w.id LIMIT 1";
    Ok(sqlx::query_as(sql::of(howdah, statement)).bind(only).fetch_one(howdah.pool()).await?)
}
