//! Operations on any number of jobs: cancel, retry, purge.
//!
//! Invariant: each step is one statement and one transaction of bounded size, so that nothing waits for the whole; what
//! a step has done stays done. Limit: an error ends it half-way; the same call again does the rest.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::{Howdah, Jobs};
use crate::error::Result;

/// How many ids one call takes: `howdah.cancel_many` allows no more.
const MOST_IDS: usize = 10_000;
/// Runs that a step looks at: with a filter, each of their jobs is read.
const STEP: i32 = 10_000;
const FILTERED_STEP: i32 = 1_000;

/// What has been done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Jobs that were cancelled, made ready, or deleted: for certain.
    pub done: u64,
    /// Of a cancellation: jobs that run, and whose workers were told.
    pub asked: u64,
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Cancel,
    Retry,
    Purge,
}

impl Verb {
    /// The function behind it.
    fn operation(self) -> &'static str {
        match self {
            Self::Cancel => "cancel_many",
            Self::Retry => "retry_many",
            Self::Purge => "purge_dead",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Cancel => {
                "SELECT cancelled, cancelling, next, upto FROM howdah.cancel_many($1, $2, $3, $4, $5, $6, $7, $8)"
            }
            Self::Retry => {
                "SELECT retried, 0::pg_catalog.int8, next, upto FROM howdah.retry_many($1, $2, $3, $4, $5, $6, $7, $8)"
            }
            // Dead jobs have no other state that one could ask for: the states are checked and not passed on.
            Self::Purge => {
                "SELECT purged, 0::pg_catalog.int8, next, upto FROM (SELECT howdah.check_states($3, '{dead}') s) c,
                        LATERAL howdah.purge_dead($1, $2, $4, $5, $6, $7, $8) WHERE s IS NOT NULL"
            }
        }
    }
}

/// An operation on many jobs. Made by [`Howdah::cancel_all`], [`Howdah::retry_all`] and [`Howdah::purge_dead`]; `.await` it.
#[must_use = "nothing is done until this is awaited"]
pub struct Many<'a> {
    howdah: &'a Howdah,
    verb: Verb,
    jobs: Jobs,
    told: Option<Box<dyn FnMut(Progress) + Send + 'a>>,
}

impl Howdah {
    /// Cancels every job of a selection that waits or runs, a few thousand at a time. A job that is counted as done will
    /// certainly not run; one that runs is asked to end, as by [`cancel`](Self::cancel). Jobs that are enqueued
    /// meanwhile are left alone; those that were there before are found, also if they go from one state to another
    /// meanwhile. The SQL function behind it is `howdah.cancel_many`.
    ///
    /// ```no_run
    /// # async fn example(howdah: howdah::Howdah) -> Result<(), howdah::Error> {
    /// use howdah::{Filter, Jobs};
    /// let jobs = Jobs::kind("report").filter(Filter::attr("tenant").eq(42));
    /// let sum = howdah.cancel_all(jobs).progress(|so_far| println!("{} cancelled", so_far.done)).await?;
    /// println!("{} cancelled, {} asked to end", sum.done, sum.asked);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a filter that is none, or states other than scheduled, ready and
    /// running; [`Error::UnknownQueue`](crate::Error::UnknownQueue); [`Error::Database`](crate::Error::Database).
    pub fn cancel_all(&self, jobs: Jobs) -> Many<'_> {
        Many::new(self, Verb::Cancel, jobs)
    }

    /// Runs every dead job of a selection again, with all its attempts; scheduled ones at once, if the selection names
    /// that state. The SQL function behind it is `howdah.retry_many`.
    ///
    /// # Errors
    /// As [`cancel_all`](Self::cancel_all); the states are dead and scheduled.
    pub fn retry_all(&self, jobs: Jobs) -> Many<'_> {
        Many::new(self, Verb::Retry, jobs)
    }

    /// Deletes every dead job of a selection for good. The SQL function behind it is `howdah.purge_dead`.
    ///
    /// # Errors
    /// As [`cancel_all`](Self::cancel_all); the only state is dead.
    pub fn purge_dead(&self, jobs: Jobs) -> Many<'_> {
        Many::new(self, Verb::Purge, jobs)
    }
}

impl<'a> Many<'a> {
    fn new(howdah: &'a Howdah, verb: Verb, jobs: Jobs) -> Self {
        Self { howdah, verb, jobs, told: None }
    }

    /// Is called after each step, with the sum so far.
    pub fn progress(mut self, told: impl FnMut(Progress) + Send + 'a) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    async fn run(mut self) -> Result<Progress> {
        self.jobs.check()?;
        let mut sum = Progress::default();
        match self.jobs.ids.take() {
            None => self.all_of(&mut sum).await?,
            Some(ids) => {
                for part in ids.chunks(MOST_IDS) {
                    self.jobs.ids = Some(part.to_vec());
                    self.all_of(&mut sum).await?;
                }
            }
        }
        Ok(sum)
    }

    async fn all_of(&mut self, sum: &mut Progress) -> Result<()> {
        let most = if self.jobs.filter.is_some() { FILTERED_STEP } else { STEP };
        let (mut after, mut upto) = (0_i64, None::<i64>);
        loop {
            let query = sqlx::query_as(self.howdah.names().sql(self.verb.sql()));
            let query = self.jobs.bind(query, None).bind(most).bind(after).bind(upto);
            let step = self.howdah.observe(self.verb.operation(), query.fetch_one(self.howdah.pool())).await?;
            let (done, asked, next, end): (i64, i64, Option<i64>, i64) = step;
            sum.done += u64::try_from(done).unwrap_or(0);
            sum.asked += u64::try_from(asked).unwrap_or(0);
            if let Some(told) = &mut self.told {
                told(*sum);
            }
            let Some(next) = next else { return Ok(()) };
            (after, upto) = (next, Some(end));
        }
    }
}

impl fmt::Debug for Many<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Many").field("verb", &self.verb).field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl<'a> IntoFuture for Many<'a> {
    type Output = Result<Progress>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
