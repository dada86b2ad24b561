//! What a handler knows of the schedule that its job comes from.
//!
//! Invariant: as `howdah.fire_slot` has written it. Limit: how late it is is for the handler to see.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use super::ctx::Ctx;

/// A firing of a schedule.
#[derive(Debug, Deserialize)]
pub(crate) struct Slot {
    name: String,
    due_at: String,
}

impl<T> Ctx<T> {
    /// The name of the schedule that has enqueued the job; `None`: none has.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        Some(&self.options()?.schedule.as_ref()?.name)
    }

    /// The slot of that schedule which the job is for: the same in each attempt, however late it runs; when it was run by
    /// hand, that moment.
    #[must_use]
    pub fn scheduled_for(&self) -> Option<SystemTime> {
        let at: Timestamp = self.options()?.schedule.as_ref()?.due_at.parse().ok()?;
        Some(at.into())
    }
}
