//! What the attempts of the last minutes, hours and days came to.
//!
//! Invariant: only rollups are read, and never a job. Limit: what workers have reported is up to twenty seconds old.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use crate::admin::Admin;
use crate::error::{Error, Result};
use crate::sql;

/// How many took how long: places of milliseconds from one power of two to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, more) in self.0.iter_mut().zip(&other.0) {
            *mine += more;
        }
    }

    /// Each place: below how long, and how many. The last place has no end, and is as long as the one before it says at least.
    pub fn places(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.0.iter().enumerate().map(|(place, count)| (bound(place), *count))
    }

    /// How long this fraction (0 to 1) took at most, as the SQL function `howdah.percentile` says; `None` if there are none.
    #[must_use]
    pub fn percentile(&self, fraction: f64) -> Option<Duration> {
        #[allow(clippy::cast_precision_loss, reason = "counts of jobs, for people")]
        let wanted = fraction.clamp(0.0, 1.0) * self.count() as f64;
        let (mut before, mut lower) = (0.0, Duration::ZERO);
        for (upper, count) in self.places() {
            #[allow(clippy::cast_precision_loss, reason = "counts of jobs, for people")]
            let count = count as f64;
            if count > 0.0 && before + count >= wanted {
                return Some(lower + (upper - lower).mul_f64((wanted - before).max(0.0) / count));
            }
            before += count;
            lower = upper;
        }
        None
    }
}

fn bound(place: usize) -> Duration {
    Duration::from_millis(1 << place.min(40))
}

/// How the attempts of a queue and a kind ended.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct StatLine {
    /// The queue.
    pub queue: String,
    /// The kind of the jobs.
    pub kind: String,
    /// Attempts that completed their jobs.
    pub completed: u64,
    /// Attempts that failed, and are tried again.
    pub retried: u64,
    /// Attempts that put their jobs off, or wait for a signal.
    pub snoozed: u64,
    /// Attempts that failed, and were the last.
    pub dead: u64,
    /// Attempts that were cancelled.
    pub cancelled: u64,
    /// Attempts that were given back by a worker that stopped.
    pub released: u64,
    /// Attempts whose lease was lost.
    pub lost: u64,
    /// How long all of them ran together, in milliseconds.
    pub run_ms: u64,
    /// How long jobs had waited for their first attempt together, in milliseconds.
    pub wait_ms: u64,
    /// How many ran how long.
    pub runs: Spread,
    /// How many waited how long for their first attempt, a delay that was asked for included.
    pub waits: Spread,
}

impl StatLine {
    /// All attempts.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.completed + self.failed() + self.snoozed + self.cancelled + self.released + self.lost
    }

    /// Attempts that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.retried + self.dead
    }

    /// Lines added up that have the same key: their kind, their queue, or nothing. What else names a sum is of its first line.
    pub fn sums<'l, K: Ord>(lines: &'l [Self], key: impl Fn(&'l Self) -> K) -> BTreeMap<K, Self> {
        let mut sums: BTreeMap<K, Self> = BTreeMap::new();
        for line in lines {
            sums.entry(key(line)).and_modify(|sum| sum.add(line)).or_insert_with(|| line.clone());
        }
        sums
    }

    /// Adds what another one has.
    pub fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.retried += other.retried;
        self.snoozed += other.snoozed;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.released += other.released;
        self.lost += other.lost;
        self.run_ms += other.run_ms;
        self.wait_ms += other.wait_ms;
        self.runs.add(&other.runs);
        self.waits.add(&other.waits);
    }
}

/// What a minute brought to a queue.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Minute {
    /// Its beginning.
    #[serde(deserialize_with = "time")]
    pub at: SystemTime,
    /// The queue.
    pub queue: String,
    /// Attempts that completed their jobs.
    pub completed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// How many jobs were ready, running, scheduled or blocked at some time of it; `None`: nobody looked.
    pub unfinished: Option<u64>,
}

/// How fast a queue was filled and emptied lately.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// The queue.
    pub queue: String,
    /// Jobs that came in a minute; `None`: not known.
    pub in_per_minute: Option<f64>,
    /// Jobs that ended in a minute.
    pub out_per_minute: f64,
    /// Attempts that failed in a minute.
    pub failed_per_minute: f64,
}

const STATS: &str = "SELECT coalesce(pg_catalog.json_agg(s), '[]')::pg_catalog.text
  FROM howdah.stats(pg_catalog.make_interval(secs => $1), $2, $3) s";
const MINUTES: &str = "SELECT coalesce(pg_catalog.json_agg(x), '[]')::pg_catalog.text FROM (
  SELECT howdah.micros(m.at) AS at, m.queue, m.completed, m.retried OPERATOR(pg_catalog.+) m.dead AS failed, m.unfinished
    FROM howdah.minutes(pg_catalog.make_interval(secs => $1), $2) m) x";
const RATES: &str = "SELECT coalesce(pg_catalog.json_agg(r), '[]')::pg_catalog.text FROM howdah.rates(pg_catalog.make_interval(secs => $1)) r";

impl Admin {
    /// How attempts ended over the last hours, for each queue and kind; `None`: since ever. Whole hours are taken, the one in which
    /// `since` lies included. The SQL function behind it is `howdah.stats`.
    ///
    /// # Errors
    /// As [`search`](Self::search), and if there is no such queue.
    pub async fn stats(
        &self,
        since: Option<Duration>,
        queue: Option<&str>,
        kind: Option<&str>,
    ) -> Result<Vec<StatLine>> {
        let since = since.map(|since| since.as_secs_f64());
        self.read(sqlx::query_scalar(sql::of(self.howdah(), STATS)).bind(since).bind(queue).bind(kind)).await
    }

    /// What each of the last minutes brought to each queue, or to this one, up to a day. The SQL function behind it is
    /// `howdah.minutes`.
    ///
    /// # Errors
    /// As [`stats`](Self::stats).
    pub async fn minutes(&self, since: Duration, queue: Option<&str>) -> Result<Vec<Minute>> {
        let since = since.as_secs_f64();
        self.read(sqlx::query_scalar(sql::of(self.howdah(), MINUTES)).bind(since).bind(queue)).await
    }

    /// How fast each queue was filled and emptied lately, over a minute to a day. The SQL function behind it is `howdah.rates`.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn rates(&self, since: Duration) -> Result<Vec<Rate>> {
        self.read(sqlx::query_scalar(sql::of(self.howdah(), RATES)).bind(since.as_secs_f64())).await
    }

    async fn read<T: for<'de> Deserialize<'de>>(
        &self,
        query: sqlx::query::QueryScalar<'_, sqlx::Postgres, String, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<T>> {
        let mut tx = self.question().await?;
        let text = query.fetch_one(&mut *tx).await.map_err(|e| self.told(e))?;
        tx.commit().await?;
        serde_json::from_str(&text).map_err(|e| Error::from(sqlx::Error::Decode(e.into())))
    }
}

fn time<'de, D: Deserializer<'de>>(micros: D) -> Result<SystemTime, D::Error> {
    i64::deserialize(micros).map(sql::time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_the_bounds_of_its_place() {
        let spread = |counts: &[u64]| Spread(counts.to_vec());
        let ms = |ms: f64| Some(Duration::from_secs_f64(ms / 1000.0));
        assert_eq!(spread(&[]).percentile(0.5), None);
        assert_eq!(spread(&[0, 0, 10]).percentile(0.5), ms(3.0));
        assert_eq!(spread(&[5, 5]).percentile(1.0), ms(2.0));
        assert_eq!(spread(&[5, 5]).percentile(0.0), ms(0.0));
        let mut sum = spread(&[1]);
        sum.add(&spread(&[1, 2, 3]));
        assert_eq!((sum.count(), sum), (7, spread(&[2, 2, 3])));
    }
}
