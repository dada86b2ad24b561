//! What few jobs have: the settings that came with one job, in the column `options`.
//!
//! Invariant: read once for each job that has any; a job without them costs nothing. Keys that are not known here
//! are passed over, since `howdah.enqueue` has checked them and a newer enqueuer may know more. Limit: what is
//! for the database alone (expiry, uniqueness) is not read here.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::ctx::Ctx;
use super::scheduled::Slot;
use super::verdict::JobError;

/// The settings of one job.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Options {
    pub(crate) attributes: Option<Map<String, Value>>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) traceparent: Option<String>,
    pub(crate) version: Option<u16>,
    pub(crate) schedule: Option<Slot>,
}

impl Options {
    /// What the column holds. What cannot be read is a failure of the attempt, not of the worker.
    pub(crate) fn read(column: Option<&RawValue>) -> Result<Option<Box<Self>>, JobError> {
        let Some(json) = column else { return Ok(None) };
        serde_json::from_str(json.get())
            .map(Some)
            .map_err(|e| JobError::retry(format!("cannot read the job's options: {e}")).kind("options"))
    }

    /// How long one attempt at this job may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

/// The version of a payload that says none.
pub(crate) const FIRST_VERSION: u16 = 1;

impl<T> Ctx<T> {
    /// The version of the payload's type that it was enqueued with: [`Job::VERSION`](crate::Job::VERSION), 1 if
    /// nobody said.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.options().and_then(|o| o.version).unwrap_or(FIRST_VERSION)
    }

    /// What the job was enqueued with under this name in `options.attributes`: a text, number or boolean, or a
    /// list of them. `None`: nothing.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.options()?.attributes.as_ref()?.get(name)
    }

    /// The trace that the job was enqueued in, as a W3C `traceparent`; `None`: in none.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.options()?.traceparent.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<Box<Options>>, JobError> {
        Options::read(Some(&RawValue::from_string(json.to_owned()).unwrap()))
    }

    #[test]
    fn unknown_keys_are_passed_over() {
        let options = read(r#"{"timeout_ms": 250, "unique": {"key": 1}, "later": [1]}"#).unwrap().unwrap();
        assert_eq!(options.timeout(), Some(Duration::from_millis(250)));
        assert_eq!(options.version, None);
    }

    #[test]
    fn what_cannot_be_read_is_a_failure_that_says_so() {
        let error = read(r#"{"version": "two"}"#).unwrap_err();
        assert_eq!(error.kind, "options");
        assert!(error.message.starts_with("cannot read the job's options: invalid type"), "{}", error.message);
    }
}
