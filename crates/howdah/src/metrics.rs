//! What the library counts and measures, through the facade of the crate `metrics` (feature `metrics`).
//!
//! | name | what | labels |
//! |---|---|---|
//! | `howdah_jobs_enqueued_total` | jobs that an enqueue of this process was answered for; a transaction that is rolled back afterwards does not take them back | `queue`, `kind` |
//! | `howdah_jobs_claimed_total` | jobs that were claimed; what was given back unstarted is claimed again | `queue` |
//! | `howdah_pickup_seconds` | from the enqueue to the claim, by the server's clock; first attempts only, delays that were asked for included | `queue` |
//! | `howdah_attempts_total` | attempts that ended, by what became of them: `completed`, or the verdict `retry`, `discard`, `cancel`, `snooze`, `wait`, or `released`, `lost`, `abandoned` | `queue`, `kind`, `outcome` |
//! | `howdah_attempt_seconds` | how long they took | `queue`, `kind`, `outcome` |
//! | `howdah_running` | attempts that run now | `queue` |
//! | `howdah_lease_lost_total` | attempts whose lease was lost: heard of while they ran (`running`, the attempt counts as `lost`), or only when their result was refused (`told`) | `when` |
//! | `howdah_looks_total` | looks for jobs: because of a notification (`notified`), a free hand (`free`) or the time (`time`) | `queue`, `reason` |
//! | `howdah_statement_seconds` | how long statements took: `claim`, `complete_leases`, `fail`, `heartbeat`, `keep`, ... | `operation`, `connection` |
//! | `howdah_database_errors_total` | statements and connections that failed; `sqlstate` is `none` if the server said nothing | `connection`, `sqlstate` |
//! | `howdah_keeper_terms_total` | terms for which this process was elected keeper | |
//!
//! Invariant: without the feature all of this is nothing, and costs nothing. Limit: a recorder that is installed
//! after a worker has started does not get the descriptions.

/// Jobs that were enqueued: `queue`, `kind`.
pub const JOBS_ENQUEUED: &str = "howdah_jobs_enqueued_total";
/// Jobs that were claimed: `queue`.
pub const JOBS_CLAIMED: &str = "howdah_jobs_claimed_total";
/// From the enqueue to the claim: `queue`.
pub const PICKUP_SECONDS: &str = "howdah_pickup_seconds";
/// Attempts that ended: `queue`, `kind`, `outcome`.
pub const ATTEMPTS: &str = "howdah_attempts_total";
/// How long attempts took: `queue`, `kind`, `outcome`.
pub const ATTEMPT_SECONDS: &str = "howdah_attempt_seconds";
/// Attempts that run now: `queue`.
pub const RUNNING: &str = "howdah_running";
/// Attempts whose lease was lost: `when`.
pub const LEASE_LOST: &str = "howdah_lease_lost_total";
/// Looks for jobs: `queue`, `reason`.
pub const LOOKS: &str = "howdah_looks_total";
/// How long statements took: `operation`, `connection`.
pub const STATEMENT_SECONDS: &str = "howdah_statement_seconds";
/// Statements and connections that failed: `connection`, `sqlstate`.
pub const DATABASE_ERRORS: &str = "howdah_database_errors_total";
/// Terms as the keeper.
pub const KEEPER_TERMS: &str = "howdah_keeper_terms_total";

#[cfg(not(feature = "metrics"))]
pub(crate) use off::*;
#[cfg(feature = "metrics")]
pub(crate) use on::*;

#[cfg(feature = "metrics")]
mod on {
    use std::sync::Arc;
    use std::time::Duration;

    use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

    use super::*;
    use crate::error::Error;
    use crate::statement::Statement;

    pub(crate) const ON: bool = true;

    /// Tells the recorder what the names mean.
    pub(crate) fn describe() {
        describe_counter!(JOBS_ENQUEUED, Unit::Count, "Jobs that were enqueued");
        describe_counter!(JOBS_CLAIMED, Unit::Count, "Jobs that were claimed");
        describe_histogram!(PICKUP_SECONDS, Unit::Seconds, "From the enqueue to the claim, first attempts only");
        describe_counter!(ATTEMPTS, Unit::Count, "Attempts that ended, by what became of them");
        describe_histogram!(ATTEMPT_SECONDS, Unit::Seconds, "How long attempts took");
        describe_gauge!(RUNNING, Unit::Count, "Attempts that run now");
        describe_counter!(LEASE_LOST, Unit::Count, "Attempts whose lease was lost");
        describe_counter!(LOOKS, Unit::Count, "Looks for jobs, by their reason");
        describe_histogram!(STATEMENT_SECONDS, Unit::Seconds, "How long statements took");
        describe_counter!(DATABASE_ERRORS, Unit::Count, "Statements and connections that failed");
        describe_counter!(KEEPER_TERMS, Unit::Count, "Terms for which this process was elected keeper");
    }

    pub(crate) fn enqueued(queue: &str, kind: &str, jobs: usize) {
        counter!(JOBS_ENQUEUED, "queue" => queue.to_owned(), "kind" => kind.to_owned()).increment(count(jobs));
    }

    pub(crate) fn claimed(queue: &Arc<str>, jobs: usize) {
        counter!(JOBS_CLAIMED, "queue" => Arc::clone(queue)).increment(count(jobs));
    }

    /// One job's wait, in microseconds of the server's clock.
    pub(crate) fn picked_up(queue: &Arc<str>, micros: i64) {
        let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        histogram!(PICKUP_SECONDS, "queue" => Arc::clone(queue)).record(wait);
    }

    /// An attempt that runs.
    pub(crate) struct Attempt {
        queue: Arc<str>,
        kind: Arc<str>,
    }

    impl Attempt {
        pub(crate) fn begin(queue: &Arc<str>, kind: &str) -> Self {
            gauge!(RUNNING, "queue" => Arc::clone(queue)).increment(1);
            Self { queue: Arc::clone(queue), kind: kind.into() }
        }

        pub(crate) fn end(self, outcome: &'static str, took: Duration) {
            gauge!(RUNNING, "queue" => Arc::clone(&self.queue)).decrement(1);
            let labels = [
                ::metrics::Label::new("queue", self.queue),
                ::metrics::Label::new("kind", self.kind),
                ::metrics::Label::from_static_parts("outcome", outcome),
            ];
            counter!(ATTEMPTS, labels.iter()).increment(1);
            histogram!(ATTEMPT_SECONDS, labels.iter()).record(took);
        }
    }

    pub(crate) fn lease_lost(when: &'static str) {
        counter!(LEASE_LOST, "when" => when).increment(1);
    }

    pub(crate) fn looked(queue: &Arc<str>, reason: &'static str) {
        counter!(LOOKS, "queue" => Arc::clone(queue), "reason" => reason).increment(1);
    }

    pub(crate) fn statement(statement: &Statement, took: Duration, error: Option<&Error>) {
        let (operation, connection) = (statement.operation, statement.connection);
        histogram!(STATEMENT_SECONDS, "operation" => operation, "connection" => connection).record(took);
        if let Some(error) = error {
            database_error(connection, error);
        }
    }

    pub(crate) fn database_error(connection: &'static str, error: &Error) {
        let Error::Database(error) = error else { return };
        let code = error.as_database_error().and_then(|e| e.code()).map_or("none".to_owned(), |c| c.into_owned());
        counter!(DATABASE_ERRORS, "connection" => connection, "sqlstate" => code).increment(1);
    }

    pub(crate) fn elected() {
        counter!(KEEPER_TERMS).increment(1);
    }

    fn count(jobs: usize) -> u64 {
        u64::try_from(jobs).unwrap_or(u64::MAX)
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::error::Error;
    use crate::statement::Statement;

    pub(crate) const ON: bool = false;

    pub(crate) struct Attempt;

    impl Attempt {
        #[inline(always)]
        pub(crate) fn begin(_: &Arc<str>, _: &str) -> Self {
            Self
        }
        #[inline(always)]
        pub(crate) fn end(self, _: &'static str, _: Duration) {}
    }

    #[inline(always)]
    pub(crate) fn describe() {}
    #[inline(always)]
    pub(crate) fn enqueued(_: &str, _: &str, _: usize) {}
    #[inline(always)]
    pub(crate) fn claimed(_: &Arc<str>, _: usize) {}
    #[inline(always)]
    pub(crate) fn picked_up(_: &Arc<str>, _: i64) {}
    #[inline(always)]
    pub(crate) fn lease_lost(_: &'static str) {}
    #[inline(always)]
    pub(crate) fn looked(_: &Arc<str>, _: &'static str) {}
    #[inline(always)]
    pub(crate) fn statement(_: &Statement, _: Duration, _: Option<&Error>) {}
    #[inline(always)]
    pub(crate) fn database_error(_: &'static str, _: &Error) {}
    #[inline(always)]
    pub(crate) fn elected() {}
}
