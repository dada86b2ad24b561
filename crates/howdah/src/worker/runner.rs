//! Runs jobs: one task for each that runs at the same time, while there are any.
//!
//! Invariant: whatever a handler does (returns, fails, panics, hangs until its timeout), its job ends here with
//! one [`Finished`]. Limit: a handler that blocks its thread is not stopped by anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::attempt::limited;
use super::ledger::{End, Finished};
use super::notes::Notes;
use super::policy::{self, RetryBy};
use super::queue::{Claimed, Queue};
use super::shared::Shared;
use crate::client::Howdah;
use crate::handler::{Call, FIRST_VERSION, Handlers, JobError, Options, Outcome, RawJob, Said, Verdict};
use crate::job::JobId;
use crate::{logs, metrics, trace};

pub(super) struct Runner<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) handlers: Handlers<S>,
    pub(super) state: S,
    pub(super) retry_by: Option<RetryBy>,
}

impl<S: Send + Sync + 'static> Runner<S> {
    /// Starts so many tasks that run jobs of this queue until its buffer is empty.
    pub(super) fn start(self: &Arc<Self>, queue: &Arc<Queue>, tasks: usize) {
        for _ in 0..tasks {
            let (runner, queue) = (Arc::clone(self), Arc::clone(queue));
            tokio::spawn(async move {
                while let Some(job) = queue.next() {
                    let took = runner.run(&queue, job).await;
                    if queue.ran(took) {
                        runner.shared.look.notify_one();
                    }
                    // Handlers that never wait would keep the thread from everybody else.
                    tokio::task::consume_budget().await;
                }
                runner.shared.look.notify_one();
            });
        }
    }

    async fn run(&self, queue: &Queue, job: Claimed) -> Duration {
        let Some(entry) = self.handlers.find(&job.kind) else {
            self.shared.give_back(vec![job]);
            return Duration::ZERO;
        };
        let started = Instant::now();
        let (options, unreadable) = match Options::read(job.options.as_deref()) {
            Ok(options) => (options, None),
            Err(error) => (None, Some(error)),
        };
        let timeout = options.as_ref().and_then(|o| o.timeout()).or(entry.timeout);
        let version = options.as_ref().and_then(|o| o.version).unwrap_or(FIRST_VERSION);
        let (howdah, notes) = (&self.shared.howdah, &self.shared.notes);
        let call = Arc::new(call(howdah, notes, &queue.name, &job, started, timeout, options));
        self.shared.begin(&call);
        let continue_trace = self.shared.settings.continue_trace;
        let (span, lines) = logs::collect(|| trace::attempt_span(&call, &job.kind, continue_trace));
        let measured = metrics::Attempt::begin(&queue.name, &job.kind);
        let kind = job.kind.clone();
        let raw = RawJob { kind: job.kind, payload: job.payload, version };
        // Inside an async block, so that a panic before the first await is caught as well.
        let work = async {
            match unreadable {
                None => (entry.run)(raw, Arc::clone(&call), &self.state).await,
                Some(error) => Outcome::Failed(error),
            }
        };
        let outcome = self.guard(work.instrument(span.clone()), timeout).await;
        let took = started.elapsed();
        self.shared.end(&call);
        let outcome = policy::applied(outcome, entry.retry, self.retry_by.as_ref(), &kind, &call);
        trace::ended(&span, &outcome);
        lines.send(&call);
        let answer = call.take_answer();
        let end = ending(&call, outcome);
        measured.end(end.name(), took);
        let run_ms = i32::try_from(took.as_millis()).unwrap_or(i32::MAX);
        let finished = Finished { lease: job.lease, position: job.position, id: job.id, run_ms, end, answer };
        let _ = self.shared.finished.send(finished);
        took
    }

    /// Lets a handler run until it ends, or the worker cannot wait any longer.
    async fn guard(&self, work: impl Future<Output = Outcome>, timeout: Option<Duration>) -> Outcome {
        tokio::select! {
            biased;
            outcome = limited(work, timeout) => outcome,
            () = self.shared.aborting.cancelled() => {
                let error = JobError::retry_in(Duration::ZERO, "the worker stopped before the job had finished");
                Outcome::Failed(error.kind("worker_stopped"))
            }
        }
    }
}

/// An attempt that begins.
pub(super) fn call(
    howdah: &Howdah,
    notes: &Arc<Notes>,
    queue: &Arc<str>,
    job: &Claimed,
    started: Instant,
    timeout: Option<Duration>,
    options: Option<Box<Options>>,
) -> Call {
    Call {
        howdah: howdah.clone(),
        id: JobId(job.id),
        lease_id: job.lease.id,
        queue: Arc::clone(queue),
        attempt: u16::try_from(job.attempt).unwrap_or(0),
        max_attempts: u16::try_from(job.max_attempts).unwrap_or(0),
        priority: u8::try_from(job.priority).unwrap_or(0),
        enqueued_micros: job.enqueued_micros,
        started,
        deadline: timeout.and_then(|t| started.checked_add(t)),
        options,
        said: Said::default(),
        notes: Arc::clone(notes),
        cancelled: CancellationToken::new(),
        cancel_asked: AtomicBool::new(false),
        lost: AtomicBool::new(false),
        completed_in: AtomicBool::new(false),
        answer: Mutex::default(),
    }
}

/// What is told of a job.
pub(super) fn ending(call: &Call, outcome: Outcome) -> End {
    let (error, result) = match outcome {
        Outcome::Done(result) => (None, result),
        Outcome::Failed(error) => (Some(error), None),
        Outcome::Released => return released(call),
    };
    if let Some(error) = &error {
        tracing::warn!(job = %call.id, attempt = call.attempt, queue = %call.queue, verdict = error.verdict.as_str(),
            kind = %error.kind, error = %error.message, "attempt failed");
    }
    if call.completed_in.load(Ordering::Acquire) {
        return End::CompletedIn(error);
    }
    if call.lost.load(Ordering::Acquire) {
        metrics::lease_lost("running");
        tracing::warn!(job = %call.id, attempt = call.attempt, "the result is dropped: the lease was lost before");
        return End::Lost;
    }
    match error {
        None => End::Done(result),
        // Whatever a cancelled handler failed with, it was asked to stop.
        Some(error) if call.cancel_asked.load(Ordering::Acquire) => {
            End::Failed(JobError { verdict: Verdict::Cancel, ..error })
        }
        Some(error) => End::Failed(error),
    }
}

/// What is told of a job that is given back.
fn released(call: &Call) -> End {
    if call.completed_in.load(Ordering::Acquire) {
        return End::CompletedIn(None);
    }
    if call.lost.load(Ordering::Acquire) {
        return End::Lost;
    }
    if call.cancel_asked.load(Ordering::Acquire) {
        return End::Failed(JobError::cancel("given back after somebody had asked to cancel it"));
    }
    End::Released
}
