//! The jobs of a run, and what becomes of each.
//!
//! Invariant: what a job does follows from its payload and its attempt, but for snoozing. Limit: one kind, since what differs
//! is how jobs end.

use std::time::Duration;

use howdah::Job;
use serde::{Deserialize, Serialize};

use crate::seed::Seed;

/// What a job is to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// It succeeds.
    Succeed,
    /// So many attempts fail.
    Fail(i16),
    /// It panics so often.
    Panic(i16),
    /// It fails until it is dead.
    Hopeless,
    /// It is dead at once.
    Discard,
    /// It cancels itself.
    Cancel,
    /// Every other time, by chance, it asks to be called again.
    Snooze,
    /// It writes an effect in the transaction that completes it.
    Effect,
    /// It takes its process with it, as often as it may.
    Poison,
}

/// A job.
#[derive(Debug, Clone, Job, Serialize, Deserialize)]
#[job(kind = "task", queue = "mixed")]
pub(super) struct Task {
    /// Its own name.
    pub(super) tag: String,
    /// How many milliseconds it takes.
    pub(super) ms: u64,
    pub(super) fate: Fate,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Ok,
    Retry,
    Panic,
    Discard,
    Cancel,
    Snooze,
    Effect,
    Abort,
}

impl Turn {
    /// As it is written down.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Panic => "panic",
            Self::Discard => "discard",
            Self::Cancel => "cancel",
            Self::Snooze => "snooze",
            Self::Effect => "in_tx",
            Self::Abort => "abort",
        }
    }
}

/// How long a job that asks to be called again waits.
pub(super) const SNOOZE: Duration = Duration::from_millis(20);

impl Task {
    /// One of any fate; poison seldom, since it costs its siblings an attempt each.
    pub(super) fn any(tag: String, seed: &mut Seed) -> Self {
        let times = i16::try_from(1 + seed.below(3)).unwrap_or(1);
        let fate = match seed.below(400) {
            0 => Fate::Poison,
            1..12 => Fate::Discard,
            12..24 => Fate::Cancel,
            24..40 => Fate::Panic(times),
            40..90 => Fate::Fail(times),
            90..100 => Fate::Hopeless,
            100..140 => Fate::Snooze,
            140..220 => Fate::Effect,
            _ => Fate::Succeed,
        };
        Self::of(fate, tag, seed)
    }

    /// One that will complete, if it is tried often enough.
    pub(super) fn good(tag: String, seed: &mut Seed) -> Self {
        let fate = [Fate::Succeed, Fate::Succeed, Fate::Effect, Fate::Fail(1)][seed.below(4)];
        Self::of(fate, tag, seed)
    }

    fn of(fate: Fate, tag: String, seed: &mut Seed) -> Self {
        let tag = if fate == Fate::Effect { format!("{tag}-effect") } else { tag };
        let ms = [0, 1, 2, 5, 10, 20, 40][seed.below(7)];
        Self { tag, ms, fate }
    }

    /// How often it may be tried: those that are to die of it, not often; others are killed with their workers.
    pub(super) fn max_attempts(&self) -> u16 {
        match self.fate {
            Fate::Poison => 2,
            Fate::Hopeless => 3,
            _ => 1000,
        }
    }

    /// How this attempt ends.
    pub(super) fn turn(&self, attempt: i16, by_chance: bool) -> Turn {
        match self.fate {
            Fate::Fail(times) if attempt <= times => Turn::Retry,
            Fate::Panic(times) if attempt <= times => Turn::Panic,
            Fate::Hopeless => Turn::Retry,
            Fate::Discard => Turn::Discard,
            Fate::Cancel => Turn::Cancel,
            Fate::Snooze if by_chance => Turn::Snooze,
            Fate::Effect => Turn::Effect,
            Fate::Poison => Turn::Abort,
            _ => Turn::Ok,
        }
    }
}
