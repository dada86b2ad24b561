//! Looking for jobs, and locking those that wait so that the caller can decide.
//!
//! Invariant: what is returned by [`Find::for_update`] stays as it is until the caller's transaction ends, and no other
//! job waits for that. Limit: at most 10,000 jobs at a time.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};

use super::{Howdah, JobState, Jobs};
use crate::error::{Error, Result};
use crate::handler::decode_json;
use crate::hidden::debug_hiding;
use crate::job::JobId;
use crate::sqltime::Micros;

/// A job that was found.
#[derive(Clone)]
#[non_exhaustive]
pub struct FoundJob {
    /// Its number.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Where it is in its life.
    pub state: JobState,
    /// How many attempts were made.
    pub attempt: i16,
    /// How many there may be.
    pub max_attempts: i16,
    /// 0 runs first, 9 last.
    pub priority: i16,
    /// When it was enqueued.
    pub enqueued_at: SystemTime,
    /// When it is due, if it is scheduled.
    pub due_at: Option<SystemTime>,
    /// What it is to do, as JSON.
    pub payload: Box<RawValue>,
    /// What it may be found by; an empty object if it has none.
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

debug_hiding!(FoundJob { id, queue, kind, state, attempt, max_attempts, priority, enqueued_at, due_at, attributes } hides { payload });

impl FoundJob {
    /// The payload as a type.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not one: the message names the field that does not fit, and not what was there.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        decode_json(&self.payload).map_err(|what| Error::invalid("payload", format!("of job {}: {what}", self.id)))
    }
}

type Attributes = serde_json::Map<String, serde_json::Value>;
type Row = (i64, String, String, String, i16, i16, i16, Micros, Option<Micros>, Json<Box<RawValue>>, Json<Attributes>);

fn found(row: Row) -> Result<FoundJob> {
    Ok(FoundJob {
        id: JobId(row.0),
        queue: row.1,
        kind: row.2,
        state: row.3.parse()?,
        attempt: row.4,
        max_attempts: row.5,
        priority: row.6,
        enqueued_at: row.7.time(),
        due_at: row.8.map(Micros::time),
        payload: row.9.0,
        attributes: row.10.0,
    })
}

const FIND: &str = "SELECT id, queue, kind, state, attempt, max_attempts, priority, enqueued_at, due_at, payload,
       coalesce(options OPERATOR(pg_catalog.->) 'attributes', '{}') AS attributes
  FROM howdah.jobs_of(ARRAY(SELECT howdah.find($1, $2, $3, $4, $5, $6))) ORDER BY id DESC";

const FOR_UPDATE: &str = "SELECT id, queue, kind, state, attempt, max_attempts, priority, enqueued_at, due_at, payload,
       coalesce(options OPERATOR(pg_catalog.->) 'attributes', '{}') AS attributes
  FROM howdah.find_for_update($1)";

/// A search. Made by [`Howdah::find`]; `.await` it to look, or ask [`for_update`](Find::for_update) to decide.
#[derive(Debug)]
#[must_use = "nothing is looked for until this is awaited"]
pub struct Find<'a> {
    howdah: &'a Howdah,
    jobs: Jobs,
    limit: i32,
}

impl Howdah {
    /// Looks for jobs, newest first, at most 100 of them. The SQL function behind it is `howdah.find`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a filter that is none; [`Error::UnknownQueue`]; [`Error::Database`].
    pub fn find(&self, jobs: Jobs) -> Find<'_> {
        Find { howdah: self, jobs, limit: 100 }
    }
}

impl Find<'_> {
    /// At most so many, 1 to 100,000; to decide, 1 to 10,000.
    pub fn limit(mut self, jobs: u32) -> Self {
        self.limit = i32::try_from(jobs).unwrap_or(i32::MAX);
        self
    }

    /// Locks those of the jobs that wait until the transaction ends: no worker claims them, and no timer makes them
    /// ready, also when they become due. Then decide, in the same transaction: [`Howdah::delete`],
    /// [`Howdah::reschedule`], [`Howdah::change`], or leave them. Jobs that were enqueued in the transaction itself are
    /// found too. Returns them by their numbers; what runs or has ended is not among them.
    ///
    /// A row of the queue may stand for many jobs. Where that is so, a short transaction on a connection of its own
    /// gives each of these a row first, so that the others need not wait.
    ///
    /// The SQL functions behind it are `howdah.isolate` and `howdah.find_for_update`.
    ///
    /// # Errors
    /// As [`Howdah::find`]; [`Error::Invalid`] for states other than scheduled and ready; [`Error::Database`] with the
    /// code `HD012` if the transaction is not READ COMMITTED.
    pub async fn for_update(self, tx: &mut PgConnection) -> Result<Vec<FoundJob>> {
        const WAITING: &[JobState] = &[JobState::Scheduled, JobState::Ready];
        self.jobs.check()?;
        if self.jobs.states.as_deref().is_some_and(|states| states.iter().any(|s| !WAITING.contains(s))) {
            return Err(Error::invalid("states", "must be scheduled or ready: no other job waits"));
        }
        let names = self.howdah.names();
        let query = sqlx::query_as(names.sql("SELECT howdah.find($1, $2, $3, $4, $5, $6)"));
        let query = self.jobs.bind(query, Some(WAITING)).bind(self.limit);
        let waiting: Vec<(i64,)> = self.howdah.observe_rows("find", Vec::len, query.fetch_all(&mut *tx)).await?;
        let ids: Vec<i64> = waiting.into_iter().map(|(id,)| id).collect();
        let query = sqlx::query_scalar(names.sql("SELECT howdah.crowded($1)")).bind(&ids);
        let crowded: Vec<i64> = self.howdah.observe_rows("crowded", Vec::len, query.fetch_all(&mut *tx)).await?;
        if !crowded.is_empty() {
            // Not from the pool: the caller's transaction may have its only connection.
            let mut connection = self.howdah.connection().await?;
            let query = sqlx::query(names.sql("SELECT howdah.isolate($1)")).bind(&crowded);
            self.howdah.observe("isolate", query.execute(&mut connection)).await?;
            connection.close().await?;
        }
        let query = sqlx::query_as(names.sql(FOR_UPDATE)).bind(&ids);
        let rows: Vec<Row> = self.howdah.observe_rows("find_for_update", Vec::len, query.fetch_all(tx)).await?;
        rows.into_iter().map(found).collect()
    }

    async fn run(self) -> Result<Vec<FoundJob>> {
        self.jobs.check()?;
        let query = sqlx::query_as(self.howdah.names().sql(FIND));
        let query = self.jobs.bind(query, None).bind(self.limit);
        let rows: Vec<Row> = self.howdah.observe_rows("find", Vec::len, query.fetch_all(self.howdah.pool())).await?;
        rows.into_iter().map(found).collect()
    }
}

impl<'a> IntoFuture for Find<'a> {
    type Output = Result<Vec<FoundJob>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
