//! Jobs by pulling: a program asks for the next one, instead of being called with it.
//!
//! A [`Receiver`] is a worker like any other, with one handler that hands each job over a channel and waits for what
//! becomes of it. So claims, heartbeats, rescue and fencing are the worker's.
//!
//! Invariant: every job that was claimed is with one [`JobHandle`] or on its way to one, and whatever becomes of the handle,
//! the job ends with one verdict. Limit: at most `batch` jobs are held, taken or not.

mod handle;
mod receiver;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{NO_END, Worker};
use crate::client::Howdah;
use crate::error::{Error, Result};
use crate::handler::{Call, JobError, Outcome, RawJob, decode};
use crate::job::Job;
use crate::retry::Retry;

pub use handle::JobHandle;
pub use receiver::Receiver;

/// The timeout and the retry that a type declares.
type Declared = (Option<Duration>, Option<Retry>);

/// A receiver to be: made by [`Howdah::receive`], opened by [`open`](Receive::open).
#[must_use = "nothing is received until this is opened"]
pub struct Receive<P = RawJob> {
    worker: Worker<()>,
    queue: String,
    batch: usize,
    kinds: Option<Vec<String>>,
    declared: Declared,
    read: fn(RawJob) -> Result<P, JobError>,
}

impl Howdah {
    /// Takes jobs of a queue one after another, of whatever kind, where a [`Worker`] with handlers does not fit: in a
    /// loop of your own, in a script, in a test. The queue is created if it does not exist.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Welcome { address: String }
    /// # async fn example(howdah: howdah::Howdah) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut jobs = howdah.receive("mail").batch(10).kinds(["welcome"]).open().await?;
    /// while let Some(job) = jobs.next().await {
    ///     match job.payload::<Welcome>() {
    ///         Ok(welcome) => {
    ///             println!("mail to {}", welcome.address);
    ///             job.complete().await?;
    ///         }
    ///         Err(error) => job.fail(error).await?,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn receive(&self, queue: impl Into<String>) -> Receive {
        Receive::new(self, queue.into(), None, (None, None), Ok)
    }

    /// Takes jobs of one type, from the queue that it declares. A job whose payload does not fit the type fails, as it
    /// would with a handler, and is not seen.
    ///
    /// ```no_run
    /// # #[derive(howdah::Job, serde::Serialize, serde::Deserialize)] struct Welcome { address: String }
    /// # async fn example(howdah: howdah::Howdah) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut jobs = howdah.receive_typed::<Welcome>().open().await?;
    /// while let Some(job) = jobs.next().await {
    ///     println!("mail to {}", job.payload().address);
    ///     job.complete().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn receive_typed<J: Job>(&self) -> Receive<J> {
        let declared = (J::TIMEOUT, J::RETRY);
        Receive::new(self, J::QUEUE.to_owned(), Some(vec![J::KIND.to_owned()]), declared, |raw| decode(&raw))
    }
}

impl<P: Send + 'static> Receive<P> {
    fn new(
        howdah: &Howdah,
        queue: String,
        kinds: Option<Vec<String>>,
        declared: Declared,
        read: fn(RawJob) -> Result<P, JobError>,
    ) -> Self {
        let mut worker = Worker::new(howdah);
        worker.settings.claims_ahead = false;
        // A closed receiver keeps the leases of handles that are still out for as long as they are.
        worker.settings.grace = NO_END;
        Self { worker, queue, batch: 1, kinds, declared, read }
    }

    /// How many jobs are held at most that are not finished, those that [`next`](Receiver::next) has not given yet
    /// included; 1. More save round trips, and keep what waits here from other workers.
    pub fn batch(mut self, jobs: usize) -> Self {
        self.batch = jobs;
        self
    }

    /// Takes jobs of these kinds only.
    pub fn kinds<K: Into<String>>(mut self, kinds: impl IntoIterator<Item = K>) -> Self {
        self.kinds = Some(kinds.into_iter().map(Into::into).collect());
        self
    }

    /// Takes jobs from this queue instead.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = name.into();
        self
    }

    /// What people see in `howdah.workers`; the host's name and the process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.worker = self.worker.name(name);
        self
    }

    /// How often it says that it lives, 10 ms to half the lease; 2 s.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.worker = self.worker.heartbeat(every);
        self
    }

    /// How long after its last heartbeat its jobs are given to others, 100 ms to a day; 20 s. A handle may be held for
    /// much longer: the heartbeats go on by themselves.
    pub fn lease(mut self, after: Duration) -> Self {
        self.worker = self.worker.lease(after);
        self
    }

    /// How often it looks for jobs while it cannot listen; 500 ms.
    pub fn poll(mut self, every: Duration) -> Self {
        self.worker = self.worker.poll(every);
        self
    }

    /// Whether it listens for new jobs; true. Without it, it polls.
    pub fn listen(mut self, listen: bool) -> Self {
        self.worker = self.worker.listen(listen);
        self
    }

    /// Whether it may be elected to do the chores, as any worker; true.
    pub fn keeper(mut self, may: bool) -> Self {
        self.worker = self.worker.keeper(may);
        self
    }

    /// Registers as a worker, and begins to take jobs. Waits for a database that cannot be reached.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a batch of 0; and as [`Worker::run_until`].
    pub async fn open(self) -> Result<Receiver<P>> {
        if self.kinds.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("kinds", "must name at least one, or nothing would ever be received"));
        }
        if self.batch == 0 {
            return Err(Error::invalid("batch", "must be at least 1, or nothing would ever be received"));
        }
        let (jobs, taken) = mpsc::unbounded_channel();
        let read = self.read;
        let mut worker = self.worker.queue(self.queue, self.batch);
        worker.handlers.take_all(
            self.kinds,
            self.declared,
            Arc::new(move |raw, call, _| hand_over(&jobs, read, raw, call)),
        );
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        // From here on, whoever drops this future has closed the receiver.
        let stop = stop.drop_guard();
        let (started, has_started) = oneshot::channel();
        let task = tokio::spawn(worker.run_telling(move || started.send(()).unwrap_or_default(), stopped));
        if has_started.await.is_err() {
            return Err(match task.await {
                Ok(Err(error)) => error,
                _ => Error::Worker("the receiver ended before it had begun".to_owned()),
            });
        }
        Ok(Receiver::new(taken, stop, task))
    }
}

/// Hands a job to whoever calls `next`, and waits for what becomes of it.
fn hand_over<P: Send + 'static>(
    jobs: &mpsc::UnboundedSender<JobHandle<P>>,
    read: fn(RawJob) -> Result<P, JobError>,
    raw: RawJob,
    call: Arc<Call>,
) -> BoxFuture<'static, Outcome> {
    let payload = match read(raw) {
        Ok(payload) => payload,
        Err(error) => return std::future::ready(Outcome::Failed(error)).boxed(),
    };
    let (verdict, said) = oneshot::channel();
    // Whatever ends the attempt, its handle hears of it.
    let over = call.cancelled.clone().drop_guard();
    // Its time runs from when somebody takes it.
    call.limit.hold();
    // A receiver that is closed drops the handle, which gives the job back.
    let _ = jobs.send(JobHandle::new(payload, Arc::clone(&call), verdict));
    async move {
        let (outcome, answer) = said.await.unwrap_or((Outcome::Released, None));
        call.await_answer(answer);
        drop(over);
        outcome
    }
    .boxed()
}

impl<P> fmt::Debug for Receive<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receive").field("queue", &self.queue).field("batch", &self.batch).finish_non_exhaustive()
    }
}
