//! What few jobs have: attributes, a time after which they do not start, a timeout, a retry policy, a trace.
//!
//! Invariant: what is sent is what `howdah.check_options` describes, and it is the server that decides what is valid.
//! Limit: a job with options is enqueued by the function, never by the short way of a stream.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::types::Json;

use super::after::OnParentFailure;
use super::check_text;
use super::enqueue::{Enqueue, micros};
use super::enqueue_many::EnqueueMany;
use super::flow::Flow;
use super::graph::Parent;
use crate::error::{Error, Result};
use crate::job::JobId;
use crate::retry::Retry;
use crate::trace;

#[derive(Debug, Default, Clone, Serialize, PartialEq)]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(flatten)]
    pub(super) flow: Flow,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) depends_on: Option<Vec<Parent>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_parent_failure: Option<OnParentFailure>,
    /// A value that is no JSON, told when the enqueue is awaited.
    #[serde(skip)]
    wrong: Option<&'static str>,
}

impl Options {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self) -> Result<()> {
        check_text("traceparent", self.traceparent.as_deref().unwrap_or_default())?;
        self.flow.check()?;
        if let Some(retry) = self.retry {
            check_retry(&serde_json::to_value(retry).unwrap_or_default())?;
        }
        match self.wrong {
            None => Ok(()),
            Some("expires_at") => Err(Error::invalid("expires_at", "must be after 1970 and before the year 9999")),
            Some(field) => {
                Err(Error::invalid(field, "must be JSON without the character NUL, which PostgreSQL cannot store"))
            }
        }
    }

    /// Takes along the trace of whoever enqueues, unless one was given.
    pub(super) fn join_trace(&mut self) {
        if self.traceparent.is_none() {
            self.traceparent = trace::current();
        }
    }

    /// As the functions take it: NULL if there are none.
    pub(super) fn in_sql(&self) -> Option<Json<&Self>> {
        (!self.is_empty()).then_some(Json(self))
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout_ms = Some(ms(timeout));
    }

    pub(super) fn set_attribute(&mut self, name: String, value: impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) if !has_nul(&name, &value) => {
                self.attributes.get_or_insert_default().insert(name, value);
            }
            _ => self.wrong = Some("attributes"),
        }
    }

    fn set_expires_at(&mut self, at: SystemTime) {
        match micros(at) {
            Some(micros) => self.expires_at = Some(micros / 1000),
            None => self.wrong = Some("expires_at"),
        }
    }
}

/// What is no number is `null` in JSON, and that would be a wish for the default.
pub(crate) fn check_retry(retry: &Value) -> Result<()> {
    match retry.as_object().is_some_and(|retry| retry.values().any(Value::is_null)) {
        true => Err(Error::invalid("retry", "must have a factor and a jitter that are finite numbers")),
        false => Ok(()),
    }
}

pub(super) fn has_nul(name: &str, value: &Value) -> bool {
    name.contains('\0')
        || match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(|value| has_nul("", value)),
            Value::Object(fields) => fields.iter().any(|(name, value)| has_nul(name, value)),
            _ => false,
        }
}

fn ms(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// The same settings for one job and for many.
macro_rules! settings {
    ($type:ident $(<$output:ident>)?, $self:ident => $options:expr) => {
        impl<'e $(, $output)?> $type<'e $(, $output)?> {
            /// Something to find and to filter the job by: a scalar, or an array of scalars. All attributes of a job may
            /// take 8 KiB.
            pub fn attribute(mut $self, name: impl Into<String>, value: impl Serialize) -> Self {
                $options.set_attribute(name.into(), value);
                $self
            }

            /// Does not start later than this after now, by the server's clock; up to 100 years. A job that still waits
            /// then ends as expired, or as dead if its queue says so. Also between two attempts.
            pub fn ttl(mut $self, ttl: Duration) -> Self {
                $options.ttl_ms = Some(ms(ttl));
                $self
            }

            /// Does not start after this time. Not together with [`ttl`](Self::ttl).
            pub fn expires_at(mut $self, at: SystemTime) -> Self {
                $options.set_expires_at(at);
                $self
            }

            /// How long one attempt may take, 1 ms to a year; instead of what the job's type says.
            pub fn timeout(mut $self, timeout: Duration) -> Self {
                $options.timeout_ms = Some(ms(timeout));
                $self
            }

            /// When it is tried again after a failure; instead of what its type, its kind or its queue says.
            pub fn retry(mut $self, retry: Retry) -> Self {
                $options.retry = Some(retry);
                $self
            }

            /// The W3C trace context that its run belongs to, such as
            /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
            pub fn traceparent(mut $self, traceparent: impl Into<String>) -> Self {
                $options.traceparent = Some(traceparent.into());
                $self
            }
        }
    };
}

settings!(Enqueue<O>, self => self.options);
settings!(EnqueueMany, self => self.one.options);

impl<O> Enqueue<'_, O> {
    /// Gives the job an id that was [reserved](crate::Howdah::reserve_id) before. It is for one job: refused
    /// ([`Error::Invalid`](crate::Error::Invalid), `id`) if a job has it, or had it as far as history goes.
    pub fn id(mut self, id: JobId) -> Self {
        self.options.id = Some(id.0);
        self
    }
}
