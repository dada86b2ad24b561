//! How long attempts may take, as far as it is set in the database: of queues and of kinds.
//!
//! Invariant: at most a heartbeat old. Limit: what runs keeps the deadline that it began with.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;

/// What `howdah.timeouts` says.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) struct Set {
    queues: HashMap<String, u64>,
    kinds: HashMap<String, u64>,
}

/// The timeouts that a worker knows of.
#[derive(Debug, Default)]
pub(super) struct Timeouts(RwLock<Option<Arc<Set>>>);

impl Timeouts {
    pub(super) fn learn(&self, set: Option<Set>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != set.as_ref() {
            *known = set.map(Arc::new);
        }
    }

    /// How long an attempt may take: as the job says, else what is set of its kind, else what the program declares for
    /// that, else what is set of its queue.
    pub(super) fn of(
        &self,
        job: Option<Duration>,
        kind: &str,
        declared: Option<Duration>,
        queue: &str,
    ) -> Option<Duration> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let set = |which: fn(&Set) -> &HashMap<String, u64>, name: &str| {
            known.as_deref().and_then(|set| which(set).get(name)).map(|ms| Duration::from_millis(*ms))
        };
        job.or_else(|| set(|set| &set.kinds, kind)).or(declared).or_else(|| set(|set| &set.queues, queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_comes_before_its_kind_and_what_is_set_before_what_is_declared() {
        let ms = |n| Some(Duration::from_millis(n));
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.of(None, "k", ms(3), "q"), ms(3));
        timeouts.learn(serde_json::from_str(r#"{"queues": {"q": 4}, "kinds": {"k": 2}}"#).unwrap());
        assert_eq!(timeouts.of(ms(1), "k", ms(3), "q"), ms(1));
        assert_eq!(timeouts.of(None, "k", ms(3), "q"), ms(2));
        assert_eq!(timeouts.of(None, "other", ms(3), "q"), ms(3));
        assert_eq!(timeouts.of(None, "other", None, "q"), ms(4));
        assert_eq!(timeouts.of(None, "other", None, "r"), None);
        timeouts.learn(None);
        assert_eq!(timeouts.of(None, "k", None, "q"), None);
    }
}
