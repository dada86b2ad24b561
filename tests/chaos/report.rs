//! What a run looks like over time: memory, connections, sizes, latencies.
//!
//! Invariant: a sample is one look from outside; a failed look is left out. Limit: latencies are those of what handlers wrote
//! down, by the clock of this machine.

use std::collections::HashMap;

use anyhow::Result;
use serde::Serialize;

use super::cast::{Cast, Kind};
use super::stage::Stage;
use crate::history::{Event, Line};

/// One look.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// Seconds since the run began.
    pub at: f64,
    /// The worker process that has lived longest, in kB of memory.
    pub worker_kb: u64,
    /// Sessions of the database.
    pub connections: i64,
    /// Bytes of the tables that jobs pass through.
    pub hot_bytes: i64,
    /// Bytes of jobs and history.
    pub kept_bytes: i64,
    /// Jobs that wait or run.
    pub live: i64,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// At the end of each phase, when nothing is left to do.
    pub rests: Vec<Sample>,
    /// For each phase: milliseconds from the answer of an enqueue to the begin of the first run, of jobs that were to start
    /// at once: the median, the 99th of a hundred, the longest.
    pub pickups: Vec<[f64; 3]>,
    /// How many jobs there were.
    pub jobs: usize,
    /// How many runs of handlers.
    pub runs: usize,
    /// How many faults.
    pub faults: usize,
    /// How many outcomes of enqueueing were unknown.
    pub unknown: usize,
}

const SIZES: &str = "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections,
    coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relname ~ '^(ticket|lease|deferred|settled|slot|ordered|gate|dependency|second|worker|keeper|sleeper|unique|waiter)'), 0)::bigint AS hot_bytes,
    coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relname ~ '^(job|receipt|failure|result|log|past|dead)'), 0)::bigint AS kept_bytes,
    (SELECT coalesce(sum(ready + running + scheduled + blocked), 0)::bigint FROM howdah.queues) AS live
  FROM pg_class c WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind = 'r'";

/// The memory of a process in kB, as the system counts it.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

async fn sample(stage: &Stage, cast: &Cast, at: f64) -> Option<Sample> {
    let (connections, hot_bytes, kept_bytes, live) = sqlx::query_as(SIZES).fetch_one(stage.db.pool()).await.ok()?;
    let worker_kb = cast.one(Kind::Worker, 0).map_or(0, |part| memory(part.id()));
    Some(Sample { at, worker_kb, connections, hot_bytes, kept_bytes, live })
}

impl Report {
    /// Looks once, while there is load; a server that is down is no reason to stop.
    pub(super) async fn look(&mut self, stage: &Stage, cast: &Cast, at: f64) {
        self.samples.extend(sample(stage, cast, at).await);
    }

    /// Looks when nothing is left to do.
    pub(super) async fn look_at_rest(&mut self, stage: &Stage, cast: &Cast, at: f64) {
        self.rests.extend(sample(stage, cast, at).await);
    }

    /// Counts what a phase has written down.
    pub(super) fn count(&mut self, lines: &[Line], jobs: usize) {
        let is = |test: fn(&Event) -> bool| lines.iter().filter(|line| test(&line.event)).count();
        self.jobs += jobs;
        self.runs += is(|event| matches!(event, Event::Began { .. }));
        self.faults += is(|event| matches!(event, Event::Fault { .. }));
        self.unknown += is(|event| matches!(event, Event::Unknown { .. }));
        let mut acked: HashMap<i64, i64> = HashMap::new();
        let mut waits = Vec::new();
        for line in lines {
            match &line.event {
                Event::Acked { ids, .. } => acked.extend(ids.iter().map(|id| (*id, line.at))),
                Event::Began { job, attempt: 1, .. } => waits.extend(acked.remove(job).map(|at| line.at - at)),
                _ => {}
            }
        }
        waits.sort_unstable();
        #[allow(clippy::cast_precision_loss)]
        let at = |part: usize| {
            waits.get(((waits.len() * part) / 100).min(waits.len() - 1)).map_or(0.0, |us| *us as f64 / 1000.0)
        };
        if !waits.is_empty() {
            self.pickups.push([at(50), at(99), at(100)]);
        }
    }

    /// As JSON, for who wants to draw it otherwise.
    ///
    /// # Errors
    /// None that is known.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

impl Report {
    /// In a few lines.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { jobs, runs, faults, unknown, .. } = self;
        let mut text = format!("{jobs} jobs, {runs} runs, {faults} faults, {unknown} unknown outcomes");
        let ends = self.samples.first().into_iter().chain(self.samples.last());
        for sample in ends {
            text += &format!(
                "\nat {:.0} s: worker {} kB, {} connections, hot tables {} kB, history {} kB, {} jobs live",
                sample.at,
                sample.worker_kb,
                sample.connections,
                sample.hot_bytes / 1024,
                sample.kept_bytes / 1024,
                sample.live
            );
        }
        for (phase, [half, most, all]) in self.pickups.iter().enumerate().take(3) {
            text += &format!(
                "\nphase {phase}: a job began {half:.1} ms after its enqueue, 99 of 100 within {most:.0} ms, all within {all:.0} ms"
            );
        }
        text
    }
}
