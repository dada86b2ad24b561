//! Layers round the handlers of a worker: what is done for every job, written once.
//!
//! A layer is a [`tower_layer::Layer`], so that those of the crate `tower` fit (`TimeoutLayer`, `ConcurrencyLimitLayer`,
//! `LoadShedLayer`, ...) and so does one of your own: it gets a [`JobCall`], does something, calls the service inside, and
//! looks at its [`JobOutcome`]. [`Worker::layer`](crate::Worker::layer) adds one.
//!
//! ```
//! use std::task::{Context, Poll};
//! use howdah::layer::{JobCall, JobOutcome, JobService};
//! use tower_layer::layer_fn;
//! use tower_service::Service;
//!
//! /// Prints how every job ended.
//! #[derive(Clone)]
//! struct Print(JobService);
//!
//! impl Service<JobCall> for Print {
//!     type Response = JobOutcome;
//!     type Error = std::convert::Infallible;
//!     type Future = futures_util::future::BoxFuture<'static, Result<JobOutcome, Self::Error>>;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
//!         self.0.poll_ready(cx)
//!     }
//!
//!     fn call(&mut self, job: JobCall) -> Self::Future {
//!         let (id, kind) = (job.cx().id(), job.kind().to_owned());
//!         let work = self.0.call(job);
//!         Box::pin(async move {
//!             let outcome = work.await?;
//!             println!("{kind} {id}: {}", outcome.error_kind().unwrap_or("well"));
//!             Ok(outcome)
//!         })
//!     }
//! }
//!
//! # fn example(worker: howdah::Worker) -> howdah::Worker {
//! worker.layer(layer_fn(Print))
//! # }
//! ```
//!
//! What the worker does by itself needs no layer: it catches panics, ends attempts at their deadline, and opens a
//! `tracing` span round each, outside of all layers. A layer whose future is dropped is not told why: the attempt's
//! time was over, or the worker had to stop.
//!
//! Invariant: a layer sees every attempt, and its error is a failed attempt for everything outside of it. Limit: a
//! job waits in the layers (for a permit, say) with its slot taken and its time running.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower_layer::Layer;
use tower_service::Service;

use crate::handler::{Call, Ctx, JobError, Outcome, RawJob, type_name, with_causes};

/// One attempt at one job, on its way to its handler.
pub struct JobCall {
    job: RawJob,
    cx: Ctx,
}

impl JobCall {
    pub(crate) fn new(job: RawJob, call: Arc<Call>) -> Self {
        Self { job, cx: Ctx::new(call, ()) }
    }

    /// The job's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.job.kind
    }

    /// The payload, before anybody has decoded it.
    #[must_use]
    pub fn job(&self) -> &RawJob {
        &self.job
    }

    /// The payload, to change what the handler gets: to decrypt it, or to bring an old one up to date. The kind and
    /// version that it has when it arrives inside decide on the handler.
    pub fn job_mut(&mut self) -> &mut RawJob {
        &mut self.job
    }

    pub(crate) fn into_parts(self) -> (RawJob, Arc<Call>) {
        (self.job, self.cx.into_call())
    }

    /// What the handler knows of its attempt too: id, attempt, queue, deadline, whether it is cancelled, and so on.
    #[must_use]
    pub fn cx(&self) -> &Ctx {
        &self.cx
    }
}

// Without the payload, which is nobody's business in a log.
impl fmt::Debug for JobCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobCall").field("kind", &self.job.kind).field("cx", &self.cx).finish_non_exhaustive()
    }
}

/// How an attempt ended, as the handler or a layer said. The attempt's time may be over all the same.
pub struct JobOutcome(Outcome);

impl JobOutcome {
    /// Whether it succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.error().is_none()
    }

    /// What is to become of a job that did not: `retry`, `discard`, `cancel`, `snooze` or `wait`.
    #[must_use]
    pub fn verdict(&self) -> Option<&'static str> {
        self.error().map(|e| e.verdict.as_str())
    }

    /// By what people group failures: the name of the error's type, or what [`JobError::kind`] said.
    #[must_use]
    pub fn error_kind(&self) -> Option<&str> {
        self.error().map(|e| e.kind.as_str())
    }

    /// The error, which says what is to become of the job.
    #[must_use]
    pub fn error(&self) -> Option<&JobError> {
        if let Outcome::Failed(error) = &self.0 { Some(error) } else { None }
    }

    pub(crate) fn into_inner(self) -> Outcome {
        self.0
    }
}

/// For a layer that fails an attempt with a verdict.
impl From<JobError> for JobOutcome {
    fn from(error: JobError) -> Self {
        Self(Outcome::Failed(error))
    }
}

impl fmt::Debug for JobOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobOutcome").field(&self.error()).finish()
    }
}

/// A layer for [`Worker::layer`](crate::Worker::layer): every [`tower_layer::Layer`] whose service does the same for
/// a [`JobCall`] as the one inside. This trait is implemented for all of them; it is here for its error message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer for jobs",
    label = "not a layer for jobs",
    note = "a layer for jobs is a `tower_layer::Layer<JobService>` whose service is `Clone + Send + Sync` and a \
            `Service<JobCall, Response = JobOutcome>` with a future that is `Send` and an error that is \
            `Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait JobLayer: Send + Sync + 'static {
    #[doc(hidden)]
    fn around(&self, inside: JobService) -> JobService;
}

impl<L> JobLayer for L
where
    L: Layer<JobService> + Send + Sync + 'static,
    L::Service: Service<JobCall, Response = JobOutcome> + Clone + Send + Sync + 'static,
    <L::Service as Service<JobCall>>::Error: Into<Box<dyn StdError + Send + Sync>>,
    <L::Service as Service<JobCall>>::Future: Send + 'static,
{
    fn around(&self, inside: JobService) -> JobService {
        JobService(Box::new(Erased { service: self.layer(inside), refused: None }))
    }
}

/// What a layer has inside: the next layer, or the worker's handlers. It never fails; an attempt that did is a
/// [`JobOutcome`].
pub struct JobService(Box<dyn Dynamic>);

/// What is done when a service is called.
type Work = BoxFuture<'static, Result<JobOutcome, Infallible>>;

trait Dynamic: Send + Sync {
    fn clone(&self) -> Box<dyn Dynamic>;
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    fn call(&mut self, call: JobCall) -> Work;
}

impl JobService {
    /// The innermost one.
    pub(crate) fn new<F, Fut>(handle: F) -> Self
    where
        F: Fn(JobCall) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        Self(Box::new(Innermost(handle)))
    }

    /// Does a job: from the outermost layer to the handler, and back.
    pub(crate) async fn run(mut self, call: JobCall) -> Outcome {
        std::future::poll_fn(|cx| self.0.poll_ready(cx)).await;
        let Ok(outcome) = self.0.call(call).await;
        outcome.into_inner()
    }
}

impl Clone for JobService {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for JobService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobService")
    }
}

impl Service<JobCall> for JobService {
    type Response = JobOutcome;
    type Error = Infallible;
    type Future = Work;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx).map(Ok)
    }

    fn call(&mut self, call: JobCall) -> Work {
        self.0.call(call)
    }
}

/// The handlers, as a service.
#[derive(Clone)]
struct Innermost<F>(F);

impl<F, Fut> Dynamic for Innermost<F>
where
    F: Fn(JobCall) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    fn clone(&self) -> Box<dyn Dynamic> {
        Box::new(Clone::clone(self))
    }

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn call(&mut self, call: JobCall) -> Work {
        // A panic is an outcome, so that the layers see it as well.
        let work = AssertUnwindSafe((self.0)(call)).catch_unwind();
        work.map(|ended| {
            let outcome = ended.unwrap_or_else(|panic| Outcome::Failed(JobError::panic(&*panic as &(dyn Any + Send))));
            Ok(JobOutcome(outcome))
        })
        .boxed()
    }
}

/// A layer's service with its type forgotten, and its errors made outcomes.
struct Erased<T> {
    service: T,
    /// It has failed before it was called.
    refused: Option<JobError>,
}

impl<T> Dynamic for Erased<T>
where
    T: Service<JobCall, Response = JobOutcome> + Clone + Send + Sync + 'static,
    T::Error: Into<Box<dyn StdError + Send + Sync>>,
    T::Future: Send + 'static,
{
    fn clone(&self) -> Box<dyn Dynamic> {
        Box::new(Self { service: self.service.clone(), refused: None })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.service.poll_ready(cx).map(|ready| self.refused = ready.err().map(failure))
    }

    fn call(&mut self, call: JobCall) -> Work {
        if let Some(error) = self.refused.take() {
            return std::future::ready(Ok(error.into())).boxed();
        }
        let work = self.service.call(call);
        async move { Ok(work.await.unwrap_or_else(|error| failure(error).into())) }.boxed()
    }
}

/// A layer's error as a failed attempt. Its kind is the name of its type; of a boxed error the name is not known.
fn failure<E: Into<Box<dyn StdError + Send + Sync>>>(error: E) -> JobError {
    let name = type_name::<E>();
    let error: Box<dyn StdError + Send + Sync> = error.into();
    let (message, causes) = with_causes(&*error);
    JobError { causes, ..JobError::retry(message).kind(if name == "Box" { "layer" } else { name }) }
}
