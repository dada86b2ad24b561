//! Every statement that the library sends, for who wants to see them.
//!
//! Invariant: a hook sees each statement once before it is sent and, unless its future is dropped, once after its
//! answer; it cannot change either. Limit: it sees no arguments, so no payloads; statements of
//! [`migrate`](crate::Howdah::migrate) and of the application itself are not shown.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection};

use crate::client::Howdah;
use crate::error::{Error, Result};
use crate::metrics;

/// A statement that the library sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement {
    /// The SQL function that it calls, such as `claim`; the view that it reads; or `sql`.
    pub operation: &'static str,
    /// Who sends it: `client` for the pool or the caller's transaction; `claimer`, `flusher`, `chores`, `listener`,
    /// `held`, `rotation` or `notes` for the connections of a worker.
    pub connection: &'static str,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// From before it was sent until its answer was there, connecting left out.
    pub took: Duration,
    /// How many rows it gave; 0 if it failed.
    pub rows: u64,
    /// Why it failed.
    pub error: Option<&'a Error>,
}

/// Sees every statement that the library sends: see [`Howdah::on_statement`]. Closures with the arguments of
/// [`after`](Self::after) are hooks. It is called in the tasks that do the work: it should return at once.
pub trait StatementHook: Send + Sync + 'static {
    /// It is about to be sent.
    fn before(&self, statement: &Statement) {
        let _ = statement;
    }
    /// Its answer is there, or it failed.
    fn after(&self, statement: &Statement, answer: &Answer<'_>);
}

impl<F: Fn(&Statement, &Answer<'_>) + Send + Sync + 'static> StatementHook for F {
    fn after(&self, statement: &Statement, answer: &Answer<'_>) {
        self(statement, answer);
    }
}

/// Who watches the statements of one [`Howdah`].
#[derive(Clone, Default)]
pub(crate) struct Observer {
    hook: Option<Arc<dyn StatementHook>>,
    explain: Option<Arc<Explain>>,
}

struct Explain {
    rate: f64,
    refused: AtomicBool,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("hook", &self.hook.is_some())
            .field("explain", &self.explain.is_some())
            .finish()
    }
}

impl Observer {
    /// Whether anybody looks; if not, nothing is measured.
    pub(crate) fn is_on(&self) -> bool {
        metrics::ON || self.hook.is_some()
    }

    /// Sends a statement, and shows it to who looks.
    pub(crate) async fn send<T>(
        &self,
        statement: Statement,
        rows: impl FnOnce(&T) -> usize,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !self.is_on() {
            return work.await;
        }
        if let Some(hook) = &self.hook {
            hook.before(&statement);
        }
        let start = Instant::now();
        let result = work.await;
        let took = start.elapsed();
        metrics::statement(&statement, took, result.as_ref().err());
        if let Some(hook) = &self.hook {
            let rows = result.as_ref().map_or(0, |rows_of| u64::try_from(rows(rows_of)).unwrap_or(u64::MAX));
            hook.after(&statement, &Answer { took, rows, error: result.as_ref().err() });
        }
        result
    }

    /// Asks a new connection for the plans of some of its statements.
    pub(crate) async fn explain(&self, connection: &mut PgConnection) -> Result<()> {
        let Some(explain) = self.explain.as_ref().filter(|e| !e.refused.load(Ordering::Relaxed)) else { return Ok(()) };
        let sql = format!(
            "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
             SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off; SET auto_explain.log_buffers = on;
             SET auto_explain.log_level = notice; SET client_min_messages = notice; SET auto_explain.sample_rate = {}",
            explain.rate
        );
        let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await else { return Ok(()) };
        let error = Error::from(error);
        if error.is_transient() {
            return Err(error);
        }
        if !explain.refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "cannot sample plans: the worker's role may not load or set auto_explain");
        }
        Ok(())
    }
}

impl Howdah {
    /// Shows every statement that this handle and its workers send to a hook: a closure, or a [`StatementHook`] of
    /// your own for what is done before. Only the last one that was given is called. Without one nothing is
    /// measured.
    ///
    /// ```no_run
    /// # async fn example(howdah: howdah::Howdah) {
    /// use howdah::{Answer, Statement};
    /// let howdah = howdah.on_statement(|statement: &Statement, answer: &Answer<'_>| {
    ///     if answer.took.as_millis() > 100 {
    ///         eprintln!("{} took {:?}", statement.operation, answer.took);
    ///     }
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn on_statement(mut self, hook: impl StatementHook) -> Self {
        self.observer.hook = Some(Arc::new(hook));
        self
    }

    /// Asks the server for the plans of this fraction (0 to 1) of the statements of this handle's workers, those
    /// inside of functions included. It says them by the module `auto_explain`, as notices; sqlx makes them events
    /// of `tracing` with the target `sqlx::postgres::notice` and the level INFO, and there they are to be had.
    ///
    /// The worker's role must be allowed to load and set `auto_explain`, which usually only a superuser is. If it is
    /// not, the worker says so once and goes on without.
    #[must_use]
    pub fn explain_sample(mut self, rate: f64) -> Self {
        let rate = if rate > 0.0 { rate.min(1.0) } else { 0.0 };
        self.observer.explain = (rate > 0.0).then(|| Arc::new(Explain { rate, refused: AtomicBool::new(false) }));
        self
    }

    /// Shows a statement of a program that asks the queue's functions and views itself, such as a dashboard, to the hook of this
    /// handle. `operation` is the name of the function or view.
    ///
    /// # Errors
    /// What the statement says.
    pub async fn observed<T>(&self, operation: &'static str, work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        self.observe(operation, work).await
    }

    /// Sends a statement of the client's that gives one row.
    pub(crate) async fn observe<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        self.observe_rows(operation, |_| 1, work).await
    }

    /// Sends a statement of the client's.
    pub(crate) async fn observe_rows<T>(
        &self,
        operation: &'static str,
        rows: impl FnOnce(&T) -> usize,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        let statement = Statement { operation, connection: "client" };
        self.observer.send(statement, rows, async { work.await.map_err(Error::from) }).await
    }
}
