#![doc = include_str!("../README.md")]

mod client;
mod error;
mod handler;
mod job;
pub mod layer;
mod schema;
mod sqltime;
mod worker;

pub use client::{Cancelled, Enqueue, EnqueueMany, Howdah, JobIds, JobState, On};
pub use error::{Error, Result};
pub use handler::{Ctx, FromRef, Handler, IntoOutcome, JobError, OrVerdict, RawJob};
pub use howdah_derive::Job;
pub use job::{Job, JobId};
pub use schema::{AppliedMigration, MigrationStatus};
pub use worker::Worker;
