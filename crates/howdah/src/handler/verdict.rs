//! What a handler says of its job: done, or failed with a verdict.
//!
//! Invariant: an error without a verdict means a retry by the queue's policy. Limit: an error is kept as text,
//! with its causes; the value itself ends here.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::payload;
use crate::retry::Retry;

/// What is to become of a job whose attempt did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    Discard,
    Cancel,
    Snooze,
    /// Set aside until what a step waits for has come.
    Wait,
}

impl Verdict {
    /// Its name in SQL.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
            Self::Cancel => "cancel",
            Self::Snooze => "snooze",
            Self::Wait => "wait",
        }
    }
}

/// Why an attempt failed, and what is to become of the job.
///
/// `?` on any error makes one that is retried by the policy of the queue. [`OrVerdict`] says otherwise:
///
/// ```
/// use howdah::{JobError, OrVerdict};
/// use std::time::Duration;
///
/// async fn handler(input: String) -> Result<(), JobError> {
///     let port: u16 = input.parse().or_discard()?;                     // never going to work: dead at once
///     std::fs::read("/proc/self/stat").or_retry_in(Duration::from_secs(30))?; // again in half a minute
///     let _ = port;
///     Ok(())
/// }
/// ```
pub struct JobError {
    pub(crate) verdict: Verdict,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) delay: Option<Duration>,
    /// What was behind it, outermost first.
    pub(crate) causes: Vec<String>,
    /// What the program declares for the kind of job.
    pub(crate) declared: Option<Box<Retry>>,
}

impl JobError {
    fn new(verdict: Verdict, message: impl fmt::Display) -> Self {
        Self {
            verdict,
            kind: "error".to_owned(),
            message: message.to_string(),
            delay: None,
            causes: Vec::new(),
            declared: None,
        }
    }

    /// Failed; tried again by the queue's policy, or dead after its last attempt.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self::new(Verdict::Retry, message)
    }

    /// Failed; tried again after this delay, or dead after its last attempt.
    pub fn retry_in(delay: Duration, message: impl fmt::Display) -> Self {
        Self { delay: Some(delay), ..Self::new(Verdict::Retry, message) }
    }

    /// Failed for good: dead at once. It can be retried by hand.
    pub fn discard(message: impl fmt::Display) -> Self {
        Self::new(Verdict::Discard, message)
    }

    /// Not wanted any more: ends as cancelled.
    pub fn cancel(message: impl fmt::Display) -> Self {
        Self::new(Verdict::Cancel, message)
    }

    /// Not yet: run again after this delay, and this attempt does not count.
    #[must_use]
    pub fn snooze(delay: Duration) -> Self {
        Self { delay: Some(delay), ..Self::new(Verdict::Snooze, "") }
    }

    /// Run again when what a step of the job waits for has come, which takes at most so long.
    pub(crate) fn wait(delay: Option<Duration>, message: impl fmt::Display) -> Self {
        Self { delay, ..Self::new(Verdict::Wait, message).kind("waits") }
    }

    /// Names the kind of error, by which people group failures. It is the name of the error's type otherwise.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    fn of<E: StdError>(verdict: Verdict, error: &E) -> Self {
        let (message, causes) = with_causes(error);
        Self { causes, ..Self::new(verdict, message).kind(type_name::<E>()) }
    }

    /// What is left of a panic.
    pub(crate) fn panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::retry(text.unwrap_or("no message")).kind("panic")
    }
}

/// An error's text, followed by those of its causes; and these by themselves, outermost first.
pub(crate) fn with_causes(error: &dyn StdError) -> (String, Vec<String>) {
    let mut message = error.to_string();
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(e) = cause.filter(|_| causes.len() < MOST_CAUSES) {
        let text = e.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        causes.push(text);
        cause = e.source();
    }
    (message, causes)
}

/// An error may be its own cause.
const MOST_CAUSES: usize = 32;

/// The last part of a type's name, without its arguments.
pub(crate) fn type_name<E: ?Sized>() -> &'static str {
    let name = std::any::type_name::<E>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.verdict.as_str(), self.kind, self.message)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `JobError` is no `std::error::Error` itself, or this would contradict `From<T> for T`.
impl<E: StdError + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::of(Verdict::Retry, &error)
    }
}

/// Gives a verdict with an error: `parse(x).or_discard()?`.
pub trait OrVerdict<T> {
    /// The job is dead at once: trying again would not help.
    ///
    /// # Errors
    /// The error, with the verdict.
    fn or_discard(self) -> Result<T, JobError>;
    /// The job is tried again after this delay instead of the policy's.
    ///
    /// # Errors
    /// The error, with the verdict.
    fn or_retry_in(self, delay: Duration) -> Result<T, JobError>;
    /// The job ends as cancelled.
    ///
    /// # Errors
    /// The error, with the verdict.
    fn or_cancel(self) -> Result<T, JobError>;
    /// The job runs again after this delay, and this attempt does not count.
    ///
    /// # Errors
    /// The error, with the verdict.
    fn or_snooze(self, delay: Duration) -> Result<T, JobError>;
}

impl<T, E: StdError> OrVerdict<T> for Result<T, E> {
    fn or_discard(self) -> Result<T, JobError> {
        self.map_err(|e| JobError::of(Verdict::Discard, &e))
    }
    fn or_retry_in(self, delay: Duration) -> Result<T, JobError> {
        self.map_err(|e| JobError { delay: Some(delay), ..JobError::of(Verdict::Retry, &e) })
    }
    fn or_cancel(self) -> Result<T, JobError> {
        self.map_err(|e| JobError::of(Verdict::Cancel, &e))
    }
    fn or_snooze(self, delay: Duration) -> Result<T, JobError> {
        self.map_err(|e| JobError { delay: Some(delay), ..JobError::of(Verdict::Snooze, &e) })
    }
}

/// How an attempt ended.
#[doc(hidden)]
#[derive(Debug)]
pub enum Outcome {
    /// The handler returned well; what it returned, if it is to be kept.
    Done(Option<Box<RawValue>>),
    /// It did not.
    Failed(JobError),
    /// It gives the job back, and the attempt does not count.
    Released,
}

/// What a handler may return: `()`, or a `Result<T, E>` where `T` is the job's [`Output`](crate::Job::Output) and `E` is
/// [`JobError`] or any error.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "a handler returns `()`, `Result<T, JobError>`, or `Result<T, E>` where `E` is a standard error and `T` is the job's \
            output: `()` unless it says `#[job(output = ...)]`"
)]
pub trait IntoOutcome<T = ()> {
    #[doc(hidden)]
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done(None)
    }
}

impl<T: Serialize, E: Into<JobError>> IntoOutcome<T> for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(output) => kept(&output),
            Err(error) => Outcome::Failed(error.into()),
        }
    }
}

/// The most that an output may be as JSON: 1 MiB.
const MOST_OUTPUT: usize = 1 << 20;

/// A well-ended attempt with its output; nothing is kept of `()` and of `None`. What cannot be kept makes the job dead: the
/// work is done, and doing it again would not help.
pub(crate) fn kept(output: &impl Serialize) -> Outcome {
    match payload::encode(output) {
        Ok(json) if json.get() == "null" => Outcome::Done(None),
        Ok(json) if json.get().len() <= MOST_OUTPUT => Outcome::Done(Some(json.0)),
        Ok(json) => {
            let bytes = json.get().len();
            let message =
                format!("the job was done, but its output is {bytes} bytes, and at most {MOST_OUTPUT} are kept");
            Outcome::Failed(JobError::discard(message).kind("output"))
        }
        Err(error) => {
            let message = format!("the job was done, but its output cannot be kept: {error}");
            Outcome::Failed(JobError::discard(message).kind("output"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_causes_and_the_name_of_its_type() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::num::ParseIntError);
        let error = JobError::from(Outer("x".parse::<i32>().unwrap_err()));
        assert_eq!(error.kind, "Outer");
        assert_eq!(error.message, "outer: invalid digit found in string");
        assert_eq!(error.causes, ["invalid digit found in string"]);
        assert_eq!(error.verdict, Verdict::Retry);
    }
}
