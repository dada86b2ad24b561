//! Where the live front of a queue is: what lets a claim pass over dead tickets.
//!
//! Invariant: everything before a front was seen at least [`MARGIN`] ago. What commits later than that (a long
//! transaction took its id early) is found by the sweep, once a second and before every sleep. Limit: one front
//! for each priority.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MARGIN: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(10);
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// One id for each priority, 0 to 9.
type Ids = [i64; 10];

#[derive(Default)]
pub(super) struct Fronts {
    newest: Ids,
    trusted: Ids,
    /// Past values of `newest`, oldest first, that are too young to be trusted.
    young: VecDeque<(Instant, Ids)>,
    swept: Option<Instant>,
}

impl Fronts {
    /// Where the next claim may begin; `None`: at the very front.
    pub(super) fn next(&mut self, now: Instant) -> Option<Vec<i64>> {
        while self.young.front().is_some_and(|(at, _)| now.duration_since(*at) >= MARGIN) {
            self.trusted = self.young.pop_front().map_or(self.trusted, |(_, ids)| ids);
        }
        if self.swept.is_none_or(|at| now.duration_since(at) >= SWEEP_EVERY) {
            self.swept = Some(now);
            return None;
        }
        Some(self.trusted.to_vec())
    }

    /// The next claim looks everywhere.
    pub(super) fn sweep(&mut self) {
        self.swept = None;
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
    fn a_sweep_can_be_asked_for() {
        let (mut fronts, now) = (Fronts::default(), Instant::now());
        fronts.next(now);
        fronts.sweep();
        assert_eq!(fronts.next(now), None);
    }
}
