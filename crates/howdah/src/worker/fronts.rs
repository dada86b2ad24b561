//! Where the live front of a queue is: what lets a claim pass over dead tickets.
//!
//! Invariant: everything before a front was seen at least [`MARGIN`] ago. What commits later than that (a long
//! transaction took its id early) is found by the sweep, once a second and before every sleep. A sweep walks over all
//! that is dead and not vacuumed: unless that is cheap, those between get one part in [`DEAR`] of the time. Limit: one
//! front for each priority.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MARGIN: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(10);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const DEAR: u32 = 100;
/// A sweep that takes no longer than this is not worth putting off.
const CHEAP: Duration = Duration::from_millis(1);

/// One id for each priority, 0 to 9.
type Ids = [i64; 10];

#[derive(Default)]
pub(super) struct Fronts {
    newest: Ids,
    trusted: Ids,
    /// Past values of `newest`, oldest first, that are too young to be trusted.
    young: VecDeque<(Instant, Ids)>,
    swept: Option<Instant>,
    /// How long the last sweep took.
    took: Duration,
    /// Somebody said that there is something, maybe before the front.
    told: bool,
}

impl Fronts {
    /// Where the next claim may begin; `None`: at the very front.
    pub(super) fn next(&mut self, now: Instant) -> Option<Vec<i64>> {
        while self.young.front().is_some_and(|(at, _)| now.duration_since(*at) >= MARGIN) {
            self.trusted = self.young.pop_front().map_or(self.trusted, |(_, ids)| ids);
        }
        if self.swept.is_none_or(|at| now.duration_since(at) >= SWEEP_EVERY) {
            (self.swept, self.told) = (Some(now), false);
            return None;
        }
        Some(self.trusted.to_vec())
    }

    /// The next claim looks everywhere.
    pub(super) fn sweep(&mut self) {
        self.swept = None;
    }

    /// A sweep has ended.
    pub(super) fn sweep_took(&mut self, took: Duration) {
        self.took = took;
    }

    /// There is something: behind the front most likely, so that a dear sweep can wait for what is found there.
    pub(super) fn hear(&mut self) {
        if self.took <= CHEAP {
            self.sweep();
        }
        self.told = true;
    }

    /// There is nothing behind the front: whether to look everywhere, or not yet.
    pub(super) fn may_sweep(&self, now: Instant) -> bool {
        self.told
            || self.took <= CHEAP
            || self.swept.is_none_or(|at| now.duration_since(at) >= (self.took * DEAR).min(SWEEP_EVERY))
    }

    /// A job was claimed.
    pub(super) fn saw(&mut self, now: Instant, priority: i16, id: i64) {
        if let Some(front) = usize::try_from(priority).ok().and_then(|p| self.newest.get_mut(p)) {
            *front = (*front).max(id);
        }
        if self.young.back().is_none_or(|(at, _)| now.duration_since(*at) >= STEP) {
            self.young.push_back((now, self.newest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_is_trusted_only_after_its_margin() {
        let (mut fronts, start) = (Fronts::default(), Instant::now());
        assert_eq!(fronts.next(start), None, "the first look sweeps");
        fronts.saw(start, 5, 700);
        assert_eq!(fronts.next(start + MARGIN / 2).unwrap()[5], 0);
        assert_eq!(fronts.next(start + MARGIN).unwrap()[5], 700);
        assert_eq!(fronts.next(start + SWEEP_EVERY), None, "every second it sweeps");
    }

    #[test]
    fn sweeps_that_take_long_are_put_off_but_not_when_something_was_heard_of() {
        let (mut fronts, start) = (Fronts::default(), Instant::now());
        fronts.next(start);
        fronts.sweep_took(CHEAP);
        assert!(fronts.may_sweep(start));
        fronts.sweep_took(Duration::from_millis(2));
        assert!(!fronts.may_sweep(start + Duration::from_millis(199)));
        assert!(fronts.may_sweep(start + Duration::from_millis(200)));
        fronts.hear();
        assert!(fronts.next(start).is_some(), "the front first");
        assert!(fronts.may_sweep(start), "and then everywhere");
        fronts.sweep_took(Duration::from_secs(60));
        assert_eq!(fronts.next(start + SWEEP_EVERY), None);
        assert!(!fronts.may_sweep(start + SWEEP_EVERY), "it has heard of nothing since");
        assert!(fronts.may_sweep(start + SWEEP_EVERY * 2));
    }

    #[test]
    fn a_sweep_can_be_asked_for() {
        let (mut fronts, now) = (Fronts::default(), Instant::now());
        fronts.next(now);
        fronts.sweep();
        assert_eq!(fronts.next(now), None);
    }
}
