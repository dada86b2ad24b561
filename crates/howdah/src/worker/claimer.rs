//! Takes jobs out of the database into the buffers, as many as can start.
//!
//! Invariant: one claim at a time, so that a process is one claimer to the database, however many queues it
//! serves. The commit of a claim does not wait for the disk, unless a limit counts it: losing one means that its jobs
//! are claimed again.
//! Limit: it looks when a runner is free, when it is woken, and when [`Sleep`] says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use sqlx::types::Json;

use super::chores::{disown, warn_of_disowned};
use super::fronts::Fronts;
use super::link::Link;
use super::queue::{Claimed, Lease, Queue};
use super::several::Due;
use super::shared::Shared;
use super::sleep::{LOOK, Next, Sleep};
use super::walk::Walk;
use crate::error::Result;
use crate::metrics;
use crate::sqltime::Micros;

/// How often a listening worker looks without being told to.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// Jobs that were claimed ahead and have not started after this are given back.
const STALE: Duration = Duration::from_millis(250);
/// What `howdah.claim` says to a worker that was given up.
pub(super) const UNKNOWN_WORKER: &str = "HD004";
/// Looking in vain takes at most one part in so many of a claimer's time.
const DEAR: u32 = 5;
/// A claim that has emptied the queue is followed by the next one after this: in a stream of jobs, some have gathered
/// until then, and enqueuers get more of the processors.
const GATHER: Duration = Duration::from_millis(2);
const FOREVER: Duration = Duration::from_secs(3600);

/// Starts runners: so many, for this queue.
pub(super) type Start = Arc<dyn Fn(&Arc<Queue>, usize) + Send + Sync>;

/// What [`CLAIM`] gives for each job.
pub(super) type Row =
    (i64, i64, String, Json<Box<RawValue>>, i16, i16, i16, Micros, Option<Json<Box<RawValue>>>, Option<Micros>);

impl Claimed {
    /// A row of a claim, in its place.
    pub(super) fn new(lease: &Arc<Lease>, position: usize, row: Row) -> Self {
        Self {
            lease: Arc::clone(lease),
            position,
            id: row.1,
            kind: row.2,
            payload: row.3.0,
            attempt: row.4,
            max_attempts: row.5,
            priority: row.6,
            enqueued_micros: row.7.0,
            options: row.8.map(|json| json.0),
        }
    }
}

pub(super) const CLAIM: &str =
    "SELECT lease_id, id, kind, payload, attempt, max_attempts, priority, enqueued_at, options, NULL::timestamptz
                       FROM howdah.claim($1, $2, $3, $4, $5, $6, $7)";
/// With the server's time for who measures how long jobs have waited.
const CLAIM_AND_CLOCK: &str =
    "SELECT lease_id, id, kind, payload, attempt, max_attempts, priority, enqueued_at, options, howdah.now()
                                 FROM howdah.claim($1, $2, $3, $4, $5, $6, $7)";

pub(super) struct Look {
    pub(super) queue: Arc<Queue>,
    pub(super) fronts: Fronts,
    /// Instead of the fronts, if the worker has a filter.
    pub(super) walk: Walk,
    sleep: Sleep,
    /// When to look again by itself.
    pub(super) at: Instant,
    /// There was no free hand when it last wanted to look.
    full: bool,
    /// So many claims have failed one after another; until then, nothing makes it look again.
    pub(super) failures: u32,
    retry_at: Instant,
    /// The server has refused the claim: it is not asked together with others, which may be no reason for that.
    pub(super) alone: bool,
}

impl Look {
    /// Its claim has failed: it is tried again after this.
    pub(super) fn fails(&mut self, wait: Duration, alone: bool) {
        (self.failures, self.alone) = (self.failures + 1, alone);
        self.retry_at = Instant::now() + wait;
        self.at = self.retry_at;
    }

    /// Its claim was answered.
    pub(super) fn works(&mut self) {
        (self.failures, self.alone) = (0, false);
    }

    /// Whether it waits to be notified.
    pub(super) fn is_asleep(&self) -> bool {
        self.sleep.announced()
    }
}

pub(super) struct Claimer {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    start: Start,
    pub(super) looks: Vec<Look>,
    /// Whom the announcements are of.
    worker: i64,
    /// The last claim failed, and may have been done all the same.
    unanswered: bool,
    /// It was told to claim nothing when it last wanted to.
    was_quiet: bool,
}

impl Claimer {
    pub(super) fn new(shared: Arc<Shared>, link: Link, start: Start) -> Self {
        let now = Instant::now();
        let looks = shared
            .queues
            .iter()
            .map(|queue| Look {
                queue: Arc::clone(queue),
                fronts: Fronts::default(),
                walk: Walk::new(now),
                sleep: Sleep::new(now),
                at: now,
                full: false,
                failures: 0,
                retry_at: now,
                alone: false,
            })
            .collect();
        let worker = shared.worker_id();
        Self { shared, link, start, looks, worker, unanswered: false, was_quiet: false }
    }

    /// Runs until the worker stops; then gives back what has not started.
    pub(super) async fn run(mut self) {
        let stopping = self.shared.stopping.clone();
        while !stopping.is_cancelled() {
            self.know_thyself();
            if let Err(error) = self.look().await {
                // Who was woken, or had a free hand, may have been passed over.
                let now = Instant::now();
                self.looks.iter_mut().filter(|look| look.failures == 0).for_each(|look| look.at = now);
                if error.has_code(UNKNOWN_WORKER) {
                    // Given up by the keeper: the heartbeat finds out and registers again.
                    self.shared.beat.notify_one();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                } else {
                    tokio::select! {
                        () = self.link.failed(&error) => {}
                        () = stopping.cancelled() => {}
                    }
                }
            }
            let next = self.looks.iter().map(|look| look.at).min().unwrap_or_else(Instant::now);
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.shared.look.notified() => {}
                () = stopping.cancelled() => {}
            }
        }
        for look in &self.looks {
            self.shared.give_back(look.queue.take_all());
        }
        self.link.close().await;
    }

    /// A worker that was given up is another one now, which has announced nothing.
    fn know_thyself(&mut self) {
        let worker = self.shared.worker_id();
        if std::mem::replace(&mut self.worker, worker) != worker {
            let now = Instant::now();
            for look in &mut self.looks {
                look.sleep = Sleep::new(now);
                look.at = now;
            }
        }
    }

    /// After a claim whose answer was lost: gives back what it may have taken.
    async fn disown(&mut self) -> Result<()> {
        if self.unanswered {
            let (jobs,) = self.link.row(disown(&self.shared, 0)).await?;
            warn_of_disowned(jobs);
            self.unanswered = false;
        }
        Ok(())
    }

    /// Looks into the queues for which it is time.
    async fn look(&mut self) -> Result<()> {
        self.disown().await?;
        let quiet = self.shared.quiet.load(Ordering::Acquire);
        let was_quiet = std::mem::replace(&mut self.was_quiet, quiet);
        if quiet || was_quiet {
            // It is woken when that is over, and looks everywhere then.
            let at = Instant::now() + if quiet { FOREVER } else { Duration::ZERO };
            self.looks.iter_mut().for_each(|look| look.at = at);
        }
        if quiet {
            return Ok(());
        }
        self.gather_sleepers(Instant::now());
        let mut due = Vec::new();
        for i in 0..self.looks.len() {
            if let Some(wanted) = self.due(i).await? {
                due.push(Due { look: i, wanted });
            }
        }
        self.claim_all(&due).await
    }

    /// Whether it is time to look into a queue and there is a free hand: then for how many jobs.
    async fn due(&mut self, i: usize) -> Result<Option<usize>> {
        if self.looks[i].queue.remade.swap(false, Ordering::AcqRel) {
            self.find_again(i).await?;
        }
        let now = Instant::now();
        let look = &mut self.looks[i];
        if now < look.retry_at {
            look.at = look.retry_at;
            self.shared.give_back(look.queue.take_stale(STALE));
            return Ok(None);
        }
        let notifications = look.queue.woken.swap(0, Ordering::AcqRel);
        let woken = notifications > 0;
        let withdraw = woken && look.sleep.woken(now, notifications);
        self.shared.give_back(look.queue.take_stale(STALE));
        let wanted = if self.shared.is_behind() { 0 } else { look.queue.wanted() };
        if wanted == 0 {
            look.full = true;
            look.at = now + if look.queue.is_idle() { FOREVER } else { STALE };
            if withdraw {
                self.withdraw(i).await?;
            }
            return Ok(None);
        }
        if !(woken || look.full || now >= look.at) {
            return Ok(None);
        }
        let reason = if woken {
            "notified"
        } else if look.full {
            "free"
        } else {
            "time"
        };
        metrics::looked(&look.queue.name, reason);
        look.full = false;
        if woken {
            look.fronts.hear();
        }
        if withdraw {
            self.withdraw(i).await?;
        }
        Ok(Some(wanted))
    }

    /// The queue may be another one of the same name: its jobs are claimed by its name, but whoever enqueues looks for
    /// sleepers by its id. So if it has announced itself, it does so again.
    async fn find_again(&mut self, i: usize) -> Result<()> {
        let look = &mut self.looks[i];
        let sql = self.shared.howdah.names().sql("SELECT howdah.queue_id($1)");
        let found: Vec<(Option<i32>,)> = match self.link.rows(sqlx::query_as(sql).bind(look.queue.name.as_ref())).await
        {
            Ok(found) => found,
            Err(error) => {
                look.queue.remade.store(true, Ordering::Release);
                return Err(error);
            }
        };
        let id = found.first().and_then(|(id,)| *id).unwrap_or(0);
        if id != look.queue.id() {
            look.queue.set_id(id);
            look.sleep.forgotten();
        }
        look.fronts.sweep();
        Ok(())
    }

    pub(super) async fn claim_or_sleep(&mut self, i: usize, wanted: usize) -> Result<()> {
        if self.shared.settings.filter.is_some() {
            return self.claim_by_filter(i, wanted).await;
        }
        let now = Instant::now();
        let fronts = self.looks[i].fronts.next(now);
        let swept = fronts.is_none();
        let found = match self.claim(i, wanted, fronts).await {
            Ok(found) => found,
            Err(error) => {
                self.failed_to_claim(i, now);
                return Err(error);
            }
        };
        let is_drowsy = self.claimed(Due { look: i, wanted }, now, found, swept);
        if is_drowsy { self.fall_asleep(&[i]).await } else { Ok(()) }
    }

    /// Decides when to look again after a claim that began `now`. Returns whether it is time to sleep.
    pub(super) fn claimed(&mut self, due: Due, now: Instant, found: usize, swept: bool) -> bool {
        let i = due.look;
        if swept {
            self.looks[i].fronts.sweep_took(now.elapsed());
        }
        if found > 0 {
            self.found(i, now);
            if found < due.wanted {
                self.looks[i].at = Instant::now() + GATHER;
            }
        } else if swept {
            return self.found_nothing(i, now);
        } else if self.looks[i].fronts.may_sweep(now) {
            // Nothing behind the front: look everywhere before believing it.
            self.looks[i].fronts.sweep();
            self.look_again(i, now);
        } else {
            // Too early to look everywhere: behind the front again, as any worker that is awake.
            self.looks[i].at = Instant::now() + LOOK;
        }
        false
    }

    pub(super) fn failed_to_claim(&mut self, i: usize, now: Instant) {
        self.unanswered = true;
        self.looks[i].fronts.sweep();
        self.look_again(i, now);
    }

    pub(super) fn found(&mut self, i: usize, now: Instant) {
        self.looks[i].sleep.found(now);
        self.look_again(i, now);
    }

    pub(super) fn look_again(&mut self, i: usize, now: Instant) {
        self.looks[i].at = now;
    }

    /// There is nothing to claim in the whole queue: waits. Returns whether it is time to sleep.
    pub(super) fn found_nothing(&mut self, i: usize, now: Instant) -> bool {
        let poll = if self.shared.listening.load(Ordering::Acquire) { LOOK_ANYWAY } else { self.shared.settings.poll };
        // Not all processes at once.
        let poll = poll.mul_f64(rand::random_range(0.9..1.1));
        let look = &mut self.looks[i];
        // The fronts may be used until then; the look after it is a sweep again.
        look.fronts.sweep();
        match look.sleep.found_nothing(now, poll) {
            // A look that walked over many jobs of other kinds is not repeated soon.
            Next::LookIn(wait) => {
                look.at = Instant::now() + wait.max(now.elapsed() * DEAR).min(LOOK_ANYWAY.max(poll));
                false
            }
            Next::Announce => true,
        }
    }

    /// Announces that it sleeps in these queues, and looks into them once more.
    pub(super) async fn fall_asleep(&mut self, drowsy: &[usize]) -> Result<()> {
        if drowsy.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let queues = drowsy.iter().map(|i| self.looks[*i].queue.id()).collect();
        self.announce("SELECT howdah.fall_asleep($1, $2)", self.shared.worker_id(), queues).await?;
        for i in drowsy {
            let look = &mut self.looks[*i];
            look.sleep.fell_asleep();
            look.at = now;
        }
        Ok(())
    }

    /// One claim. Returns how many jobs it took.
    async fn claim(&mut self, i: usize, wanted: usize, fronts: Option<Vec<i64>>) -> Result<usize> {
        let (shared, look) = (&self.shared, &self.looks[i]);
        let sql = if metrics::ON { CLAIM_AND_CLOCK } else { CLAIM };
        let worker = shared.worker_id();
        let asked = Instant::now();
        let rows: Vec<Row> = self
            .link
            .rows(
                sqlx::query_as(shared.howdah.names().sql(sql))
                    .bind(worker)
                    .bind(look.queue.name.as_ref())
                    .bind(i32::try_from(wanted).unwrap_or(1))
                    .bind(&look.queue.filter.kinds)
                    .bind(&fronts)
                    .bind(&look.queue.filter.prefixes)
                    .bind(&look.queue.filter.except),
            )
            .await?;
        Ok(self.accept(i, asked, rows))
    }

    /// Takes in what a claim gave, and starts it. Returns how many jobs that are.
    pub(super) fn accept(&mut self, i: usize, asked: Instant, rows: Vec<Row>) -> usize {
        let look = &mut self.looks[i];
        let Some(first) = rows.first() else { return 0 };
        let lease = Arc::new(Lease { id: first.0, jobs: rows.len(), arrived: Instant::now() });
        let found = rows.len();
        self.shared.claimed(lease.id, found);
        metrics::claimed(&look.queue.name, found);
        let jobs = rows.into_iter().enumerate().map(|(position, row)| {
            look.fronts.saw(asked, row.6, row.1);
            if let (Some(now), 1) = (row.9, row.4) {
                metrics::picked_up(&look.queue.name, now.0 - row.7.0);
            }
            Claimed::new(&lease, position, row)
        });
        if self.shared.stopping.is_cancelled() {
            self.shared.give_back(jobs.collect());
            return found;
        }
        let runners = look.queue.push(jobs);
        (self.start)(&look.queue, runners);
        found
    }

    /// Takes the announcement back: notifications would wake nobody who could help.
    async fn withdraw(&mut self, i: usize) -> Result<()> {
        let look = &mut self.looks[i];
        if !look.sleep.announced() {
            return Ok(());
        }
        let (queue, worker) = (look.queue.id(), self.shared.worker_id());
        // One row stands for all lanes of the queue: it stays while another of them sleeps.
        let mut others = self.looks.iter().enumerate().filter(|(k, other)| *k != i && other.queue.id() == queue);
        if !others.any(|(_, other)| other.sleep.announced()) {
            self.announce("SELECT howdah.stay_awake($1, $2)", worker, vec![queue]).await?;
        }
        self.looks[i].sleep.stays_awake(Instant::now());
        Ok(())
    }

    async fn announce(&mut self, sql: &'static str, worker: i64, queues: Vec<i32>) -> Result<()> {
        let sql = self.shared.howdah.names().sql(sql);
        self.link.rows::<()>(sqlx::query_as(sql).bind(worker).bind(queues)).await?;
        Ok(())
    }
}
