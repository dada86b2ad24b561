//! Schedules: jobs that are enqueued by the clock.
//!
//! Invariant: what is worked out here is only when; that every slot is fired once is for the database to see to
//! (`howdah.fire_schedule`). Limit: the finest step is a second.

mod every;
mod expression;
mod plan;
mod schedule;

pub(crate) use expression::Timing;
pub(crate) use plan::{Due, Plan};
pub use schedule::{Missed, Schedule};
