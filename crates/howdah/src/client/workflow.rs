//! Workflows: named graphs of jobs, enqueued, added to, looked at, cancelled and run again.
//!
//! Invariant: each is one SQL function. Limit: a workflow is known for as long as something is left of its jobs.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::str::FromStr;

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use super::graph::{Encoded, Graph};
use super::many::Progress;
use super::operate::JobState;
use super::target::{On, Target};
use super::{Howdah, check_text};
use crate::error::{Error, Result};
use crate::job::JobId;

/// The number of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct WorkflowId(pub i64);

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WorkflowId {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// A graph on its way into the queue. Made by [`Howdah::workflow`] and [`Howdah::add_to_workflow`]; `.await` it.
#[must_use = "nothing is enqueued until this is awaited"]
#[derive(Debug)]
pub struct EnqueueWorkflow<'e> {
    howdah: &'e Howdah,
    into: Destination,
    graph: Graph,
    with_end: bool,
    target: Target<'e>,
}

#[derive(Debug)]
enum Destination {
    New(String),
    Old(WorkflowId),
}

/// One job of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowJob {
    /// What it is called there; `group/name` in a group.
    pub name: String,
    /// The job.
    pub job: JobId,
    /// `None`: it ended longer ago than history is kept.
    pub state: Option<JobState>,
    /// What it was asked to wait for: names, or ids of jobs outside.
    pub depends_on: Vec<String>,
    /// What of that it still waits for.
    pub waits_for: Vec<String>,
}

impl Howdah {
    /// Enqueues a named graph of jobs, all or none: each job waits for those that it is [`after`](Graph::after). The name is for
    /// people, 1 to 256 bytes, and need not be unique. The SQL function behind it is `howdah.enqueue_workflow`.
    ///
    /// ```no_run
    /// # use howdah::{Ctx, Graph, Howdah, Job, JobError};
    /// # #[derive(Job, serde::Serialize, serde::Deserialize)] #[job(output = u64)] struct Fetch {}
    /// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Sum {}
    /// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
    /// let graph = Graph::new().job("fetch", Fetch {}).job("sum", Sum {}).after(["fetch"]);
    /// let id = howdah.workflow("import", graph).await?;
    /// # let _ = id;
    /// # Ok(())
    /// # }
    ///
    /// async fn sum(_: Sum, cx: Ctx) -> Result<(), JobError> {
    ///     let fetched: u64 = cx.parent("fetch").await?; // what its handler returned
    ///     # let _ = fetched;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the field `jobs` and the name of the node: it waits for one that is not there,
    /// or for itself over others, and then all of these are named; [`Error::UnknownQueue`](crate::Error::UnknownQueue);
    /// [`Error::QueueFull`](crate::Error::QueueFull); [`Error::Database`](crate::Error::Database). Nothing is enqueued then.
    pub fn workflow(&self, name: impl Into<String>, graph: Graph) -> EnqueueWorkflow<'_> {
        self.graph_into(Destination::New(name.into()), graph)
    }

    /// Adds nodes to a workflow that is there; they may wait for those that it has. Its callbacks wait for the new ones too,
    /// and those of this graph are left out. The SQL function behind it is `howdah.add_to_workflow`.
    ///
    /// # Errors
    /// As [`workflow`](Self::workflow); [`Error::WrongState`](crate::Error::WrongState) if the workflow was cancelled, or one of
    /// its callbacks does not wait any more.
    pub fn add_to_workflow(&self, workflow: WorkflowId, graph: Graph) -> EnqueueWorkflow<'_> {
        self.graph_into(Destination::Old(workflow), graph)
    }

    fn graph_into(&self, into: Destination, graph: Graph) -> EnqueueWorkflow<'_> {
        EnqueueWorkflow { howdah: self, into, graph, with_end: false, target: Target::Pool(self.pool()) }
    }

    /// The job that ends when all jobs of a workflow have ended: completed if all of them have, else cancelled. It can be
    /// waited for ([`wait`](Self::wait)) and depended on ([`add_dependency`](Self::add_dependency)) as any other; no worker runs it. The SQL function behind
    /// it is `howdah.workflow_end`, which also says what it costs.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if there is no such workflow, or if it is not known any more how one of its jobs
    /// ended: see [`EnqueueWorkflow::with_end`]; [`Error::Database`](crate::Error::Database).
    pub async fn workflow_end(&self, workflow: WorkflowId) -> Result<JobId> {
        self.end_of(&mut *self.pool().acquire().await?, workflow).await
    }

    async fn end_of(&self, connection: &mut PgConnection, workflow: WorkflowId) -> Result<JobId> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.workflow_end($1)")).bind(workflow.0);
        self.observe("workflow_end", query.fetch_one(connection)).await.map(JobId)
    }

    /// Cancels every job of a workflow that has not ended, as [`cancel_all`](Self::cancel_all) does. The SQL function behind it is
    /// `howdah.cancel_workflow`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if there is none; [`Error::Database`](crate::Error::Database).
    pub async fn cancel_workflow(&self, workflow: WorkflowId) -> Result<Progress> {
        let sql = self.names().sql("SELECT cancelled, cancelling FROM howdah.cancel_workflow($1)");
        let query = sqlx::query_as(sql).bind(workflow.0);
        let (done, asked): (i64, i64) = self.observe("cancel_workflow", query.fetch_one(self.pool())).await?;
        Ok(Progress { done: u64::try_from(done).unwrap_or(0), asked: u64::try_from(asked).unwrap_or(0) })
    }

    /// Runs the jobs of a workflow again that are dead, cancelled or expired, in their order; what has completed is kept.
    /// Returns how many these are. The SQL function behind it is `howdah.retry_workflow`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if there is none; [`Error::KeyHeld`](crate::Error::KeyHeld) if another job has
    /// the unique key of one of them; [`Error::UnknownQueue`](crate::Error::UnknownQueue) if a queue was deleted;
    /// [`Error::Database`](crate::Error::Database).
    pub async fn retry_workflow(&self, workflow: WorkflowId) -> Result<u64> {
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.retry_workflow($1)")).bind(workflow.0);
        let jobs: i32 = self.observe("retry_workflow", query.fetch_one(self.pool())).await?;
        Ok(u64::try_from(jobs).unwrap_or(0))
    }

    /// The jobs of a workflow, in the order of their ids; none if there is no such workflow. The view behind it is
    /// `howdah.workflow_jobs`.
    ///
    /// # Errors
    /// [`Error::Database`](crate::Error::Database).
    pub async fn workflow_jobs(&self, workflow: WorkflowId) -> Result<Vec<WorkflowJob>> {
        type Row = (String, i64, Option<String>, Vec<String>, Vec<String>);
        let sql = "SELECT name, job_id, state, depends_on, waits_for FROM howdah.workflow_nodes($1)";
        let query = sqlx::query_as(self.names().sql(sql)).bind(workflow.0);
        let rows: Vec<Row> = self.observe_rows("workflow_jobs", Vec::len, query.fetch_all(self.pool())).await?;
        rows.into_iter()
            .map(|(name, job, state, depends_on, waits_for)| {
                let state = state.map(|state| state.parse()).transpose()?;
                Ok(WorkflowJob { name, job: JobId(job), state, depends_on, waits_for })
            })
            .collect()
    }
}

impl<'e> EnqueueWorkflow<'e> {
    /// Runs on the caller's transaction (or connection): the jobs exist if and only if that commits.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.target = target.target();
        self
    }

    /// Says that somebody will wait for this workflow ([`after_workflow`](crate::Enqueue::after_workflow),
    /// [`Howdah::workflow_end`]): then it is known how it ends, however long it lasts.
    pub fn with_end(mut self) -> Self {
        self.with_end = true;
        self
    }

    async fn run(mut self) -> Result<WorkflowId> {
        if let Destination::New(name) = &self.into {
            check_text("name", name)?;
        }
        let jobs = self.graph.encoded(self.howdah.keys())?;
        match std::mem::replace(&mut self.target, Target::Pool(self.howdah.pool())) {
            // Once: the queue that is not there may be one that no job declares.
            Target::Pool(pool) => match self.send_from(pool, &jobs).await {
                sent if self.queues_went(&sent) => self.send_from(pool, &jobs).await,
                sent => sent,
            },
            Target::Connection(connection) => {
                let sent = self.send(connection, &jobs).await;
                self.queues_went(&sent);
                sent
            }
        }
    }

    /// Whether a declared queue that was there may be there no more, and sending again would create it.
    fn queues_went<T>(&self, sent: &Result<T>) -> bool {
        let forget = |went, queue: &&str| self.howdah.queues.forget(queue) || went;
        matches!(sent, Err(Error::UnknownQueue { .. })) && self.graph.queues.iter().fold(false, forget)
    }

    async fn send_from(&self, pool: &PgPool, jobs: &Encoded) -> Result<WorkflowId> {
        if !self.with_end {
            return self.send(&mut *pool.acquire().await?, jobs).await;
        }
        // All or none, with its end.
        let mut tx = pool.begin().await?;
        let id = self.send(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn send(&self, connection: &mut PgConnection, jobs: &Encoded) -> Result<WorkflowId> {
        let id = self.enqueue(connection, jobs).await?;
        if self.with_end {
            self.howdah.end_of(connection, id).await?;
        }
        Ok(id)
    }

    async fn enqueue(&self, connection: &mut PgConnection, jobs: &Encoded) -> Result<WorkflowId> {
        for queue in &self.graph.queues {
            self.howdah.ensure_queue(connection, queue).await?;
        }
        let names = self.howdah.names();
        match &self.into {
            Destination::New(name) => {
                let query = sqlx::query_scalar(names.sql("SELECT howdah.enqueue_workflow($1, $2, $3, $4)"))
                    .bind(name)
                    .bind(Json(&jobs.jobs))
                    .bind(jobs.on_complete.as_deref().map(Json))
                    .bind(jobs.on_end.as_deref().map(Json));
                Ok(WorkflowId(self.howdah.observe("enqueue_workflow", query.fetch_one(connection)).await?))
            }
            Destination::Old(workflow) => {
                let query = sqlx::query(names.sql("SELECT howdah.add_to_workflow($1, $2)")).bind(workflow.0);
                self.howdah.observe("add_to_workflow", query.bind(Json(&jobs.jobs)).execute(connection)).await?;
                Ok(*workflow)
            }
        }
    }
}

impl<'e> IntoFuture for EnqueueWorkflow<'e> {
    type Output = Result<WorkflowId>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
