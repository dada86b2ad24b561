//! A worker from its start to its end.
//!
//! Invariant: it returns only when all of its tasks have ended and its connections are closed. Limit: what a
//! handler has spawned by itself is its own business.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::PgConnection;
use sqlx::types::Json;
use tokio::sync::mpsc;

use super::chores::{Chores, start_worker};
use super::claimer::{Claimer, Start};
use super::declare::declare;
use super::flusher::Flusher;
use super::lanes::Lane;
use super::link::Link;
use super::notes::{Notes, Scribe};
use super::policy::RetryBy;
use super::queue::Queue;
use super::runner::Runner;
use super::shared::Shared;
use super::timeouts::Set;
use super::watchdog::Watchdog;
use super::{Settings, listener, part};
use crate::client::Howdah;
use crate::error::{Error, Result};
use crate::handler::Handlers;
use crate::layer::JobLayer;
use crate::metrics;
use crate::schema::migrate;

/// How long handlers that were told to end may take after the grace period.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is done with jobs.
pub(super) struct Work<S> {
    pub(super) handlers: Handlers<S>,
    pub(super) state: S,
    /// The outermost first.
    pub(super) layers: Vec<Box<dyn JobLayer>>,
    pub(super) retry_by: Option<RetryBy>,
}

pub(super) async fn run<S: Send + Sync + 'static, F: Future>(
    howdah: Howdah,
    work: Work<S>,
    lanes: Vec<Lane>,
    settings: Settings,
    started: impl FnOnce() + Send,
    stop: F,
) -> Result<()> {
    metrics::describe();
    let options = howdah.worker_options();
    let mut chores = Link::new(&howdah, "chores", &[]);
    // Losing a claim in a crash means that its jobs are claimed again: nothing that is worth waiting for the disk.
    // Where a limit, an order or a rate counts it, the claim says otherwise itself.
    let mut claims = Link::new(&howdah, "claimer", &[("synchronous_commit", "off")]);
    let kinds = work.handlers.shown();
    let mut stop = std::pin::pin!(stop);
    let begun = begin(&howdah, &settings, &lanes, kinds.as_deref(), &mut chores, &mut claims, stop.as_mut()).await?;
    let Some(Begun { worker_id, queues, timeouts }) = begun else { return Ok(()) };
    let (sender, receiver) = mpsc::unbounded_channel();
    let (notes, noted) = Notes::new();
    let shared = Arc::new(Shared::new(howdah, settings, kinds, queues, worker_id, sender, notes));
    shared.timeouts.learn(timeouts);
    tracing::info!(worker = worker_id, name = shared.settings.name, "works");

    let transactions = work.handlers.transactions.clone();
    let runner = Arc::new(Runner::new(Arc::clone(&shared), work.handlers, work.state, work.retry_by, &work.layers));
    let start: Start = Arc::new(move |queue: &Arc<Queue>, tasks| runner.start(queue, tasks));
    let claimer = Claimer::new(Arc::clone(&shared), claims, Arc::clone(&start));
    let flusher = Flusher::new(&shared, receiver);
    let _leave = LeaveOnDrop(Arc::clone(&shared));
    let _watchdog = Watchdog::new(Arc::clone(&shared), start).inspect_err(|error| {
        tracing::error!(%error, "cannot start a thread: handlers that block theirs keep their slots");
    });
    let claimer = part::start(&shared, "claimer", claimer.run());
    let flusher = part::start(&shared, "flusher", flusher.run());
    let link = Link::new(&shared.howdah, "notes", &[]);
    let mut others = vec![part::start(&shared, "notes", Scribe::new(Arc::clone(&shared), link, noted).run())];
    if shared.settings.listen {
        others.push(part::start(&shared, "listener", listener::run(Arc::clone(&shared), options)));
    }
    others.push(part::start(&shared, "chores", Chores::new(Arc::clone(&shared), chores).run()));
    started();
    tokio::select! {
        _ = stop => {}
        () = shared.told_to_stop.cancelled() => {}
    }
    finish(&shared).await;
    let _ = claimer.await;
    // What a claim that was on its way has started.
    if !shared.is_idle() {
        finish(&shared).await;
    }
    shared.leaving.cancel();
    let _ = flusher.await;
    // If the flusher has panicked, it has not said so.
    shared.all_told.cancel();
    join_all(others).await;
    transactions.close().await;
    tracing::info!(worker = worker_id, "stopped");
    match shared.lost_part.get() {
        Some(part) => Err(Error::Worker(format!("the worker has stopped, because a part of it panicked: {part}"))),
        None => Ok(()),
    }
}

/// Whoever drops the future of a worker has stopped it, if not gracefully: no task goes on by itself.
struct LeaveOnDrop(Arc<Shared>);

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        self.0.stopping.cancel();
        self.0.aborting.cancel();
        self.0.leaving.cancel();
    }
}

/// A worker that is registered.
struct Begun {
    worker_id: i64,
    /// One for each lane.
    queues: Vec<Arc<Queue>>,
    /// What is set of timeouts.
    timeouts: Option<Set>,
}

/// Checks the database, and registers; waits for a database that cannot be reached. `None`: it was stopped meanwhile.
async fn begin(
    howdah: &Howdah,
    settings: &Settings,
    lanes: &[Lane],
    kinds: Option<&[String]>,
    chores: &mut Link,
    claims: &mut Link,
    mut stop: Pin<&mut impl Future>,
) -> Result<Option<Begun>> {
    loop {
        match try_to_begin(howdah, settings, lanes, kinds, chores, claims).await {
            Err(error) if error.is_transient() => {
                // Either of the two may be the one that failed.
                claims.close().await;
                tokio::select! {
                    () = chores.failed(&error) => {}
                    _ = &mut stop => return Ok(None),
                }
            }
            begun => return begun.map(Some),
        }
    }
}

async fn try_to_begin(
    howdah: &Howdah,
    settings: &Settings,
    lanes: &[Lane],
    kinds: Option<&[String]>,
    chores: &mut Link,
    claims: &mut Link,
) -> Result<Begun> {
    let claims_pid = backend_pid(claims.open().await?).await?;
    let connection = chores.open().await?;
    migrate::check(connection, howdah.names()).await?;
    let pid = backend_pid(connection).await?;
    if pid == claims_pid {
        return Err(Error::Pooler { backend_pid: pid });
    }
    if let Some(filter) = &settings.filter {
        sqlx::query(howdah.names().sql("SELECT howdah.check_filter($1)"))
            .bind(filter.as_str())
            .execute(&mut *connection)
            .await?;
    }
    // Lanes of one queue follow each other.
    let mut names: Vec<&str> = lanes.iter().map(|lane| lane.queue.as_str()).collect();
    names.dedup();
    let (worker_id,) = chores.row(start_worker(howdah, settings, &names, kinds)).await?;
    if settings.listen {
        // Until the listener has a session and attaches that: a first job that takes the process with it is not to cost
        // a whole lease each time.
        let attach = sqlx::query_as::<_, (bool,)>(howdah.names().sql("SELECT howdah.attach_session($1)"));
        chores.row(attach.bind(worker_id)).await?;
    }
    let connection = chores.open().await?;
    // Not sooner: they may name a queue that is served here.
    if let Err(error) = declare(howdah, &settings.schedules, connection).await {
        let stop = sqlx::query_as::<_, (i32,)>(howdah.names().sql("SELECT howdah.stop_worker($1)")).bind(worker_id);
        let _ = chores.row(stop).await;
        return Err(error);
    }
    let connection = chores.open().await?;
    let mut served = Vec::new();
    for lane in lanes {
        let sql = howdah.names().sql("SELECT howdah.queue_id($1)");
        let id: Option<i32> = sqlx::query_scalar(sql).bind(&lane.queue).fetch_one(&mut *connection).await?;
        // None: deleted in this moment.
        let queue = Queue::new(lane, id.unwrap_or(0));
        served.push(Arc::new(if settings.claims_ahead { queue } else { queue.never_ahead() }));
    }
    let timeouts = sqlx::query_scalar(howdah.names().sql("SELECT howdah.timeouts($1)")).bind(names);
    let timeouts: Option<Json<Set>> = timeouts.fetch_one(&mut *connection).await?;
    Ok(Begun { worker_id, queues: served, timeouts: timeouts.map(|Json(set)| set) })
}

async fn backend_pid(connection: &mut PgConnection) -> Result<i32> {
    Ok(sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await?)
}

/// Lets what runs come to its end: by itself, or told to, or cut off.
async fn finish(shared: &Shared) {
    shared.stopping.cancel();
    for queue in &shared.queues {
        shared.give_back(queue.take_all());
    }
    let grace_ends = Instant::now() + shared.settings.grace;
    tracing::info!(grace_ms = shared.settings.grace.as_millis(), "stopping: no more claims, waiting for running jobs");
    if idle_before(shared, grace_ends).await {
        return;
    }
    tracing::warn!("the grace period is over: cancelling the jobs that still run");
    shared.cancel_all();
    if !idle_before(shared, Instant::now() + LAST_WORDS).await {
        shared.aborting.cancel();
        idle_before(shared, Instant::now() + LAST_WORDS).await;
    }
}

/// Waits until nothing runs any more; runners tell when they end.
async fn idle_before(shared: &Shared, end: Instant) -> bool {
    while !shared.is_idle() {
        let wait = (Instant::now() + Duration::from_millis(50)).min(end);
        let _ = tokio::time::timeout_at(wait.into(), shared.look.notified()).await;
        if Instant::now() >= end {
            return shared.is_idle();
        }
    }
    true
}
