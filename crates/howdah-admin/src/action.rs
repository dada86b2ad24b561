//! What can be done to jobs, and who does it.
//!
//! Invariant: what an action is for, in which states, is decided by the database. Limit: one setting for all the jobs.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// Something that is done to jobs. In which states they have to be: the SQL function `howdah.action_states`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Dead jobs run again with all their attempts; scheduled ones, if the search names that state, at once.
    Retry,
    /// Those that wait end at once, those that run are asked to.
    Cancel,
    /// Dead jobs are deleted for good; also others but running ones, if the search names their state.
    Purge,
    /// Those that wait have this priority: 0 runs first, 9 last.
    Priority(u8),
    /// Those that wait go to this queue.
    Move(String),
    /// Those that wait are due then.
    RescheduleAt(SystemTime),
    /// Those that wait are due so long after it is done to them.
    RescheduleIn(Duration),
}

impl Action {
    /// Its name in SQL.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Purge => "purge",
            Self::Priority(_) => "priority",
            Self::Move(_) => "move",
            Self::RescheduleAt(_) | Self::RescheduleIn(_) => "reschedule",
        }
    }

    /// Its settings in SQL.
    pub(crate) fn settings(&self) -> Value {
        match self {
            Self::Retry | Self::Cancel | Self::Purge => json!({}),
            Self::Priority(priority) => json!({ "priority": priority }),
            Self::Move(queue) => json!({ "queue": queue }),
            Self::RescheduleAt(at) => {
                let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                // As text, which PostgreSQL takes with as many digits as there are.
                let at = jiff::Timestamp::from_duration(jiff::SignedDuration::try_from(since).unwrap_or_default());
                json!({ "run_at": at.unwrap_or(jiff::Timestamp::MAX).to_string() })
            }
            // Not in days, which are those of the session's time zone; and no number may be beyond 2^31.
            Self::RescheduleIn(delay) => {
                let (hours, rest) = (delay.as_secs() / 3600, delay.as_secs() % 3600);
                json!({ "delay": format!("{hours} hours {rest}.{:06} seconds", delay.subsec_micros()) })
            }
        }
    }
}

/// Who does something, and why: what the audit says.
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "it says who does something, and does nothing by itself"]
pub struct By<'a> {
    pub(crate) who: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
}

impl<'a> By<'a> {
    /// The user of the database session.
    pub fn session() -> Self {
        Self::default()
    }

    /// A person, as the application knows them.
    pub fn person(who: &'a str) -> Self {
        Self { who: Some(who), reason: None }
    }

    /// Why.
    pub fn because(mut self, reason: &'a str) -> Self {
        self.reason = Some(reason);
        self
    }
}
