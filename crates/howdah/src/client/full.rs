//! Waiting until a bounded queue takes a job.
//!
//! Invariant: it waits outside of any transaction and without a connection, so that who waits holds nothing that
//! others need; nothing can be missed, as it tries again by itself. Limit: up to a quarter of a second late.

use std::time::{Duration, Instant};

use super::enqueue::Enqueue;
use super::enqueue_many::EnqueueMany;
use crate::error::{Error, Result};

/// The first pause, and the longest.
const SOON: Duration = Duration::from_millis(10);
const SELDOM: Duration = Duration::from_millis(250);

impl<O> Enqueue<'_, O> {
    /// Waits up to this long for room in a queue with a bound (`max_jobs`), instead of failing with
    /// [`Error::QueueFull`] at once. Who waits does not stand in line: others may be faster.
    ///
    /// Not together with [`on`](Self::on) a transaction or connection, which would be kept open meanwhile: that is
    /// refused with [`Error::Invalid`].
    pub fn wait_if_full(mut self, at_most: Duration) -> Self {
        self.wait_if_full = Some(at_most);
        self
    }
}

impl EnqueueMany<'_> {
    /// As [`Enqueue::wait_if_full`], until all of the jobs fit.
    pub fn wait_if_full(mut self, at_most: Duration) -> Self {
        self.one.wait_if_full = Some(at_most);
        self
    }
}

/// Refuses to wait on a connection of the caller's.
pub(super) fn refuse_to_wait(wait_if_full: Option<Duration>) -> Result<()> {
    match wait_if_full {
        None => Ok(()),
        Some(_) => Err(Error::Invalid {
            field: "wait_if_full".to_owned(),
            message: "cannot wait on a transaction or connection, which would be kept open meanwhile".to_owned(),
            hint: "Leave `.on(...)` out, or enqueue again after the transaction".to_owned(),
        }),
    }
}

/// How long to go on trying.
pub(super) struct Patience {
    /// `None`: no time at all, or without end.
    until: Option<Instant>,
    waits: bool,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(wait_if_full: Option<Duration>) -> Self {
        let until = wait_if_full.and_then(|at_most| Instant::now().checked_add(at_most));
        Self { until, waits: wait_if_full.is_some(), pause: SOON }
    }

    /// If the queue was full and there is time left: waits a little, and says that it is worth another try.
    pub(super) async fn wait_after<T>(&mut self, sent: &Result<T>) -> bool {
        if !self.waits || !matches!(sent, Err(Error::QueueFull { .. })) {
            return false;
        }
        let left = self.until.map_or(SELDOM, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return false;
        }
        // Less often the longer it takes, and not all at once.
        tokio::time::sleep(self.pause.mul_f64(rand::random_range(0.5..1.0)).min(left)).await;
        self.pause = (self.pause * 2).min(SELDOM);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Result<()> {
        Err(Error::QueueFull { queue: String::new(), message: String::new(), hint: String::new() })
    }

    #[tokio::test]
    async fn only_a_full_queue_is_waited_for_and_not_for_ever() {
        assert!(!Patience::new(None).wait_after(&full()).await);
        assert!(!Patience::new(Some(Duration::ZERO)).wait_after(&full()).await);
        let mut patience = Patience::new(Some(Duration::from_secs(1)));
        assert!(!patience.wait_after(&Ok(())).await);
        assert!(!patience.wait_after::<()>(&Err(Error::invalid("queue", ""))).await);
        let mut tries = 0;
        while patience.wait_after(&full()).await {
            tries += 1;
        }
        assert!((2..100).contains(&tries), "{tries}");
        assert!(Patience::new(Some(Duration::MAX)).wait_after(&full()).await);
    }
}
