//! How jobs have come and gone lately.
//!
//! Invariant: it is asked for every ten seconds at most, which is how often workers report; where it cannot be had, the last one stands.
//! Limit: an hour, and of each minute of it only where there are few queues.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use howdah_admin::{Admin, Minute, Rate};

/// So old may it be.
const FRESH: Duration = Duration::from_secs(10);
/// Rates are over so long.
const LATELY: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: usize = 60;
/// A look at the queues waits no longer for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// With more queues, minutes are not looked at.
const MOST: usize = 100;

/// Rates and minutes of all queues.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    rates: HashMap<String, Rate>,
    hours: HashMap<String, Hour>,
    tried: Option<Instant>,
}

/// The minutes of an hour: how many attempts completed, and how many failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hour {
    pub(crate) counts: Vec<(u64, u64)>,
}

impl Flow {
    pub(crate) fn is_new(&self) -> bool {
        self.tried.is_some_and(|at| at.elapsed() < FRESH)
    }

    /// As it is now.
    pub(crate) async fn look(admin: &Admin, queues: usize, last: Option<Arc<Self>>) -> Arc<Self> {
        let tried = Some(Instant::now());
        let looked = async {
            let rates = admin.rates(LATELY).await?;
            let minutes = if queues > MOST { Vec::new() } else { admin.minutes(MINUTE * 60, None).await? };
            Ok::<_, howdah_admin::Error>((rates, minutes))
        };
        match tokio::time::timeout(PATIENCE, looked).await {
            Ok(Ok((rates, minutes))) => {
                let mut of: HashMap<String, Vec<Minute>> = HashMap::new();
                for minute in minutes {
                    of.entry(minute.queue.clone()).or_default().push(minute);
                }
                let rates = rates.into_iter().map(|rate| (rate.queue.clone(), rate)).collect();
                let hours = of.into_iter().map(|(queue, minutes)| (queue, Hour::of(&minutes))).collect();
                Arc::new(Self { rates, hours, tried })
            }
            late => {
                if let Ok(Err(error)) = late {
                    tracing::debug!(%error, "no rates");
                }
                let last = last.unwrap_or_default();
                Arc::new(Self { tried, rates: last.rates.clone(), hours: last.hours.clone() })
            }
        }
    }

    pub(crate) fn rate(&self, queue: &str) -> Option<&Rate> {
        self.rates.get(queue)
    }

    pub(crate) fn hour(&self, queue: &str) -> Option<&Hour> {
        self.hours.get(queue)
    }
}

impl Hour {
    /// Of what is known of a queue.
    pub(crate) fn of(minutes: &[Minute]) -> Self {
        let now = SystemTime::now();
        let mut counts = vec![(0, 0); MINUTES];
        for minute in minutes {
            let ago = now.duration_since(minute.at).unwrap_or_default().as_secs() / MINUTE.as_secs();
            let place = usize::try_from(ago).ok().and_then(|ago| (MINUTES - 1).checked_sub(ago));
            if let Some((completed, failed)) = place.and_then(|place| counts.get_mut(place)) {
                *completed += minute.completed;
                *failed += minute.failed;
            }
        }
        Self { counts }
    }

    /// In words.
    pub(crate) fn label(&self) -> String {
        let (completed, failed) = self.counts.iter().fold((0, 0), |sum, minute| (sum.0 + minute.0, sum.1 + minute.1));
        let most = self.counts.iter().map(|minute| minute.0 + minute.1).max().unwrap_or(0);
        format!("The last 60 minutes: {completed} attempts completed, {failed} failed; at most {most} in a minute")
    }
}
