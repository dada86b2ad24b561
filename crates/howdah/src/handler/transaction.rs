//! Handlers that work inside a transaction, which the worker opens and ends.
//!
//! Invariant: one job, one transaction. It is committed only if the handler succeeded, has let go of it, and the job was
//! still its own (`howdah.complete_in`, in the same transaction); otherwise all that the handler wrote is rolled back,
//! and how the attempt failed is recorded apart from it. Limit: what the handler does on other connections is
//! not part of it.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Ctx, FromRef, Handlers, IntoOutcome, JobError, Outcome, Run, decode};
use crate::client::Howdah;
use crate::error::Result;
use crate::job::Job;

/// More than servers take: a job never waits here for the transaction of another.
const MOST_CONNECTIONS: u32 = 1_000;

/// The transaction that a handler works in: see [`Worker::handle_in_tx`](crate::Worker::handle_in_tx).
///
/// It derefs to sqlx's [`PgConnection`]: run statements on `&mut *tx`, enqueue with `.on(&mut *tx)`. The worker ends it
/// once the handler has returned; a handler that sends it elsewhere must have it dropped by then. A statement that fails
/// spoils the rest of the transaction, as always in PostgreSQL: to go on after it, begin a savepoint with sqlx's
/// `Connection::begin`.
pub struct Tx(OwnedMutexGuard<Transaction<'static, Postgres>>);

impl Tx {
    pub(super) fn new(transaction: OwnedMutexGuard<Transaction<'static, Postgres>>) -> Self {
        Self(transaction)
    }
}

impl Deref for Tx {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

/// The connections that handlers have their transactions on. Not those of the application's pool: a handler that asks
/// for one of those would wait for handlers that wait for it.
#[derive(Clone, Default)]
pub(crate) struct Transactions(Arc<OnceLock<PgPool>>);

impl Transactions {
    async fn begin(&self, howdah: &Howdah) -> sqlx::Result<Transaction<'static, Postgres>> {
        let pool = self.0.get_or_init(|| {
            let options = howdah
                .worker_options()
                .application_name("howdah handler")
                .options([("default_transaction_isolation", "read committed")]);
            PgPoolOptions::new().max_connections(MOST_CONNECTIONS).connect_lazy_with(options)
        });
        pool.begin().await
    }

    pub(crate) async fn close(&self) {
        if let Some(pool) = self.0.get() {
            let _ = tokio::time::timeout(Duration::from_secs(1), pool.close()).await;
        }
    }
}

impl<S: 'static> Handlers<S> {
    pub(crate) fn add_in_tx<J, T, F, Fut, R>(&mut self, handler: F)
    where
        J: Job,
        T: FromRef<S> + Send + Sync + 'static,
        F: Fn(J, Ctx<T>, Tx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<J::Output> + 'static,
    {
        let (handler, transactions) = (Arc::new(handler), self.transactions.clone());
        let run: Run<S> = Arc::new(move |raw, call, state| {
            let (handler, transactions) = (Arc::clone(&handler), transactions.clone());
            let cx = Ctx::new(Arc::clone(&call), T::from_ref(state));
            async move {
                let job = decode::<J>(&raw)?;
                let work = |tx| async move { handler(job, cx, tx).await.into_outcome() };
                in_transaction(&Ctx::new(call, ()), &transactions, work).await
            }
            .map(|ended: Result<_, JobError>| ended.unwrap_or_else(Outcome::Failed))
            .boxed()
        });
        self.insert::<J>(run, true);
    }
}

/// Runs a handler in a transaction of its own, and ends both.
async fn in_transaction<Fut: Future<Output = Outcome>>(
    cx: &Ctx<()>,
    transactions: &Transactions,
    work: impl FnOnce(Tx) -> Fut,
) -> Result<Outcome, JobError> {
    let transaction = Arc::new(Mutex::new(transactions.begin(cx.howdah()).await?));
    let tx = Tx::new(Arc::clone(&transaction).lock_owned().await);
    let outcome = work(tx).await;
    let Some(mut tx) = Arc::into_inner(transaction).map(Mutex::into_inner) else {
        let error = JobError::retry("the handler returned while its transaction was still in use elsewhere");
        return Err(error.kind("transaction"));
    };
    let Outcome::Done(output) = &outcome else {
        // If this fails, so has the connection, and with it the transaction: what the handler said matters more.
        let _ = tx.rollback().await;
        return Ok(outcome);
    };
    // The handler may have ended the job by itself already.
    if !cx.call.limit.is_completing() {
        cx.complete_in_as(&mut tx, output.as_deref()).await?;
    }
    tx.commit().await?;
    Ok(outcome)
}

impl<T> Ctx<T> {
    /// Cancels the handler's own job inside its transaction: it ends as cancelled together with what the transaction
    /// writes, and whatever the handler returns afterwards changes nothing. Commit it. If it is not committed, the
    /// attempt ends as the handler says.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) if the job is not this attempt's any more: roll back. The SQL
    /// function behind it is `howdah.cancel_in`.
    pub async fn cancel_in(&self, transaction: &mut PgConnection) -> Result<()> {
        let statement = sqlx::query(self.call.howdah.names().sql("SELECT howdah.cancel_in($3, $1, $2)"));
        self.end_in("cancel_in", statement, transaction).await
    }
}
