//! A schedule as a program declares it.
//!
//! Invariant: it is the argument of `howdah.set_schedule`; what is not said is null there, the default. Limit: whether
//! the queue exists, only the server knows.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::expression::Timing;
use crate::client::{Encoded, Payload, YEAR_9999, check_retry, has_nul, payload};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::retry::Retry;
use crate::sqltime::Micros;

/// What becomes of slots that nobody fired in time, because everything was down or the queue was full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are left out: a job that is meant for the night does not run at noon. The default.
    #[default]
    Skip,
    /// The last of them is fired.
    One,
    /// All of them are fired, in order; at most the last [`Schedule::max_missed`].
    All,
}

/// Enqueues a job at each point in time that a cron expression has: `Schedule::new("nightly", "0 3 * * *")`.
///
/// Give it to [`Worker::cron`](crate::Worker::cron) or [`Howdah::set_schedule`](crate::Howdah::set_schedule).
///
/// ```
/// use howdah::{Job, Missed, Schedule};
///
/// #[derive(Job, serde::Serialize, serde::Deserialize)]
/// struct Report { pages: u32 }
///
/// let nightly = Schedule::new("nightly", "0 3 * * *").timezone("Europe/Berlin").job(Report { pages: 2 }).missed(Missed::One);
/// # nightly.next_runs(std::time::SystemTime::now(), 3)?;
/// # Ok::<(), howdah::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a schedule does nothing until it is given to a worker or to `set_schedule`"]
pub struct Schedule {
    name: String,
    expression: String,
    timezone: Option<String>,
    kind: Option<String>,
    payload: Option<Payload>,
    /// What cannot be a payload, told when it is used.
    wrong: Option<String>,
    queue: Option<String>,
    queue_is_declared: bool,
    priority: Option<u8>,
    max_attempts: Option<u16>,
    options: Map<String, Value>,
    unique_key: Option<String>,
    missed: Missed,
    max_missed: Option<u16>,
    grace: Option<Duration>,
    revision: u32,
}

/// As `howdah.set_schedule` reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Settings<'s> {
    expression: &'s str,
    timezone: Option<&'s str>,
    kind: &'s str,
    payload: Option<&'s RawValue>,
    queue: Option<&'s str>,
    priority: Option<u8>,
    max_attempts: Option<u16>,
    options: Option<&'s Map<String, Value>>,
    unique_key: Option<&'s str>,
    missed: Missed,
    max_missed: Option<u16>,
    grace_ms: Option<u64>,
}

impl Schedule {
    /// A schedule of this name, 1 to 128 bytes, with an expression: five fields (minute, hour, day, month, weekday); six
    /// with seconds first; `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; or `@every 90s`. It needs a
    /// [`job`](Self::job).
    pub fn new(name: impl Into<String>, expression: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expression: expression.into(),
            timezone: None,
            kind: None,
            payload: None,
            wrong: None,
            queue: None,
            queue_is_declared: false,
            priority: None,
            max_attempts: None,
            options: Map::new(),
            unique_key: None,
            missed: Missed::Skip,
            max_missed: None,
            grace: None,
            revision: 0,
        }
    }

    /// The job that is enqueued, with the queue, the priority and the attempts that its type declares.
    #[allow(clippy::needless_pass_by_value, reason = "a job that is enqueued is given away")]
    pub fn job<J: Job>(mut self, job: J) -> Self {
        self.kind = Some(J::KIND.to_owned());
        self = self.with_payload(payload::encode(&job));
        self.queue = Some(J::QUEUE.to_owned());
        self.queue_is_declared = true;
        self.priority = Some(J::PRIORITY);
        self.max_attempts = J::MAX_ATTEMPTS;
        if J::VERSION != 1 {
            self.options.insert("version".to_owned(), J::VERSION.into());
        }
        self
    }

    /// As [`job`](Self::job), for a kind that has no type here.
    pub fn raw(mut self, kind: impl Into<String>, payload: &(impl Serialize + ?Sized)) -> Self {
        self.kind = Some(kind.into());
        self.with_payload(payload::encode(payload))
    }

    fn with_payload(mut self, payload: Encoded) -> Self {
        (self.payload, self.wrong) = match payload {
            Ok(payload) => (Some(payload), None),
            Err(Error::Invalid { message, .. }) => (None, Some(message)),
            Err(other) => (None, Some(other.to_string())),
        };
        self
    }

    /// The time zone in which the expression is read, by its IANA name; `UTC`.
    pub fn timezone(mut self, name: impl Into<String>) -> Self {
        self.timezone = Some(name.into());
        self
    }

    /// The queue of the jobs, which must exist; as the job's type says, or `default`.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self.queue_is_declared = false;
        self
    }

    /// 0 runs first, 9 last; as the job's type says, or 5.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// How often a job is tried before it is dead, 1 to 1000; as its type or its queue says.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// While a job of this kind with this key has not ended, a firing enqueues none, and says which one it is: so that
    /// a long run is not followed by a second one beside it. 1 to 512 bytes; none by default.
    pub fn unique(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// A job does not start later than this after its firing; see [`Enqueue::ttl`](crate::Enqueue::ttl).
    pub fn ttl(self, ttl: Duration) -> Self {
        self.option("ttl_ms", ms(ttl))
    }

    /// How long one attempt may take; see [`Enqueue::timeout`](crate::Enqueue::timeout).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.option("timeout_ms", ms(timeout))
    }

    /// When a job is tried again after a failure; see [`Enqueue::retry`](crate::Enqueue::retry).
    pub fn retry(self, retry: Retry) -> Self {
        let retry = serde_json::to_value(retry).unwrap_or_default();
        self.option("retry", retry)
    }

    /// Something to find and to filter the jobs by; see [`Enqueue::attribute`](crate::Enqueue::attribute).
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let attributes = self.options.entry("attributes").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(attributes) = attributes {
            attributes.insert(name.into(), value.into());
        }
        self
    }

    /// Any option that a job may have (`howdah.check_options`), by its name.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// What becomes of slots that nobody fired in time; they are left out.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// How many of the missed slots [`Missed::All`] fires at most, 1 to 1000: the last ones; 100.
    pub fn max_missed(mut self, most: u16) -> Self {
        self.max_missed = Some(most);
        self
    }

    /// How late a slot may be fired without counting as missed, a second to a day; a minute, which is longer than it
    /// takes until another keeper is elected or the server has started again.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// The number of this declaration; 0. While a worker has declared one with a higher number, this one is not heard: an
    /// old release that is started again beside the new one does not bring back what it knew.
    pub fn revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
    }

    /// The next times after this one, at most a thousand. `@every` counts from `after` here, and from when the schedule
    /// was made in the database: see [`Howdah::next_runs`](crate::Howdah::next_runs).
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `expression` or `timezone`.
    pub fn next_runs(&self, after: SystemTime, most: usize) -> Result<Vec<SystemTime>> {
        let after = Micros::of(after).filter(|Micros(after)| *after < YEAR_9999);
        let after = after.ok_or_else(|| Error::invalid("after", "must be before the year 9999"))?.0;
        let timing = Timing::read(&self.expression, self.timezone_name(), after)?;
        Ok(timing.upcoming(after, most.min(1000)).into_iter().map(|slot| Micros(slot).time()).collect())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn revision_in_sql(&self) -> i32 {
        i32::try_from(self.revision).unwrap_or(i32::MAX)
    }

    /// The queue that the job's type declares, and that is created if it is not there.
    pub(crate) fn declared_queue(&self) -> Option<&str> {
        self.queue.as_deref().filter(|_| self.queue_is_declared)
    }

    fn timezone_name(&self) -> &str {
        self.timezone.as_deref().unwrap_or("UTC")
    }

    /// Refuses what can be refused without a server.
    pub(crate) fn check(&self) -> Result<()> {
        self.next_runs(SystemTime::now(), 1)?;
        check_retry(self.options.get("retry").unwrap_or(&Value::Null))?;
        let settings =
            serde_json::to_string(&self.settings()?).map_err(|e| Error::invalid("options", e.to_string()))?;
        if self.name.contains('\0') || has_nul(&settings) {
            return Err(Error::invalid(
                "name",
                "and settings must not contain the character NUL, which PostgreSQL cannot store",
            ));
        }
        Ok(())
    }

    pub(crate) fn has_payload(&self) -> bool {
        self.payload.as_ref().is_some_and(|payload| !matches!(payload.get(), "null" | "{}"))
    }

    pub(crate) fn settings(&self) -> Result<Settings<'_>> {
        if let Some(message) = &self.wrong {
            return Err(Error::invalid("payload", message));
        }
        let Some(kind) = &self.kind else {
            let message =
                format!("is missing: say what {:?} enqueues with `Schedule::job` or `Schedule::raw`", self.name);
            return Err(Error::invalid("kind", message));
        };
        Ok(Settings {
            expression: self.expression.trim(),
            timezone: self.timezone.as_deref(),
            kind,
            payload: self.payload.as_deref(),
            queue: self.queue.as_deref(),
            priority: self.priority,
            max_attempts: self.max_attempts,
            options: (!self.options.is_empty()).then_some(&self.options),
            unique_key: self.unique_key.as_deref(),
            missed: self.missed,
            max_missed: self.max_missed,
            grace_ms: self.grace.map(ms),
        })
    }
}

fn ms(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        let field = |schedule: Schedule| match schedule.check() {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let of = |expression: &str| Schedule::new("s", expression).raw("k", &());
        assert_eq!(field(of("61 * * * *")), "expression");
        assert_eq!(field(of("@hourly").timezone("Mars/Olympus")), "timezone");
        assert_eq!(field(Schedule::new("s", "@hourly")), "kind");
        assert_eq!(field(of("@hourly").unique("a\0b")), "name");
        assert_eq!(field(Schedule::new("s", "@hourly").raw("k", "a\0b")), "payload");
        of("@hourly").check().unwrap();
    }
}
