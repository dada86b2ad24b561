//! One job, without a queue.
//!
//! Invariant: the payload goes through JSON, and the handler is called as a worker calls it, with its timeout, its panics
//! caught. Limit: there is no job in any database, so the context's id is 0, and nothing can complete or check it.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;

use crate::client::{Howdah, payload};
use crate::error::Result;
use crate::handler::{self, Verdict};
use crate::job::Job;
use crate::worker::{Worker, run_alone};

/// How a handler ended its job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It returned well.
    Completed,
    /// It failed, panicked, took too long, or could not read its payload, and would be tried again.
    Failed {
        /// What failures are grouped by: the name of the error's type; `panic`, `timeout` or `payload`.
        kind: String,
        /// What is kept of the error.
        message: String,
        /// After which delay; `None`: as the queue's policy says.
        retry_in: Option<Duration>,
    },
    /// It failed for good.
    Discarded {
        /// As in [`Failed`](Self::Failed).
        kind: String,
        /// What is kept of the error.
        message: String,
    },
    /// It is not wanted any more.
    Cancelled {
        /// Why.
        message: String,
    },
    /// It would run again after this delay, and this attempt would not count.
    Snoozed {
        /// After which delay.
        delay: Duration,
    },
}

impl Outcome {
    /// Whether it returned well.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        *self == Self::Completed
    }
}

/// Runs one job through the handler that this worker has for it. No database is needed unless the handler itself asks
/// for one: see [`without_database`].
///
/// # Panics
/// If the worker has no handler for the job, or one that works in a transaction, which needs a job in the queue
/// ([`drain`](super::drain) runs those); or if the payload cannot be written as JSON.
pub async fn run<S: Send + Sync + 'static, J: Job>(worker: &Worker<S>, job: J) -> Outcome {
    let outcome = alone(worker, job).await.unwrap_or_else(|error| panic!("this job cannot be run: {error}"));
    let error = match outcome {
        handler::Outcome::Done(_) => return Outcome::Completed,
        handler::Outcome::Released => return Outcome::Snoozed { delay: Duration::ZERO },
        handler::Outcome::Failed(error) => error,
    };
    match error.verdict {
        Verdict::Retry => Outcome::Failed { kind: error.kind, message: error.message, retry_in: error.delay },
        Verdict::Discard => Outcome::Discarded { kind: error.kind, message: error.message },
        Verdict::Cancel => Outcome::Cancelled { message: error.message },
        Verdict::Snooze | Verdict::Wait => Outcome::Snoozed { delay: error.delay.unwrap_or_default() },
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a job that is run is given away")]
async fn alone<S: Send + Sync + 'static, J: Job>(worker: &Worker<S>, job: J) -> Result<handler::Outcome> {
    let payload = worker.howdah.keys().seal(J::KIND, payload::encode(&job)?)?;
    run_alone(worker, J::KIND, J::VERSION, payload.0, J::MAX_ATTEMPTS.unwrap_or(20)).await
}

/// A queue that is nowhere, for workers whose handlers need no database. Whatever asks it something is refused with
/// [`Error::Database`](crate::Error::Database).
#[must_use]
pub fn without_database() -> Howdah {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass().host("/nowhere").username("nobody");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(100)).connect_lazy_with(options);
    Howdah::from_pool(pool)
}
