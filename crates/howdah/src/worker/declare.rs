//! The schedules that a worker declares.
//!
//! Invariant: declared once, before the worker is registered; the server decides whether that is something new, see
//! `howdah.declare_schedule`. Limit: a schedule that is declared no more is not deleted, since another program may
//! declare it.

use sqlx::PgConnection;

use super::Worker;
use crate::client::Howdah;
use crate::cron::Schedule;
use crate::error::{Error, Result};

impl<S: Send + Sync + 'static> Worker<S> {
    /// Declares a schedule when the worker starts: it is made, or changed in what is declared now and was not declared
    /// before. So a restart changes nothing, and what somebody has set with the command or in SQL stays, above all a
    /// pause. All workers of a program may declare the same.
    ///
    /// When two releases that declare different things run side by side, the one that started last is heard, and nothing
    /// goes back and forth by itself; with [`Schedule::revision`], the newer one is. It is the keeper that fires
    /// schedules, whichever worker that is; this one needs no handler for the jobs.
    ///
    /// ```no_run
    /// # use howdah::{Ctx, Howdah, Job, JobError, Schedule, Worker};
    /// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Report {}
    /// # async fn report(_: Report, _: Ctx) -> Result<(), JobError> { Ok(()) }
    /// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
    /// let nightly = Schedule::new("nightly", "0 3 * * *").timezone("Europe/Berlin").job(Report {});
    /// Worker::new(&howdah).handle(report).cron(nightly).run().await
    /// # }
    /// ```
    ///
    /// The worker does not start with a schedule that makes no sense: [`Error::Invalid`] names the field.
    pub fn cron(mut self, schedule: Schedule) -> Self {
        self.settings.schedules.push(schedule);
        self
    }
}

/// Refuses what makes no sense, without a server.
pub(super) fn check(schedules: &[Schedule]) -> Result<()> {
    for (i, schedule) in schedules.iter().enumerate() {
        schedule.check()?;
        if schedules[..i].iter().any(|other| other.name() == schedule.name()) {
            return Err(Error::Worker(format!("the schedule {:?} is declared twice", schedule.name())));
        }
    }
    Ok(())
}

/// Tells the server of them.
pub(super) async fn declare(howdah: &Howdah, schedules: &[Schedule], connection: &mut PgConnection) -> Result<()> {
    for schedule in schedules {
        if howdah.declare_schedule(schedule, connection).await? {
            tracing::info!(schedule = schedule.name(), "declared");
        }
    }
    Ok(())
}
