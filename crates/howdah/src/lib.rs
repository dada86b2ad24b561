#![doc = include_str!("../README.md")]

mod bytes;
mod client;
mod error;
mod filter;
mod handler;
mod job;
pub mod layer;
mod logs;
pub mod metrics;
mod retry;
mod schema;
mod sqltime;
mod statement;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
mod worker;

pub use bytes::Bytes;
pub use client::{
    Cancelled, Change, Config, Decide, Ended, Enqueue, EnqueueMany, EnqueueUnique, EnqueueWorkflow, Enqueued, Find,
    FoundJob, Graph, Howdah, JobIds, JobState, Jobs, KindSettings, Many, On, OnParentFailure, Parent, Progress,
    QueueSettings, RemovedJob, Retention, Unique, Wait, WorkflowId, WorkflowJob,
};
pub use error::{Error, Result};
pub use filter::{Attribute, Filter, Value};
pub use handler::{Ctx, EndedParent, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob, Tx};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
#[cfg(feature = "logs")]
pub use logs::JobLogs;
pub use retry::Retry;
pub use schema::{AppliedMigration, MigrationStatus};
pub use statement::{Answer, Statement, StatementHook};
pub use trace::current_traceparent;
pub use worker::{FailedAttempt, JobHandle, Receive, Receiver, Worker};
