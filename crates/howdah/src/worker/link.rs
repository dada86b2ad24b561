//! One connection of the worker, that comes back by itself.
//!
//! Invariant: a statement that did not end in time, or whose connection failed, is never followed by another on
//! the same connection. Limit: a statement whose answer was lost may have been done.

use std::future::Future;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::QueryAs;
use sqlx::{ConnectOptions, Connection, Execute, FromRow, PgConnection, Postgres};
use tokio::time::timeout;

use crate::client::Howdah;
use crate::error::{Error, Result};
use crate::metrics;
use crate::schema::operation;
use crate::statement::{Observer, Statement};

/// How long connecting, or one statement, may take. The server gives up a little earlier.
pub(super) const PATIENCE: Duration = Duration::from_secs(35);
const SLOWEST_RETRY: Duration = Duration::from_secs(5);

/// A statement with its arguments, that gives rows of one type.
pub(super) type Rows<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

pub(super) struct Link {
    options: PgConnectOptions,
    what: &'static str,
    connection: Option<PgConnection>,
    /// The last attempt to connect failed.
    unreachable: bool,
    failures: u32,
    observer: Observer,
}

impl Link {
    pub(super) fn new(howdah: &Howdah, what: &'static str, settings: &[(&str, &str)]) -> Self {
        let options = howdah
            .worker_options()
            .application_name(&format!("howdah {what}"))
            .options([
                ("statement_timeout", "30s"),
                ("idle_in_transaction_session_timeout", "60s"),
                ("jit", "off"),
                // Whatever the role's own settings are: see `howdah.must_read_committed`, and no name of ours is
                // to be found in a schema of somebody else.
                ("default_transaction_isolation", "read committed"),
                ("search_path", "pg_catalog,pg_temp"),
            ])
            .options(settings.iter().copied())
            .disable_statement_logging();
        Self { options, what, connection: None, unreachable: false, failures: 0, observer: howdah.observer.clone() }
    }

    /// Runs one statement, connecting first if need be.
    pub(super) async fn rows<T>(&mut self, query: Rows<'_, T>) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let (query, operation) = if self.observer.is_on() { named(query)? } else { (query, "") };
        let reached = self.open().await.map(|_| ());
        self.unreachable = reached.is_err();
        reached?;
        let Some(mut connection) = self.connection.take() else { return Ok(Vec::new()) };
        let work = in_time(async { Ok(query.fetch_all(&mut connection).await?) });
        let result = self.observer.send(Statement { operation, connection: self.what }, Vec::len, work).await;
        // An answer, even a refusal, leaves the connection as it was; anything else leaves it in doubt.
        if result.as_ref().err().is_none_or(Error::was_answered) {
            self.connection = Some(connection);
        }
        if result.is_ok() && self.failures > 0 {
            tracing::info!(connection = self.what, "works again");
            self.failures = 0;
        }
        result
    }

    /// Runs a statement that gives one row.
    pub(super) async fn row<T>(&mut self, query: Rows<'_, T>) -> Result<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.rows(query).await?.pop().ok_or(Error::Database(sqlx::Error::RowNotFound))
    }

    /// The connection itself, for what is done before the worker runs.
    pub(super) async fn open(&mut self) -> Result<&mut PgConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => in_time(self.connect()).await.inspect_err(|error| metrics::database_error(self.what, error))?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn connect(&self) -> Result<PgConnection> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        self.observer.explain(&mut connection).await?;
        Ok(connection)
    }

    /// Whether the same statement may succeed later. While there is no connection, why does not matter: a database that takes
    /// none, a password that is being changed or a standby that is being promoted will be well again.
    pub(super) fn may_pass(&self, error: &Error) -> bool {
        self.unreachable || error.is_transient()
    }

    /// Says that something failed, and waits before it is tried again: longer each time, up to 5 s.
    pub(super) async fn failed(&mut self, error: &Error) {
        // Whatever it is, if it lasts a new connection may lead to a server that is well.
        if error.is_transient() || self.failures > 0 {
            self.connection = None;
        }
        let wait = backoff(self.failures);
        self.failures += 1;
        tracing::warn!(connection = self.what, %error, retry_ms = wait.as_millis(), "failed, trying again");
        tokio::time::sleep(wait).await;
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
        }
    }
}

/// A statement and the name of what it does. sqlx tells the text of one only to who takes it apart.
fn named<T>(mut query: Rows<'_, T>) -> Result<(Rows<'_, T>, &'static str)>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
    let sql = query.sql();
    let operation = operation(sql.as_str());
    Ok((sqlx::query_as_with(sql, arguments), operation))
}

/// How long to wait before a connection is tried again: longer each time, up to 5 s, and not all at once.
pub(crate) fn backoff(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(7)).min(SLOWEST_RETRY).mul_f64(rand::random_range(0.8..1.2))
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(Error::Database(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "the server did not answer in time",
        ))))
    })
}
