//! What people do to queues, schedules and workflows, and to a job that is held, with a note of who did it.
//!
//! Invariant: what is done and its note are one transaction. Limit: settings and limits are not here; what is done to them
//! is noted in `howdah.audit` as well, as done by the user of the session.

use howdah::JobId;

use crate::action::By;
use crate::admin::Admin;
use crate::error::Result;
use crate::sql;

/// Something that is done to what jobs belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control<'a> {
    /// Nothing more is claimed from this queue. The SQL function behind it is `howdah.pause_queue`.
    PauseQueue(&'a str),
    /// It goes on: `howdah.resume_queue`.
    ResumeQueue(&'a str),
    /// This schedule fires nothing: `howdah.pause_schedule`.
    PauseSchedule(&'a str),
    /// It goes on with its next slot: `howdah.resume_schedule`.
    ResumeSchedule(&'a str),
    /// Its job is enqueued now: `howdah.run_schedule`.
    RunSchedule(&'a str),
    /// All jobs of this workflow that have not ended are cancelled: `howdah.cancel_workflow`.
    CancelWorkflow(i64),
    /// Those that failed run again: `howdah.retry_workflow`.
    RetryWorkflow(i64),
    /// This job does not wait for parents that have failed: `howdah.unhold`.
    Unhold(JobId),
}

impl Admin {
    /// Does it, and notes who did; in one transaction.
    ///
    /// # Errors
    /// [`Error::Queue`](crate::Error::Queue): there is no such queue, schedule or workflow, or it cannot be done; nothing was changed.
    pub async fn control(&self, control: &Control<'_>, by: By<'_>) -> Result<()> {
        let mut tx = self.howdah().pool().begin().await?;
        let of = |statement| sqlx::query(sql::of(self.howdah(), statement));
        // The functions note it themselves, in these words.
        let noted = "SELECT set_config('howdah.made_by', coalesce($1, ''), true), set_config('howdah.reason', coalesce($2, ''), true)";
        sqlx::query(noted).bind(by.who).bind(by.reason).execute(&mut *tx).await?;
        let deed = match *control {
            Control::PauseQueue(queue) => {
                of("SELECT howdah.pause_queue($1, $2, $3)").bind(queue).bind(by.who).bind(by.reason)
            }
            Control::ResumeQueue(queue) => of("SELECT howdah.resume_queue($1)").bind(queue),
            Control::PauseSchedule(name) => {
                of("SELECT howdah.pause_schedule($1, $2, $3)").bind(name).bind(by.who).bind(by.reason)
            }
            Control::ResumeSchedule(name) => of("SELECT howdah.resume_schedule($1)").bind(name),
            Control::RunSchedule(name) => of("SELECT job_id FROM howdah.run_schedule($1)").bind(name),
            Control::CancelWorkflow(id) => of("SELECT cancelled FROM howdah.cancel_workflow($1)").bind(id),
            Control::RetryWorkflow(id) => of("SELECT howdah.retry_workflow($1)").bind(id),
            Control::Unhold(job) => of("SELECT howdah.unhold($1)").bind(job.0),
        };
        deed.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
