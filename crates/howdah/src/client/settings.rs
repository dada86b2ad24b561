//! Settings of queues and kinds, which are rows that anyone may change while workers run.
//!
//! Invariant: the server decides what there is to set and which values are right, so that what a newer schema can do
//! can be set by its name ([`QueueSettings::set`]). A change names what it changes, and leaves the rest as others
//! have set it. Limit: workers and clients go by a change within a second or two, not at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::types::Json;

use super::options::has_nul;
use super::{Howdah, check_text, nul_in};
use crate::error::{Error, Result};

/// Settings of a queue: what to change of them, or what they are.
///
/// ```no_run
/// # use howdah::{Howdah, QueueSettings};
/// # use std::time::Duration;
/// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
/// let wished = QueueSettings::new().max_jobs(10_000).lease(Duration::from_secs(60)).reset("max_attempts");
/// let now = howdah.set_queue("mail", &wished).await?;
/// assert_eq!(now.max_jobs, Some(10_000));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueSettings {
    /// How often a job is tried before it is dead, unless it says so itself: 1 to 1000; 20. Jobs that are enqueued from
    /// now on have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u16>,
    /// What the waits between attempts begin with, in milliseconds, at least 1; 2,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_base_ms: Option<u32>,
    /// What each wait is longer by than the one before, 1 to 100; 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_factor: Option<f32>,
    /// The longest wait, in milliseconds, at least 1; six hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_cap_ms: Option<u64>,
    /// By how much waits differ, so that what failed together does not come back together: 0 to 1; 0.1, a tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_jitter: Option<f32>,
    /// The largest payload, in bytes as PostgreSQL stores it: 2 to 64 Mi; 1 Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload_bytes: Option<u32>,
    /// At most so many unfinished jobs (scheduled, ready, running), 1 to 1,000,000: an enqueue that would make it more is
    /// refused with [`Error::QueueFull`](crate::Error::QueueFull). None by default. Its price: those who enqueue into
    /// this queue do so one after another, and a transaction that has done so makes the others wait until it ends. Each
    /// counts what is there: see the SQL function `howdah.unfinished`. A dead job that is retried is let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_jobs: Option<u32>,
    /// How long after its worker's last heartbeat a job is given to others, in milliseconds, 100 to a day; but no less
    /// than two heartbeats of that worker. None by default: as the worker says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u32>,
    /// How long an attempt may take if its job does not say, in milliseconds, at least 1. None by default: as long as it
    /// likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Ageing: for each such span of waiting, in milliseconds, at least 1, a job counts as one priority higher, so that none
    /// starves beside a stream of more urgent ones. None by default: priorities stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aging_ms: Option<u64>,
    /// Every other setting that the schema has, by the name of its column in `howdah.queue`.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// Settings of a kind of jobs, where they differ from those of its queue: what to change of them, or what they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KindSettings {
    /// As [`QueueSettings::lease_ms`], and goes before it: longer for jobs that may well survive their worker's silence,
    /// shorter for those that must not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u32>,
    /// As [`QueueSettings::timeout_ms`], and goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// `constant`, `linear` or `exponential`: how the waits between attempts grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<String>,
    /// As [`QueueSettings::retry_base_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_base_ms: Option<u32>,
    /// As [`QueueSettings::retry_factor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_factor: Option<f32>,
    /// The shortest wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_floor_ms: Option<u64>,
    /// As [`QueueSettings::retry_cap_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_cap_ms: Option<u64>,
    /// As [`QueueSettings::retry_jitter`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_jitter: Option<f32>,
    /// Every other setting that the schema has, by the name of its column in `howdah.kind`.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// The methods that both have. What is set to a default that is "none" is `null` in `others`.
macro_rules! shared_methods {
    ($settings:ident) => {
        impl $settings {
            /// Changes nothing so far.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// As `lease_ms`, whole milliseconds of it.
            #[must_use]
            pub fn lease(mut self, lease: Duration) -> Self {
                self.lease_ms = Some(u32::try_from(lease.as_millis()).unwrap_or(u32::MAX));
                self
            }

            /// As `timeout_ms`, whole milliseconds of it.
            #[must_use]
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.timeout_ms = Some(millis(timeout));
                self
            }

            /// As `retry_base_ms`, whole milliseconds of it.
            #[must_use]
            pub fn retry_base(mut self, first_wait: Duration) -> Self {
                self.retry_base_ms = Some(u32::try_from(first_wait.as_millis()).unwrap_or(u32::MAX));
                self
            }

            /// As `retry_factor`.
            #[must_use]
            pub fn retry_factor(mut self, factor: f32) -> Self {
                self.retry_factor = Some(factor);
                self
            }

            /// As `retry_cap_ms`, whole milliseconds of it.
            #[must_use]
            pub fn retry_cap(mut self, longest_wait: Duration) -> Self {
                self.retry_cap_ms = Some(millis(longest_wait));
                self
            }

            /// As `retry_jitter`.
            #[must_use]
            pub fn retry_jitter(mut self, part: f32) -> Self {
                self.retry_jitter = Some(part);
                self
            }

            /// Any setting, by the name of its column.
            #[must_use]
            pub fn set(mut self, setting: impl Into<String>, value: impl Into<Value>) -> Self {
                self.others.insert(setting.into(), value.into());
                self
            }

            /// A setting back to its default, by the name of its column.
            #[must_use]
            pub fn reset(self, setting: impl Into<String>) -> Self {
                self.set(setting, Value::Null)
            }
        }
    };
}

shared_methods!(QueueSettings);
shared_methods!(KindSettings);

impl QueueSettings {
    /// As [`max_attempts`](field@Self::max_attempts).
    #[must_use]
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// As [`max_jobs`](field@Self::max_jobs).
    #[must_use]
    pub fn max_jobs(mut self, jobs: u32) -> Self {
        self.max_jobs = Some(jobs);
        self
    }

    /// As [`aging_ms`](field@Self::aging_ms), whole milliseconds of it.
    #[must_use]
    pub fn aging(mut self, per_priority: Duration) -> Self {
        self.aging_ms = Some(millis(per_priority));
        self
    }

    /// As [`max_payload_bytes`](field@Self::max_payload_bytes).
    #[must_use]
    pub fn max_payload_bytes(mut self, bytes: u32) -> Self {
        self.max_payload_bytes = Some(bytes);
        self
    }
}

impl KindSettings {
    /// As [`retry_policy`](field@Self::retry_policy).
    #[must_use]
    pub fn retry_policy(mut self, policy: impl Into<String>) -> Self {
        self.retry_policy = Some(policy.into());
        self
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Refuses what could not be told by its name later: a NUL, and what is no number, which JSON would say as a wish for the default.
fn check(settings: &impl Serialize, factor: Option<f32>, jitter: Option<f32>) -> Result<()> {
    for (name, number) in [("retry_factor", factor), ("retry_jitter", jitter)] {
        if number.is_some_and(|number| !number.is_finite()) {
            return Err(Error::invalid(name, "must be a finite number"));
        }
    }
    let Ok(Value::Object(settings)) = serde_json::to_value(settings) else { return Ok(()) };
    for (name, value) in &settings {
        check_text("settings", name)?;
        if has_nul("", value) {
            return Err(nul_in(name));
        }
    }
    Ok(())
}

impl Howdah {
    /// The settings of a queue. The SQL function behind it is `howdah.queue_settings`.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`](crate::Error::UnknownQueue).
    pub async fn queue_settings(&self, queue: &str) -> Result<QueueSettings> {
        check_text("queue", queue)?;
        let sql = self.names().sql("SELECT howdah.queue_settings($1)");
        let Json(settings) =
            self.observe("queue_settings", sqlx::query_scalar(sql).bind(queue).fetch_one(self.pool())).await?;
        Ok(settings)
    }

    /// Changes settings of a queue, over restarts, for everybody. Returns all of them. The SQL function behind it is
    /// `howdah.set_queue`.
    ///
    /// # Errors
    /// [`Error::UnknownQueue`](crate::Error::UnknownQueue); [`Error::Invalid`](crate::Error::Invalid), naming the
    /// setting, for a value that it may not have: nothing was changed then.
    pub async fn set_queue(&self, queue: &str, settings: &QueueSettings) -> Result<QueueSettings> {
        check_text("queue", queue)?;
        check(settings, settings.retry_factor, settings.retry_jitter)?;
        let sql = self.names().sql("SELECT howdah.set_queue($1, $2)");
        let Json(settings) = self
            .observe("set_queue", sqlx::query_scalar(sql).bind(queue).bind(Json(settings)).fetch_one(self.pool()))
            .await?;
        Ok(settings)
    }

    /// Makes a queue with these settings, or does nothing if it is there: what was set since stays as it is. The SQL
    /// function behind it is `howdah.create_queue`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for its name, or a setting.
    pub async fn create_queue_with(&self, queue: &str, settings: &QueueSettings) -> Result<()> {
        check_text("queue", queue)?;
        check(settings, settings.retry_factor, settings.retry_jitter)?;
        let sql = self.names().sql("SELECT howdah.create_queue($1, $2)");
        self.observe("create_queue", sqlx::query(sql).bind(queue).bind(Json(settings)).execute(self.pool())).await?;
        Ok(())
    }

    /// Deletes a queue if it has no unfinished jobs; with `force` it cancels those that wait, and refuses only while
    /// some run. Returns whether there was one. Its history can still be read; its workers go on looking, and find it
    /// again when it is created. A client that streams jobs into it hears of it within a second; the jobs of that
    /// second are cancelled. The SQL function behind it is `howdah.delete_queue`.
    ///
    /// # Errors
    /// [`Error::QueueNotEmpty`](crate::Error::QueueNotEmpty); [`Error::Invalid`](crate::Error::Invalid) for the queue
    /// `default`, which always exists.
    pub async fn delete_queue(&self, queue: &str, force: bool) -> Result<bool> {
        check_text("queue", queue)?;
        let sql = self.names().sql("SELECT howdah.delete_queue($1, $2)");
        let deleted = self
            .observe("delete_queue", sqlx::query_scalar(sql).bind(queue).bind(force).fetch_one(self.pool()))
            .await?;
        self.queues.forget(queue);
        Ok(deleted)
    }

    /// The settings of a kind of jobs; `None` in each field where the queue decides. The SQL function behind it is
    /// `howdah.kind_settings`.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    pub async fn kind_settings(&self, kind: &str) -> Result<KindSettings> {
        check_text("kind", kind)?;
        let sql = self.names().sql("SELECT howdah.kind_settings($1)");
        let Json(settings) =
            self.observe("kind_settings", sqlx::query_scalar(sql).bind(kind).fetch_one(self.pool())).await?;
        Ok(settings)
    }

    /// Changes settings of a kind of jobs, in whatever queue they are. Returns all of them. The SQL function behind it
    /// is `howdah.set_kind`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), naming the setting, for a value that it may not have: nothing was
    /// changed then.
    pub async fn set_kind(&self, kind: &str, settings: &KindSettings) -> Result<KindSettings> {
        check_text("kind", kind)?;
        check(settings, settings.retry_factor, settings.retry_jitter)?;
        let sql = self.names().sql("SELECT howdah.set_kind($1, $2)");
        let Json(settings) = self
            .observe("set_kind", sqlx::query_scalar(sql).bind(kind).bind(Json(settings)).fetch_one(self.pool()))
            .await?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_what_it_changes_and_nothing_else() {
        let change =
            QueueSettings::new().lease(Duration::from_secs(60)).max_jobs(5).reset("timeout_ms").set("new", "x");
        let json = serde_json::to_value(&change).unwrap();
        assert_eq!(json, serde_json::json!({"lease_ms": 60000, "max_jobs": 5, "timeout_ms": null, "new": "x"}));
        assert_eq!(serde_json::to_value(KindSettings::new()).unwrap(), serde_json::json!({}));
    }
}
