//! The last value of what was shown, for when the database does not answer.
//!
//! Invariant: what somebody was shown is kept for the same person with the same rights at the same address, and shown to
//! nobody else. Limit: the newest of them, up to a number and a size; what is older is forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many are kept.
const MOST: usize = 256;
/// Of so many bytes together.
const MOST_BYTES: usize = 8 << 20;

#[derive(Debug)]
struct Last {
    html: String,
    /// When it began to be made: what it shows is as new.
    at: Instant,
}

/// The last values of one process.
#[derive(Debug, Default)]
pub(crate) struct Stale(Mutex<HashMap<String, Last>>);

impl Stale {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what began to be made then.
    pub(crate) fn keep(&self, key: String, html: &str, at: Instant) {
        if html.len() > MOST_BYTES / 16 {
            return;
        }
        let mut kept = self.lock();
        kept.insert(key, Last { html: html.to_owned(), at });
        while kept.len() > MOST || kept.values().map(|last| last.html.len()).sum::<usize>() > MOST_BYTES {
            let Some(oldest) = kept.iter().min_by_key(|(_, last)| last.at).map(|(key, _)| key.clone()) else { return };
            kept.remove(&oldest);
        }
    }

    /// What was shown last, if it is as new as that.
    pub(crate) fn since(&self, key: &str, then: Instant) -> Option<String> {
        self.lock().get(key).filter(|last| last.at >= then).map(|last| last.html.clone())
    }

    /// What was shown last, and how old it is.
    pub(crate) fn last(&self, key: &str) -> Option<(String, Duration)> {
        self.lock().get(key).map(|last| (last.html.clone(), last.at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_values_are_kept_and_no_more_than_fit() {
        let stale = Stale::default();
        for n in 0..=MOST {
            stale.keep(n.to_string(), "x", Instant::now());
        }
        assert!(stale.last("0").is_none());
        assert_eq!(stale.last("1").unwrap().0, "x");
        let large = "y".repeat(MOST_BYTES / 16);
        for n in 0..20 {
            stale.keep(format!("large {n}"), &large, Instant::now());
        }
        assert!(stale.lock().values().map(|last| last.html.len()).sum::<usize>() <= MOST_BYTES);
        assert!(stale.last("large 19").is_some());
        stale.keep("too large".into(), &"z".repeat(MOST_BYTES), Instant::now());
        assert!(stale.last("too large").is_none());
        let then = Instant::now();
        assert!(stale.since("large 19", then).is_none());
        stale.keep("new".into(), "x", then);
        assert!(stale.since("new", then).is_some());
    }
}
