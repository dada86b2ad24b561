#![doc = include_str!("../README.md")]

mod bytes;
mod client;
mod error;
mod handler;
mod job;
mod logs;
pub mod metrics;
mod retry;
mod schema;
mod sqltime;
mod statement;
mod trace;
mod worker;

pub use bytes::Bytes;
pub use client::{
    Cancelled, Config, Ended, Enqueue, EnqueueMany, EnqueueUnique, Enqueued, Howdah, JobIds, JobState, On, RemovedJob,
    Retention, Unique, Wait,
};
pub use error::{Error, Result};
pub use handler::{Ctx, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
#[cfg(feature = "logs")]
pub use logs::JobLogs;
pub use retry::Retry;
pub use schema::{AppliedMigration, MigrationStatus};
pub use statement::{Answer, Statement, StatementHook};
pub use trace::current_traceparent;
pub use worker::{FailedAttempt, Worker};
