//! How long what has ended is kept, and how it goes.
//!
//! Invariant: every call is one SQL function. Limit: settings of the installation; a queue's own are columns of
//! `howdah.queue`.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::enqueue::TOO_LONG;
use super::{Howdah, JobState, check_text};
use crate::error::{Error, Result};
use crate::hidden::debug_hiding;
use crate::job::JobId;
use crate::sqltime::Micros;

/// Settings of the whole installation: see [`Howdah::config`]. Months count as 30 days.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long completed, cancelled and expired jobs are kept, counted from when they ended. A day by default.
    pub history: Duration,
    /// As `history`, for completed jobs only. `None`: as `history`.
    pub completed: Option<Duration>,
    /// As `history`, for cancelled jobs only. `None`: as `history`.
    pub cancelled: Option<Duration>,
    /// As `history`, for expired jobs only. `None`: as `history`.
    pub expired: Option<Duration>,
    /// How long dead jobs are kept. 30 days by default.
    pub dead: Duration,
    /// How long what was archived is kept. `None`, the default: for ever.
    pub archive: Option<Duration>,
}

/// A change to how long what has ended is kept, for [`Howdah::set_config`]. What is not named stays as it is. Lengths
/// are 0 (until the next chance) to 1000 years.
///
/// ```no_run
/// # async fn example(howdah: howdah::Howdah) -> Result<(), howdah::Error> {
/// use std::time::Duration;
/// const DAY: Duration = Duration::from_secs(86_400);
/// howdah.set_config(howdah::Retention::new().history(7 * DAY).completed(DAY).archive(None)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a change does nothing until it is given to `set_config`"]
pub struct Retention(Map<String, Value>);

impl Retention {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long completed, cancelled and expired jobs are kept.
    pub fn history(self, keep: Duration) -> Self {
        self.with("history_retention", Some(keep))
    }

    /// How long completed jobs are kept; `None`: as `history`.
    pub fn completed(self, keep: impl Into<Option<Duration>>) -> Self {
        self.with("completed_retention", keep.into())
    }

    /// How long cancelled jobs are kept; `None`: as `history`.
    pub fn cancelled(self, keep: impl Into<Option<Duration>>) -> Self {
        self.with("cancelled_retention", keep.into())
    }

    /// How long expired jobs are kept; `None`: as `history`.
    pub fn expired(self, keep: impl Into<Option<Duration>>) -> Self {
        self.with("expired_retention", keep.into())
    }

    /// How long dead jobs are kept.
    pub fn dead(self, keep: Duration) -> Self {
        self.with("dead_retention", Some(keep))
    }

    /// How long what was archived is kept; `None`: for ever.
    pub fn archive(self, keep: impl Into<Option<Duration>>) -> Self {
        self.with("archive_retention", keep.into())
    }

    fn with(mut self, setting: &str, keep: Option<Duration>) -> Self {
        self.0.insert(setting.to_owned(), keep.map_or(Value::Null, |keep| interval(keep).into()));
        self
    }
}

/// As PostgreSQL reads it: a field of an interval is no larger than 31 bits.
fn interval(length: Duration) -> String {
    let length = length.min(TOO_LONG);
    let (hours, seconds) = (length.as_secs() / 3600, length.as_secs() % 3600);
    format!("{hours} hours {seconds}.{:06} seconds", length.subsec_micros())
}

/// A job that was removed for good: what [`Howdah::prune_in`] gives.
#[derive(Clone)]
#[non_exhaustive]
pub struct RemovedJob {
    /// Which one it was.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// How it had ended.
    pub state: JobState,
    /// How many attempts were made.
    pub attempt: u16,
    /// When it was enqueued.
    pub enqueued_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// Why it is dead.
    pub reason: Option<String>,
    /// The payload, JSON as PostgreSQL held it.
    pub payload: Box<RawValue>,
}

debug_hiding!(RemovedJob { id, queue, kind, state, attempt, enqueued_at, ended_at, reason } hides { payload });

type Seconds = Option<f64>;
type RemovedRow = (i64, String, String, String, i16, Micros, Micros, Option<String>, Json<Box<RawValue>>);

impl Howdah {
    /// The settings of the whole installation: the row of `howdah.config`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn config(&self) -> Result<Config> {
        let sql = "SELECT extract(epoch FROM history_retention)::float8, extract(epoch FROM completed_retention)::float8,
                          extract(epoch FROM cancelled_retention)::float8, extract(epoch FROM expired_retention)::float8,
                          extract(epoch FROM dead_retention)::float8, extract(epoch FROM archive_retention)::float8
                     FROM howdah.config";
        let (history, completed, cancelled, expired, dead, archive): (f64, Seconds, Seconds, Seconds, f64, Seconds) =
            self.observe("config", sqlx::query_as(self.names().sql(sql)).fetch_one(self.pool())).await?;
        let length = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Ok(Config {
            history: length(history),
            completed: completed.map(length),
            cancelled: cancelled.map(length),
            expired: expired.map(length),
            dead: length(dead),
            archive: archive.map(length),
        })
    }

    /// Changes how long what has ended is kept, all that is named or nothing. The SQL function behind it is
    /// `howdah.set_config`; workers hear of it within seconds.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a length of more than 1000 years, naming the setting.
    pub async fn set_config(&self, change: Retention) -> Result<()> {
        let query = sqlx::query(self.names().sql("SELECT howdah.set_config($1)")).bind(Json(change.0));
        self.observe("set_config", query.execute(self.pool())).await?;
        Ok(())
    }

    /// Removes jobs that ended longer ago than this before their retention is over, about a thousand at a time. What
    /// their queues wish for removal is done: archive, `before_removal`. Returns how many; call it again until that
    /// is 0. `queue` `None`: any. The SQL function behind it is `howdah.purge`.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`]; [`Error::Invalid`] for a state in which jobs have not ended; [`Error::Database`] with
    /// what `before_removal` raises.
    pub async fn purge(&self, state: JobState, older_than: Duration, queue: Option<&str>) -> Result<u64> {
        check_text("queue", queue.unwrap_or_default())?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.purge($1, $2::text::interval, $3)"));
        let query = query.bind(state.as_str()).bind(interval(older_than)).bind(queue);
        let removed: i32 = self.observe("purge", query.fetch_one(self.pool())).await?;
        Ok(removed.unsigned_abs().into())
    }

    /// Removes, in the caller's transaction, what has reached the end of its retention in queues whose `on_removal` is
    /// `hold`, and returns it: for an application that removes data of its own together with its jobs, all or none.
    /// About `most` jobs at a time, 1 to 10,000: what was reported together goes together, up to 499 more. Call it
    /// until it returns none; nobody else removes the jobs of these queues.
    ///
    /// The SQL function behind it is `howdah.remove_held`.
    ///
    /// ```no_run
    /// # async fn example(howdah: howdah::Howdah) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = howdah.pool().begin().await?;
    /// for job in howdah.prune_in(&mut tx, 500).await? {
    ///     sqlx::query("DELETE FROM upload WHERE job = $1").bind(job.id.0).execute(&mut *tx).await?;
    /// }
    /// tx.commit().await?; // now the jobs are gone, and their uploads
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] unless `most` is 1 to 10,000; [`Error::Database`] with what `before_removal` raises.
    pub async fn prune_in(&self, connection: &mut PgConnection, most: i32) -> Result<Vec<RemovedJob>> {
        let sql = "SELECT id, queue, kind, state, attempt, enqueued_at, ended_at, reason, payload FROM howdah.remove_held($1)";
        let query = sqlx::query_as(self.names().sql(sql)).bind(most);
        let rows: Vec<RemovedRow> = self.observe_rows("remove_held", Vec::len, query.fetch_all(connection)).await?;
        rows.into_iter().map(RemovedJob::try_from).collect()
    }
}

impl TryFrom<RemovedRow> for RemovedJob {
    type Error = Error;
    fn try_from((id, queue, kind, state, attempt, enqueued_at, ended_at, reason, payload): RemovedRow) -> Result<Self> {
        Ok(Self {
            id: JobId(id),
            queue,
            kind,
            state: state.parse()?,
            attempt: attempt.unsigned_abs(),
            enqueued_at: enqueued_at.time(),
            ended_at: ended_at.time(),
            reason,
            payload: payload.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_so_that_postgresql_can_read_it() {
        assert_eq!(interval(Duration::ZERO), "0 hours 0.000000 seconds");
        assert_eq!(interval(Duration::from_millis(90_061_500)), "25 hours 61.500000 seconds");
    }
}
