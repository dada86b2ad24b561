//! Handlers: plain async functions from a job to an outcome, and how they are called.
//!
//! Invariant: what a handler is given is its job and a context; what it says is an [`Outcome`]. It never touches
//! the worker. Limit: two arities, `async fn(J)` and `async fn(J, Ctx<T>)`; and one with a transaction, see `transaction`.

mod ctx;
mod options;
mod progress;
mod transaction;
mod verdict;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::job::Job;
use crate::retry::Retry;

pub(crate) use ctx::{Answer, Call};
pub use ctx::{Ctx, FromRef};
pub(crate) use options::{FIRST_VERSION, Options};
pub(crate) use progress::Said;
pub(crate) use transaction::Transactions;
pub use transaction::Tx;
pub(crate) use verdict::Verdict;
pub use verdict::{IntoOutcome, JobError, OrVerdict};
pub(crate) use verdict::{Outcome, kept};

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
#[derive(Debug)]
pub struct RawJob {
    /// The kind that it was enqueued with.
    pub kind: String,
    /// The payload, JSON as PostgreSQL holds it.
    pub payload: Box<RawValue>,
    /// The version of the payload's type that it was enqueued with; 1 if nobody said.
    pub version: u16,
}

/// A handler with its types forgotten.
pub(crate) type Run<S> = Arc<dyn Fn(RawJob, Arc<Call>, &S) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// One entry of the [`Handlers`].
pub(crate) struct Entry<S> {
    pub(crate) run: Run<S>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    /// It runs in a transaction of its own.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "a worker treats all alike"))]
    pub(crate) in_tx: bool,
    pub(crate) queue: &'static str,
}

/// Which function does which kind.
pub(crate) struct Handlers<S> {
    pub(crate) typed: HashMap<&'static str, Entry<S>>,
    pub(crate) any: Option<Entry<S>>,
    /// The kinds that `any` is for; `None`: all.
    pub(crate) only: Option<Vec<String>>,
    /// A kind that two functions claim.
    pub(crate) twice: Option<&'static str>,
    pub(crate) transactions: Transactions,
}

impl<S: 'static> Handlers<S> {
    pub(crate) fn new() -> Self {
        Self { typed: HashMap::new(), any: None, only: None, twice: None, transactions: Transactions::default() }
    }

    pub(crate) fn add<M, H: Handler<S, M>>(&mut self, handler: H) {
        let run: Run<S> = Arc::new(move |raw, call, state| match decode::<H::Job>(&raw) {
            Ok(job) => handler.call(job, call, state),
            Err(error) => std::future::ready(Outcome::Failed(error)).boxed(),
        });
        self.insert::<H::Job>(run, false);
    }

    fn insert<J: Job>(&mut self, run: Run<S>, in_tx: bool) {
        let entry = Entry { run, timeout: J::TIMEOUT, retry: J::RETRY, in_tx, queue: J::QUEUE };
        if self.typed.insert(J::KIND, entry).is_some() {
            self.twice = Some(J::KIND);
        }
    }

    pub(crate) fn add_any<T, O, F, Fut, R>(&mut self, handler: F)
    where
        O: 'static,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(RawJob, Ctx<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<O> + 'static,
    {
        let run: Run<S> = Arc::new(move |raw, call, state| {
            handler(raw, Ctx::new(call, T::from_ref(state))).map(IntoOutcome::into_outcome).boxed()
        });
        self.any = Some(Entry { run, timeout: None, retry: None, in_tx: false, queue: "default" });
    }

    pub(crate) fn find(&self, kind: &str) -> Option<&Entry<S>> {
        self.typed.get(kind).or(self.any.as_ref())
    }

    /// The kinds that can be done here; `None`: any.
    pub(crate) fn kinds(&self) -> Option<Vec<String>> {
        if self.any.is_some() {
            return self.only.clone();
        }
        let mut kinds: Vec<_> = self.typed.keys().map(|k| (*k).to_owned()).collect();
        kinds.sort();
        Some(kinds)
    }
}

/// Reads a payload; an error names the field that does not fit, and never the value.
pub(crate) fn decode<J: DeserializeOwned>(raw: &RawJob) -> Result<J, JobError> {
    let mut json = serde_json::Deserializer::from_str(raw.payload.get());
    serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        let place = if path == "." { "payload".to_owned() } else { format!("payload.{path}") };
        let reason = without_value(&e.inner().to_string());
        JobError::retry(format!("{place} does not fit the type of kind {}{reason}", raw.kind)).kind("payload")
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
