#![doc = include_str!("../README.md")]

mod bytes;
mod client;
mod cron;
mod encryption;
mod error;
mod filter;
mod handler;
mod hidden;
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
    Cancelled, Change, Config, Decide, Doctor, Ended, Enqueue, EnqueueMany, EnqueueUnique, EnqueueWorkflow, Enqueued,
    Find, Finding, FindingState, Firing, FoundJob, Graph, Howdah, JobIds, JobState, JobStep, Jobs, KindSettings, Limit,
    Many, On, OnParentFailure, Parent, Progress, QueueSettings, Reason, RemovedJob, Retention, Roles, ScheduleInfo,
    Signal, Unique, Wait, WorkflowId, WorkflowJob, strict_tls,
};
pub use cron::{Missed, Schedule};
#[cfg(feature = "encryption")]
pub use encryption::Keyring;
pub use error::{Error, Result};
pub use filter::{Attribute, Filter, Value};
pub use handler::{Ctx, EndedParent, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob, Tx, WorkflowEnd};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
#[cfg(feature = "logs")]
pub use logs::JobLogs;
pub use retry::Retry;
pub use schema::{AppliedMigration, MigrationStatus};
pub use statement::{Answer, Statement, StatementHook};
pub use trace::current_traceparent;
pub use worker::{FailedAttempt, JobHandle, Receive, Receiver, Worker};

// The examples of the guides work as they stand.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/steps.md")]
mod guide_to_steps {}
