//! The worker: claims jobs, runs them, says how they ended.
//!
//! One process has one [`Worker`]: four connections of its own (a fifth once jobs report progress or keep logs, two
//! more where the keeper is, one while a transaction that is open holds a job that has ended) and a handful of tasks. `claimer` takes jobs from the database into the buffers of `queue`;
//! `runner` runs them, and `watchdog` sees to those that do not end; `flusher` collects how they ended, and `teller` tells the database;
//! `chores` sends the heartbeat and does the keeper's work if this process is elected; `listener` hears of new
//! jobs. They share what is in `shared`, and nothing else. `receive` is a worker for those who pull; `inline` does without
//! the tasks, for tests.
//!
//! Invariant: no database error ends a worker once it runs; every task reconnects by itself. Limit: a job is
//! buffered here only if it can start at once or jobs take milliseconds.

mod chores;
mod claimer;
mod cron;
mod declare;
mod engine;
mod failures;
mod filtered;
mod flusher;
mod fronts;
mod guard;
mod in_transaction;
#[cfg(feature = "testing")]
mod inline;
mod lanes;
mod ledger;
mod link;
mod listener;
mod notes;
mod panics;
mod part;
mod pieces;
mod policy;
mod queue;
mod receive;
mod report;
mod rotation;
mod routing;
mod runner;
mod several;
mod shared;
mod sleep;
mod tally;
mod teller;
mod timeouts;
mod walk;
mod watchdog;

pub(crate) use link::backoff;
pub use policy::FailedAttempt;
use policy::RetryBy;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::lanes::Group;
use crate::client::Howdah;
use crate::cron::Schedule;
use crate::error::{Error, Result};
use crate::filter::Filter;
pub(crate) use notes::{Note, Notes};

use crate::handler::{Ctx, Entry, FromRef, Handler, Handlers, IntoOutcome, RawJob};
use crate::layer::JobLayer;

#[cfg(feature = "testing")]
pub(crate) use inline::{Inline, Ran, run_alone};
pub use receive::{JobHandle, Receive, Receiver};

/// As good as for ever, and short enough to be added to a time.
const NO_END: Duration = Duration::from_secs(100 * 365 * 86_400);
/// The least often that a worker looks for jobs.
const SELDOM: Duration = Duration::from_secs(3600);

/// How a worker goes about its work. The defaults are in [`Worker::new`].
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    name: String,
    concurrency: usize,
    heartbeat: Duration,
    lease: Duration,
    poll: Duration,
    grace: Duration,
    timeout_grace: Duration,
    keeper: bool,
    listen: bool,
    continue_trace: bool,
    filter: Option<Filter>,
    /// Whether short jobs may be claimed before there is a hand free for them.
    claims_ahead: bool,
    schedules: Vec<Schedule>,
}

/// Runs jobs. Give it handlers, then [`run_until`](Worker::run_until) something happens.
///
/// ```no_run
/// use howdah::{Ctx, Howdah, Job, JobError, Worker};
///
/// #[derive(Job, serde::Serialize, serde::Deserialize)]
/// struct Welcome { user: i64 }
///
/// #[derive(Clone)]
/// struct Mailer;
///
/// async fn welcome(job: Welcome, cx: Ctx<Mailer>) -> Result<(), JobError> {
///     println!("mail to user {}, attempt {}", job.user, cx.attempt());
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), howdah::Error> {
/// let howdah = Howdah::connect("postgres://localhost/app").await?;
/// Worker::new(&howdah).state(Mailer).handle(welcome).run().await
/// # }
/// ```
#[must_use = "a worker does nothing until it is run"]
pub struct Worker<S = ()> {
    pub(crate) howdah: Howdah,
    state: S,
    handlers: Handlers<S>,
    layers: Vec<Box<dyn JobLayer>>,
    queues: Vec<(String, usize)>,
    groups: Vec<Group>,
    settings: Settings,
    retry_by: Option<RetryBy>,
}

impl Worker<()> {
    /// A worker with these settings: 10 jobs of each queue at a time, a heartbeat every 2 s, a lease of 20 s, a
    /// grace period of 30 s.
    pub fn new(howdah: &Howdah) -> Self {
        Self {
            howdah: howdah.clone(),
            state: (),
            handlers: Handlers::new(),
            layers: Vec::new(),
            queues: Vec::new(),
            groups: Vec::new(),
            settings: Settings {
                name: default_name(),
                concurrency: 10,
                heartbeat: Duration::from_secs(2),
                lease: Duration::from_secs(20),
                poll: Duration::from_millis(500),
                grace: Duration::from_secs(30),
                timeout_grace: Duration::from_secs(1),
                keeper: true,
                listen: true,
                continue_trace: false,
                filter: None,
                claims_ahead: true,
                schedules: Vec::new(),
            },
            retry_by: None,
        }
    }

    /// Gives handlers something to work with: the application's own state. Call it before
    /// [`handle`](Worker::handle).
    ///
    /// # Panics
    /// If a handler was added before: it would not have the state.
    pub fn state<S: 'static>(self, state: S) -> Worker<S> {
        assert!(self.handlers.is_empty(), "call Worker::state before Worker::handle");
        Worker {
            howdah: self.howdah,
            state,
            handlers: Handlers::new(),
            layers: self.layers,
            queues: self.queues,
            groups: self.groups,
            settings: self.settings,
            retry_by: self.retry_by,
        }
    }
}

impl<S: Send + Sync + 'static> Worker<S> {
    /// Runs jobs of one type with this function. Only kinds that have a function are claimed.
    ///
    /// Types of the same kind and different [`Job::VERSION`](crate::Job::VERSION)s may have a function each; every
    /// job goes to that of its version, and fails with the error kind `version` if there is none, to be tried again
    /// by a worker that knows it. A function that is alone for its kind gets every version.
    pub fn handle<M, H: Handler<S, M>>(mut self, handler: H) -> Self {
        self.handlers.add(handler);
        self
    }

    /// Runs jobs of every kind that has no function of its own and no prefix.
    pub fn handle_any<T, O, F, Fut, R>(mut self, handler: F) -> Self
    where
        O: 'static,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<O> + 'static,
    {
        self.handlers.add_any(Entry::raw(handler));
        self
    }

    /// Serves this queue with so many jobs at a time, and only the queues named so. Without it: the queues that
    /// the handlers' jobs declare. A queue that does not exist is created.
    pub fn queue(mut self, name: impl Into<String>, concurrency: usize) -> Self {
        self.queues.push((name.into(), concurrency));
        self
    }

    /// How many jobs of each queue run at a time, where [`queue`](Self::queue) does not say; 10.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.settings.concurrency = jobs;
        self
    }

    /// Decides with a function when a failed job is tried again; `None`: as the job, its kind or its queue says. A handler
    /// that has given a time itself is not asked about.
    pub fn retry_by(mut self, wait: impl Fn(&FailedAttempt<'_>) -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.retry_by = Some(Arc::new(wait));
        self
    }

    /// What people see in `howdah.workers`; the host's name and the process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How often the worker says that it lives, 10 ms to half the lease; 2 s.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.settings.heartbeat = every;
        self
    }

    /// How long after its last heartbeat its jobs are given to others, 100 ms to a day; 20 s. Their kinds and queues may
    /// say otherwise, see [`QueueSettings::lease_ms`](crate::QueueSettings::lease_ms).
    pub fn lease(mut self, after: Duration) -> Self {
        self.settings.lease = after;
        self
    }

    /// How often it looks for jobs while it cannot listen, at most every hour; 500 ms.
    pub fn poll(mut self, every: Duration) -> Self {
        self.settings.poll = every.min(SELDOM);
        self
    }

    /// How long running jobs may go on after the worker was told to stop; 30 s.
    pub fn grace(mut self, at_most: Duration) -> Self {
        self.settings.grace = at_most.min(NO_END);
        self
    }

    /// Whether it may be elected to do the chores (promote what is due, rescue, rotate); true. At least one
    /// worker must.
    pub fn keeper(mut self, may: bool) -> Self {
        self.settings.keeper = may;
        self
    }

    /// Whether it listens for new jobs; true. Without it, it polls.
    pub fn listen(mut self, listen: bool) -> Self {
        self.settings.listen = listen;
        self
    }

    /// Whether the span of a job is a child of the span that it was enqueued in, in one trace, instead of the root of
    /// a trace of its own that is linked to that; false. For the feature `opentelemetry`, and jobs that run at once.
    pub fn continue_trace(mut self, of_enqueuer: bool) -> Self {
        self.settings.continue_trace = of_enqueuer;
        self
    }

    /// Claims only jobs whose attributes match, in all of its queues; the others are left for workers without a filter
    /// or with another. Each claim looks at up to 2000 jobs and goes on where the last one stopped, so that many jobs
    /// that do not match delay one that does, but do not make claims dear. The SQL function behind it is
    /// `howdah.claim_where`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.settings.filter = Some(filter);
        self
    }

    /// Runs until the process is told to stop: Ctrl-C, or SIGTERM.
    ///
    /// # Errors
    /// As [`run_until`](Self::run_until).
    pub async fn run(self) -> Result<()> {
        self.run_until(told_to_stop()).await
    }

    /// Runs until this future is ready. Then it claims no more, gives back what has not started (the attempt does
    /// not count), lets running jobs finish for the grace period, cancels the rest, tells the database how all of
    /// them ended, and leaves.
    ///
    /// # Errors
    /// Before it has started: [`Error::Worker`] for handlers or queues that make no sense,
    /// [`Error::NotInstalled`] and [`Error::SchemaMismatch`], [`Error::Pooler`], and what the database refuses.
    /// Once it runs, errors of the database are logged and survived. [`Error::Worker`] too if one of the worker's own tasks
    /// panicked, because of a hook, say: it has stopped then as if it was told to.
    pub async fn run_until<F: Future>(self, stop: F) -> Result<()> {
        self.run_telling(|| (), stop).await
    }

    /// As [`run_until`](Self::run_until); says when it has started.
    async fn run_telling<F: Future>(self, started: impl FnOnce() + Send, stop: F) -> Result<()> {
        let queues = self.served_queues()?;
        declare::check(&self.settings.schedules)?;
        let lanes = lanes::divide(&queues, &self.groups, &self.handlers)?;
        let Self { howdah, state, handlers, layers, settings, retry_by, .. } = self;
        let work = engine::Work { handlers, state, layers, retry_by };
        engine::run(howdah, work, lanes, settings, started, stop).await
    }

    fn served_queues(&self) -> Result<Vec<(String, usize)>> {
        if self.handlers.is_empty() {
            return Err(Error::Worker("a worker needs at least one handler: call `.handle(your_function)`".to_owned()));
        }
        if let Some(mistake) = self.handlers.mistake() {
            return Err(Error::Worker(mistake.to_owned()));
        }
        let mut queues = self.queues.clone();
        if queues.is_empty() {
            let declared = self.handlers.queues().into_iter();
            queues = declared.map(|queue| (queue.to_owned(), self.settings.concurrency)).collect();
        }
        for (i, (name, concurrency)) in queues.iter().enumerate() {
            if *concurrency == 0 {
                return Err(Error::Worker(format!("queue {name:?} has a concurrency of 0: it would never run a job")));
            }
            if queues[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::Worker(format!("queue {name:?} is named twice")));
            }
        }
        Ok(queues)
    }
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("queues", &self.queues).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// `host/pid`.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    format!("{}/{}", host.as_deref().unwrap_or("worker").trim(), std::process::id())
}

async fn told_to_stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
