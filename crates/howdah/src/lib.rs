#![doc = include_str!("../README.md")]

mod client;
mod error;
mod filter;
mod handler;
mod job;
mod schema;
mod sqltime;
mod worker;

pub use client::{
    Cancelled, Change, Decide, Enqueue, EnqueueMany, Find, FoundJob, Howdah, JobIds, JobState, Jobs, Many, On, Progress,
};
pub use error::{Error, Result};
pub use filter::{Attribute, Filter, Value};
pub use handler::{Ctx, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
pub use schema::{AppliedMigration, MigrationStatus};
pub use worker::Worker;
