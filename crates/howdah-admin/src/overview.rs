//! What a live screen shows: queues and workers, as they are at one moment.
//!
//! Invariant: one statement, which counts rows that stand for many jobs, and never jobs. Limit: the first thousand queues and
//! the first thousand workers.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use crate::admin::Admin;
use crate::error::{Error, Result};
use crate::sql;

/// Queues and workers, at one moment.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Overview {
    /// When that was, by the server's clock.
    #[serde(deserialize_with = "time")]
    pub at: SystemTime,
    /// By name.
    pub queues: Vec<QueueLine>,
    /// The oldest first.
    pub workers: Vec<WorkerLine>,
}

impl Overview {
    /// Over which time [`QueueLine::completed`] and [`QueueLine::failed`] are counted.
    pub const SPAN: Duration = Duration::from_secs(10);
}

/// A queue in a list.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct QueueLine {
    /// Its name.
    pub name: String,
    /// Jobs that wait for a worker.
    pub ready: i64,
    /// Jobs that run.
    pub running: i64,
    /// Jobs that are due later, retries among them.
    pub scheduled: i64,
    /// Jobs that wait for other jobs, or for a limit.
    pub blocked: i64,
    /// Jobs whose last attempt failed.
    pub dead: i64,
    /// When the first of those that are ready was enqueued.
    #[serde(deserialize_with = "some_time")]
    pub oldest_ready_at: Option<SystemTime>,
    /// Nothing is claimed from it.
    pub paused: bool,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// And why.
    pub pause_reason: Option<String>,
    /// How many jobs have completed in the last [`Overview::SPAN`].
    pub completed: i64,
    /// How many attempts have failed in the last [`Overview::SPAN`].
    pub failed: i64,
}

/// A worker process in a list.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct WorkerLine {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The release of howdah that it was built with.
    pub version: Option<String>,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// Jobs that it runs.
    pub running: i64,
    /// When it was started.
    #[serde(deserialize_with = "time")]
    pub started_at: SystemTime,
    /// When it was last heard of.
    #[serde(deserialize_with = "time")]
    pub heartbeat_at: SystemTime,
    /// It does the chores of the queue.
    pub keeper: bool,
    /// It has nothing to do, and waits to be notified.
    pub asleep: bool,
    /// It takes no more jobs: somebody has told it to stop, or to be quiet.
    pub stopping: bool,
}

const OVERVIEW: &str = "SELECT pg_catalog.json_build_object('at', howdah.micros(howdah.now()),
  'queues', (SELECT coalesce(pg_catalog.json_agg(x), '[]') FROM (
    SELECT q.queue AS name, q.ready, q.running, q.scheduled, q.blocked, q.dead, howdah.micros(q.oldest_ready_at) AS oldest_ready_at,
           q.paused, q.paused_by, q.pause_reason, coalesce(p.completed, 0) AS completed, coalesce(p.failed, 0) AS failed
      FROM howdah.queues q LEFT JOIN howdah.pace(pg_catalog.make_interval(secs => $1)) p ON p.queue OPERATOR(pg_catalog.=) q.queue
     ORDER BY q.queue LIMIT 1000) x),
  'workers', (SELECT coalesce(pg_catalog.json_agg(x), '[]') FROM (
    SELECT w.id, w.name, w.version, w.queues, w.running, howdah.micros(w.started_at) AS started_at,
           howdah.micros(w.heartbeat_at) AS heartbeat_at, w.keeper, w.asleep, w.stopping
      FROM howdah.workers w ORDER BY w.id LIMIT 1000) x))::pg_catalog.text";

impl Admin {
    /// Queues and workers as they are now, with what has happened in the last [`Overview::SPAN`]. Behind it are the views
    /// `howdah.queues` and `howdah.workers`, and the SQL function `howdah.pace`.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn overview(&self) -> Result<Overview> {
        let mut tx = self.question().await?;
        let query = sqlx::query_scalar(sql::of(self.howdah(), OVERVIEW)).bind(Overview::SPAN.as_secs_f64());
        let text: String = query.fetch_one(&mut *tx).await.map_err(|e| self.told(e))?;
        tx.commit().await?;
        serde_json::from_str(&text).map_err(|e| Error::from(sqlx::Error::Decode(e.into())))
    }
}

fn time<'de, D: Deserializer<'de>>(micros: D) -> Result<SystemTime, D::Error> {
    i64::deserialize(micros).map(sql::time)
}

fn some_time<'de, D: Deserializer<'de>>(micros: D) -> Result<Option<SystemTime>, D::Error> {
    Ok(Option::<i64>::deserialize(micros)?.map(sql::time))
}
