//! One attempt: a handler, held to its limits.
//!
//! Invariant: whatever the handler does (returns, fails, panics, hangs until its timeout), there is an [`Outcome`]. Limit: a
//! handler that blocks its thread is not stopped by anything.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::handler::{JobError, Outcome};

/// Lets a handler run until it returns, panics or takes too long.
pub(super) async fn limited(work: impl Future<Output = Outcome>, timeout: Option<Duration>) -> Outcome {
    let work = AssertUnwindSafe(work).catch_unwind();
    let ended = match timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let error = JobError::retry(format!("the attempt took longer than its timeout of {limit:?}"));
            Ok(Outcome::Failed(error.kind("timeout")))
        }),
    };
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
        Outcome::Failed(JobError::retry(text).kind("panic"))
    })
}
