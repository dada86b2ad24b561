//! A history: the lines of all actors, and what the database says after the queue has drained.
//!
//! Invariant: plain values, which a test can write by hand. Limit: jobs of earlier phases are left out.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgPool};

use super::event::Line;
use super::log::read_lines;

/// A job as it is in the end.
#[derive(Debug, Clone, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub id: i64,
    /// What its payload says.
    pub tag: String,
    /// Its queue.
    pub queue: String,
    /// `completed`, ...
    pub state: String,
    /// How many attempts were counted.
    pub attempt: i16,
    /// The most.
    pub max_attempts: i16,
    /// Its options.
    pub options: Value,
    /// When its row was written, before the commit.
    pub born: i64,
}

/// That a lease held a job: a current attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The lease.
    pub lease: i64,
    /// The job.
    pub job: i64,
    /// Its attempt.
    pub attempt: i16,
    /// Claimed at this time, before the commit.
    pub from: i64,
    /// Taken out of the lease at this time, before the commit; none: it still is in it.
    pub to: Option<i64>,
}

/// A failed attempt.
#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    /// The job.
    pub job: i64,
    /// Which attempt.
    pub attempt: i16,
    /// The time.
    pub at: i64,
    /// `worker_lost`, or what the handler said.
    pub kind: String,
}

/// An end of a job.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct End {
    /// The job.
    pub job: i64,
    /// 1 completed, 2 cancelled, 3 expired, 4 dead.
    pub outcome: i16,
    /// Before the commit.
    pub at: i64,
}

/// A slot of a schedule that was fired.
#[derive(Debug, Clone, Deserialize)]
pub struct Firing {
    /// The schedule.
    pub schedule: String,
    /// The slot.
    pub due: i64,
    /// Its job.
    pub job: i64,
}

/// A limit: of the jobs with this key, or of this queue, at most so many run.
#[derive(Debug, Clone)]
pub struct Cap {
    /// `key NAME` or `queue NAME`.
    pub of: String,
    /// How many.
    pub most: usize,
}

/// All that is known of one phase.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What the actors wrote down, in the order of time.
    pub lines: Vec<Line>,
    /// The jobs.
    pub jobs: Vec<JobRow>,
    /// Who held what.
    pub holds: Vec<Hold>,
    /// What failed.
    pub failures: Vec<Failure>,
    /// What ended.
    pub ends: Vec<End>,
    /// What handlers wrote under `complete_in`: the job of each row.
    pub effects: Vec<i64>,
    /// What schedules fired.
    pub firings: Vec<Firing>,
    /// How many microseconds the slots of schedules are apart.
    pub slot_length: i64,
    /// The limits.
    pub caps: Vec<Cap>,
    /// What differs between views, counters and the truth, and what is left that should be gone: in words.
    pub differences: Vec<String>,
}

/// The jobs of this phase.
const JOBS: &str = "SELECT j.id, coalesce(j.payload ->> 'tag', '') AS tag, j.queue, j.state, j.attempt, j.max_attempts,
    coalesce(j.options, '{}') AS options, MICROS(b.at) AS born FROM howdah.jobs j JOIN audit.born b ON b.id = j.id";
const FAILURES: &str = "SELECT f.job_id AS job, f.attempt, MICROS(f.at) AS at, f.error_kind AS kind
    FROM howdah.failure f JOIN audit.born b ON b.id = f.job_id";
const ENDS: &str = "SELECT r.first_id + g AS job, e.outcome, MICROS(e.at) AS at
    FROM audit.ended e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g";
const FIRINGS: &str = "SELECT f.schedule::text AS schedule, MICROS(f.due_at) AS due, f.job_id AS job
    FROM howdah.firing f JOIN audit.born b ON b.id = f.job_id ORDER BY f.schedule, f.due_at";
const LEASES: &str =
    "SELECT l.op, l.id, MICROS(l.at) AS at, l.first_ids, l.counts, l.attempts FROM audit.lease l ORDER BY l.n";

/// The rows of a query as values; `MICROS(column)` is a time in microseconds since 1970.
async fn rows<T: DeserializeOwned + Send + Unpin + 'static>(pool: &PgPool, sql: &str) -> Result<Vec<T>> {
    let mut text = String::new();
    for (n, part) in sql.split("MICROS(").enumerate() {
        match part.split_once(')').filter(|_| n > 0) {
            Some((column, rest)) => text += &format!("(extract(epoch FROM {column}) * 1000000)::bigint{rest}"),
            None => text += part,
        }
    }
    let found: Vec<Json<T>> =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT to_jsonb(r) FROM ({text}) r"))).fetch_all(pool).await?;
    Ok(found.into_iter().map(|row| row.0).collect())
}

#[derive(Deserialize)]
struct LeaseRow {
    op: String,
    id: i64,
    at: i64,
    first_ids: Vec<i64>,
    counts: Vec<i16>,
    attempts: Vec<i16>,
}

impl LeaseRow {
    fn jobs(&self) -> HashMap<i64, i16> {
        let runs = self.first_ids.iter().zip(&self.counts).zip(&self.attempts);
        runs.flat_map(|((first, jobs), attempt)| (0..i64::from(*jobs)).map(move |n| (first + n, *attempt))).collect()
    }
}

/// Who held what, from what became of each lease.
fn holds(leases: &[LeaseRow]) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    let mut held: HashMap<i64, Vec<usize>> = HashMap::new();
    for row in leases {
        let jobs = row.jobs();
        if row.op == "INSERT" {
            for (&job, &attempt) in &jobs {
                held.entry(row.id).or_default().push(holds.len());
                holds.push(Hold { lease: row.id, job, attempt, from: row.at, to: None });
            }
        } else if let Some(indexes) = held.get_mut(&row.id) {
            indexes.retain(|&index| {
                let stays = jobs.contains_key(&holds[index].job);
                if !stays {
                    holds[index].to = Some(row.at);
                }
                stays
            });
        }
    }
    holds
}

impl History {
    /// Reads the files of a folder and the tables of a database.
    ///
    /// # Errors
    /// When either cannot be read.
    pub async fn collect(folder: &Path, pool: &PgPool) -> Result<Self> {
        // What the planner knows of these tables may be minutes old, and they were empty then.
        sqlx::raw_sql("ANALYZE").execute(pool).await?;
        Ok(Self {
            lines: read_lines(folder)?,
            jobs: rows(pool, JOBS).await?,
            holds: holds(&rows::<LeaseRow>(pool, LEASES).await?),
            failures: rows(pool, FAILURES).await?,
            ends: rows(pool, ENDS).await?,
            effects: sqlx::query_scalar("SELECT job FROM effect").fetch_all(pool).await?,
            firings: rows(pool, FIRINGS).await?,
            slot_length: 1_000_000,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(op: &str, at: i64, first_ids: &[i64], counts: &[i16]) -> LeaseRow {
        let attempts = vec![1; counts.len()];
        LeaseRow { op: op.into(), id: 7, at, first_ids: first_ids.into(), counts: counts.into(), attempts }
    }

    #[test]
    fn a_job_is_held_until_its_lease_has_shrunk_or_gone() {
        let rows =
            [row("INSERT", 10, &[1, 9], &[3, 1]), row("UPDATE", 20, &[1, 3], &[1, 1]), row("DELETE", 30, &[], &[])];
        let mut found: Vec<_> = holds(&rows).iter().map(|hold| (hold.job, hold.from, hold.to)).collect();
        found.sort_unstable();
        assert_eq!(found, [(1, 10, Some(30)), (2, 10, Some(20)), (3, 10, Some(30)), (9, 10, Some(20))]);
    }
}
