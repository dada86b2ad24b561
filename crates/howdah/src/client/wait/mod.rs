//! Waiting for jobs to end, from any process.
//!
//! Invariant: whoever waits hears of the end, whichever comes first: it is asked for after the wish to hear of it is
//! committed, again soon, and from then on with every notification and every few seconds. Limit: a job that ended longer
//! ago than history is kept cannot be told from one that never was.

mod watch;

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use super::enqueue::Enqueue;
use super::target::Target;
use super::{Howdah, JobState};
use crate::error::{Error, Result};
use crate::job::{Job, JobId};

use watch::End;
pub(super) use watch::Watch;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<T = ()> {
    /// Well, with what its handler returned.
    Completed(T),
    /// Its last attempt failed, it was discarded, or it expired and its queue keeps such jobs as dead.
    Dead {
        /// The kind of the last error, and what it said.
        reason: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// It did not start in time.
    Expired,
}

impl<T> Ended<T> {
    /// What the handler returned, if the job ended well.
    pub fn completed(self) -> Option<T> {
        match self {
            Self::Completed(output) => Some(output),
            _ => None,
        }
    }

    /// The state that the job ended in.
    #[must_use]
    pub fn state(&self) -> JobState {
        match self {
            Self::Completed(_) => JobState::Completed,
            Self::Dead { .. } => JobState::Dead,
            Self::Cancelled => JobState::Cancelled,
            Self::Expired => JobState::Expired,
        }
    }
}

/// A wish to hear how a job ends: `.await` it. Made by [`Enqueue::wait`] and [`Howdah::wait`].
#[must_use = "nothing happens until this is awaited"]
#[derive(Debug)]
pub struct Wait<'e, O = ()> {
    howdah: &'e Howdah,
    what: What<'e, O>,
    timeout: Option<Duration>,
}

#[derive(Debug)]
enum What<'e, O> {
    Enqueue(Box<Enqueue<'e, O>>),
    Id(JobId, PhantomData<fn() -> O>),
}

impl<'e, O: DeserializeOwned + Send + 'e> Wait<'e, O> {
    /// Gives up after this; the job goes on. Without it, one waits for as long as it takes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn run(self) -> Result<Ended<O>> {
        let Self { howdah, what, timeout } = self;
        let id = match what {
            What::Id(id, _) => id,
            What::Enqueue(enqueue) => {
                if matches!(enqueue.target, Target::Connection(_)) {
                    let message = "a job of a transaction that is open cannot end: commit, then call `Howdah::wait`";
                    return Err(Error::invalid("on", message));
                }
                enqueue.run().await?
            }
        };
        let end = howdah.watch.end_of(howdah, id);
        match timeout {
            None => read(id, end.await?),
            Some(limit) => match tokio::time::timeout(limit, end).await {
                Ok(end) => read(id, end?),
                Err(_) => Err(Error::WaitedTooLong { job: id, timeout: limit }),
            },
        }
    }
}

fn read<O: DeserializeOwned>(job: JobId, end: Option<End>) -> Result<Ended<O>> {
    let Some(end) = end else { return Err(Error::UnknownJob { job }) };
    Ok(match end.state.parse()? {
        JobState::Completed => {
            let json = end.result.as_ref().map_or("null", |result| result.get());
            // Neither the value nor a part of it: it may be anything.
            let output = serde_json::from_str(json).map_err(|e| Error::Output { job, category: category(&e) })?;
            Ended::Completed(output)
        }
        JobState::Cancelled => Ended::Cancelled,
        JobState::Expired => Ended::Expired,
        _ => Ended::Dead { reason: end.reason.unwrap_or_default() },
    })
}

fn category(error: &serde_json::Error) -> &'static str {
    if error.is_data() { "it has another shape" } else { "it has a number out of range, or is nested too deep" }
}

impl<'e, O: DeserializeOwned + Send + 'e> IntoFuture for Wait<'e, O> {
    type Output = Result<Ended<O>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Ended<O>>> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<'e, O: DeserializeOwned + Send + 'e> Enqueue<'e, O> {
    /// Enqueues it, and waits for its end: what comes is how it ended, and what its handler returned.
    ///
    /// ```no_run
    /// # use howdah::{Ended, Howdah, Job};
    /// # use std::time::Duration;
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// #[job(output = u64)]
    /// struct CountWords { text: String }
    ///
    /// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
    /// let wait = howdah.enqueue(CountWords { text: "to be or not to be".into() }).wait();
    /// match wait.timeout(Duration::from_secs(30)).await? {
    ///     Ended::Completed(words) => println!("{words} words"),
    ///     ended => println!("the job is {}", ended.state()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Not together with [`on`](Self::on) a transaction, whose jobs cannot end before it is committed.
    pub fn wait(self) -> Wait<'e, O> {
        Wait { howdah: self.howdah, what: What::Enqueue(Box::new(self)), timeout: None }
    }
}

impl Howdah {
    /// Waits for the end of a job, which this or any other process has enqueued: `howdah.wait::<CountWords>(id).await`.
    ///
    /// The SQL function behind it is `howdah.wait_for`. A process that waits for anything has one more connection, on
    /// which it listens; jobs that nobody waits for cost nothing.
    ///
    /// # Errors
    /// When awaited: [`Error::UnknownJob`] if there is no such job, or it ended longer ago than history is kept;
    /// [`Error::WaitedTooLong`] after its [`timeout`](Wait::timeout); [`Error::Output`] if what the handler returned is
    /// no `J::Output`; [`Error::Database`] if the caller may not wait (a [producer](Self::create_roles) may not, unless it was
    /// granted `howdah.wait_for`), or it cannot be asked for another reason that does not pass by itself. What passes, such as a lost
    /// connection, is logged and survived.
    pub fn wait<J: Job>(&self, job: JobId) -> Wait<'_, J::Output> {
        Wait { howdah: self, what: What::Id(job, PhantomData), timeout: None }
    }

    /// Waits for the end of all of these jobs, and gives their ends in the order of the ids.
    ///
    /// # Errors
    /// As [`wait`](Self::wait): the first one.
    pub async fn wait_all<J: Job>(&self, jobs: impl IntoIterator<Item = JobId>) -> Result<Vec<Ended<J::Output>>> {
        try_join_all(jobs.into_iter().map(|job| self.wait::<J>(job).run())).await
    }
}
