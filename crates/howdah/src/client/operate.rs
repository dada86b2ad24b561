//! What people do to jobs and queues that are there: cancel, retry, pause, resume.
//!
//! Invariant: each is one SQL function, and says what became of its object. Limit: one job at a time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Howdah, check_text};
use crate::error::{Error, Result};
use crate::job::JobId;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Due later: delayed, or between two attempts.
    Scheduled,
    /// Waits for a dependency, a key or a slot.
    Blocked,
    /// Waits for a worker.
    Ready,
    /// A worker has it.
    Running,
    /// Ended well.
    Completed,
    /// Ended because somebody wished so.
    Cancelled,
    /// Ended because it was too late to run it.
    Expired,
    /// Ended because its last attempt failed, or because it was discarded. It can be retried.
    Dead,
}

impl JobState {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Scheduled, "scheduled"),
        (Self::Blocked, "blocked"),
        (Self::Ready, "ready"),
        (Self::Running, "running"),
        (Self::Completed, "completed"),
        (Self::Cancelled, "cancelled"),
        (Self::Expired, "expired"),
        (Self::Dead, "dead"),
    ];

    /// Its name in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.iter().find(|(_, name)| *name == s).map(|(state, _)| *state).ok_or_else(|| {
            Error::invalid("state", "must be scheduled, blocked, ready, running, completed, cancelled, expired or dead")
        })
    }
}

/// What a wish to cancel came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// It waited, and will not run.
    Now,
    /// It runs: its handler's [`cancelled`](crate::Ctx::cancelled) token fires within a heartbeat.
    Asked,
    /// It had ended before; nothing was changed.
    TooLate(JobState),
}

impl Howdah {
    /// Cancels a job. `None`: there is no such job. The SQL function behind it is `howdah.cancel`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn cancel(&self, job: JobId) -> Result<Option<Cancelled>> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.cancel($1)")).bind(job.0);
        let state: Option<String> = self.observe("cancel", query.fetch_one(self.pool())).await?;
        Ok(match state.as_deref() {
            None => None,
            Some("cancelled") => Some(Cancelled::Now),
            Some("cancelling") => Some(Cancelled::Asked),
            Some("already cancelled") => Some(Cancelled::TooLate(JobState::Cancelled)),
            Some(state) => Some(Cancelled::TooLate(state.parse()?)),
        })
    }

    /// Runs a dead job again, with all its attempts, or a scheduled one at once. Returns the state that it is in
    /// then; `None`: there is no such job. The SQL function behind it is `howdah.retry`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn retry(&self, job: JobId) -> Result<Option<JobState>> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.retry($1)")).bind(job.0);
        let state: Option<String> = self.observe("retry", query.fetch_one(self.pool())).await?;
        state.map(|state| state.parse()).transpose()
    }

    /// The state of a job; `None`: there is no such job, or it ended longer ago than history is kept.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn state(&self, job: JobId) -> Result<Option<JobState>> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.state($1)")).bind(job.0);
        let state: Option<String> = self.observe("state", query.fetch_one(self.pool())).await?;
        state.map(|state| state.parse()).transpose()
    }

    /// An id for a job that is enqueued later, with [`Enqueue::id`](crate::Enqueue::id): for who must know it before the job
    /// exists. The SQL function behind it is `howdah.reserve_id`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn reserve_id(&self) -> Result<JobId> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.reserve_id()"));
        Ok(JobId(self.observe("reserve_id", query.fetch_one(self.pool())).await?))
    }

    /// Makes a queue with default settings, or does nothing if it is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the name is 1 to 128 bytes without control characters.
    pub async fn create_queue(&self, name: &str) -> Result<()> {
        check_text("queue", name)?;
        let query = sqlx::query(self.names().sql("SELECT howdah.create_queue($1)")).bind(name);
        self.observe("create_queue", query.execute(self.pool())).await?;
        Ok(())
    }

    /// Stops claims from a queue until it is resumed, over restarts; what runs goes on. Returns whether it was
    /// running before. The SQL function behind it is `howdah.pause_queue`.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`].
    pub async fn pause_queue(&self, name: &str, by: Option<&str>, reason: Option<&str>) -> Result<bool> {
        self.pause(name, None, by, reason).await
    }

    /// As [`pause_queue`](Self::pause_queue), for so long, 1 s to 10 years: then the keeper resumes it, within some seconds. The SQL
    /// function behind it is `howdah.pause_queue`.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`], [`Error::Invalid`].
    pub async fn pause_queue_for(
        &self,
        name: &str,
        lasts: Duration,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<bool> {
        self.pause(name, Some(lasts.as_secs_f64()), by, reason).await
    }

    async fn pause(&self, name: &str, seconds: Option<f64>, by: Option<&str>, reason: Option<&str>) -> Result<bool> {
        for (field, text) in [("queue", Some(name)), ("by", by), ("reason", reason)] {
            check_text(field, text.unwrap_or_default())?;
        }
        let sql = "SELECT howdah.pause_queue($1, $2, $3, pg_catalog.make_interval(secs => $4))";
        let query = sqlx::query_scalar(self.names().sql(sql)).bind(name).bind(by).bind(reason).bind(seconds);
        self.observe("pause_queue", query.fetch_one(self.pool())).await
    }

    /// Lets claims from a paused queue go on. Returns whether it was paused.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`].
    pub async fn resume_queue(&self, name: &str) -> Result<bool> {
        check_text("queue", name)?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.resume_queue($1)")).bind(name);
        self.observe("resume_queue", query.fetch_one(self.pool())).await
    }
}
