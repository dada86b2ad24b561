//! What a handler knows of its attempt.
//!
//! Invariant: a context belongs to one attempt; when that is not the current one any more,
//! [`Ctx::cancelled`] has fired and [`Ctx::complete_in`] refuses. Limit: [`Ctx::lease_held`] is what the worker
//! knows, [`Ctx::check_lease`] asks.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::types::Json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::limit::Limit;
use super::options::Options;
use super::progress::Said;
use super::steps::Steps;
use crate::client::{Howdah, payload};
use crate::error::{Error, Result};
use crate::job::JobId;
use crate::sqltime::Micros;
use crate::worker::Notes;

/// Takes a part of the worker's state, so that a handler asks only for what it needs. Every `Clone` type is a
/// part of itself.
pub trait FromRef<S> {
    /// The part.
    fn from_ref(state: &S) -> Self;
}

impl<T: Clone> FromRef<T> for T {
    fn from_ref(state: &T) -> T {
        state.clone()
    }
}

/// How often to look whether a handler's own transaction is over, when its time is.
const LOOK: Duration = Duration::from_secs(1);
/// Who waits to hear whether the database has accepted how an attempt ended.
pub(crate) type Answer = oneshot::Sender<Result<()>>;

/// One attempt at one job, as the worker and the handler share it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Call {
    pub(crate) howdah: Howdah,
    pub(crate) id: JobId,
    pub(crate) lease_id: i64,
    pub(crate) queue: Arc<str>,
    pub(crate) attempt: u16,
    pub(crate) max_attempts: u16,
    pub(crate) priority: u8,
    pub(crate) enqueued_micros: i64,
    pub(crate) started: Instant,
    pub(crate) limit: Limit,
    /// The job's own settings; most jobs have none.
    pub(crate) options: Option<Box<Options>>,
    /// What it has said of its progress, and where it tells that there is news.
    pub(crate) said: Said,
    /// Its named steps, and what earlier attempts have kept of them.
    pub(crate) steps: Steps,
    pub(crate) notes: Arc<Notes>,
    pub(crate) cancelled: CancellationToken,
    /// Somebody asked for the job to be cancelled.
    pub(crate) cancel_asked: AtomicBool,
    /// The lease is known to be lost.
    pub(crate) lost: AtomicBool,
    pub(crate) answer: Mutex<Option<Answer>>,
}

impl Call {
    /// Somebody waits for what the database says.
    pub(crate) fn await_answer(&self, answer: Option<Answer>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Waits until no transaction is open that has completed the job.
    pub(crate) async fn decided(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            // Who cannot be asked is asked again.
            if self.is_decided().await.is_ok() {
                return;
            }
        }
    }

    /// Fails if such a transaction is open: `forget` waits for it, and is not let.
    async fn is_decided(&self) -> Result<()> {
        let mut tx = self.howdah.pool().begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        sqlx::query("SET LOCAL lock_timeout = '100ms'").execute(&mut *tx).await?;
        // Whoever it was claimed by: only the waiting counts here, and it is undone.
        let query = sqlx::query(self.howdah.names().sql("SELECT howdah.forget(0, $1, ARRAY[$2])"));
        let query = query.bind(self.lease_id).bind(self.id.0);
        self.howdah.observe("forget", query.execute(&mut *tx)).await?;
        Ok(tx.rollback().await?)
    }

    pub(crate) fn take_answer(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a handler knows of its attempt, and its part of the worker's state, to which it derefs.
pub struct Ctx<T = ()> {
    pub(crate) call: Arc<Call>,
    state: T,
}

impl<T> Ctx<T> {
    pub(crate) fn new(call: Arc<Call>, state: T) -> Self {
        Self { call, state }
    }

    pub(super) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    pub(crate) fn into_call(self) -> Arc<Call> {
        self.call
    }

    pub(super) fn options(&self) -> Option<&Options> {
        self.call.options.as_deref()
    }

    pub(super) fn limit(&self) -> &Limit {
        &self.call.limit
    }

    /// The job's number.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.call.id
    }

    /// Which attempt this is, from 1. Attempts that a dead worker had begun count.
    #[must_use]
    pub fn attempt(&self) -> u16 {
        self.call.attempt
    }

    /// After how many failed attempts the job is dead.
    #[must_use]
    pub fn max_attempts(&self) -> u16 {
        self.call.max_attempts
    }

    /// Whether a failure now is the last one.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.call.attempt >= self.call.max_attempts
    }

    /// The queue that it came from.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.call.queue
    }

    /// 0 runs first, 9 last.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.call.priority
    }

    /// When it was enqueued, by the server's clock.
    #[must_use]
    pub fn enqueued_at(&self) -> SystemTime {
        Micros(self.call.enqueued_micros).time()
    }

    /// Fires when the attempt should end: somebody cancelled the job, its time is over, its lease was lost, or the
    /// worker stops and its grace period is over. A handler that takes seconds should look at it.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.call.cancelled
    }

    /// Whether, as far as the worker knows, the job is still this attempt's.
    #[must_use]
    pub fn lease_held(&self) -> bool {
        !self.call.lost.load(Ordering::Acquire)
    }

    /// Asks the database whether the job is still this attempt's: before doing what cannot be undone.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if it is not; [`Error::Database`]. The SQL function behind it is `howdah.holds`.
    pub async fn check_lease(&self) -> Result<()> {
        let call = &self.call;
        let query = sqlx::query_scalar(call.howdah.names().sql("SELECT howdah.holds($1, $2)"));
        let query = query.bind(call.lease_id).bind(call.id.0);
        let held: bool = call.howdah.observe("holds", query.fetch_one(call.howdah.pool())).await?;
        if held { Ok(()) } else { Err(self.lost()) }
    }

    /// Completes the job inside the handler's own transaction, with its writes and the jobs that it enqueues
    /// next: all commit or none. Commit it, and return `Ok`. If it is not committed, the attempt has failed.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the job is not this attempt's any more: roll back. The SQL function behind it is
    /// `howdah.complete_in`.
    pub async fn complete_in(&self, transaction: &mut PgConnection) -> Result<()> {
        self.complete_in_as(transaction, None).await
    }

    /// As [`complete_in`](Self::complete_in), and keeps an output for those who wait for the job: what the handler
    /// returns afterwards is not kept.
    ///
    /// # Errors
    /// As [`complete_in`](Self::complete_in); [`Error::Invalid`] if the output cannot be written as JSON or is too large.
    pub async fn complete_in_with(&self, transaction: &mut PgConnection, output: &impl Serialize) -> Result<()> {
        let output = payload::encode(output)?;
        self.complete_in_as(transaction, Some(&output)).await
    }

    pub(super) async fn complete_in_as(&self, transaction: &mut PgConnection, output: Option<&RawValue>) -> Result<()> {
        let query = sqlx::query(self.call.howdah.names().sql("SELECT howdah.complete_in($4, $2, $3, $1)"));
        self.end_in("complete_in", query.bind(output.map(Json)), transaction).await
    }

    /// Ends the job by a statement inside the handler's own transaction. Its next arguments are the job, the milliseconds
    /// that it ran, and the lease.
    pub(super) async fn end_in(
        &self,
        what: &'static str,
        statement: Query<'_, Postgres, PgArguments>,
        transaction: &mut PgConnection,
    ) -> Result<()> {
        let call = &self.call;
        if !call.limit.begin_completing() {
            return Err(self.lost());
        }
        let run_ms = i32::try_from(call.started.elapsed().as_millis()).unwrap_or(i32::MAX);
        let statement = statement.bind(call.id.0).bind(run_ms).bind(call.lease_id);
        let told = call.howdah.observe(what, statement.execute(transaction)).await;
        told.inspect_err(|_| call.limit.completion_refused()).map_err(|error| self.or_lost(error))?;
        Ok(())
    }

    /// The queue, to enqueue what comes next.
    #[must_use]
    pub fn howdah(&self) -> &Howdah {
        &self.call.howdah
    }

    /// The handler's part of the worker's state.
    #[must_use]
    pub fn state(&self) -> &T {
        &self.state
    }

    fn lost(&self) -> Error {
        self.call.lost.store(true, Ordering::Release);
        self.call.cancelled.cancel();
        Error::LeaseLost { job: self.call.id }
    }

    /// What the server says of an attempt that has lost its job is told to the handler in its own words.
    pub(super) fn or_lost(&self, error: Error) -> Error {
        if error.has_code("HD010") { self.lost() } else { error }
    }
}

impl<T> Deref for Ctx<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> fmt::Debug for Ctx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("id", &self.call.id).field("attempt", &self.call.attempt).finish_non_exhaustive()
    }
}
