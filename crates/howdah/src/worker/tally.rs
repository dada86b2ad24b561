//! How attempts ended, counted by queue and kind until it is reported.
//!
//! Invariant: an attempt that ran is counted once, with how it ended as the worker saw it. Limit: what the database does not accept
//! afterwards (a lease that was lost in the last moment) is counted all the same.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::ledger::End;
use crate::handler::{Call, Verdict};

/// Places of a spread: under 1 ms, and from one power of two to the next; the last has all that is longer.
const PLACES: usize = 24;
/// So many queues and kinds are reported at once; the database takes no more.
pub(super) const MOST: usize = 1000;

/// How many took how long.
type Spread = [u64; PLACES];

/// What has been counted of a queue and a kind.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    completed: u64,
    retried: u64,
    snoozed: u64,
    dead: u64,
    cancelled: u64,
    released: u64,
    lost: u64,
    run_ms: u64,
    wait_ms: u64,
    runs: Spread,
    waits: Spread,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    queue_id: i32,
    kind: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<HashMap<i32, HashMap<String, Counts>>>);

impl Tally {
    fn lock(&self) -> MutexGuard<'_, HashMap<i32, HashMap<String, Counts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt has ended. `wait`: how long the job had waited for it, if it was the first and that is known.
    pub(super) fn count(&self, queue_id: i32, kind: &str, call: &Call, end: &End, run_ms: i32, wait: Option<Duration>) {
        let mut tally = self.lock();
        let kinds = tally.entry(queue_id).or_default();
        // Looked for first: most of the time it is there, and its name need not be copied.
        if !kinds.contains_key(kind) {
            kinds.insert(kind.to_owned(), Counts::default());
        }
        let Some(counts) = kinds.get_mut(kind) else { return };
        let run_ms = u64::from(run_ms.unsigned_abs());
        *counts.of(call, end) += 1;
        counts.run_ms += run_ms;
        counts.runs[place(run_ms)] += 1;
        if let Some(wait) = wait {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            counts.wait_ms = counts.wait_ms.saturating_add(wait_ms);
            counts.waits[place(wait_ms)] += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes out what is to be reported, at most [`MOST`] rows.
    pub(super) fn take(&self) -> Vec<Row> {
        let mut tally = self.lock();
        let mut rows = Vec::new();
        tally.retain(|queue_id, kinds| {
            let room = MOST.saturating_sub(rows.len());
            let taken: Vec<String> = kinds.keys().take(room).cloned().collect();
            rows.extend(taken.into_iter().filter_map(|kind| {
                let (kind, counts) = kinds.remove_entry(&kind)?;
                Some(Row { queue_id: *queue_id, kind, counts })
            }));
            !kinds.is_empty()
        });
        rows
    }

    /// Puts back what could not be reported.
    pub(super) fn put_back(&self, rows: Vec<Row>) {
        let mut tally = self.lock();
        for row in rows {
            tally.entry(row.queue_id).or_default().entry(row.kind).or_default().add(&row.counts);
        }
    }
}

impl Counts {
    /// What an attempt that ended so is counted as.
    fn of(&mut self, call: &Call, end: &End) -> &mut u64 {
        let error = match end {
            End::Done(_) | End::CompletedIn(None) => return &mut self.completed,
            End::Released => return &mut self.released,
            End::Lost => return &mut self.lost,
            End::Failed(error) | End::CompletedIn(Some(error)) => error,
        };
        match error.verdict {
            Verdict::Cancel => &mut self.cancelled,
            Verdict::Discard => &mut self.dead,
            Verdict::Snooze | Verdict::Wait => &mut self.snoozed,
            // As `howdah.fail` decides it.
            Verdict::Retry if call.attempt >= call.max_attempts => &mut self.dead,
            Verdict::Retry => &mut self.retried,
        }
    }

    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.completed, other.completed),
            (&mut self.retried, other.retried),
            (&mut self.snoozed, other.snoozed),
            (&mut self.dead, other.dead),
            (&mut self.cancelled, other.cancelled),
            (&mut self.released, other.released),
            (&mut self.lost, other.lost),
            (&mut self.run_ms, other.run_ms),
            (&mut self.wait_ms, other.wait_ms),
        ];
        let spreads = self.runs.iter_mut().zip(other.runs).chain(self.waits.iter_mut().zip(other.waits));
        for (mine, more) in pairs.into_iter().chain(spreads) {
            *mine += more;
        }
    }
}

/// The place of so many milliseconds.
fn place(ms: u64) -> usize {
    usize::try_from(u64::BITS - ms.leading_zeros()).unwrap_or(PLACES).min(PLACES - 1)
}

/// What the server's clock says, as far as this process knows: jobs are enqueued by it.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<(Instant, i64)>>);

impl ServerClock {
    /// It said so many microseconds, in answer to a question that was asked then.
    pub(super) fn heard(&self, asked: Instant, micros: i64) {
        // It was asked at one end of the way, and answered at the other.
        let half = asked + asked.elapsed() / 2;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((half, micros));
    }

    /// How long it is since that time of the server, at this time of ours; not less than nothing.
    pub(super) fn since(&self, micros: i64, at: Instant) -> Option<Duration> {
        let (then, said) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let between = Duration::from_micros(said.checked_sub(micros)?.unsigned_abs());
        let passed = at.saturating_duration_since(then);
        let before = then.saturating_duration_since(at);
        let since =
            if said >= micros { (between + passed).checked_sub(before) } else { passed.checked_sub(between + before) };
        Some(since.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_place_between_two_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 1023, 1024, u64::MAX].map(place), [0, 1, 2, 2, 3, 10, 11, PLACES - 1]);
    }

    #[test]
    fn what_is_put_back_is_reported_with_what_came_meanwhile() {
        let tally = Tally::default();
        let counts = Counts { completed: 2, runs: [1; PLACES], ..Counts::default() };
        let row = |counts: &Counts| Row { queue_id: 1, kind: "k".into(), counts: counts.clone() };
        tally.put_back(vec![row(&counts)]);
        let taken = tally.take();
        assert_eq!(taken, [row(&counts)]);
        assert!(tally.is_empty());
        tally.put_back(taken);
        tally.put_back(vec![row(&counts)]);
        assert_eq!(tally.take()[0].counts.completed, 4);
    }

    #[test]
    fn no_more_is_taken_at_once_than_the_database_takes() {
        let tally = Tally::default();
        let rows = (0..MOST + 5).map(|n| Row {
            queue_id: i32::try_from(n % 7).unwrap(),
            kind: n.to_string(),
            counts: Counts::default(),
        });
        tally.put_back(rows.collect());
        assert_eq!([tally.take().len(), tally.take().len(), tally.take().len()], [MOST, 5, 0]);
        assert!(tally.is_empty());
    }

    #[test]
    fn the_server_is_asked_seldom_and_its_time_is_known_all_the_while() {
        let clock = ServerClock::default();
        let now = Instant::now();
        assert_eq!(clock.since(5, now), None);
        *clock.0.lock().unwrap() = Some((now, 1_000_000));
        let second = Duration::from_secs(1);
        assert_eq!(clock.since(0, now), Some(second));
        assert_eq!(clock.since(0, now + second), Some(second * 2));
        assert_eq!(clock.since(1_500_000, now + second), Some(second / 2));
        assert_eq!(clock.since(3_000_000, now), Some(Duration::ZERO), "in the future: it has not waited");
    }
}
