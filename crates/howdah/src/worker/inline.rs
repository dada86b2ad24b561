//! Jobs one at a time, on the caller's task and connection: how [`testing`](crate::testing) runs what a worker would.
//!
//! Invariant: handlers, claims and verdicts are the worker's own; only the concurrency is left out. Limit: there are no
//! heartbeats, so it must not run beside a keeper for longer than its lease of an hour.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::{RawValue, to_raw_value};
use sqlx::PgConnection;
use sqlx::types::Json;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::claimer::{CLAIM, Row};
use super::failures::Arrays;
use super::guard::guard;
use super::lanes::Filter;
use super::ledger::End;
use super::notes::Notes;
use super::policy::Policy;
use super::queue::{Claimed, Lease};
use super::runner::{call, ending};
use super::timeouts::{Set, Timeouts};
use crate::error::{Error, Result};
use crate::handler::{Call, FIRST_VERSION, JobError, Options, Outcome, RawJob, Verdict};
use crate::job::JobId;

/// What `howdah.promote` promotes at most at a time.
const MOST_PROMOTED: i32 = 1000;

/// An attempt that was made.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) id: JobId,
    /// The state that the job is in now; `None`: it was not this attempt's any more.
    pub(crate) state: Option<String>,
    /// It is scheduled, and the attempt did not count.
    pub(crate) snoozed: bool,
    pub(crate) failure: Option<String>,
}

/// A worker that is registered on the caller's connection.
pub(crate) struct Inline<'a, S> {
    worker: &'a Worker<S>,
    connection: &'a mut PgConnection,
    /// The caller has not committed what is done here.
    in_tx: bool,
    id: i64,
    queue: Arc<str>,
    filter: Filter,
    timeouts: Timeouts,
}

impl<'a, S: Send + Sync + 'static> Inline<'a, S> {
    pub(crate) async fn start(
        worker: &'a Worker<S>,
        connection: &'a mut PgConnection,
        in_tx: bool,
        queue: &str,
    ) -> Result<Self> {
        worker.served_queues()?;
        check(worker)?;
        let filter = Filter::of(&worker.handlers);
        let sql = "SELECT howdah.start_worker('howdah testing', 3600000, 2000, ARRAY[$1], $2)";
        let sql = worker.howdah.names().sql(sql);
        let id = sqlx::query_scalar(sql).bind(queue).bind(worker.handlers.shown()).fetch_one(&mut *connection).await?;
        let sql = worker.howdah.names().sql("SELECT howdah.timeouts(ARRAY[$1])");
        let set: Option<Json<Set>> = sqlx::query_scalar(sql).bind(queue).fetch_one(&mut *connection).await?;
        let timeouts = Timeouts::default();
        timeouts.learn(set.map(|Json(set)| set));
        Ok(Self { worker, connection, in_tx, id, queue: queue.into(), filter, timeouts })
    }

    /// Makes ready what is due.
    pub(crate) async fn promote(&mut self) -> Result<()> {
        let sql = "SELECT promoted FROM howdah.promote($1)";
        loop {
            let query = sqlx::query_scalar(self.worker.howdah.names().sql(sql)).bind(MOST_PROMOTED);
            let promoted: i32 = query.fetch_one(&mut *self.connection).await?;
            if promoted < MOST_PROMOTED {
                return Ok(());
            }
        }
    }

    /// Makes ready what is due next, without waiting for its time. False: nothing is scheduled.
    pub(crate) async fn hurry(&mut self) -> Result<bool> {
        let names = self.worker.howdah.names();
        let sql =
            "SELECT d.first_id FROM howdah.deferred d JOIN howdah.queue q ON q.id OPERATOR(pg_catalog.=) d.queue_id
                    WHERE q.name OPERATOR(pg_catalog.=) $1 AND d.due_at OPERATOR(pg_catalog.<) 'infinity' AND (($2 IS NULL AND $3 IS NULL) OR d.kind OPERATOR(pg_catalog.=) ANY ($2)
                      OR d.kind OPERATOR(pg_catalog.^@) ANY ($3))
                    ORDER BY d.due_at, d.first_id LIMIT 1";
        let next = sqlx::query_scalar::<_, i64>(names.sql(sql))
            .bind(&*self.queue)
            .bind(&self.filter.kinds)
            .bind(&self.filter.prefixes);
        let Some(next) = next.fetch_optional(&mut *self.connection).await? else { return Ok(false) };
        // What its steps wait for is over as well: a durable sleep, and a signal that did not come.
        let over = "UPDATE howdah.step SET wakes_at = howdah.now() WHERE job_id OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'waiting'";
        sqlx::query(names.sql(over)).bind(next).execute(&mut *self.connection).await?;
        sqlx::query(names.sql("SELECT howdah.retry($1)")).bind(next).execute(&mut *self.connection).await?;
        Ok(true)
    }

    /// Runs the first job that is ready, if there is one, and settles it.
    pub(crate) async fn run_next(&mut self) -> Result<Option<Ran>> {
        let worker = self.worker;
        let query = sqlx::query_as::<_, Row>(worker.howdah.names().sql(CLAIM)).bind(self.id).bind(&*self.queue);
        let query = query.bind(1).bind(&self.filter.kinds).bind(None::<Vec<i64>>);
        let query = query.bind(&self.filter.prefixes).bind(None::<Vec<String>>);
        let Some(row) = query.fetch_optional(&mut *self.connection).await? else { return Ok(None) };
        let lease = Arc::new(Lease { id: row.0, jobs: 1, arrived: Instant::now() });
        let job = Claimed::new(&lease, 0, row);
        if self.in_tx && worker.handlers.works_in_tx(&job.kind) {
            return Err(Error::Worker(format!(
                "the handler of the kind {:?} has a transaction of its own, which does not see what this one has not \
                 committed: commit first, and drain without `on`",
                job.kind
            )));
        }
        let (id, started) = (job.id, Instant::now());
        let (call, outcome) = attempt(worker, &self.queue, job, &self.timeouts).await?;
        let run_ms = i32::try_from(started.elapsed().as_millis()).unwrap_or(i32::MAX);
        let mut ran = Ran { id: JobId(id), state: None, snoozed: false, failure: None };
        if let Outcome::Failed(error) = &outcome {
            ran.snoozed = matches!(error.verdict, Verdict::Snooze | Verdict::Wait);
            ran.failure = (error.verdict != Verdict::Wait).then(|| format!("{}: {}", error.kind, error.message));
        }
        ran.state = self.settle(lease.id, id, ending(&call, outcome), run_ms).await?;
        Ok(Some(ran))
    }

    /// Tells the database how a job ended; gives the state that it is in then, or `None` if it was lost.
    async fn settle(&mut self, lease: i64, id: i64, end: End, run_ms: i32) -> Result<Option<String>> {
        let names = self.worker.howdah.names();
        let told: Option<i64> = match end {
            End::Done(result) => {
                let sql = "SELECT howdah.complete($1, ARRAY[$2], ARRAY[$3], ARRAY[$2], ARRAY[$4::pg_catalog.jsonb])";
                let query = sqlx::query_scalar(names.sql(sql)).bind(lease).bind(id).bind(run_ms);
                query.bind(result.map(Json)).fetch_optional(&mut *self.connection).await?
            }
            End::Released => {
                let query = sqlx::query_scalar(names.sql("SELECT howdah.release($1, ARRAY[$2])"));
                query.bind(lease).bind(id).fetch_optional(&mut *self.connection).await?
            }
            End::Lost => None,
            End::Failed(error) => self.fail(lease, id, &error, run_ms).await?,
            End::CompletedIn(error) => {
                let query = sqlx::query_scalar(names.sql("SELECT howdah.forget($1, $2, ARRAY[$3])"));
                match query.bind(self.id).bind(lease).bind(id).fetch_optional(&mut *self.connection).await? {
                    Some(id) => Some(id),
                    None => {
                        let uncommitted = || JobError::retry("complete_in was not committed").kind("not_committed");
                        self.fail(lease, id, &error.unwrap_or_else(uncommitted), run_ms).await?
                    }
                }
            }
        };
        let Some(id) = told else { return Ok(None) };
        let state = sqlx::query_scalar(names.sql("SELECT howdah.state($1)")).bind(id);
        Ok(state.fetch_one(&mut *self.connection).await?)
    }

    async fn fail(&mut self, lease: i64, id: i64, error: &JobError, run_ms: i32) -> Result<Option<i64>> {
        let arrays = Arrays::of(&[(id, error, run_ms)]);
        let told = arrays.query(&self.worker.howdah, lease).fetch_optional(&mut *self.connection).await?;
        Ok(told.map(|(id,)| id))
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let stop = sqlx::query(self.worker.howdah.names().sql("SELECT howdah.stop_worker($1)")).bind(self.id);
        stop.execute(self.connection).await?;
        Ok(())
    }
}

/// Runs a payload through its handler, as the first of as many attempts as it likes, without any job in the queue.
pub(crate) async fn run_alone<S: Send + Sync + 'static>(
    worker: &Worker<S>,
    kind: &str,
    version: u16,
    payload: Box<RawValue>,
    max_attempts: u16,
) -> Result<Outcome> {
    check(worker)?;
    if worker.handlers.works_in_tx(kind) {
        return Err(Error::Worker(format!(
            "the handler of the kind {kind:?} completes its job in a transaction, so there must be one: enqueue it, and drain"
        )));
    }
    let job = Claimed {
        lease: Arc::new(Lease { id: 0, jobs: 1, arrived: Instant::now() }),
        position: 0,
        id: 0,
        kind: kind.to_owned(),
        payload,
        attempt: 1,
        max_attempts: i16::try_from(max_attempts).unwrap_or(i16::MAX),
        priority: 5,
        enqueued_micros: 0,
        options: (version != FIRST_VERSION)
            .then(|| to_raw_value(&serde_json::json!({ "version": version })).ok())
            .flatten(),
    };
    let queue = worker.handlers.queues_of(kind).first().copied().unwrap_or("default");
    Ok(attempt(worker, &queue.into(), job, &Timeouts::default()).await?.1)
}

async fn attempt<S: 'static>(
    worker: &Worker<S>,
    queue: &Arc<str>,
    job: Claimed,
    timeouts: &Timeouts,
) -> Result<(Arc<Call>, Outcome)> {
    let (options, unreadable) = match Options::read(job.options.as_deref()) {
        Ok(options) => (options, None),
        Err(error) => (None, Some(error)),
    };
    let version = options.as_ref().and_then(|o| o.version).unwrap_or(FIRST_VERSION);
    let found = worker.handlers.find(&job.kind, version).ok_or_else(|| no_handler(&job.kind))?;
    let entry = found.as_ref().ok();
    let of_job = options.as_deref().and_then(Options::timeout);
    let timeout = timeouts.of(of_job, &job.kind, entry.and_then(|entry| entry.timeout), queue);
    let policy = Policy::new(&job.kind, entry.and_then(|entry| entry.retry), worker.retry_by.clone());
    // Nobody writes the notes down: what is said of progress ends with the attempt.
    let (notes, _) = Notes::new();
    let call = Arc::new(call(&worker.howdah, &notes, queue, &job, Instant::now(), timeout, options));
    let (payload, unreadable) = worker.howdah.keys().open_or(&job.kind, job.payload, unreadable);
    let raw = RawJob { kind: job.kind, payload, version };
    // Inside an async block, so that a panic before the first await is caught as well.
    let work = async {
        match (unreadable, found) {
            (Some(error), _) | (_, Err(error)) => Outcome::Failed(error),
            (_, Ok(entry)) => (entry.run)(raw, Arc::clone(&call), &worker.state).await,
        }
    };
    let outcome = guard(&call, worker.settings.timeout_grace, &CancellationToken::new(), work).await;
    let outcome = policy.applied(outcome, &call);
    Ok((call, outcome))
}

/// Refuses what would be left out.
fn check<S>(worker: &Worker<S>) -> Result<()> {
    if !worker.layers.is_empty() || worker.settings.filter.is_some() {
        let text = "testing runs handlers without layers and filters: leave those out of this worker";
        return Err(Error::Worker(text.to_owned()));
    }
    Ok(())
}

fn no_handler(kind: &str) -> Error {
    Error::Worker(format!("this worker has no handler for the kind {kind:?}"))
}
