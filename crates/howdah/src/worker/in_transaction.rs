//! Adding handlers that work inside a transaction.
//!
//! Invariant and limit: see [`handler::transaction`](crate::handler), which runs them.

use std::future::Future;

use super::Worker;
use crate::handler::{Ctx, FromRef, IntoOutcome, Tx};
use crate::job::Job;

impl<S: Send + Sync + 'static> Worker<S> {
    /// Runs jobs of one type with this function, each inside a transaction of its own: `async fn(J, Ctx<T>, Tx)`.
    ///
    /// If it succeeds, the job is completed in that transaction (by `howdah.complete_in`), and both commit. If it fails,
    /// panics, takes too long or has lost the job to another worker, everything that it wrote there is rolled back, and
    /// the job is retried as ever. So its effects on this database happen exactly once.
    ///
    /// ```no_run
    /// use howdah::{Ctx, Howdah, Job, JobError, Tx, Worker};
    ///
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Pay { order: i64 }
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Thank { order: i64 }
    ///
    /// async fn pay(job: Pay, cx: Ctx<()>, mut tx: Tx) -> Result<(), JobError> {
    ///     sqlx::query("UPDATE orders SET paid = true WHERE id = $1").bind(job.order).execute(&mut *tx).await?;
    ///     cx.howdah().enqueue(Thank { order: job.order }).on(&mut *tx).await?;
    ///     Ok(()) // both commit, with the completion of this job
    /// }
    ///
    /// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
    /// Worker::new(&howdah).handle_in_tx(pay).run().await
    /// # }
    /// ```
    ///
    /// What an open transaction costs, as long as the handler runs: a connection of its own (one for each such job that
    /// runs at the same time, none of the application's pool); the rows that it has locked stay locked for others; and
    /// vacuum cannot remove what dies meanwhile anywhere in the database. So do what is slow (calls to other services)
    /// in another job, or before with [`handle`](Self::handle) and [`Ctx::complete_in`]. The queue itself does not
    /// wait for it: enqueueing and claiming go on.
    ///
    /// The transaction is READ COMMITTED unless its first statement says otherwise. Do not end it: the worker does.
    pub fn handle_in_tx<J, T, F, Fut, R>(mut self, handler: F) -> Self
    where
        J: Job,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(J, Ctx<T>, Tx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<J::Output> + 'static,
    {
        self.handlers.add_in_tx(handler);
        self
    }
}
