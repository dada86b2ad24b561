//! A workflow that a handler starts and waits for: nested workflows.
//!
//! Invariant: it is enqueued once, together with the step that keeps its number, and its end is heard once, as a signal that is kept
//! as a step too. While it runs the job holds nothing. Limit: it is not cancelled with the job that waits for it.

use serde::{Deserialize, Serialize};

use super::ctx::Ctx;
use super::verdict::JobError;
use crate::client::{Graph, WorkflowId};

/// How a workflow has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowEnd {
    /// Which one.
    pub workflow: WorkflowId,
    /// What it is called.
    pub name: String,
    /// `completed`: all of its jobs have; `failed`: one is dead or has expired; `cancelled`: one was, and none failed.
    pub state: String,
}

impl WorkflowEnd {
    /// The workflow if it has completed; else a failure for good, which says how it ended.
    ///
    /// # Errors
    /// A verdict that makes the job dead. Sent again, it finds the same end; [`Howdah::retry_from`](crate::Howdah::retry_from) with
    /// the name of the step starts another workflow.
    pub fn completed(self) -> Result<WorkflowId, JobError> {
        match self.state.as_str() {
            "completed" => Ok(self.workflow),
            state => {
                let said = format!("the workflow {} ({}) has not completed: it is {state}", self.workflow, self.name);
                Err(JobError::discard(said).kind("workflow"))
            }
        }
    }
}

impl<T> Ctx<T> {
    /// Enqueues a workflow and waits until all of its jobs have ended: the first time, this ends the attempt (pass the error
    /// on with `?`), which does not count; when the workflow has ended the job runs again from its beginning, and this
    /// returns at once. So whatever depends on this job waits for the workflow too.
    ///
    /// ```no_run
    /// use howdah::{Ctx, Graph, Job, JobError};
    ///
    /// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Fetch { shop: i64 }
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Import { shops: Vec<i64> }
    ///
    /// async fn import(job: Import, cx: Ctx<()>) -> Result<(), JobError> {
    ///     let fetches = job.shops.iter().fold(Graph::new(), |graph, shop| graph.job(format!("fetch {shop}"), Fetch { shop: *shop }));
    ///     cx.run_workflow("fetch all", fetches).await?.completed()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The name is that of the workflow, and of a step, whose result is the number of the workflow; `workflow NUMBER` is
    /// another step, the signal by which the end is heard. Enqueued exactly once, over retries and crashes.
    ///
    /// # Errors
    /// The verdict that sets the job aside; what [`Howdah::workflow`](crate::Howdah::workflow) refuses; and as
    /// [`step_in_tx`](Self::step_in_tx) and [`wait_for_signal`](Self::wait_for_signal).
    pub async fn run_workflow(&self, name: impl Into<String>, graph: Graph) -> Result<WorkflowEnd, JobError> {
        let name = name.into();
        let id: WorkflowId = self
            .step_in_tx(name.clone(), |mut tx| async move {
                self.howdah().workflow(name, graph).with_end().on(&mut *tx).await
            })
            .await?;
        let end = self.wait_for_signal(format!("workflow {id}"), None).await?;
        end.ok_or_else(|| JobError::retry(format!("workflow {id} has not ended")).kind("workflow"))
    }
}
