//! A job as a list shows it.
//!
//! Invariant: a line is small whatever the payload is. Limit: what has been removed since it was found is missing.

use std::fmt;
use std::time::{Duration, SystemTime};

use howdah::{JobId, JobState};

use crate::admin::Admin;
use crate::error::Result;
use crate::sql;

/// A job in a list.
#[derive(Clone)]
#[non_exhaustive]
pub struct JobLine {
    /// Its number.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Where it is in its life.
    pub state: JobState,
    /// How many attempts were begun.
    pub attempt: i16,
    /// How many there may be.
    pub max_attempts: i16,
    /// 0 runs first, 9 last.
    pub priority: i16,
    /// When it was enqueued.
    pub enqueued_at: SystemTime,
    /// When it is due, if it is scheduled.
    pub due_at: Option<SystemTime>,
    /// When its attempt began, if it runs or has completed.
    pub claimed_at: Option<SystemTime>,
    /// When it ended.
    pub ended_at: Option<SystemTime>,
    /// How long it ran, if it has completed.
    pub run: Option<Duration>,
    /// Why it waits, or why it is dead.
    pub reason: Option<String>,
    /// The first 300 characters of its payload.
    pub payload: String,
}

/// Without the payload, which may hold what does not belong into a log.
impl fmt::Debug for JobLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobLine")
            .field("id", &self.id)
            .field("queue", &self.queue)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .field("attempt", &self.attempt)
            .field("enqueued_at", &self.enqueued_at)
            .finish_non_exhaustive()
    }
}

const LINES: &str = "SELECT j.id, j.queue, j.kind, j.state, j.attempt, j.max_attempts, j.priority, howdah.micros(j.enqueued_at),
       CASE WHEN pg_catalog.isfinite(j.due_at) THEN howdah.micros(j.due_at) END, howdah.micros(j.claimed_at), howdah.micros(j.ended_at),
       j.run_ms::pg_catalog.int8, j.reason, pg_catalog.left(j.payload::pg_catalog.text, 300)
  FROM howdah.jobs_of($1) j ORDER BY j.id DESC";

impl Admin {
    /// These jobs as a list shows them, newest first; those that exist.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn lines(&self, ids: &[JobId]) -> Result<Vec<JobLine>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let mut tx = self.question().await?;
        let rows = sqlx::query(sql::of(self.howdah(), LINES)).bind(&ids).fetch_all(&mut *tx).await;
        let rows = rows.map_err(|e| self.told(e))?;
        tx.commit().await?;
        rows.iter().map(line).collect()
    }
}

fn line(row: &sqlx::postgres::PgRow) -> Result<JobLine> {
    use sqlx::Row as _;
    let time =
        |column: usize| -> Result<Option<SystemTime>> { Ok(row.try_get::<Option<i64>, _>(column)?.map(sql::time)) };
    let state: String = row.try_get(3)?;
    Ok(JobLine {
        id: JobId(row.try_get(0)?),
        queue: row.try_get(1)?,
        kind: row.try_get(2)?,
        state: state.parse()?,
        attempt: row.try_get(4)?,
        max_attempts: row.try_get(5)?,
        priority: row.try_get(6)?,
        enqueued_at: sql::time(row.try_get(7)?),
        due_at: time(8)?,
        claimed_at: time(9)?,
        ended_at: time(10)?,
        run: row.try_get::<Option<i64>, _>(11)?.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        reason: row.try_get(12)?,
        payload: row.try_get(13)?,
    })
}
