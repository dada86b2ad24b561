//! Three worker processes on a server of their own, and a plan of faults that befall them and it.
//!
//! Invariant: each fault comes when some more was done since the last one, and has had its effect when it returns. The plan
//! follows from a number that is printed, and may be given as `HOWDAH_FAULT_SEED`. Limit: what is done is seen in the files
//! of the processes, which outlive all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use howdah_devdb::{Server, StopMode};
use howdah_tests::recorder::{Line, now, records};
use howdah_tests::seed::Seed;
use howdah_tests::{Db, crash, server_to_crash};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::Process;

const LEASE_MS: u32 = 1500;
const HEARTBEAT_MS: u32 = 200;
/// For how long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(90);

/// What befalls a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillWorker,
    KillKeeper,
    /// For longer than its lease; then it goes on.
    StopWorker,
    /// Half of the sessions end.
    EndSessions,
    Crash(StopMode),
}

const PLAN: [Fault; 9] = [
    Fault::KillWorker,
    Fault::KillKeeper,
    Fault::StopWorker,
    Fault::EndSessions,
    Fault::Crash(StopMode::Immediate),
    Fault::KillWorker,
    Fault::StopWorker,
    Fault::EndSessions,
    Fault::Crash(StopMode::Kill),
];

/// The server, the processes and what they write down.
pub(crate) struct Fleet {
    pub(crate) server: Server,
    pub(crate) db: Db,
    pub(crate) seed: Seed,
    processes: Vec<Process>,
    folder: TempDir,
    /// When each of them was killed.
    killed: HashMap<u32, i64>,
}

impl Fleet {
    pub(crate) async fn new() -> Result<Self> {
        let server = server_to_crash().start().await?;
        let db = Db::on(&server).await?;
        db.run("SELECT howdah.create_queue(q) FROM unnest('{narrow,paced,shared}'::text[]) q").await?;
        db.run(
            "SELECT howdah.set_queue(name, '{\"retry_base_ms\": 1, \"retry_policy\": \"constant\"}') FROM howdah.queue",
        )
        .await?;
        let (seed, folder) = (Seed::from_env("HOWDAH_FAULT_SEED")?, TempDir::new()?);
        Ok(Self { server, db, seed, processes: Vec::new(), folder, killed: HashMap::new() })
    }

    pub(crate) fn start(&mut self) -> Result<()> {
        while self.processes.len() < 3 {
            self.processes.push(Process::recording(self.db.url(), LEASE_MS, HEARTBEAT_MS, self.folder.path())?);
        }
        Ok(())
    }

    /// All faults, in an order of their own.
    pub(crate) fn plan(&mut self) -> [Fault; 9] {
        let mut plan = PLAN;
        self.seed.shuffle(&mut plan);
        plan
    }

    /// Lets a fault happen when so many runs have ended.
    pub(crate) async fn suffer(&mut self, fault: Fault, after: usize) -> Result<()> {
        self.wait_for_ends(after).await?;
        let began = Instant::now();
        self.befall(fault).await.with_context(|| format!("{fault:?}"))?;
        println!("{fault:?} took {} ms", began.elapsed().as_millis());
        // The pool of the test has thrown away what is gone.
        let mut in_a_row = 0;
        while in_a_row < 20 {
            in_a_row = if self.db.run("SELECT 1").await.is_ok() { in_a_row + 1 } else { 0 };
        }
        self.start()
    }

    /// How many runs have come to their end.
    pub(crate) fn ends(&self) -> Result<usize> {
        Ok(records(self.folder.path())?.iter().filter(|line| line.what == "ended").count())
    }

    async fn wait_for_ends(&self, ends: usize) -> Result<()> {
        let began = Instant::now();
        while self.ends()? < ends {
            if began.elapsed() > PATIENCE {
                let left = "SELECT string_agg(format('%s %s %s', state, kind, count), ', ')
                              FROM (SELECT state, coalesce(reason, kind) AS kind, count(*) FROM howdah.jobs GROUP BY 1, 2) x";
                anyhow::bail!("{} ends, and not {ends}: {:?}", self.ends()?, self.db.text(left).await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn befall(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillWorker => {
                let at = self.seed.below(self.processes.len());
                self.kill(at)
            }
            Fault::KillKeeper => {
                self.db.wait_through("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
                let keeper: u32 =
                    self.db.text("SELECT split_part(name, '/', 2) FROM howdah.workers WHERE keeper").await?.parse()?;
                let at = self.processes.iter().position(|p| p.id() == keeper);
                // It may be one that was killed just before.
                at.map_or(Ok(()), |at| self.kill(at))
            }
            Fault::StopWorker => {
                let at = self.seed.below(self.processes.len());
                let process = &self.processes[at];
                let registered =
                    format!("SELECT count(*) FROM howdah.workers WHERE split_part(name, '/', 2) = '{}'", process.id());
                self.db.wait_through(&registered, "1").await?;
                process.signal(Signal::SIGSTOP)?;
                self.db.wait_through(&registered, "0").await?;
                process.signal(Signal::SIGCONT)
            }
            Fault::EndSessions => {
                let half = self.seed.below(2);
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                            WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'howdah%'";
                for _ in 0..5 {
                    // The pool's own may be among them.
                    let _ = self.db.run(&format!("{end} AND pid % 2 = {half}")).await;
                }
                Ok(())
            }
            Fault::Crash(mode) => crash(&self.server, mode).await,
        }
    }

    fn kill(&mut self, at: usize) -> Result<()> {
        let process = self.processes.swap_remove(at);
        self.killed.insert(process.id(), now());
        process.signal(Signal::SIGKILL)
    }

    /// Waits until all jobs have ended, and the keeper has nothing left to do for them.
    pub(crate) async fn rest(&self) -> Result<()> {
        let waiting = "SELECT concat_ws(' ', (SELECT count(*) FROM howdah.jobs WHERE state NOT IN ('completed', 'dead', 'cancelled')),
            (SELECT count(*) FROM howdah.lease), (SELECT count(*) FROM howdah.settled), (SELECT count(*) FROM howdah.ticket),
            (SELECT count(*) FROM howdah.deferred), (SELECT count(*) FROM howdah.slot), (SELECT count(*) FROM howdah.ordered),
            (SELECT count(*) FROM howdah.gate_look), (SELECT count(*) FROM howdah.dependency))";
        self.db.wait_through(waiting, "0 0 0 0 0 0 0 0 0").await?;
        // What the keeper does now and then.
        self.db.wait_through("SELECT howdah.prune() IS NULL AND NOT EXISTS (SELECT FROM howdah.gate)", "true").await
    }

    /// What was written down, by processes that do no more.
    pub(crate) async fn records(&mut self) -> Result<Records> {
        self.processes.clear();
        let lines = records(self.folder.path())?;
        let lost: Vec<(i64, i16, i64)> = sqlx::query_as(
            "SELECT job_id, attempt, min((extract(epoch FROM at) * 1000000)::bigint) FROM howdah.failure
              WHERE error_kind = 'worker_lost' GROUP BY job_id, attempt",
        )
        .fetch_all(self.db.pool())
        .await?;
        let lost = lost.into_iter().map(|(job, attempt, at)| ((job, attempt), at)).collect();
        Ok(Records { lines, killed: self.killed.clone(), lost })
    }

    pub(crate) async fn end(self) -> Result<()> {
        Ok(self.server.stop().await?)
    }
}

/// What happened.
pub(crate) struct Records {
    pub(crate) lines: Vec<Line>,
    killed: HashMap<u32, i64>,
    /// When attempts were given to others.
    lost: HashMap<(i64, i16), i64>,
}

/// One run of a handler, for as long as the job was its.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) job: i64,
    pub(crate) attempt: i16,
    pub(crate) began: i64,
    pub(crate) ended: i64,
    /// It came to its end, and not to that of its process or its lease.
    pub(crate) whole: bool,
}

impl Records {
    /// All runs, in the order in which they began. One whose lease is given to another is stale from then on; what a stale
    /// worker begins is no run at all.
    pub(crate) fn runs(&self) -> Result<Vec<Run>> {
        let mut ends = HashMap::new();
        for line in self.lines.iter().filter(|line| line.what == "ended") {
            ensure!(ends.insert((line.pid, line.run), line.at).is_none(), "{line:?} ended twice");
        }
        let mut runs = Vec::new();
        for line in self.lines.iter().filter(|line| line.what == "began") {
            let end = ends.get(&(line.pid, line.run)).copied();
            let lost = self.lost.get(&(line.job, line.attempt)).copied();
            let killed = self.killed.get(&line.pid).copied();
            let ended = [end, lost, killed].into_iter().flatten().min();
            let ended = ended.with_context(|| format!("{line:?} has no end"))?;
            if ended >= line.at {
                let whole = Some(ended) == end && lost.is_none();
                runs.push(Run { job: line.job, attempt: line.attempt, began: line.at, ended, whole });
            }
        }
        Ok(runs)
    }
}
