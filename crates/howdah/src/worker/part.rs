//! The tasks that a worker is made of.
//!
//! Invariant: a worker that has lost one of them stops as if it was told to, and says why. Without, it would send
//! heartbeats, keep its jobs, and do nothing. Limit: what the lost one had in hand is rescued when the worker is gone.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::panics::{failure, quietly};
use super::shared::Shared;

/// Starts one of them.
pub(super) fn start(
    shared: &Arc<Shared>,
    what: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            let error = failure(panic);
            quietly(|| tracing::error!(part = what, %error, "a part of this worker panicked: it stops"));
            let _ = shared.lost_part.set(what);
            shared.told_to_stop.cancel();
        }
    })
}
