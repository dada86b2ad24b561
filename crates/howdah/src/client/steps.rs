//! The steps of jobs, looked at and forgotten.
//!
//! Invariant: steps are forgotten only of a job that waits or is dead, and from one on to the last. Limit: the order is that
//! in which they were kept, which is not the order of steps that ran at the same time.

use std::time::SystemTime;

use sqlx::types::Json;

use super::operate::JobState;
use super::{Howdah, check_text};
use crate::error::Result;
use crate::hidden::debug_hiding;
use crate::job::JobId;
use crate::sqltime::Micros;

const STEPS: &str = "SELECT name, kind, state, attempt, at, nullif(wakes_at, 'infinity'), result
    FROM howdah.steps s WHERE s.job_id OPERATOR(pg_catalog.=) $1 ORDER BY s.n";

/// A step of a job, as it is kept.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct JobStep {
    /// Its name.
    pub name: String,
    /// `step`, `sleep` or `signal`.
    pub kind: String,
    /// `done`, `waiting` (for a time or a signal) or `timed out` (a signal that did not come).
    pub state: String,
    /// The attempt that kept it.
    pub attempt: u16,
    /// When it was kept; of a signal, when it came.
    pub at: SystemTime,
    /// Of a sleep or a signal: when its time is over; `None`: never.
    pub wakes_at: Option<SystemTime>,
    /// What it gave, or the signal's payload.
    pub result: Option<serde_json::Value>,
}

debug_hiding!(JobStep { name, kind, state, attempt, at, wakes_at } hides { result });

type Row = (String, String, String, i16, Micros, Option<Micros>, Option<Json<serde_json::Value>>);

impl Howdah {
    /// The steps of a job in their order, as long as it is kept itself. The view behind it is `howdah.steps`.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    pub async fn steps(&self, job: JobId) -> Result<Vec<JobStep>> {
        let query = sqlx::query_as::<_, Row>(self.names().sql(STEPS)).bind(job.0);
        let rows = self.observe_rows("steps", Vec::len, query.fetch_all(self.pool())).await?;
        let step = |(name, kind, state, attempt, at, wakes_at, result): Row| JobStep {
            name,
            kind,
            state,
            attempt: u16::try_from(attempt).unwrap_or(0),
            at: at.time(),
            wakes_at: wakes_at.map(Micros::time),
            result: result.map(|Json(result)| result),
        };
        Ok(rows.into_iter().map(step).collect())
    }

    /// Runs a dead or scheduled job again, at once, and does this step and all that were kept after it anew; `None`: all of
    /// them, from the start. [`retry`](Self::retry) goes on after the last step instead. Returns the state that it is in then; `None`: there
    /// is no such job. The SQL function behind it is `howdah.retry_from`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the field `from_step` if the job has no such step;
    /// [`Error::WrongState`](crate::Error::WrongState) if it runs or has ended; and as [`retry`](Self::retry).
    pub async fn retry_from(&self, job: JobId, step: Option<&str>) -> Result<Option<JobState>> {
        check_text("from_step", step.unwrap_or_default())?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.retry_from($1, $2)")).bind(job.0).bind(step);
        let state: Option<String> = self.observe("retry_from", query.fetch_one(self.pool())).await?;
        state.map(|state| state.parse()).transpose()
    }
}
