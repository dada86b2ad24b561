//! When an attempt has to end, and whether anybody still waits for what its handler says.
//!
//! Invariant: the time of an attempt is over once, and stays over; whether an attempt is abandoned or completes
//! itself is decided once, under one lock. Limit: nothing is known of it in the database, where a worker's heartbeat
//! keeps the job for as long as the worker lives.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::ctx::Ctx;

/// The limit of one attempt.
#[derive(Debug)]
pub(crate) struct Limit {
    state: Mutex<State>,
    /// The deadline has moved.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    deadline: Option<Instant>,
    /// What the deadline was made of, as long as it has not been moved.
    timeout: Option<Duration>,
    /// Since when the time is over.
    over: Option<Instant>,
    /// Nobody waits for the handler any more: its job has been failed.
    abandoned: bool,
    /// Calls of `complete_in` that have begun and were not refused: if there are any, what becomes of the job is with
    /// the handler's transaction.
    completing: u32,
}

impl Limit {
    pub(crate) fn new(started: Instant, timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|t| started.checked_add(t));
        Self { state: Mutex::new(State { deadline, timeout, ..State::default() }), moved: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// Returns whether it is not too late for that.
    fn set(&self, deadline: impl FnOnce(Option<Instant>) -> Option<Instant>) -> bool {
        let mut state = self.state();
        if state.over.is_some() {
            return false;
        }
        (state.deadline, state.timeout) = (deadline(state.deadline), None);
        drop(state);
        self.moved.notify_one();
        true
    }

    /// Stops the clock until somebody has the job in hand.
    pub(crate) fn hold(&self) {
        self.state().deadline = None;
        self.moved.notify_one();
    }

    /// Starts it.
    pub(crate) fn start(&self) {
        let mut state = self.state();
        if state.over.is_none() {
            state.deadline = state.timeout.and_then(|t| Instant::now().checked_add(t));
        }
        drop(state);
        self.moved.notify_one();
    }

    /// Since when the time is over, if it is.
    pub(crate) fn over(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        if state.over.is_none() && state.deadline.is_some_and(|at| at <= now) {
            state.over = Some(now);
        }
        state.over
    }

    /// Waits until the time is over, wherever the deadline moves meanwhile. Gives since when it is.
    pub(crate) async fn reached(&self) -> Instant {
        loop {
            if let Some(since) = self.over(Instant::now()) {
                return since;
            }
            match self.deadline() {
                None => self.moved.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = self.moved.notified() => {}
                },
            }
        }
    }

    /// Stops waiting for the handler; false if it is completing the job, which only its transaction decides.
    pub(crate) fn abandon(&self) -> bool {
        let mut state = self.state();
        state.abandoned |= state.completing == 0;
        state.abandoned
    }

    /// Stops waiting for a handler whose transaction has decided.
    pub(crate) fn give_up(&self) {
        self.state().abandoned = true;
    }

    /// The handler is about to complete the job by itself; false if nobody waits for that any more.
    pub(crate) fn begin_completing(&self) -> bool {
        let mut state = self.state();
        state.completing += u32::from(!state.abandoned);
        !state.abandoned
    }

    /// The database refused it.
    pub(crate) fn completion_refused(&self) {
        self.state().completing -= 1;
    }

    pub(crate) fn is_completing(&self) -> bool {
        self.state().completing > 0
    }

    /// What an attempt that is over has done wrong.
    pub(crate) fn fault(&self, started: Instant) -> String {
        match self.state().timeout {
            Some(limit) => format!("the attempt took longer than its timeout of {limit:?}"),
            None => format!("the attempt had not ended at its deadline, {:.3?} after it began", started.elapsed()),
        }
    }
}

impl<T> Ctx<T> {
    /// When the attempt's time is over; `None`: never. It is then told to end ([`cancelled`](Self::cancelled) fires),
    /// has [`Worker::timeout_grace`](crate::Worker::timeout_grace) for that, and counts as failed unless it still
    /// succeeds.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.limit().deadline()
    }

    /// Moves the deadline to so long from now, for a handler that sees that it gets on; call it again and again. What
    /// was left is not added. An attempt without a deadline stays without. Returns false if it is too late: the
    /// time is over. The job is kept for this worker by its heartbeat, so nothing is asked of the database.
    pub fn extend(&self, from_now: Duration) -> bool {
        self.limit().set(|deadline| deadline.and_then(|_| Instant::now().checked_add(from_now)))
    }

    /// Gives the attempt a deadline, or another one. Returns false if it is too late: the time is over.
    pub fn set_deadline(&self, at: Instant) -> bool {
        self.limit().set(|_| Some(at))
    }

    /// Lets the attempt take as long as it likes. Returns false if it is too late: the time is over.
    pub fn clear_deadline(&self) -> bool {
        self.limit().set(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(timeout: Option<Duration>) -> (Limit, Instant) {
        let now = Instant::now();
        (Limit::new(now, timeout), now)
    }

    #[test]
    fn time_that_is_over_stays_over() {
        let (limit, start) = limit(Some(Duration::from_secs(1)));
        assert_eq!(limit.over(start), None);
        assert!(limit.set(|_| Some(start + Duration::from_secs(3))));
        assert_eq!(limit.over(start + Duration::from_secs(2)), None, "it was moved");
        let over = start + Duration::from_secs(4);
        assert_eq!(limit.over(over), Some(over));
        assert!(!limit.set(|_| None), "too late");
        assert_eq!(limit.over(over + Duration::from_secs(1)), Some(over));
    }

    #[test]
    fn a_handler_that_completes_its_job_is_not_abandoned_and_an_abandoned_one_cannot_complete() {
        let (first, _) = limit(None);
        assert!(first.begin_completing() && !first.abandon());
        first.completion_refused();
        assert!(first.abandon() && !first.begin_completing());
    }
}
