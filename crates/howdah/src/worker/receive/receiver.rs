//! The stream of jobs that were claimed.
//!
//! Invariant: when it is closed or dropped, what was not taken goes back at once, and what was taken stays with its
//! handles. Limit: it ends only when its worker has; to stop, close or drop it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::join_all;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

use super::handle::JobHandle;
use crate::error::Result;
use crate::handler::RawJob;

/// Jobs of a queue, one after another: see [`Howdah::receive`](crate::Howdah::receive).
///
/// It is a `Stream` too. Dropping it gives back at once what was claimed and not taken; jobs whose handles are still out stay
/// theirs, with heartbeats, until they are finished or dropped. Then it is no worker any more.
#[must_use = "a receiver that is dropped gives its jobs back"]
pub struct Receiver<P = RawJob> {
    jobs: mpsc::UnboundedReceiver<JobHandle<P>>,
    /// Shared with the handles that are out.
    held: Arc<()>,
    stop: DropGuard,
    worker: JoinHandle<Result<()>>,
}

impl<P> Receiver<P> {
    pub(super) fn new(
        jobs: mpsc::UnboundedReceiver<JobHandle<P>>,
        stop: DropGuard,
        worker: JoinHandle<Result<()>>,
    ) -> Self {
        Self { jobs, held: Arc::new(()), stop, worker }
    }

    /// The next job; waits until there is one, and while as many handles are out as a batch may have. Errors of the
    /// database are logged and survived. `None` only when the runtime is shutting down. Dropping this future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<JobHandle<P>>
    where
        P: Send,
    {
        StreamExt::next(self).await
    }

    /// Takes no more jobs, and returns when those that were not taken are given back; if no handle is out, when it is
    /// not registered any more either.
    pub async fn close(self) {
        let Self { mut jobs, held, stop, worker } = self;
        drop(stop);
        jobs.close();
        let mut back = Vec::new();
        while let Some(job) = jobs.recv().await {
            back.push(job.release());
        }
        // One that was lost meanwhile is with others anyway.
        join_all(back).await;
        if Arc::into_inner(held).is_some() {
            let _ = worker.await;
        }
    }
}

impl<P> Stream for Receiver<P> {
    type Item = JobHandle<P>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.jobs.poll_recv(cx).map(|job| job.map(|job| job.taken(&self.held)))
    }
}

impl<P> fmt::Debug for Receiver<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("out", &(Arc::strong_count(&self.held) - 1)).finish_non_exhaustive()
    }
}
