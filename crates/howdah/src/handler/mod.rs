//! Handlers: plain async functions from a job to an outcome, and how they are called.
//!
//! Invariant: what a handler is given is its job and a context; what it says is an [`Outcome`]. It never touches
//! the worker. Limit: two arities, `async fn(J)` and `async fn(J, Ctx<T>)`; and one with a transaction, see `transaction`.

mod ctx;
mod lease;
mod limit;
mod nested;
mod options;
mod parents;
mod progress;
mod routes;
mod scheduled;
mod steps;
mod transaction;
mod verdict;
mod waits;

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::hidden::debug_hiding;
use crate::job::Job;

pub(crate) use ctx::{Answer, Call};
pub use ctx::{Ctx, FromRef};
pub(crate) use limit::Limit;
pub use nested::WorkflowEnd;
pub(crate) use options::{FIRST_VERSION, Options};
pub use parents::EndedParent;
pub(crate) use progress::Said;
pub(crate) use routes::{Entry, Handlers, Run};
pub(crate) use steps::Steps;
pub use transaction::Tx;
pub use verdict::{IntoOutcome, JobError, OrVerdict};
pub(crate) use verdict::{Outcome, Verdict, kept, type_name, with_causes};

/// A function that does jobs of one type: `async fn(J)` or `async fn(J, Ctx<T>)`, returning `()` or
/// `Result<(), E>` where `E` is [`JobError`] or any error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job handler",
    label = "not a handler",
    note = "a handler is `async fn(SomeJob) -> R` or `async fn(SomeJob, Ctx<T>) -> R`, where `SomeJob` derives `Job`, \
            `R` is `()` or `Result<(), JobError>`, and `T` is the worker's state (or implements `FromRef` of it)"
)]
pub trait Handler<S, M>: Clone + Send + Sync + 'static {
    /// What it does.
    type Job: Job;
    #[doc(hidden)]
    fn call(&self, job: Self::Job, call: Arc<Call>, state: &S) -> BoxFuture<'static, Outcome>;
}

impl<S, J, F, Fut, R> Handler<S, (J,)> for F
where
    J: Job,
    F: Fn(J) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: IntoOutcome<J::Output> + 'static,
{
    type Job = J;
    fn call(&self, job: J, _: Arc<Call>, _: &S) -> BoxFuture<'static, Outcome> {
        self(job).map(IntoOutcome::into_outcome).boxed()
    }
}

impl<S, T, J, F, Fut, R> Handler<S, (J, Ctx<T>)> for F
where
    J: Job,
    T: FromRef<S> + Send + Sync + 'static,
    F: Fn(J, Ctx<T>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: IntoOutcome<J::Output> + 'static,
{
    type Job = J;
    fn call(&self, job: J, call: Arc<Call>, state: &S) -> BoxFuture<'static, Outcome> {
        self(job, Ctx::new(call, T::from_ref(state))).map(IntoOutcome::into_outcome).boxed()
    }
}

/// A job of a kind that has no type here: what [`Worker::handle_any`](crate::Worker::handle_any) is given.
pub struct RawJob {
    /// The kind that it was enqueued with.
    pub kind: String,
    /// The payload, JSON as PostgreSQL holds it.
    pub payload: Box<RawValue>,
    /// The version of the payload's type that it was enqueued with; 1 if nobody said.
    pub version: u16,
}

debug_hiding!(RawJob { kind, version } hides { payload });

/// Reads a payload; an error names the field that does not fit, and never the value.
pub(crate) fn decode<J: DeserializeOwned>(raw: &RawJob) -> Result<J, JobError> {
    decode_at(&raw.payload).map_err(|(place, reason)| {
        JobError::retry(format!("{place} does not fit the type of kind {}{reason}", raw.kind)).kind("payload")
    })
}

/// As [`decode`], outside of an attempt: says what does not fit.
pub(crate) fn decode_json<T: DeserializeOwned>(json: &RawValue) -> Result<T, String> {
    decode_at(json).map_err(|(place, reason)| format!("{place} does not fit the type that is asked for{reason}"))
}

/// Where it does not fit, and what was expected.
fn decode_at<T: DeserializeOwned>(json: &RawValue) -> Result<T, (String, String)> {
    let mut json = serde_json::Deserializer::from_str(json.get());
    serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        let place = if path == "." { "payload".to_owned() } else { format!("payload.{path}") };
        (place, without_value(&e.inner().to_string()))
    })
}

/// The part of serde's message that says what is wrong, without what was there.
fn without_value(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if message.starts_with("missing field ") {
        return format!(": {message}");
    }
    message.rsplit_once(", expected ").map_or_else(String::new, |(_, expected)| format!(": expected {expected}"))
}
