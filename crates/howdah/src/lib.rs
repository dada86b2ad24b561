#![doc = include_str!("../README.md")]

mod client;
mod error;
mod handler;
mod job;
mod logs;
pub mod metrics;
mod schema;
mod sqltime;
mod statement;
mod trace;
mod worker;

pub use client::{Cancelled, Enqueue, EnqueueMany, Howdah, JobIds, JobState, On};
pub use error::{Error, Result};
pub use handler::{Ctx, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
#[cfg(feature = "logs")]
pub use logs::JobLogs;
pub use schema::{AppliedMigration, MigrationStatus};
pub use statement::{Answer, Statement, StatementHook};
pub use trace::current_traceparent;
pub use worker::Worker;
