//! A queue run until nothing is left to run.
//!
//! Invariant: one job at a time, in the order of the queue, on the caller's task; on a transaction of the caller's, all of it
//! is undone with that. Limit: jobs of others that are committed are run too, so a test needs a database or a queue of
//! its own.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use sqlx::PgConnection;

use crate::client::{On, Target};
use crate::error::{Error, Result};
use crate::job::JobId;
use crate::worker::{Inline, Ran, Worker};

/// A job that was snoozed so often in one drain is never going to end. Attempts that count end by themselves.
const MOST_SNOOZES: usize = 100;

/// What became of the jobs that a [`drain`] ran, each list in the order in which they ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Completed.
    pub completed: Vec<JobId>,
    /// Attempts that failed, and whose job is to be tried again.
    pub failed: Vec<JobId>,
    /// Attempts that did not count, and whose job is to be run again.
    pub snoozed: Vec<JobId>,
    /// Dead: discarded, or failed for the last time.
    pub dead: Vec<JobId>,
    /// Cancelled.
    pub cancelled: Vec<JobId>,
    /// Not the attempt's any more when its handler returned.
    pub lost: Vec<JobId>,
    /// What the attempts that did not succeed said: `kind: message`.
    pub errors: Vec<(JobId, String)>,
}

impl Drained {
    /// How many attempts were made.
    #[must_use]
    pub fn attempts(&self) -> usize {
        [&self.completed, &self.failed, &self.snoozed, &self.dead, &self.cancelled, &self.lost]
            .map(Vec::len)
            .iter()
            .sum()
    }

    /// Checks that every attempt completed its job, and that there was one; gives how many.
    ///
    /// # Panics
    /// Otherwise, with what went wrong.
    #[track_caller]
    pub fn assert_all_completed(&self) -> usize {
        assert!(self.attempts() > 0, "nothing was ready to run");
        assert!(
            self.completed.len() == self.attempts(),
            "{} of {} attempts did not complete their job:{}",
            self.attempts() - self.completed.len(),
            self.attempts(),
            self.errors.iter().map(|(id, error)| format!("\n  {id}: {error}")).collect::<String>()
        );
        self.completed.len()
    }

    fn add(&mut self, ran: Ran) {
        let list = match ran.state.as_deref() {
            Some("completed") => &mut self.completed,
            Some("cancelled") => &mut self.cancelled,
            Some("dead") => &mut self.dead,
            Some(_) if ran.snoozed => &mut self.snoozed,
            Some(_) => &mut self.failed,
            None => &mut self.lost,
        };
        list.push(ran.id);
        self.errors.extend(ran.failure.map(|failure| (ran.id, failure)));
    }
}

/// A drain to be: made by [`drain`]; `.await` it.
#[must_use = "nothing runs until this is awaited"]
pub struct Drain<'e, S> {
    worker: &'e Worker<S>,
    queue: String,
    scheduled: bool,
    target: Target<'e>,
}

/// Runs every job of this queue that is ready and that the worker has a handler for, with what they enqueue to it, one
/// at a time until there is none. What is to be tried again or due later stays scheduled, unless
/// [`scheduled`](Drain::scheduled) is called. The queue is created if it does not exist.
///
/// # Errors
/// [`Error::Worker`] if the worker has no handler, or if a job was snoozed a hundred times; and what the database says.
pub fn drain<'e, S: Send + Sync + 'static>(worker: &'e Worker<S>, queue: impl Into<String>) -> Drain<'e, S> {
    Drain { worker, queue: queue.into(), scheduled: false, target: Target::Pool(worker.howdah.pool()) }
}

impl<'e, S: Send + Sync + 'static> Drain<'e, S> {
    /// Runs also what is scheduled, in the order in which it is due, as if each time had come; retries too, until they
    /// are completed or dead. The clock itself is not moved: see [`Clock`](super::Clock).
    pub fn scheduled(mut self) -> Self {
        self.scheduled = true;
        self
    }

    /// Runs on the caller's transaction (or connection), whose jobs nobody else sees yet: a test that is rolled back
    /// leaves nothing. What handlers do by the pool is not part of it; and handlers with a transaction of their own
    /// ([`handle_in_tx`](Worker::handle_in_tx)) are refused, as they could not see their job.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.target = target.target();
        self
    }

    async fn run(self) -> Result<Drained> {
        match self.target {
            Target::Pool(pool) => {
                let mut connection = pool.acquire().await?;
                drain_on(self.worker, &mut connection, false, &self.queue, self.scheduled).await
            }
            Target::Connection(connection) => {
                drain_on(self.worker, connection, true, &self.queue, self.scheduled).await
            }
        }
    }
}

async fn drain_on<S: Send + Sync + 'static>(
    worker: &Worker<S>,
    connection: &mut PgConnection,
    in_tx: bool,
    queue: &str,
    scheduled: bool,
) -> Result<Drained> {
    let mut inline = Inline::start(worker, &mut *connection, in_tx, queue).await?;
    let drained = until_empty(&mut inline, scheduled).await;
    // In a transaction that has failed there is nothing left to stop.
    let stopped = inline.stop().await;
    let drained = drained?;
    stopped?;
    Ok(drained)
}

async fn until_empty<S: Send + Sync + 'static>(inline: &mut Inline<'_, S>, scheduled: bool) -> Result<Drained> {
    let (mut drained, mut snoozes) = (Drained::default(), HashMap::<_, usize>::new());
    loop {
        inline.promote().await?;
        while let Some(ran) = inline.run_next().await? {
            let snoozed = snoozes.entry(ran.id).or_default();
            *snoozed += usize::from(ran.snoozed);
            if *snoozed >= MOST_SNOOZES {
                return Err(Error::Worker(format!("job {} does not end: it was snoozed {snoozed} times", ran.id)));
            }
            drained.add(ran);
        }
        if !scheduled || !inline.hurry().await? {
            return Ok(drained);
        }
    }
}

impl<'e, S: Send + Sync + 'static> IntoFuture for Drain<'e, S> {
    type Output = Result<Drained>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Drained>> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S> fmt::Debug for Drain<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("queue", &self.queue).field("scheduled", &self.scheduled).finish_non_exhaustive()
    }
}
