//! What this process remembers of queues, so that a stream of enqueues costs little more than its rows.
//!
//! Invariant: nothing here is needed to be right. Settings of a queue are at most [`FRESH`] old. That nobody
//! sleeps is believed for [`AWAKE`]: a worker that falls asleep meanwhile is not notified, and finds the job by
//! the looks that it takes for that reason 5, 15 and 35 ms after it has announced itself. Limit: used only while
//! enqueues come faster than that; a seldom one asks the server for everything, in its one statement.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const FRESH: Duration = Duration::from_secs(1);
const AWAKE: Duration = Duration::from_millis(20);

/// The settings of a queue that an enqueue needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) id: i32,
    pub(super) max_attempts: i16,
    pub(super) max_payload_bytes: i32,
    pub(super) fresh_slot: i16,
}

#[derive(Debug, Default)]
struct Memory {
    exists: bool,
    /// What was learnt when; nothing of a queue that the server must be asked about each time.
    facts: Option<(Option<Facts>, Instant)>,
    nobody_asleep: Option<Instant>,
    last: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Ask the server.
    Nothing,
    /// Enqueues come in a stream: asking for the facts will pay.
    Busy,
    /// All that is needed, and whether somebody may be asleep.
    Facts { facts: Facts, look_for_sleepers: bool },
}

#[derive(Debug, Default)]
pub(super) struct Queues(Mutex<HashMap<String, Memory>>);

impl Queues {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known for an enqueue now.
    pub(super) fn known(&self, queue: &str, now: Instant) -> Known {
        let within = |at: Option<Instant>, time| at.is_some_and(|at| now.duration_since(at) < time);
        let mut queues = self.lock();
        let Some(memory) = queues.get_mut(queue) else {
            queues.insert(queue.to_owned(), Memory { last: Some(now), ..Memory::default() });
            return Known::Nothing;
        };
        let busy = within(memory.last.replace(now), AWAKE);
        match memory.facts {
            Some((Some(facts), at)) if within(Some(at), FRESH) => {
                Known::Facts { facts, look_for_sleepers: !within(memory.nobody_asleep, AWAKE) }
            }
            Some((None, at)) if within(Some(at), FRESH) => Known::Nothing,
            _ if busy => Known::Busy,
            _ => Known::Nothing,
        }
    }

    /// `None`: there is no such queue, or each enqueue has to ask the server, as with a bound.
    pub(super) fn learn(&self, queue: &str, facts: Option<Facts>, now: Instant) {
        self.lock().entry(queue.to_owned()).or_default().facts = Some((facts, now));
    }

    /// Nobody was asleep when a statement that was sent at this time looked.
    pub(super) fn nobody_sleeps(&self, queue: &str, asked: Instant) {
        self.lock().entry(queue.to_owned()).or_default().nobody_asleep = Some(asked);
    }

    pub(super) fn exists(&self, queue: &str) -> bool {
        self.lock().get(queue).is_some_and(|m| m.exists)
    }

    /// The server does not know it (any more). Returns whether we thought that it is there.
    pub(super) fn forget(&self, queue: &str) -> bool {
        self.lock().remove(queue).is_some_and(|m| m.exists)
    }

    pub(super) fn set_exists(&self, queue: &str) {
        self.lock().entry(queue.to_owned()).or_default().exists = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts { id: 1, max_attempts: 20, max_payload_bytes: 1024, fresh_slot: 0 };

    #[test]
    fn seldom_enqueues_remember_nothing_and_a_stream_does_not_for_long() {
        let (queues, start) = (Queues::default(), Instant::now());
        assert_eq!(queues.known("q", start), Known::Nothing);
        assert_eq!(queues.known("q", start + AWAKE * 2), Known::Nothing);
        assert_eq!(queues.known("q", start + AWAKE * 2), Known::Busy);
        queues.learn("q", Some(FACTS), start);
        let known = |look_for_sleepers| Known::Facts { facts: FACTS, look_for_sleepers };
        assert_eq!(queues.known("q", start + AWAKE), known(true));
        queues.nobody_sleeps("q", start);
        assert_eq!(queues.known("q", start + AWAKE / 2), known(false));
        assert_eq!(queues.known("q", start + AWAKE), known(true));
        assert_eq!(queues.known("q", start + FRESH * 2), Known::Nothing);
    }

    #[test]
    fn a_stream_into_a_bounded_queue_does_not_ask_for_its_facts_again_and_again() {
        let (queues, start) = (Queues::default(), Instant::now());
        queues.learn("q", None, start);
        assert_eq!(queues.known("q", start), Known::Nothing);
        assert_eq!(queues.known("q", start), Known::Nothing);
        assert_eq!(queues.known("q", start + FRESH), Known::Nothing);
        assert_eq!(queues.known("q", start + FRESH), Known::Busy);
    }

    #[test]
    fn a_queue_that_was_deleted_is_created_again_by_who_declares_it() {
        let queues = Queues::default();
        queues.set_exists("q");
        assert!(queues.forget("q"));
        assert!(!queues.exists("q"));
        assert!(!queues.forget("q"), "only once, or a refusal would go round for ever");
    }
}
