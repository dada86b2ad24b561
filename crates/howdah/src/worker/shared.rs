//! What the tasks of one worker share.
//!
//! Invariant: a job that runs is in `running`, and nowhere else; who takes it out of there ends it. Limit: locks are held for a moment and never
//! over an await.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::ledger::{End, Finished};
use super::notes::Notes;
use super::policy::Policy;
use super::queue::{Claimed, Lease, Queue};
use super::tally::{ServerClock, Tally};
use super::timeouts::Timeouts;
use crate::client::Howdah;
use crate::handler::Call;

/// With more failures that are not told, no jobs are claimed: they take longer to tell than to happen.
const MOST_UNTOLD: usize = 1000;

/// A job that runs.
pub(super) struct Run {
    pub(super) call: Arc<Call>,
    pub(super) lease: Arc<Lease>,
    /// Its place in the lease.
    pub(super) position: usize,
    pub(super) queue: Arc<Queue>,
    pub(super) policy: Policy,
    /// Its time is over, its handler blocks a thread, and another runner has its slot.
    pub(super) slot_taken: bool,
}

/// Attempts that ignore that their time is over.
pub(super) struct Overdue {
    pub(super) abandoned: Vec<Run>,
    pub(super) completing: Vec<(Arc<Call>, Arc<Queue>)>,
    /// Whether anything runs at all.
    pub(super) any: bool,
}

pub(super) struct Shared {
    pub(super) howdah: Howdah,
    pub(super) settings: Settings,
    /// What people see of the kinds that it does.
    pub(super) kinds: Option<Vec<String>>,
    /// One for each lane.
    pub(super) queues: Vec<Arc<Queue>>,
    worker_id: AtomicI64,
    /// Running jobs, by id and lease: an attempt that was lost may still run beside its successor.
    running: Mutex<HashMap<(i64, i64), Run>>,
    /// Jobs of each lease that the database has not been told of. A lease of ours that is not here is one whose
    /// claim was never answered.
    leases: Mutex<HashMap<i64, usize>>,
    finished: mpsc::UnboundedSender<Finished>,
    /// How many that have failed the database has not been told of.
    untold: AtomicUsize,
    pub(super) notes: Arc<Notes>,
    pub(super) timeouts: Timeouts,
    /// How attempts ended, until it is reported.
    pub(super) tally: Tally,
    pub(super) clock: ServerClock,
    /// Wakes the claimer.
    pub(super) look: Notify,
    /// Wakes the chores: a heartbeat now.
    pub(super) beat: Notify,
    /// Wakes the chores: a job is due sooner than the keeper thinks.
    pub(super) due: Notify,
    /// Wakes the keeper's clock: a schedule was changed.
    pub(super) schedules: Notify,
    /// Wakes the listener: this process is a new worker, whose session must be told.
    pub(super) attach: Notify,
    pub(super) listening: AtomicBool,
    /// Somebody told it to claim no more, for now.
    pub(super) quiet: AtomicBool,
    /// The first of its tasks that has panicked.
    pub(super) lost_part: OnceLock<&'static str>,
    /// Somebody told it to end, or it has lost a part.
    pub(super) told_to_stop: CancellationToken,
    /// No more claims.
    pub(super) stopping: CancellationToken,
    /// The grace period is over.
    pub(super) aborting: CancellationToken,
    /// Nothing runs any more: what is left is to be told.
    pub(super) leaving: CancellationToken,
    /// Everything is told: the worker may unregister. Sooner, it would give away what it has finished.
    pub(super) all_told: CancellationToken,
}

impl Shared {
    pub(super) fn new(
        howdah: Howdah,
        settings: Settings,
        kinds: Option<Vec<String>>,
        queues: Vec<Arc<Queue>>,
        worker_id: i64,
        finished: mpsc::UnboundedSender<Finished>,
        notes: Arc<Notes>,
    ) -> Self {
        Self {
            howdah,
            settings,
            kinds,
            queues,
            worker_id: AtomicI64::new(worker_id),
            running: Mutex::default(),
            leases: Mutex::default(),
            finished,
            untold: AtomicUsize::new(0),
            notes,
            timeouts: Timeouts::default(),
            tally: Tally::default(),
            clock: ServerClock::default(),
            look: Notify::new(),
            beat: Notify::new(),
            due: Notify::new(),
            schedules: Notify::new(),
            attach: Notify::new(),
            listening: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            lost_part: OnceLock::new(),
            told_to_stop: CancellationToken::new(),
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
            leaving: CancellationToken::new(),
            all_told: CancellationToken::new(),
        }
    }

    pub(super) fn worker_id(&self) -> i64 {
        self.worker_id.load(Ordering::Acquire)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<(i64, i64), Run>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn claimed(&self, lease: i64, jobs: usize) {
        self.leases().insert(lease, jobs);
    }

    /// The database is to be told of this end.
    pub(super) fn tell(&self, finished: Finished) {
        if let End::Failed(_) = finished.end {
            self.untold.fetch_add(1, Ordering::AcqRel);
        }
        let _ = self.finished.send(finished);
    }

    /// Whether so much is to be told that there is no use in more of it: what has ended is heard of in its turn.
    pub(super) fn is_behind(&self) -> bool {
        self.untold.load(Ordering::Acquire) > MOST_UNTOLD
    }

    /// The database knows how these jobs of a lease ended, or does not want to.
    pub(super) fn told(&self, lease: i64, jobs: usize, failures: usize) {
        let before = self.untold.fetch_sub(failures, Ordering::AcqRel);
        if before > MOST_UNTOLD && before.saturating_sub(failures) <= MOST_UNTOLD {
            self.look.notify_one();
        }
        let mut leases = self.leases();
        if let Some(left) = leases.get_mut(&lease) {
            *left = left.saturating_sub(jobs);
            if *left == 0 {
                leases.remove(&lease);
            }
        }
    }

    pub(super) fn known_leases(&self) -> Vec<i64> {
        self.leases().keys().copied().collect()
    }

    pub(super) fn begin(&self, run: Run) {
        let key = (run.call.id.0, run.call.lease_id);
        self.running().insert(key, run);
    }

    pub(super) fn runs(&self, call: &Call) -> bool {
        self.running().contains_key(&(call.id.0, call.lease_id))
    }

    /// `None`: somebody else has ended it.
    pub(super) fn end(&self, call: &Call) -> Option<Run> {
        self.running().remove(&(call.id.0, call.lease_id))
    }

    /// Tells attempts whose time is over to end. For whom it has been over for so long gives its slot away: those that are
    /// abandoned are taken out; those whose own transaction decides on the job stay.
    pub(super) fn take_overdue(&self, now: Instant, overdue: Duration) -> Overdue {
        let mut running = self.running();
        let any = !running.is_empty();
        let mut completing = Vec::new();
        let late = running.extract_if(|_, run| {
            let Some(since) = run.call.limit.over(now) else { return false };
            run.call.cancelled.cancel();
            if run.slot_taken || since + overdue > now {
                return false;
            }
            if run.call.limit.abandon() {
                return true;
            }
            run.slot_taken = true;
            completing.push((Arc::clone(&run.call), Arc::clone(&run.queue)));
            false
        });
        let abandoned = late.map(|(_, run)| run).collect();
        Overdue { abandoned, completing, any }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running().is_empty() && self.queues.iter().all(|q| q.is_idle())
    }

    /// Tells handlers that somebody wants their jobs cancelled.
    pub(super) fn ask_to_cancel(&self, jobs: &[i64]) {
        if jobs.is_empty() {
            return;
        }
        for call in self.running().values().map(|run| &run.call).filter(|call| jobs.contains(&call.id.0)) {
            if !call.cancel_asked.swap(true, Ordering::AcqRel) {
                tracing::info!(job = %call.id, "cancellation was asked for");
                call.cancelled.cancel();
            }
        }
    }

    /// What somebody has told this worker by `howdah.tell_worker`.
    pub(super) fn hear(&self, told: Option<&str>) {
        let quiet = told.is_some();
        if self.quiet.swap(quiet, Ordering::AcqRel) != quiet {
            if quiet {
                tracing::info!("was told to claim no more jobs");
            } else {
                tracing::info!("was told to claim jobs again");
            }
            self.look.notify_one();
        }
        if told == Some("stop") && !self.told_to_stop.is_cancelled() {
            tracing::info!("was told to stop");
            self.told_to_stop.cancel();
        }
    }

    /// Tells every handler to end: the worker stops.
    pub(super) fn cancel_all(&self) {
        for run in self.running().values() {
            run.call.cancelled.cancel();
        }
    }

    /// This worker was given up: what it holds is with others. Handlers hear of it; what has not started is
    /// dropped; from now on it is another worker.
    pub(super) fn lost_everything(&self, new_worker_id: i64) {
        for queue in &self.queues {
            self.drop_lost(queue.take_all());
        }
        self.leases().clear();
        for run in self.running().values() {
            run.call.lose();
        }
        self.worker_id.store(new_worker_id, Ordering::Release);
        self.attach.notify_one();
        self.look.notify_one();
    }

    /// What is claimed or runs, by lease and id.
    pub(super) fn held(&self) -> Vec<(i64, i64)> {
        let running: Vec<_> = self.running().keys().map(|(id, lease)| (*lease, *id)).collect();
        self.queues.iter().flat_map(|queue| queue.waiting()).chain(running).collect()
    }

    /// This worker was silent, and these of its jobs, by lease and id, are with others; it keeps the rest. A job that
    /// is about to start in this moment hears nothing, and its result is refused.
    pub(super) fn lost_some(&self, lost: &HashSet<(i64, i64)>) {
        for queue in &self.queues {
            self.drop_lost(queue.take(lost));
        }
        let running: Vec<_> = self.running().values().map(|run| Arc::clone(&run.call)).collect();
        for call in running.iter().filter(|call| lost.contains(&(call.lease_id, call.id.0))) {
            // What its own handler has completed is not held any more either.
            if !call.limit.is_completing() {
                call.lose();
            }
        }
    }

    fn drop_lost(&self, jobs: Vec<Claimed>) {
        self.end_unstarted(jobs, || End::Lost);
    }

    /// The names of the queues that it serves.
    pub(super) fn queue_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.queues.iter().map(|queue| queue.name.as_ref()).collect();
        names.dedup();
        names
    }

    /// Gives claimed jobs back that have not started.
    pub(super) fn give_back(&self, jobs: Vec<Claimed>) {
        self.end_unstarted(jobs, || End::Released);
    }

    fn end_unstarted(&self, jobs: Vec<Claimed>, end: impl Fn() -> End) {
        for job in jobs {
            self.tell(Finished {
                lease: job.lease,
                position: job.position,
                id: job.id,
                run_ms: 0,
                end: end(),
                answer: None,
            });
        }
    }
}
