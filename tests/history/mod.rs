//! What happened in a run under faults, and whether all of it was allowed.
//!
//! Producers, workers and the one who harms them each write what they mean to do, do and hear into a file of their own
//! ([`Log`]); the database keeps, by triggers, when each claim and each end was made ([`audit`]). After the faults are over and
//! the queue has drained, [`History::collect`] puts both beside what is left in the database, and [`check`] says what should
//! not be there. Invariant: `check` asks nothing but the history, so that histories can be written by hand. Limit: a
//! history is one phase of load, faults and drain; all clocks are those of one machine.

pub mod audit;
mod check;
mod event;
mod log;
mod state;

pub use check::{Rule, Violation, check};
pub use event::{Event, Line, Settlement};
pub use log::{Log, now, read_lines};
pub use state::{Cap, End, Failure, Firing, History, Hold, JobRow};
