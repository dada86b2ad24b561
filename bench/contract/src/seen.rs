//! What the handler has seen: how many jobs, and how long each had waited.
//!
//! Invariant: counting is one atomic addition, so that it is not what is measured. Limit: waiting times are kept in
//! memory until they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::{Work, now_ns};

/// What one worker's handler has seen. Clones share it.
#[derive(Debug, Clone)]
pub struct Seen(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ran: AtomicU64,
    /// From this count on somebody is told.
    wanted: AtomicU64,
    told: Notify,
    waited: Mutex<Vec<u64>>,
    /// Handlers return while it is false.
    hold: watch::Sender<bool>,
}

impl Seen {
    /// Nothing seen. With `hold`, handlers do not return before [`let_go`](Self::let_go).
    #[must_use]
    pub fn new(hold: bool) -> Self {
        Self(Arc::new(Inner {
            ran: AtomicU64::new(0),
            wanted: AtomicU64::new(u64::MAX),
            told: Notify::new(),
            waited: Mutex::default(),
            hold: watch::Sender::new(hold),
        }))
    }

    /// All that a handler does.
    pub async fn ran(&self, work: Work) {
        if work.at > 0 {
            let waited = now_ns().saturating_sub(work.at) / 1000;
            self.0.waited.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
        }
        if self.0.ran.fetch_add(1, Ordering::AcqRel) + 1 >= self.0.wanted.load(Ordering::Acquire) {
            self.0.told.notify_waiters();
        }
        if *self.0.hold.borrow() {
            // The sender lives as long as `self`.
            let _ = self.0.hold.subscribe().wait_for(|hold| !hold).await;
        }
    }

    /// Returns once so many have run.
    pub async fn until(&self, jobs: u64) {
        self.0.wanted.store(jobs, Ordering::Release);
        loop {
            let told = self.0.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if self.count() >= jobs {
                return;
            }
            told.await;
        }
    }

    /// How many have run.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.ran.load(Ordering::Acquire)
    }

    /// Takes the waiting times, in microseconds.
    #[must_use]
    pub fn take_waited(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.waited.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the handlers return.
    pub fn let_go(&self) {
        self.0.hold.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_count_is_told_when_it_is_reached_and_not_before() {
        let seen = Seen::new(false);
        let waiting = tokio::spawn({
            let seen = seen.clone();
            async move {
                seen.until(3).await;
                seen.count()
            }
        });
        for n in 0..3 {
            tokio::task::yield_now().await;
            seen.ran(Work { n, at: 0 }).await;
        }
        assert!(waiting.await.unwrap() >= 3);
        assert!(seen.take_waited().is_empty(), "nobody asked how long they waited");
    }

    #[tokio::test]
    async fn held_handlers_have_run_and_return_when_they_are_let_go() {
        let seen = Seen::new(true);
        let handler = tokio::spawn({
            let seen = seen.clone();
            async move { seen.ran(Work { n: 0, at: 1 }).await }
        });
        seen.until(1).await;
        assert!(!handler.is_finished());
        seen.let_go();
        handler.await.unwrap();
        assert_eq!(seen.take_waited().len(), 1);
    }
}
