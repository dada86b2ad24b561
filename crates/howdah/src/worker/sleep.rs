//! When to look for jobs again, and when to ask to be woken.
//!
//! A worker that has just worked stays awake: it looks every 5 ms, less often if it finds nothing, and enqueuers
//! need not notify it. After a
//! while it announces that it sleeps (a row that enqueuers read), looks again at once and then ever less often,
//! since an enqueuer that committed before it saw the announcement has not notified. It takes the announcement back
//! where looking is better than hearing: under a stream of notifications, whose commits wait for each other, and where
//! others take what it is woken for.
//!
//! Invariant: a lost wake-up costs one interval of the re-checks, at most the poll. Limit: decisions only; the
//! claimer acts on them.

use std::time::{Duration, Instant};

/// How often an awake worker looks, and how long it stays awake after its last job.
pub(super) const LOOK: Duration = Duration::from_millis(5);
const SELDOM: Duration = Duration::from_millis(40);
const STAY_AWAKE: Duration = Duration::from_millis(250);
/// Jobs that come faster than one after the other in so long are looked for; others are heard of.
const STREAM: Duration = Duration::from_millis(10);
/// So many notifications, or so many that were of no use here, within this time: stay awake instead, and for longer.
const NOTIFICATIONS: u32 = 100;
const IN_VAIN: u32 = 4;
const WITHIN: Duration = Duration::from_millis(200);
const STAY_AWAKE_IN_A_STREAM: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look again after this.
    LookIn(Duration),
    /// Announce that the worker sleeps, then look at once.
    Announce,
}

#[derive(Debug)]
pub(super) struct Sleep {
    awake_until: Instant,
    announced: bool,
    found_at: Option<Instant>,
    /// Looks in vain since the last job, or since it fell asleep.
    misses: u32,
    notifications: u32,
    in_vain: u32,
    counted_since: Instant,
}

impl Sleep {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            awake_until: now,
            announced: false,
            found_at: None,
            misses: 0,
            notifications: 0,
            in_vain: 0,
            counted_since: now,
        }
    }

    pub(super) fn announced(&self) -> bool {
        self.announced
    }

    /// A claim found jobs.
    pub(super) fn found(&mut self, now: Instant) {
        if !self.announced {
            self.misses = 0;
        }
        self.in_vain = self.in_vain.saturating_sub(1);
        // Seldom jobs are better heard of than looked for.
        let in_a_stream = self.found_at.replace(now).is_some_and(|at| now.duration_since(at) < STREAM);
        if !self.announced && in_a_stream {
            self.awake_until = self.awake_until.max(now + STAY_AWAKE);
        }
    }

    /// A sweep found nothing.
    pub(super) fn found_nothing(&mut self, now: Instant, poll: Duration) -> Next {
        self.misses += 1;
        if self.announced {
            return Next::LookIn((LOOK * (1 << (self.misses - 1).min(10))).min(poll));
        }
        if now >= self.awake_until {
            return Next::Announce;
        }
        Next::LookIn((LOOK * self.misses).min(SELDOM))
    }

    /// The announcement is made.
    pub(super) fn fell_asleep(&mut self) {
        self.announced = true;
        self.misses = 0;
    }

    /// So many notifications came. Returns whether the announcement should be taken back.
    pub(super) fn woken(&mut self, now: Instant, notifications: u32) -> bool {
        if !self.announced {
            return false;
        }
        if now.duration_since(self.counted_since) > WITHIN {
            (self.notifications, self.in_vain, self.counted_since) = (0, 0, now);
        }
        self.notifications += notifications;
        // Until it has found something.
        self.in_vain += 1;
        self.in_vain >= IN_VAIN || self.notifications >= NOTIFICATIONS
    }

    /// Whoever enqueues may not know of the announcement any more.
    pub(super) fn forgotten(&mut self) {
        self.announced = false;
    }

    /// The announcement is taken back.
    pub(super) fn stays_awake(&mut self, now: Instant) {
        self.announced = false;
        (self.notifications, self.in_vain) = (0, 0);
        self.awake_until = now + STAY_AWAKE_IN_A_STREAM;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_worker_announces_itself_and_checks_again_ever_less_often() {
        let (now, poll) = (Instant::now(), Duration::from_millis(40));
        let mut sleep = Sleep::new(now);
        assert_eq!(sleep.found_nothing(now, poll), Next::Announce);
        sleep.fell_asleep();
        let waits: Vec<_> = (0..5).map(|_| sleep.found_nothing(now, poll)).collect();
        assert_eq!(waits, [5, 10, 20, 40, 40].map(|ms| Next::LookIn(Duration::from_millis(ms))));
    }

    #[test]
    fn what_it_hears_of_does_not_make_a_sleeper_check_again_as_if_it_had_just_announced_itself() {
        let (now, poll) = (Instant::now(), Duration::from_secs(5));
        let mut sleep = Sleep::new(now);
        sleep.fell_asleep();
        let waits = [(); 3].map(|()| sleep.found_nothing(now, poll));
        sleep.woken(now, 1);
        sleep.found(now);
        assert_eq!(waits[2], Next::LookIn(LOOK * 4));
        assert_eq!(sleep.found_nothing(now, poll), Next::LookIn(LOOK * 8));
    }

    #[test]
    fn a_worker_that_has_just_worked_stays_awake_a_little() {
        let now = Instant::now();
        let mut sleep = Sleep::new(now);
        sleep.found(now);
        sleep.found(now);
        assert_eq!(sleep.found_nothing(now, Duration::from_secs(1)), Next::LookIn(LOOK));
        assert_eq!(sleep.found_nothing(now + STAY_AWAKE, Duration::from_secs(1)), Next::Announce);
    }

    #[test]
    fn a_stream_of_notifications_ends_itself() {
        let now = Instant::now();
        let mut sleep = Sleep::new(now);
        sleep.fell_asleep();
        let mut wake = |notifications| {
            let withdraw = sleep.woken(now, notifications);
            sleep.found(now);
            withdraw
        };
        assert_eq!([wake(1), wake(NOTIFICATIONS - 2), wake(1)], [false, false, true]);
        sleep.stays_awake(now);
        assert!(!sleep.woken(now, NOTIFICATIONS));
    }

    #[test]
    fn who_is_woken_for_what_others_take_stops_listening() {
        let now = Instant::now();
        let mut sleep = Sleep::new(now);
        sleep.fell_asleep();
        assert_eq!((0..IN_VAIN).map(|_| sleep.woken(now, 1)).collect::<Vec<_>>(), [false, false, false, true]);
        sleep.stays_awake(now);
        sleep.fell_asleep();
        for i in 0..10 {
            assert!(!sleep.woken(now + WITHIN * 2 * i, 1), "seldom woken, it goes on sleeping");
        }
    }

    #[test]
    fn jobs_that_come_one_by_one_do_not_keep_it_awake() {
        let now = Instant::now();
        let mut sleep = Sleep::new(now);
        for i in 0..10 {
            sleep.found(now + STREAM * 2 * i);
        }
        assert_eq!(sleep.found_nothing(now + STREAM * 20, Duration::from_secs(1)), Next::Announce);
    }
}
