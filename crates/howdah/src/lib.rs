#![doc = include_str!("../README.md")]

mod bytes;
mod client;
mod error;
mod handler;
mod job;
mod retry;
mod schema;
mod sqltime;
mod worker;

pub use bytes::Bytes;
pub use client::{
    Cancelled, Ended, Enqueue, EnqueueMany, EnqueueUnique, Enqueued, Howdah, JobIds, JobState, KindSettings, On,
    QueueSettings, Unique, Wait,
};
pub use error::{Error, Result};
pub use handler::{Ctx, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
pub use retry::Retry;
pub use schema::{AppliedMigration, MigrationStatus};
pub use worker::{FailedAttempt, Worker};
