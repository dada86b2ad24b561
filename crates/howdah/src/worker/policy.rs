//! When a failed job is tried again, as far as the program decides it.
//!
//! Invariant: a time that the handler gave itself is left alone. Limit: what the job itself, its kind or its queue say is
//! known to the database, which decides last; see `howdah.retry_delay`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::panics::{failure, quietly};
use crate::handler::{Call, Outcome, Verdict};
use crate::job::JobId;
use crate::retry::Retry;

/// A failed attempt, as the function of [`Worker::retry_by`](crate::Worker::retry_by) sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedAttempt<'a> {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: &'a str,
    /// Which attempt failed, from 1.
    pub attempt: u16,
    /// After how many the job is dead.
    pub max_attempts: u16,
    /// The kind of error.
    pub error_kind: &'a str,
    /// What it said.
    pub message: &'a str,
}

/// The application's own policy.
pub(super) type RetryBy = Arc<dyn Fn(&FailedAttempt<'_>) -> Option<Duration> + Send + Sync>;

/// What the program says of the retry of one job.
pub(super) struct Policy {
    kind: String,
    declared: Option<Retry>,
    retry_by: Option<RetryBy>,
}

impl Policy {
    pub(super) fn new(kind: &str, declared: Option<Retry>, retry_by: Option<RetryBy>) -> Self {
        Self { kind: kind.to_owned(), declared, retry_by }
    }

    /// The kind of the job.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// Adds it to a failure.
    pub(super) fn applied(&self, outcome: Outcome, call: &Call) -> Outcome {
        let Outcome::Failed(mut error) = outcome else { return outcome };
        if error.verdict == Verdict::Retry && error.delay.is_none() {
            error.declared = self.declared.map(Box::new);
            error.delay = self.retry_by.as_ref().and_then(|wait| {
                let failed = FailedAttempt {
                    id: call.id,
                    kind: &self.kind,
                    attempt: call.attempt,
                    max_attempts: call.max_attempts,
                    error_kind: &error.kind,
                    message: &error.message,
                };
                // A panic in it must not take the runner along.
                catch_unwind(AssertUnwindSafe(|| wait(&failed))).unwrap_or_else(|panic| {
                    failure(panic);
                    quietly(|| tracing::error!(job = %call.id, "the function given to retry_by panicked: the policy of the queue applies"));
                    None
                })
            });
        }
        Outcome::Failed(error)
    }
}
