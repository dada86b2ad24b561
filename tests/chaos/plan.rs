//! Which faults befall a run, and when.
//!
//! Invariant: it follows from its number. Limit: which process a fault hits follows too, as far as the same ones live.

use std::fmt;
use std::time::Duration;

use crate::seed::Seed;

/// What befalls a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    KillWorker,
    KillSqlWorker,
    KillProducer,
    /// The worker that does the chores.
    KillKeeper,
    /// Told to end in order, as when a new release comes.
    EndWorker,
    /// For longer than its lease; then it goes on.
    StopWorker,
    StopSqlWorker,
    StopKeeper,
    /// For a moment, in the middle of whatever it does.
    StopProducer,
    /// Half of all sessions are ended by the server.
    EndSessions,
    /// `pg_ctl stop -m immediate`, and a start.
    Crash,
    /// SIGKILL for the server and its processes, and a start.
    KillServer,
    Delay,
    Stall,
    Cut,
    LoseCommits,
    LoseAnswers,
    /// PgBouncer ends at once, with all that go through it, and comes back.
    KillPooler,
    /// An old snapshot and a lock on the jobs, held for a while.
    LongTransaction,
}

/// Each of them, and how many times as often as the rarest it comes.
const FAULTS: [(Fault, usize); 19] = [
    (Fault::KillWorker, 4),
    (Fault::KillSqlWorker, 3),
    (Fault::KillProducer, 3),
    (Fault::KillKeeper, 3),
    (Fault::EndWorker, 3),
    (Fault::StopWorker, 3),
    (Fault::StopSqlWorker, 2),
    (Fault::StopKeeper, 2),
    (Fault::StopProducer, 2),
    (Fault::EndSessions, 4),
    (Fault::Crash, 2),
    (Fault::KillServer, 1),
    (Fault::Delay, 2),
    (Fault::Stall, 2),
    (Fault::Cut, 4),
    (Fault::LoseCommits, 5),
    (Fault::LoseAnswers, 4),
    (Fault::KillPooler, 2),
    (Fault::LongTransaction, 2),
];

/// One fault, so long after the last one was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How long after.
    pub after: Duration,
    pub(super) fault: Fault,
    /// Which of several it hits, counted around.
    pub(super) which: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} ms {:?} ({})", self.after.as_millis(), self.fault, self.which)
    }
}

/// Faults without end.
#[derive(Debug, Clone)]
pub struct Plan {
    seed: Seed,
    /// Faults that are still to come before any is drawn again.
    deck: Vec<Fault>,
}

impl Plan {
    /// The one that follows from this.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { seed, deck: Vec::new() }
    }
}

impl Iterator for Plan {
    type Item = Step;

    /// All faults come, as often as they weigh, before they begin anew in another order.
    fn next(&mut self) -> Option<Step> {
        if self.deck.is_empty() {
            self.deck = FAULTS.iter().flat_map(|(fault, weight)| std::iter::repeat_n(*fault, *weight)).collect();
            self.seed.shuffle(&mut self.deck);
        }
        let fault = self.deck.pop()?;
        let after = Duration::from_millis(50 + u64::try_from(self.seed.below(700)).unwrap_or(0));
        Some(Step { after, fault, which: self.seed.below(16) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_from_its_number_and_leaves_out_no_fault() {
        let plan = |number| Plan::new(Seed::new(number)).take(53).collect::<Vec<_>>();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
        let faults: Vec<Fault> = plan(7).iter().map(|step| step.fault).collect();
        assert!(FAULTS.iter().all(|(fault, weight)| faults.iter().filter(|f| *f == fault).count() == *weight));
    }
}
