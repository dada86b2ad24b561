//! Lets a handler run to its end: its own, or that of its time, or that of the worker.
//!
//! Invariant: a handler that waits for something ends here, at the latest a grace period after its time was over; but
//! one that has called `complete_in` is never dropped half-way through its commit: it ends here when its transaction is over. Limit: one that blocks its thread is
//! not reached from here, see [`Watchdog`](super::watchdog::Watchdog).

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::panics::failure;
use crate::handler::{Call, JobError, Outcome, Verdict};

/// Runs a handler. A panic is a failure.
pub(super) async fn guard(
    call: &Call,
    grace: Duration,
    aborting: &CancellationToken,
    work: impl Future<Output = Outcome>,
) -> Outcome {
    let work = AssertUnwindSafe(work).catch_unwind();
    let mut work = pin!(work.map(|ended| ended.unwrap_or_else(|panic| Outcome::Failed(failure(panic)))));
    let over = tokio::select! {
        biased;
        outcome = &mut work => return outcome,
        () = aborting.cancelled() => return stopped(),
        over = call.limit.reached() => over,
    };
    call.cancelled.cancel();
    tokio::select! {
        biased;
        outcome = &mut work => late(call, outcome),
        () = aborting.cancelled() => stopped(),
        () = tokio::time::sleep_until((over + grace).into()) => {
            if call.limit.abandon() {
                return timed_out(call, "");
            }
            // Its own transaction decides on the job. Dropped now, it might commit all the same: with its slot given
            // to another, it may take its time, until that transaction is over.
            tokio::select! {
                biased;
                outcome = work => late(call, outcome),
                () = aborting.cancelled() => stopped(),
                () = call.decided() => {
                    call.limit.give_up();
                    timed_out(call, "")
                }
            }
        }
    }
}

/// What a handler said that was told to end because its time was over: a success counts, anything else is a timeout.
fn late(call: &Call, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(error) => {
            let message = format!("{}: {}", call.limit.fault(call.started), error.message);
            let uncounted = matches!(error.verdict, Verdict::Snooze | Verdict::Wait);
            let verdict = if uncounted { Verdict::Retry } else { error.verdict };
            Outcome::Failed(JobError { verdict, message, ..error }.kind("timeout"))
        }
        done => done,
    }
}

/// The failure of an attempt that did not end by itself.
pub(super) fn timed_out(call: &Call, remark: &str) -> Outcome {
    Outcome::Failed(JobError::retry(call.limit.fault(call.started) + remark).kind("timeout"))
}

fn stopped() -> Outcome {
    let error = JobError::retry_in(Duration::ZERO, "the worker stopped before the job had finished");
    Outcome::Failed(error.kind("worker_stopped"))
}
