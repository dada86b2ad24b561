//! The heartbeat, and the keeper's chores if this process is elected.
//!
//! Both on one connection: a chore is short, and a heartbeat that comes some hundred milliseconds late harms
//! nobody. The keeper promotes what is due (by a timer for the next due time; in a stream of due jobs every 25 ms),
//! rescues the jobs of dead workers. What takes longer (rotate, prune) is in [`Rotation`], and the
//! clock of schedules in [`Cron`]. A tick and a heartbeat that are due at about the same time are one statement, so that an
//! idle worker asks little.
//!
//! Invariant: every chore's statement checks that the term is still this worker's. Limit: without any keeper,
//! nothing is promoted or rescued; every worker looks with its heartbeat whether there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::types::Json;

use super::cron::Cron;
use super::link::{Link, PATIENCE, Rows, backoff};
use super::rotation::Rotation;
use super::shared::Shared;
use super::timeouts::Set;
use super::{Settings, report};
use crate::client::Howdah;
use crate::error::Result;
use crate::filter::Filter;
use crate::metrics;

/// What `howdah.keep` says when another keeper was elected.
pub(super) const TERM_IS_OVER: &str = "HD011";
/// How often the keeper looks for dead workers and for what was committed late.
const TICK: Duration = Duration::from_secs(2);
/// A tick comes so much earlier if a heartbeat is due.
const ALONG: Duration = Duration::from_millis(500);
/// How long an office that is not renewed lasts.
const TERM_MS: i32 = 5000;
/// In a stream of due jobs: how often to promote, and how long after the last one it is a stream.
const STREAM_TICK: Duration = Duration::from_millis(25);
const STREAM: Duration = Duration::from_millis(250);
/// How often a worker looks whether the keeper's office is vacant, if its heartbeats do not tell sooner.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often to look for claims that were never answered.
const DISOWN_EVERY: Duration = Duration::from_secs(60);
/// What `howdah.keep` promotes at most.
const MOST_PROMOTED: i32 = 1000;

const BEAT: &str = "SELECT alive, keeper_vacant, cancelled, robbed, timeouts, told, howdah.micros(howdah.now())
   FROM howdah.heartbeat($1)";
const KEEP: &str =
    "SELECT promoted, next_ms, rescued, NULL::boolean, NULL::boolean, NULL::bigint[], NULL::integer, NULL::jsonb, NULL::text,
          howdah.micros(howdah.now())
   FROM howdah.keep($1, $2, $3, $4, $5)";
const KEEP_AND_BEAT: &str =
    "SELECT promoted, next_ms, rescued, alive, keeper_vacant, cancelled, robbed, timeouts, told,
          howdah.micros(howdah.now())
   FROM howdah.keep($1, $2, $3, $4, $5), howdah.heartbeat($1)";

/// What [`BEAT`] gives.
type Pulse = (bool, bool, Vec<i64>, Option<i32>, Option<Json<Set>>, Option<String>, i64);
/// What [`KEEP`] gives, and with [`KEEP_AND_BEAT`] what [`BEAT`] gives.
type Kept = (
    i32,
    Option<i64>,
    Option<Vec<String>>,
    Option<bool>,
    Option<bool>,
    Option<Vec<i64>>,
    Option<i32>,
    Option<Json<Set>>,
    Option<String>,
    i64,
);

struct Office {
    term: i64,
    /// The next tick, and whether it is one that looks at everything.
    tick_at: Instant,
    sweep_at: Instant,
    rotation: Rotation,
    cron: Cron,
    /// A job was promoted at this time.
    promoted: Option<Instant>,
    /// So many ticks were refused one after another.
    refused: u32,
}

pub(super) struct Chores {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    pub(super) report_at: Instant,
    beat_at: Instant,
    disown_at: Instant,
    watch_at: Instant,
    office: Option<Office>,
    /// How often this worker had lost some of its jobs when it last asked which.
    robbed: i32,
}

impl Chores {
    pub(super) fn new(shared: Arc<Shared>, link: Link) -> Self {
        let now = Instant::now();
        Self {
            shared,
            link,
            report_at: now + report::EVERY,
            beat_at: now,
            disown_at: now + DISOWN_EVERY,
            watch_at: now,
            office: None,
            robbed: 0,
        }
    }

    /// Runs until the worker has told everything; then unregisters it.
    pub(super) async fn run(mut self) {
        let leaving = self.shared.all_told.clone();
        while !leaving.is_cancelled() {
            if let Err(error) = self.turn().await {
                if error.has_code(TERM_IS_OVER) {
                    tracing::info!("another worker is the keeper now");
                    self.office = None;
                } else {
                    tokio::select! {
                        () = self.link.failed(&error) => {}
                        () = leaving.cancelled() => {}
                    }
                }
                continue;
            }
            let next = self.next();
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = self.shared.beat.notified() => self.beat_at = Instant::now(),
                () = self.shared.due.notified() => {
                    if let Some(office) = self.office.as_mut().filter(|office| office.refused == 0) {
                        office.tick_at = Instant::now();
                    }
                }
                () = leaving.cancelled() => {}
            }
        }
        self.leave().await;
    }

    /// When there is something to do next.
    fn next(&self) -> Instant {
        let office = match &self.office {
            Some(office) => Some(office.tick_at),
            // Who may not have it does not look whether it is vacant: its time to look has passed, and would be now for ever.
            None => self.may_keep().then_some(self.watch_at),
        };
        [office, self.report_due()].into_iter().flatten().fold(self.beat_at, Instant::min)
    }

    async fn turn(&mut self) -> Result<()> {
        let now = Instant::now();
        let beat = now >= self.beat_at;
        if self.office.as_ref().is_some_and(|o| now + if beat { ALONG } else { Duration::ZERO } >= o.tick_at) {
            self.tick_or_beat(beat).await?;
        } else if beat {
            self.heartbeat().await?;
        }
        if beat {
            self.beat_at = now + self.shared.settings.heartbeat;
        }
        if self.office.is_none() && now >= self.watch_at && self.may_keep() {
            self.watch().await?;
        }
        if now >= self.disown_at {
            self.disown().await?;
            self.disown_at = now + DISOWN_EVERY;
        }
        self.report_in_time().await
    }

    async fn heartbeat(&mut self) -> Result<()> {
        let sql = self.shared.howdah.names().sql(BEAT);
        let asked = Instant::now();
        let pulse: Pulse = self.link.row(sqlx::query_as(sql).bind(self.shared.worker_id())).await?;
        self.shared.clock.heard(asked, pulse.6);
        self.heard(pulse).await
    }

    /// What a heartbeat has said.
    async fn heard(&mut self, (alive, vacant, cancelled, robbed, timeouts, told, _): Pulse) -> Result<()> {
        let shared = &self.shared;
        if !alive {
            let worker = shared.worker_id();
            tracing::warn!(worker, "this worker was given up: its heartbeat was overdue; registering again");
            let queues = shared.queue_names();
            let query = start_worker(&shared.howdah, &shared.settings, &queues, shared.kinds.as_deref());
            let (id,) = self.link.row(query).await?;
            self.shared.lost_everything(id);
            (self.office, self.robbed) = (None, 0);
            return Ok(());
        }
        shared.timeouts.learn(timeouts.map(|Json(set)| set));
        shared.hear(told.as_deref());
        shared.ask_to_cancel(&cancelled);
        self.look_for_lost(robbed.unwrap_or(0)).await?;
        self.found_the_office(vacant).await
    }

    /// After a silence in which jobs whose leases are short went to others: which ones.
    async fn look_for_lost(&mut self, robbed: i32) -> Result<()> {
        if robbed == self.robbed {
            return Ok(());
        }
        let (leases, jobs): (Vec<i64>, Vec<i64>) = self.shared.held().into_iter().unzip();
        let sql = self.shared.howdah.names().sql("SELECT lease_id, job_id FROM howdah.lost($1, $2)");
        let lost: Vec<(i64, i64)> = self.link.rows(sqlx::query_as(sql).bind(leases).bind(jobs)).await?;
        tracing::warn!(
            jobs = lost.len(),
            "lost jobs to other workers: the heartbeat was later than their leases allow"
        );
        self.shared.lost_some(&lost.into_iter().collect());
        self.robbed = robbed;
        Ok(())
    }

    /// Looks whether the keeper's office is vacant.
    async fn watch(&mut self) -> Result<()> {
        let sql = self.shared.howdah.names().sql("SELECT howdah.keeper_vacant()");
        let (vacant,): (bool,) = self.link.row(sqlx::query_as(sql)).await?;
        self.found_the_office(vacant).await
    }

    /// Stands for the keeper's office if it is vacant.
    async fn found_the_office(&mut self, vacant: bool) -> Result<()> {
        self.watch_at = Instant::now() + WATCH_EVERY;
        if vacant && self.office.is_none() && self.may_keep() {
            self.stand_for_office().await?;
        }
        Ok(())
    }

    fn may_keep(&self) -> bool {
        self.shared.settings.keeper && !self.shared.stopping.is_cancelled()
    }

    /// Gives back what the claimer has never heard of: claims whose answer was lost on the way.
    async fn disown(&mut self) -> Result<()> {
        // Longer than a claim may take: what is on its way is left alone.
        let older_ms = i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX) + 5_000;
        let query = disown(&self.shared, older_ms);
        let (jobs,) = self.link.row(query).await?;
        warn_of_disowned(jobs);
        Ok(())
    }

    async fn stand_for_office(&mut self) -> Result<()> {
        let (shared, worker) = (&self.shared, self.shared.worker_id());
        let sql = shared.howdah.names().sql("SELECT howdah.elect_keeper($1, $2)");
        let (term,): (Option<i64>,) = self.link.row(sqlx::query_as(sql).bind(worker).bind(TERM_MS)).await?;
        if let Some(term) = term {
            metrics::elected();
            tracing::info!(worker, term, "this worker is the keeper now");
            let (now, rotation, cron) = (Instant::now(), Rotation::start(shared), Cron::start(shared, worker, term));
            self.office =
                Some(Office { term, tick_at: now, sweep_at: now, rotation, cron, promoted: None, refused: 0 });
        }
        Ok(())
    }

    /// A tick, and if the server refuses that, the heartbeat alone: chores that cannot be done must not cost the jobs. The term
    /// goes on for as long as ticks do, so somebody else may try.
    async fn tick_or_beat(&mut self, beat: bool) -> Result<()> {
        let told = self.tick(beat).await;
        let Some(office) = &mut self.office else { return told };
        match told {
            Err(error) if !error.has_code(TERM_IS_OVER) && error.was_answered() => {
                let wait = backoff(office.refused);
                (office.refused, office.tick_at) = (office.refused + 1, Instant::now() + wait);
                tracing::warn!(%error, retry_ms = wait.as_millis(), "could not do the keeper's chores, trying again");
                if beat { self.heartbeat().await } else { Ok(()) }
            }
            told => {
                office.refused = 0;
                told
            }
        }
    }

    /// A tick of the keeper, with a heartbeat if that is due too.
    async fn tick(&mut self, beat: bool) -> Result<()> {
        let Some(office) = &mut self.office else { return Ok(()) };
        let now = Instant::now();
        let sweep = now >= office.sweep_at;
        let streaming = office.promoted.is_some_and(|at| now.duration_since(at) < STREAM);
        let (shared, worker, term) = (&self.shared, self.shared.worker_id(), office.term);
        let sql = shared.howdah.names().sql(if beat { KEEP_AND_BEAT } else { KEEP });
        let tick_ms = i32::try_from(TICK.as_millis()).unwrap_or(i32::MAX);
        let query = sqlx::query_as(sql).bind(worker).bind(term).bind(sweep).bind(streaming).bind(tick_ms);
        let (promoted, next_ms, rescued, alive, vacant, cancelled, robbed, timeouts, told, micros): Kept =
            self.link.row(query).await?;
        self.shared.clock.heard(now, micros);
        for line in rescued.unwrap_or_default() {
            tracing::warn!("rescued the jobs of a dead worker: {line}");
        }
        let now = Instant::now();
        if promoted > 0 {
            office.promoted = Some(now);
        }
        if sweep && promoted < MOST_PROMOTED {
            office.sweep_at = now + TICK;
        }
        let mut wait = if streaming { STREAM_TICK } else { TICK };
        if promoted == MOST_PROMOTED {
            wait = Duration::ZERO;
        }
        if let Some(next) = next_ms.and_then(|ms| u64::try_from(ms).ok()) {
            wait = wait.min(Duration::from_millis(next.max(1)));
        }
        office.tick_at = now + wait;
        match alive {
            Some(alive) => {
                let cancelled = cancelled.unwrap_or_default();
                self.heard((alive, vacant.unwrap_or(false), cancelled, robbed, timeouts, told, micros)).await
            }
            None => Ok(()),
        }
    }

    /// Leaves the office and the list of workers; what is still held goes to others.
    async fn leave(&mut self) {
        if let Some(office) = self.office.take() {
            office.rotation.stop().await;
            office.cron.stop().await;
        }
        if let Err(error) = self.report().await {
            tracing::debug!(%error, "could not report the last statistics");
        }
        let (shared, worker) = (&self.shared, self.shared.worker_id());
        let names = shared.howdah.names();
        let resign = sqlx::query_as::<_, (bool,)>(names.sql("SELECT howdah.resign_keeper($1)")).bind(worker);
        let stop = sqlx::query_as::<_, (i32,)>(names.sql("SELECT howdah.stop_worker($1)")).bind(worker);
        let left = match self.link.row(resign).await {
            Ok(_) => self.link.row(stop).await,
            Err(error) => Err(error),
        };
        match left {
            Ok((0,)) => {}
            Ok((jobs,)) => tracing::warn!(jobs, "gave up jobs that had not ended"),
            Err(error) => {
                tracing::warn!(%error, "could not say goodbye: the jobs it holds are rescued when its lease ends");
            }
        }
        self.link.close().await;
    }
}

/// Makes this process a worker; gives its id.
pub(super) fn start_worker<'q>(
    howdah: &Howdah,
    settings: &'q Settings,
    queues: &[&'q str],
    kinds: Option<&'q [String]>,
) -> Rows<'q, (i64,)> {
    let ms = |d: Duration| i32::try_from(d.as_millis()).unwrap_or(i32::MAX);
    sqlx::query_as(howdah.names().sql("SELECT howdah.start_worker($1, $2, $3, $4, $5, $6, $7)"))
        .bind(&settings.name)
        .bind(ms(settings.lease))
        .bind(ms(settings.heartbeat))
        .bind(queues.to_vec())
        .bind(kinds)
        .bind(concat!("howdah ", env!("CARGO_PKG_VERSION")))
        .bind(settings.filter.as_ref().map(Filter::as_str))
}

/// Gives back leases of this worker that it does not know of, and that were claimed longer ago than this.
pub(super) fn disown(shared: &Shared, older_ms: i32) -> Rows<'static, (i32,)> {
    sqlx::query_as(shared.howdah.names().sql("SELECT howdah.disown($1, $2, $3)"))
        .bind(shared.worker_id())
        .bind(shared.known_leases())
        .bind(older_ms)
}

pub(super) fn warn_of_disowned(jobs: i32) {
    if jobs > 0 {
        tracing::warn!(jobs, "gave back jobs that were claimed and whose claim was never answered");
    }
}
