//! Deciding about one job: delete it, reschedule it, change it.
//!
//! Invariant: each is one SQL function in the caller's transaction, if one is given. Limit: of the jobs that run, none.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::types::Json;

use super::enqueue::{delay_micros, micros};
use super::operate::JobState;
use super::payload::{self, Encoded};
use super::target::{On, Target};
use super::{Howdah, check_text};
use crate::error::{Error, Result};
use crate::job::JobId;

/// What is to become of a job. Made by [`Howdah::delete`], [`Howdah::reschedule`] and [`Howdah::change`]; `.await` it.
#[must_use = "nothing is decided until this is awaited"]
#[derive(Debug)]
pub struct Decide<'e> {
    howdah: &'e Howdah,
    job: JobId,
    what: What,
    target: Target<'e>,
}

#[derive(Debug)]
enum What {
    Delete,
    Reschedule { run_at: Option<SystemTime>, delay: Option<Duration> },
    Change(Box<Change>),
}

impl What {
    /// The function behind it.
    fn operation(&self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Reschedule { .. } => "reschedule",
            Self::Change(_) => "change",
        }
    }
}

/// New values of a job; what is not named stays as it is.
#[derive(Debug, Default)]
#[must_use = "a change does nothing until it is given to Howdah::change"]
pub struct Change {
    payload: Option<Encoded>,
    priority: Option<u8>,
    queue: Option<String>,
    max_attempts: Option<u16>,
}

impl Change {
    /// Nothing, so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it is to do: anything that serializes.
    pub fn payload(mut self, payload: &(impl Serialize + ?Sized)) -> Self {
        self.payload = Some(payload::encode(payload));
        self
    }

    /// 0 runs first, 9 last.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The queue that it goes to, which must exist.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// How often it is tried before it is dead: 1 to 1000.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }
}

impl Howdah {
    /// Deletes a job without a trace, wherever it waits or has ended. Returns the state that it was in; `None`: there is
    /// no such job. The SQL function behind it is `howdah.delete`.
    ///
    /// # Errors
    /// [`Error::WrongState`] while the job runs: [`cancel`](Self::cancel) it instead. [`Error::Database`].
    pub fn delete(&self, job: JobId) -> Decide<'_> {
        Decide::new(self, job, What::Delete)
    }

    /// Makes a job that waits due at this time; one in the past means at once. Returns the state that it is in then;
    /// `None`: there is no such job. The SQL function behind it is `howdah.reschedule`.
    ///
    /// # Errors
    /// [`Error::WrongState`] if the job does not wait; [`Error::Invalid`]; [`Error::Database`].
    pub fn reschedule(&self, job: JobId, run_at: SystemTime) -> Decide<'_> {
        Decide::new(self, job, What::Reschedule { run_at: Some(run_at), delay: None })
    }

    /// As [`reschedule`](Self::reschedule), so long after now by the server's clock; up to 100 years.
    ///
    /// # Errors
    /// As [`reschedule`](Self::reschedule).
    pub fn delay(&self, job: JobId, delay: Duration) -> Decide<'_> {
        Decide::new(self, job, What::Reschedule { run_at: None, delay: Some(delay) })
    }

    /// Changes a job that waits or is dead. Returns the state that it is in; `None`: there is no such job. The SQL
    /// function behind it is `howdah.change`.
    ///
    /// # Errors
    /// [`Error::WrongState`] if the job runs or has ended; [`Error::UnknownQueue`]; [`Error::Invalid`];
    /// [`Error::Database`].
    pub fn change(&self, job: JobId, change: Change) -> Decide<'_> {
        Decide::new(self, job, What::Change(Box::new(change)))
    }
}

type Query<'q> = QueryScalar<'q, Postgres, Option<String>, PgArguments>;

impl<'e> Decide<'e> {
    fn new(howdah: &'e Howdah, job: JobId, what: What) -> Self {
        Self { howdah, job, what, target: Target::Pool(howdah.pool()) }
    }

    /// Runs on the caller's transaction (or connection): it is so if and only if that commits.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.target = target.target();
        self
    }

    async fn run(self) -> Result<Option<JobState>> {
        let operation = self.what.operation();
        let query = query(self.howdah, self.job, self.what)?;
        let state = match self.target {
            Target::Pool(pool) => {
                let mut connection = pool.acquire().await?;
                self.howdah.observe(operation, query.fetch_one(&mut *connection)).await?
            }
            Target::Connection(connection) => self.howdah.observe(operation, query.fetch_one(connection)).await?,
        };
        state.map(|state| state.parse()).transpose()
    }
}

fn query(howdah: &Howdah, job: JobId, what: What) -> Result<Query<'static>> {
    let sql = |text| sqlx::query_scalar(howdah.names().sql(text)).bind(job.0);
    Ok(match what {
        What::Delete => sql("SELECT howdah.delete($1)"),
        What::Reschedule { run_at, delay } => {
            let at =
                run_at.map(|at| micros(at).ok_or_else(|| Error::invalid("run_at", "must be before the year 9999")));
            sql("SELECT howdah.reschedule($1, howdah.at_micros($2), howdah.span_micros($3))")
                .bind(at.transpose()?)
                .bind(delay.map(delay_micros))
        }
        What::Change(change) => {
            check_text("queue", change.queue.as_deref().unwrap_or_default())?;
            if change.payload.is_some() {
                let why = "cannot be changed where payloads are encrypted, since they are bound to their kind, which is not known \
                           here: delete the job and enqueue another";
                howdah.keys().refuse("payload", why)?;
            }
            sql("SELECT howdah.change($1, $2, $3, $4, $5)")
                .bind(change.payload.transpose()?.map(Json))
                .bind(change.priority.map(i32::from))
                .bind(change.queue)
                .bind(change.max_attempts.map(i32::from))
        }
    })
}

impl<'e> IntoFuture for Decide<'e> {
    type Output = Result<Option<JobState>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
