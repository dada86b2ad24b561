//! Jobs that wait for other jobs: what is said of that when one is enqueued, and afterwards.
//!
//! Invariant: it is the database that lets a job go when its parents have ended; nobody here waits for anything. Limit: of jobs
//! that ended longer ago than history is kept nothing is known, and they are refused.

use serde::{Deserialize, Serialize};

use super::Howdah;
use super::enqueue::Enqueue;
use super::enqueue_many::EnqueueMany;
use super::graph::Parent;
use super::operate::JobState;
use super::workflow::WorkflowId;
use crate::error::Result;
use crate::job::JobId;

/// What becomes of a job when one that it waits for is dead, cancelled or expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnParentFailure {
    /// It is cancelled, and so is what waits for it, unless that says otherwise.
    #[default]
    Cancel,
    /// It runs all the same, once everything that it waits for has ended.
    Run,
    /// It stays blocked until that one is sent again and completes; or until [`Howdah::unhold`] lets it go.
    Hold,
}

/// The same for one job and for many.
macro_rules! after {
    ($type:ident $(<$output:ident>)?, $self:ident => $options:expr) => {
        impl<'e $(, $output)?> $type<'e $(, $output)?> {
            /// Waits until these jobs have ended, in whatever queue they are: until then the job is blocked. Jobs that have
            /// ended already count as what they ended as. Called again, for these too; 10,000 jobs at most.
            ///
            /// ```no_run
            /// # use howdah::{Howdah, Job};
            /// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Fetch {}
            /// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Parse {}
            /// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
            /// let fetch = howdah.enqueue(Fetch {}).await?;
            /// howdah.enqueue(Parse {}).after([fetch]).await?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn after(mut $self, jobs: impl IntoIterator<Item = JobId>) -> Self {
                $options.depends_on.get_or_insert_default().extend(jobs.into_iter().map(Parent::from));
                $self
            }

            /// Waits until all jobs of a workflow have ended, those that are added to it meanwhile and its callbacks too. If not
            /// all of them complete, the workflow has failed for this job. Called again, for that one too.
            ///
            /// Of a workflow that lasts for longer than history is kept, say when it is enqueued that it will be waited for
            /// ([`EnqueueWorkflow::with_end`](crate::EnqueueWorkflow::with_end)): else it is refused, because nobody knows any more how its first
            /// jobs ended. The SQL function behind it is `howdah.workflow_end`.
            pub fn after_workflow(mut $self, workflow: WorkflowId) -> Self {
                $options.depends_on.get_or_insert_default().push(workflow.into());
                $self
            }

            /// What becomes of it when one of the jobs that it waits for does not complete; it is cancelled unless this says
            /// otherwise.
            pub fn on_parent_failure(mut $self, then: OnParentFailure) -> Self {
                $options.on_parent_failure = Some(then);
                $self
            }
        }
    };
}

after!(Enqueue<O>, self => self.options);
after!(EnqueueMany, self => self.one.options);

impl Howdah {
    /// Makes a job that waits (it may be ready, scheduled or blocked) wait for another one too. Returns the state that it is in
    /// then. The SQL function behind it is `howdah.add_dependency`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a job that is not there, and for a circle, which is named;
    /// [`Error::WrongState`](crate::Error::WrongState) if the job does not wait; [`Error::Database`](crate::Error::Database).
    pub async fn add_dependency(&self, job: JobId, parent: JobId) -> Result<JobState> {
        let query =
            sqlx::query_scalar(self.names().sql("SELECT howdah.add_dependency($1, $2)")).bind(job.0).bind(parent.0);
        let state: String = self.observe("add_dependency", query.fetch_one(self.pool())).await?;
        state.parse()
    }

    /// Makes a job wait for another one no more. Returns whether it did. The SQL function behind it is
    /// `howdah.remove_dependency`.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    pub async fn remove_dependency(&self, job: JobId, parent: JobId) -> Result<bool> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.remove_dependency($1, $2)"));
        self.observe("remove_dependency", query.bind(job.0).bind(parent.0).fetch_one(self.pool())).await
    }

    /// Lets a job go that is held ([`OnParentFailure::Hold`]) because of parents that are dead, cancelled, expired or gone: it runs
    /// once what it still waits for has ended. Returns how many parents it does not wait for any more; 0: it is not held;
    /// `None`: there is no such job. The SQL function behind it is `howdah.unhold`.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    pub async fn unhold(&self, job: JobId) -> Result<Option<u32>> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.unhold($1)")).bind(job.0);
        let parents: Option<i32> = self.observe("unhold", query.fetch_one(self.pool())).await?;
        Ok(parents.map(|parents| u32::try_from(parents).unwrap_or(0)))
    }
}
