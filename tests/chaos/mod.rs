//! Runs under faults, with real processes and a real PostgreSQL.
//!
//! [`Stage`] has a server of its own and a database with a queue; [`Cast`] starts producers and workers as processes
//! ([`actor`]), half of them through a [`Proxy`] and one through PgBouncer; a [`Plan`] drawn from a number says which faults befall them and when; after
//! that the queue drains, and what everybody has written down is checked (see [`crate::history`]). Invariant: the same number
//! gives the same plan and the same load. Limit: not the same schedule of processes, so a fault may need several runs to be
//! found again.

pub mod actor;
mod cast;
mod chart;
mod fault;
mod growth;
mod jobs;
mod mutants;
mod plan;
mod producer;
mod proxy;
mod report;
mod rest;
mod run;
mod setup;
mod sql_worker;
mod stage;
mod worker;

pub use mutants::{MUTANTS, Noticed, try_mutant};
pub use plan::{Plan, Step};
pub use report::{Report, Sample};
pub use run::{Run, Verdict};
