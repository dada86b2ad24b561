//! Whether a history was allowed.
//!
//! Invariant: a pure function of the history. Each rule has a test with a history that breaks it and no other. Limit: what it
//! says is found, not what is missing from the history: the files and the triggers must be complete.

mod attempts;
mod enqueued;
mod index;
mod order;
mod settled;
#[cfg(test)]
mod tests;

use std::fmt;

use super::state::History;
use index::Index;

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What was acknowledged exists.
    NothingIsLost,
    /// What was rolled back, refused or never meant does not exist and does not run.
    NothingIsInvented,
    /// What was enqueued together exists together.
    AllOrNone,
    /// A job is made once, however often an unknown outcome is tried again with its key.
    MadeOnce,
    /// After the faults every job ends.
    EverythingEnds,
    /// A job ends once, and stays what it is.
    EndsOnce,
    /// A job has one current attempt at most.
    OneCurrentAttempt,
    /// A handler runs only what was claimed for it, and once for each claim.
    RunsOnlyWhatIsClaimed,
    /// Attempts are counted once each, none is left out, and there are not more than the maximum.
    AttemptsAreCounted,
    /// A job ends as its handler said.
    EndsAsSaid,
    /// What is said of an attempt that is over is refused, and what is said of a current one accepted.
    StaleIsRefused,
    /// What a handler writes with its completion happens exactly once.
    EffectsOnce,
    /// Limits hold at every instant.
    Limits,
    /// Jobs with the same ordering key run in their order, one at a time.
    Orders,
    /// No two unfinished jobs have the same unique key.
    UniqueKeys,
    /// A job runs after those that it waits for, and only if they have completed.
    Dependencies,
    /// Each slot of a schedule is fired exactly once.
    Schedules,
    /// Views and counters say what is there, and nothing is left over.
    Counters,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub rule: Rule,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: Rule, what: impl Into<String>) {
        self.0.push(Violation { rule, what: what.into() });
    }
}

/// Everything in a history that must not be.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let index = Index::new(history);
    let mut found = Found::default();
    enqueued::check(&index, &mut found);
    attempts::check(&index, &mut found);
    settled::check(&index, &mut found);
    order::check(&index, &mut found);
    for difference in &history.differences {
        found.add(Rule::Counters, difference.clone());
    }
    found.0
}
