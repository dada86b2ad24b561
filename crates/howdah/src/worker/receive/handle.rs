//! One job that was received, until it is finished.
//!
//! Invariant: finishing takes the handle, so a job is finished once; one that is dropped gives its job back. Limit: a
//! handle that is forgotten keeps its job for as long as the process lives.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::{Postgres, Transaction};
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::handler::{Answer, Call, Ctx, IntoOutcome, JobError, Outcome, RawJob, decode, kept};
use crate::job::Job;

/// What is said of a job, and who waits to hear whether that was accepted. The two go together: an attempt whose time was over before it
/// was heard is not told of the one, and nobody of the other.
pub(super) type Said = (Outcome, Option<Answer>);

/// A job that was received: finish it with [`complete`](Self::complete), [`fail`](Self::fail) or
/// [`release`](Self::release).
///
/// It derefs to the [`Ctx`] of the attempt: `id()`, `attempt()`, `cancelled()`, `check_lease()` and so on. Dropping it
/// gives the job back at once, and the attempt does not count: a job that cannot be done must be failed, or it comes
/// back for ever. Dropped by a panic, the attempt counts as failed. Finishing takes it, so finishing twice does not
/// compile:
///
/// ```compile_fail,E0382
/// # async fn example(job: howdah::JobHandle) -> Result<(), howdah::Error> {
/// job.complete().await?;
/// job.release().await
/// # }
/// ```
#[must_use = "a handle that is dropped gives its job back"]
pub struct JobHandle<P = RawJob> {
    payload: P,
    cx: Ctx<()>,
    verdict: Option<oneshot::Sender<Said>>,
    /// Shared with the receiver, once it is taken.
    out: Option<Arc<()>>,
}

impl JobHandle<RawJob> {
    /// The kind that it was enqueued with.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.payload.kind
    }

    /// The payload, JSON as PostgreSQL holds it.
    #[must_use]
    pub fn raw_payload(&self) -> &RawValue {
        &self.payload.payload
    }

    /// The payload as this type.
    ///
    /// # Errors
    /// What to [`fail`](Self::fail) the job with: the field that does not fit, without its value.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        decode(&self.payload)
    }
}

impl<J: Job> JobHandle<J> {
    /// The job.
    #[must_use]
    pub fn payload(&self) -> &J {
        &self.payload
    }
}

impl<P> JobHandle<P> {
    pub(super) fn new(payload: P, call: Arc<Call>, verdict: oneshot::Sender<Said>) -> Self {
        Self { payload, cx: Ctx::new(call, ()), verdict: Some(verdict), out: None }
    }

    pub(super) fn taken(mut self, held: &Arc<()>) -> Self {
        self.cx.call.limit.start();
        self.out = Some(Arc::clone(held));
        self
    }

    /// Completes the job; returns when the database has accepted that. Once it is polled, dropping the future does not
    /// take it back.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the job was not this attempt's any more: another worker has it, or it has ended.
    pub async fn complete(self) -> Result<()> {
        self.end(().into_outcome()).await
    }

    /// Completes the job and keeps an output for those who wait for it.
    ///
    /// # Errors
    /// As [`complete`](Self::complete); [`Error::Invalid`] if the output cannot be written as JSON or is larger than 1 MiB,
    /// and then the job is given back.
    pub async fn complete_with(self, output: &impl Serialize) -> Result<()> {
        match kept(output) {
            Outcome::Failed(error) => Err(Error::invalid("output", error.message)),
            done => self.end(done).await,
        }
    }

    /// Completes the job in this transaction, and commits it: all that it wrote, or nothing.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the job was not this attempt's any more, or what the commit says: then the transaction is
    /// rolled back, and the job not completed.
    pub async fn complete_and_commit(self, mut transaction: Transaction<'_, Postgres>) -> Result<()> {
        self.cx.complete_in(&mut transaction).await?;
        transaction.commit().await?;
        self.complete().await
    }

    /// Fails the attempt: the job is retried or dead, as the error says. An error without a verdict means a retry by the
    /// queue's policy.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the job was not this attempt's any more. If the connection broke meanwhile, it may have
    /// been recorded all the same.
    pub async fn fail(self, error: impl Into<JobError>) -> Result<()> {
        self.end(Outcome::Failed(error.into())).await
    }

    /// Gives the job back to whoever is next, and returns when it is. The attempt does not count.
    ///
    /// # Errors
    /// As [`fail`](Self::fail).
    pub async fn release(self) -> Result<()> {
        self.end(Outcome::Released).await
    }

    async fn end(mut self, outcome: Outcome) -> Result<()> {
        let lost = Error::LeaseLost { job: self.cx.id() };
        let (answer, told) = oneshot::channel();
        // The attempt may have ended without us.
        if self.verdict.take().is_none_or(|verdict| verdict.send((outcome, Some(answer))).is_err()) {
            return Err(lost);
        }
        told.await.unwrap_or(Err(lost))
    }
}

impl<P> Deref for JobHandle<P> {
    type Target = Ctx<()>;
    fn deref(&self) -> &Ctx<()> {
        &self.cx
    }
}

impl<P> Drop for JobHandle<P> {
    fn drop(&mut self) {
        // Given back, a job that makes its program panic would do so for ever.
        if self.out.is_some()
            && std::thread::panicking()
            && let Some(verdict) = self.verdict.take()
        {
            let error = JobError::retry("the program panicked while it had the job");
            let _ = verdict.send((Outcome::Failed(error.kind("panic")), None));
        }
    }
}

impl<P> fmt::Debug for JobHandle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle").field("id", &self.id()).field("attempt", &self.attempt()).finish_non_exhaustive()
    }
}
