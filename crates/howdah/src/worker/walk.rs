//! Where a worker with a filter is on its way along a queue.
//!
//! A claim looks at a few thousand jobs. What does not match is passed over, and since attributes never change, what
//! was passed over once need not be looked at again: a walk begins behind what earlier walks have seen, and only a full
//! one, now and then, at the very front. On a long walk it looks back for jobs that have come in front of it.
//!
//! Invariant: full walks take at most a twentieth of the time, however many jobs do not match. Limit: a job whose
//! transaction was open for longer than [`MARGIN`] is found by the next full walk.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What was given an id longer ago than this has been committed, or is left for a full walk.
const MARGIN: Duration = Duration::from_secs(2);
/// Full walks are no more frequent than this, nor than so many times as long as one takes.
const FULL_EVERY: Duration = Duration::from_secs(1);
const SELDOM: u32 = 20;
/// How often to look for what has come in front of a walk.
const LOOK_BACK_EVERY: Duration = Duration::from_millis(100);
/// How often what is seen is noted.
const STEP: Duration = Duration::from_millis(100);

/// The arguments of the next claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Option<i64>,
    pub(super) since: i64,
    pub(super) before: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Walk {
    /// The place where the walk that is under way goes on; `None`: the next claim begins one.
    at: Option<i64>,
    began: Instant,
    full: bool,
    full_at: Instant,
    /// Everything up to this id has been seen by a walk, or come back since.
    seen: i64,
    looked_back: Instant,
    /// The newest ids that there were at some times, oldest first.
    newest: VecDeque<(Instant, i64)>,
}

impl Walk {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: None, began: now, full: true, full_at: now, seen: 0, looked_back: now, newest: VecDeque::new() }
    }

    pub(super) fn next(&mut self, now: Instant) -> Step {
        let since = if self.full { 0 } else { self.seen };
        match self.at {
            None => {
                (self.began, self.looked_back) = (now, now);
                self.full = now >= self.full_at;
                Step { after: None, since: if self.full { 0 } else { self.seen }, before: None }
            }
            Some(at) if now.duration_since(self.looked_back) >= LOOK_BACK_EVERY => {
                self.looked_back = now;
                Step { after: None, since: self.settled(self.began), before: Some(at) }
            }
            Some(at) => Step { after: Some(at), since, before: None },
        }
    }

    /// What the claim said: where to go on, and the newest id. Returns whether everything has been looked at.
    pub(super) fn answer(&mut self, now: Instant, step: Step, next: Option<i64>, newest: i64) -> bool {
        if self.newest.back().is_none_or(|(at, _)| now.duration_since(*at) >= STEP) {
            self.newest.push_back((now, newest));
        }
        if step.before.is_some() {
            return false;
        }
        self.at = next;
        if next.is_some() {
            return false;
        }
        self.seen = self.seen.max(self.settled(self.began));
        if self.full {
            self.full_at = now + (now.duration_since(self.began) * SELDOM).max(FULL_EVERY);
        }
        while self.newest.get(1).is_some_and(|(at, _)| self.began.duration_since(*at) >= MARGIN) {
            self.newest.pop_front();
        }
        true
    }

    /// The newest id of the time before which everything was committed when a walk began.
    fn settled(&self, began: Instant) -> i64 {
        let old = self.newest.iter().rev().find(|(at, _)| began.saturating_duration_since(*at) >= MARGIN);
        old.map_or(0, |(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_on_where_the_last_claim_stopped_and_begins_anew_at_its_end() {
        let now = Instant::now();
        let mut walk = Walk::new(now);
        let front = Step { after: None, since: 0, before: None };
        assert_eq!(walk.next(now), front);
        assert!(!walk.answer(now, front, Some(7), 100));
        let on = walk.next(now);
        assert_eq!(on, Step { after: Some(7), ..front });
        assert!(walk.answer(now, on, None, 100));
        assert_eq!(walk.next(now), front, "nothing is old enough to be passed over");
    }

    #[test]
    fn what_an_earlier_walk_has_seen_is_not_looked_at_again_until_a_full_one() {
        let start = Instant::now();
        let mut walk = Walk::new(start);
        let mut round = |at: Instant, newest: i64, takes: Duration| {
            let step = walk.next(at);
            walk.answer(at + takes, step, None, newest);
            step.since
        };
        assert_eq!(round(start, 100, Duration::from_secs(1)), 0);
        let later = start + Duration::from_secs(4);
        assert_eq!(
            round(later, 200, Duration::ZERO),
            0,
            "a walk of a moment ago may have missed what was not committed"
        );
        assert_eq!(round(later + MARGIN, 300, Duration::ZERO), 100);
        assert_eq!(round(start + Duration::from_secs(21), 400, Duration::ZERO), 0, "a full walk again");
    }

    #[test]
    fn a_long_walk_looks_back() {
        let now = Instant::now();
        let mut walk = Walk::new(now);
        let step = walk.next(now);
        walk.answer(now, step, Some(7), 100);
        let back = walk.next(now + LOOK_BACK_EVERY);
        assert_eq!(back, Step { after: None, since: 0, before: Some(7) });
        assert!(!walk.answer(now + LOOK_BACK_EVERY, back, None, 100), "that was not the end of the walk");
        assert_eq!(walk.next(now + LOOK_BACK_EVERY).after, Some(7));
    }
}
