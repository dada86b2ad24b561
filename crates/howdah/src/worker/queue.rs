//! A queue, or a lane of one, as one worker sees it: what it has claimed and not started, and how much more it wants.
//!
//! Invariant: at most `concurrency` runners; every claimed job is either here, or with one of them; and while a job is
//! here and a runner is allowed, one is about to start, see [`Spare`]. Limit: jobs are claimed ahead only while they take
//! milliseconds, and then for 25 ms of work.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::lanes::{Filter, Lane};

/// Work that is claimed ahead, at most: this long, and this many jobs.
const AHEAD: Duration = Duration::from_millis(25);
const MOST_AHEAD: usize = 2000;
/// Jobs that take longer than this are not claimed ahead.
const SHORT: Duration = Duration::from_millis(10);
/// Runners that are started at once for what a claim took; they start others while there is more to do.
const AT_ONCE: usize = 32;
/// What one claim may take: `howdah.claim` allows no more.
pub(super) const MOST_A_CLAIM: usize = 500;

/// What one claim took.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: i64,
    pub(super) jobs: usize,
    /// When its jobs were here: large ones take their time on the way.
    pub(super) arrived: Instant,
}

/// A job that was claimed.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) lease: Arc<Lease>,
    /// Its place in the lease.
    pub(super) position: usize,
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) payload: Box<RawValue>,
    pub(super) attempt: i16,
    pub(super) max_attempts: i16,
    pub(super) priority: i16,
    pub(super) enqueued_micros: i64,
    /// The column, as it is; most jobs have none.
    pub(super) options: Option<Box<RawValue>>,
}

pub(super) struct Queue {
    pub(super) name: Arc<str>,
    /// In the database; lanes of one queue have the same. 0 while there is no queue of this name. Another one after it
    /// was deleted and made again.
    id: AtomicI32,
    pub(super) filter: Filter,
    concurrency: usize,
    /// Whether short jobs may be claimed before there is a hand free for them.
    claims_ahead: bool,
    /// How often somebody has said that there are new jobs, since it was last looked into.
    pub(super) woken: AtomicU32,
    /// Somebody said that it was made: the id may be another one.
    pub(super) remade: AtomicBool,
    /// How long a job runs, averaged, in microseconds.
    average_us: AtomicU64,
    hands: Mutex<Hands>,
}

/// The runner that another has started to take over should its own job not return at once, and which has not begun.
///
/// Each runner has one at most. Handlers that return without waiting are thus run by a few tasks, each one job after
/// another, and those that wait have a task each. It is started before its parent's job runs, not when that first waits:
/// a handler that blocks its thread by `block_in_place` never says that it waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Spare(Arc<AtomicBool>);

impl Spare {
    /// It has begun: its parent may start another one.
    pub(super) fn begins(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct Hands {
    buffer: VecDeque<Claimed>,
    runners: usize,
}

impl Queue {
    pub(super) fn new(lane: &Lane, id: i32) -> Self {
        Self {
            name: lane.queue.as_str().into(),
            id: AtomicI32::new(id),
            filter: lane.filter.clone(),
            concurrency: lane.slots,
            claims_ahead: true,
            woken: AtomicU32::new(1),
            remade: AtomicBool::new(false),
            // Long until it has shown otherwise.
            average_us: AtomicU64::new(u64::try_from(SHORT.as_micros()).unwrap_or(0) * 4),
            hands: Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> i32 {
        self.id.load(Ordering::Acquire)
    }

    pub(super) fn set_id(&self, id: i32) {
        self.id.store(id, Ordering::Release);
    }

    /// Claims no more than can start.
    pub(super) fn never_ahead(self) -> Self {
        Self { claims_ahead: false, ..self }
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many jobs to claim now; 0 while there is enough in hand.
    pub(super) fn wanted(&self) -> usize {
        let (in_hand, waiting) = {
            let hands = self.hands();
            (hands.runners + hands.buffer.len(), hands.buffer.len())
        };
        let ahead = self.ahead();
        let wanted = self.concurrency.saturating_add(ahead).saturating_sub(in_hand);
        // Many small claims cost more than a large one: ahead, wait until half of it is used up.
        if ahead > 0 && waiting * 2 > ahead { 0 } else { wanted.min(MOST_A_CLAIM) }
    }

    fn ahead(&self) -> usize {
        let average = self.average_us.load(Ordering::Relaxed).max(1);
        if !self.claims_ahead || Duration::from_micros(average) > SHORT {
            return 0;
        }
        let each = usize::try_from(u64::try_from(AHEAD.as_micros()).unwrap_or(0) / average).unwrap_or(MOST_AHEAD);
        each.saturating_mul(self.concurrency).min(MOST_AHEAD)
    }

    /// Takes in what was claimed; returns how many runners to start.
    pub(super) fn push(&self, jobs: impl Iterator<Item = Claimed>) -> usize {
        let mut hands = self.hands();
        hands.buffer.extend(jobs);
        let start = self.concurrency.saturating_sub(hands.runners).min(hands.buffer.len()).min(AT_ONCE);
        hands.runners += start;
        start
    }

    /// The next job for a runner, and whether it has to start its spare before it runs it; `None` ends the runner.
    pub(super) fn next(&self, spare: &Spare) -> Option<(Claimed, bool)> {
        let mut hands = self.hands();
        let Some(job) = hands.buffer.pop_front() else {
            hands.runners -= 1;
            return None;
        };
        let wanted =
            !hands.buffer.is_empty() && hands.runners < self.concurrency && !spare.0.swap(true, Ordering::AcqRel);
        hands.runners += usize::from(wanted);
        Some((job, wanted))
    }

    /// Everything that has not started.
    pub(super) fn take_all(&self) -> Vec<Claimed> {
        self.hands().buffer.drain(..).collect()
    }

    /// What has been waiting here behind long jobs: others may run it sooner.
    pub(super) fn take_stale(&self, older_than: Duration) -> Vec<Claimed> {
        let mut hands = self.hands();
        let stale = hands.buffer.front().is_some_and(|job| job.lease.arrived.elapsed() > older_than);
        if !stale {
            return Vec::new();
        }
        self.average_us.store(u64::try_from(SHORT.as_micros()).unwrap_or(0) * 4, Ordering::Relaxed);
        hands.buffer.drain(..).collect()
    }

    /// What is claimed and has not started.
    pub(super) fn waiting(&self) -> Vec<(i64, i64)> {
        self.hands().buffer.iter().map(|job| (job.lease.id, job.id)).collect()
    }

    /// Those of these jobs, by lease and id, that have not started.
    pub(super) fn take(&self, jobs: &HashSet<(i64, i64)>) -> Vec<Claimed> {
        let mut hands = self.hands();
        let (taken, kept): (VecDeque<_>, VecDeque<_>) =
            hands.buffer.drain(..).partition(|job| jobs.contains(&(job.lease.id, job.id)));
        hands.buffer = kept;
        Vec::from(taken)
    }

    pub(super) fn is_idle(&self) -> bool {
        let hands = self.hands();
        hands.runners == 0 && hands.buffer.is_empty()
    }

    /// Learns from a job that has run. Returns whether it is time to claim more.
    pub(super) fn ran(&self, took: Duration) -> bool {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(3_600_000_000);
        let before = self.average_us.load(Ordering::Relaxed);
        // Quick to believe in long jobs, slow to believe in short ones.
        let after = if took > before { (before + took) / 2 } else { (before * 15 + took) / 16 };
        self.average_us.store(after, Ordering::Relaxed);
        let waiting = self.hands().buffer.len();
        waiting * 2 <= self.ahead()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(slots: usize) -> Queue {
        Queue::new(&Lane { queue: "q".to_owned(), slots, filter: Filter::default() }, 1)
    }

    fn claimed(arrived: Instant) -> Claimed {
        Claimed {
            lease: Arc::new(Lease { id: 1, jobs: 1, arrived }),
            position: 0,
            id: 1,
            kind: String::new(),
            payload: RawValue::NULL.to_owned(),
            attempt: 1,
            max_attempts: 1,
            priority: 5,
            enqueued_micros: 0,
            options: None,
        }
    }

    #[test]
    fn only_short_jobs_are_claimed_ahead() {
        let queue = queue(4);
        assert_eq!(queue.wanted(), 4);
        for _ in 0..200 {
            queue.ran(Duration::from_micros(10));
        }
        assert_eq!(queue.wanted(), MOST_A_CLAIM);
        queue.ran(Duration::from_secs(1));
        assert_eq!(queue.wanted(), 4);
    }

    #[test]
    fn a_queue_that_never_claims_ahead_wants_no_more_than_can_start() {
        let queue = queue(4).never_ahead();
        for _ in 0..200 {
            queue.ran(Duration::from_micros(10));
        }
        assert_eq!(queue.wanted(), 4);
    }

    #[test]
    fn a_full_queue_wants_nothing_and_one_freed_runner_wants_one() {
        let queue = queue(2);
        assert_eq!(queue.push([claimed(Instant::now()), claimed(Instant::now())].into_iter()), 2);
        let spare = Spare::default();
        assert!(queue.next(&spare).is_some() && queue.next(&spare).is_some());
        assert_eq!(queue.wanted(), 0);
        assert!(queue.next(&spare).is_none());
        assert_eq!(queue.wanted(), 1);
    }

    #[test]
    fn a_runner_starts_one_spare_until_that_has_begun_and_never_more_than_are_allowed() {
        let queue = queue(AT_ONCE + 2);
        let jobs = |n| std::iter::repeat_with(|| claimed(Instant::now())).take(n);
        assert_eq!(queue.push(jobs(100)), AT_ONCE);
        let (first, second) = (Spare::default(), Spare::default());
        let starts = |spare| queue.next(spare).is_some_and(|(_, start)| start);
        assert!(starts(&first), "there is more to do, and a runner is allowed");
        assert!(!starts(&first), "the first spare has not begun");
        first.begins();
        assert!(starts(&first));
        assert!(!starts(&second), "so many are running as may");
    }

    #[test]
    fn what_waits_behind_long_jobs_is_handed_back() {
        let queue = queue(1);
        queue.push(std::iter::once(claimed(Instant::now())));
        assert!(queue.take_stale(Duration::from_secs(60)).is_empty());
        assert_eq!(queue.take_stale(Duration::ZERO).len(), 1);
    }
}
