//! Runs jobs: tasks that each run one after another, and start others before one of them could have to wait.
//!
//! Invariant: whatever a handler does (returns, fails, panics, hangs until its deadline), and whatever else panics
//! meanwhile, its job ends here with one [`Finished`]; if its thread was blocked beyond its deadline, the [`watchdog`](super::watchdog) has ended it
//! before, and this task with it. Limit: a thread that is blocked stays blocked.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::guard::guard;
use super::ledger::{End, Finished};
use super::notes::Notes;
use super::panics::{failure, quietly};
use super::policy::{Policy, RetryBy};
use super::queue::{Claimed, Queue, Spare};
use super::shared::{Run, Shared};
use crate::client::Howdah;
use crate::handler::{
    Answer, Call, Entry, FIRST_VERSION, Handlers, JobError, Limit, Options, Outcome, RawJob, Said, Steps, Verdict,
};
use crate::job::JobId;
use crate::layer::{JobCall, JobLayer, JobService};
use crate::{logs, metrics, trace};

pub(super) struct Runner<S> {
    shared: Arc<Shared>,
    routes: Arc<Routes<S>>,
    retry_by: Option<RetryBy>,
    /// The handlers with the layers round them, if there are any.
    layered: Option<JobService>,
}

/// The handlers and what they work with.
struct Routes<S> {
    handlers: Handlers<S>,
    state: S,
}

impl<S: Send + Sync + 'static> Runner<S> {
    pub(super) fn new(
        shared: Arc<Shared>,
        handlers: Handlers<S>,
        state: S,
        retry_by: Option<RetryBy>,
        layers: &[Box<dyn JobLayer>],
    ) -> Self {
        let routes = Arc::new(Routes { handlers, state });
        let layered = (!layers.is_empty()).then(|| {
            let routes = Arc::clone(&routes);
            let innermost = JobService::new(move |call| {
                let routes = Arc::clone(&routes);
                async move { routes.run(call).await }
            });
            layers.iter().rev().fold(innermost, |inside, layer| layer.around(inside))
        });
        Self { shared, routes, retry_by, layered }
    }

    /// Starts so many tasks that run jobs of this queue until its buffer is empty.
    pub(super) fn start(self: &Arc<Self>, queue: &Arc<Queue>, tasks: usize) {
        for _ in 0..tasks {
            tokio::spawn(Arc::clone(self).work(Arc::clone(queue), None));
        }
    }

    /// Runs jobs until the buffer is empty. `of`: it is the spare of another.
    async fn work(self: Arc<Self>, queue: Arc<Queue>, of: Option<Spare>) {
        if let Some(of) = of {
            of.begins();
        }
        let spare = Spare::default();
        while let Some((job, start_spare)) = queue.next(&spare) {
            if start_spare {
                self.start_spare(&queue, &spare);
            }
            // Without an answer the slot was given to another task.
            let Some(took) = self.run(&queue, job).await else { return };
            if queue.ran(took) {
                self.shared.look.notify_one();
            }
            // Handlers that never wait would keep the thread from everybody else.
            tokio::task::consume_budget().await;
        }
        self.shared.look.notify_one();
    }

    /// Boxed, since a task that starts one like itself would have no size.
    fn start_spare(self: &Arc<Self>, queue: &Arc<Queue>, spare: &Spare) {
        let work: BoxFuture<'static, ()> = Arc::clone(self).work(Arc::clone(queue), Some(spare.clone())).boxed();
        tokio::spawn(work);
    }

    /// Runs one job. Returns how long that took; `None`: so long that its slot was given to another.
    async fn run(&self, queue: &Arc<Queue>, job: Claimed) -> Option<Duration> {
        let (options, unreadable) = match Options::read(job.options.as_deref()) {
            Ok(options) => (options, None),
            Err(error) => (None, Some(error)),
        };
        let version = options.as_ref().and_then(|o| o.version).unwrap_or(FIRST_VERSION);
        let Some(found) = self.routes.handlers.find(&job.kind, version) else {
            self.shared.give_back(vec![job]);
            return Some(Duration::ZERO);
        };
        let entry = found.as_ref().ok();
        let of_job = options.as_deref().and_then(Options::timeout);
        let declared = entry.and_then(|entry| entry.timeout);
        let timeout = self.shared.timeouts.of(of_job, &job.kind, declared, &queue.name);
        let started = Instant::now();
        let (howdah, notes) = (&self.shared.howdah, &self.shared.notes);
        let call = Arc::new(call(howdah, notes, &queue.name, &job, started, timeout, options));
        let policy = Policy::new(&job.kind, entry.and_then(|entry| entry.retry), self.retry_by.clone());
        let (payload, unreadable) = howdah.keys().open_or(&job.kind, job.payload, unreadable);
        self.shared.begin(Run {
            call: Arc::clone(&call),
            lease: job.lease,
            position: job.position,
            queue: Arc::clone(queue),
            policy,
            slot_taken: false,
        });
        let mut measured = None;
        let attempt = async {
            measured = Some(metrics::Attempt::begin(&queue.name, &job.kind));
            let raw = RawJob { kind: job.kind, payload, version };
            self.attempt(&call, raw, unreadable, found).await
        };
        // Not only handlers panic: so may the application's log and metrics, and what is dropped with a handler.
        let ended = AssertUnwindSafe(attempt).catch_unwind().await;
        let answer = call.take_answer();
        // Who waits for an answer that is dropped is told that the lease was lost.
        let (outcome, answer) = match ended {
            Ok(outcome) => (outcome, answer),
            Err(panic) => (Outcome::Failed(failure(panic)), None),
        };
        let took = started.elapsed();
        let measured = |end| quietly(|| measured.into_iter().for_each(|attempt| attempt.end(end, took)));
        let Some(run) = self.shared.end(&call) else {
            quietly(|| {
                tracing::info!(job = %call.id, attempt = call.attempt,
                    "an abandoned handler has ended; its result is dropped");
            });
            measured("abandoned");
            return None;
        };
        let slot_taken = run.slot_taken;
        measured(finish(&self.shared, run, outcome, answer));
        (!slot_taken).then_some(took)
    }

    /// Calls the handler of one job, unless there is none or the job cannot be read.
    async fn attempt(
        &self,
        call: &Arc<Call>,
        raw: RawJob,
        unreadable: Option<JobError>,
        found: Result<&Entry<S>, JobError>,
    ) -> Outcome {
        let settings = &self.shared.settings;
        let (span, lines) = logs::collect(|| trace::attempt_span(call, &raw.kind, settings.continue_trace));
        // Inside an async block, so that a panic before the first await is caught as well.
        let work = async {
            if call.limit.deadline().is_some() {
                // Whom this task has just woken (the flusher, the claimer) waits in a slot of this thread from which no
                // other thread takes: it comes first, since this handler may block the thread.
                tokio::task::yield_now().await;
            }
            match (unreadable, &self.layered, found) {
                (Some(error), ..) | (_, None, Err(error)) => Outcome::Failed(error),
                (_, None, Ok(entry)) => (entry.run)(raw, Arc::clone(call), &self.routes.state).await,
                (_, Some(service), _) => service.clone().run(JobCall::new(raw, Arc::clone(call))).await,
            }
        };
        let work = work.instrument(span.clone());
        let outcome = guard(call, settings.timeout_grace, &self.shared.aborting, work).await;
        trace::ended(&span, &outcome);
        lines.send(call);
        outcome
    }
}

impl<S: Send + Sync + 'static> Routes<S> {
    /// Inside of all layers: the handler of what has arrived there.
    async fn run(&self, call: JobCall) -> Outcome {
        let (raw, call) = call.into_parts();
        match self.handlers.find(&raw.kind, raw.version) {
            Some(Ok(entry)) => (entry.run)(raw, call, &self.state).await,
            Some(Err(error)) => Outcome::Failed(error),
            None => Outcome::Failed(JobError::retry(format!("no handler does jobs of the kind {:?}", raw.kind))),
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
        limit: Limit::new(started, timeout),
        options,
        said: Said::default(),
        steps: Steps::default(),
        notes: Arc::clone(notes),
        cancelled: CancellationToken::new(),
        cancel_asked: AtomicBool::new(false),
        lost: AtomicBool::new(false),
        answer: Mutex::default(),
    }
}

/// Tells how a job ended that was taken out of the running ones; returns the name of that.
pub(super) fn finish(shared: &Shared, run: Run, outcome: Outcome, answer: Option<Answer>) -> &'static str {
    let call = &run.call;
    let end = ending(call, run.policy.applied(outcome, call));
    // Who waits for an answer that is dropped is told that the lease was lost.
    let answer = answer.filter(|_| !matches!(end, End::Lost));
    let name = end.name();
    let run_ms = i32::try_from(call.started.elapsed().as_millis()).unwrap_or(i32::MAX);
    let wait = if call.attempt == 1 { shared.clock.since(call.enqueued_micros, call.started) } else { None };
    shared.tally.count(run.queue.id(), run.policy.kind(), call, &end, run_ms, wait);
    let id = call.id.0;
    shared.tell(Finished { lease: run.lease, position: run.position, id, run_ms, end, answer });
    name
}

/// What is told of a job.
pub(super) fn ending(call: &Call, outcome: Outcome) -> End {
    let (error, result) = match outcome {
        Outcome::Done(result) => (None, result),
        Outcome::Failed(error) => (Some(error), None),
        Outcome::Released => return released(call),
    };
    if let Some(error) = error.as_ref().filter(|error| error.verdict != Verdict::Wait) {
        quietly(|| {
            tracing::warn!(job = %call.id, attempt = call.attempt, queue = %call.queue, verdict = error.verdict.as_str(),
                kind = %error.kind, error = %error.message, "attempt failed");
        });
    }
    if call.limit.is_completing() {
        return End::CompletedIn(error);
    }
    if call.lost.load(Ordering::Acquire) {
        quietly(|| {
            metrics::lease_lost("running");
            tracing::warn!(job = %call.id, attempt = call.attempt, "the result is dropped: the lease was lost before");
        });
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
    if call.limit.is_completing() {
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
