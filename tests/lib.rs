//! What the promises share: a database of their own each, a worker in the background, and waiting for things.
//!
//! Invariant: a test never waits for a time to pass, only for something to be seen, with a limit after which it
//! fails and says what it waited for. Limit: one server for all tests of a process.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use howdah::{Howdah, Worker};
use howdah_devdb::{Database, shared_for_tests};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something may take that is expected at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database with a queue in it, for one test.
#[derive(Debug)]
pub struct Db {
    /// The queue.
    pub howdah: Howdah,
    database: Database,
}

impl Db {
    /// A new database, copied from one that was migrated once.
    ///
    /// # Errors
    /// When there is no server.
    pub async fn new() -> Result<Self> {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let server = shared_for_tests().await?;
        let options: sqlx::postgres::PgConnectOptions = server.url().parse()?;
        let sql = Howdah::from_pool(PgPool::connect_lazy_with(options)).migration_sql();
        let template = server
            .template("migrated", &sql, |url| async move { Howdah::connect(&url).await?.migrate().await })
            .await?;
        Self::over(template.create_database().await?).await
    }

    /// A new database with nothing in it.
    ///
    /// # Errors
    /// When there is no server.
    pub async fn empty() -> Result<Self> {
        Self::over(shared_for_tests().await?.create_database().await?).await
    }

    async fn over(database: Database) -> Result<Self> {
        Ok(Self { howdah: Howdah::connect(database.url()).await?, database })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.database.url()
    }

    /// The pool, for looking at tables.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.howdah.pool()
    }

    /// Runs SQL that gives nothing back; several statements, if need be.
    ///
    /// # Errors
    /// What the server says.
    pub async fn run(&self, sql: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.pool()).await.with_context(|| sql.to_owned())?;
        Ok(())
    }

    /// The one value that SQL gives, as text.
    ///
    /// # Errors
    /// What the server says.
    pub async fn text(&self, sql: &str) -> Result<String> {
        let row = sqlx::query(AssertSqlSafe(format!("SELECT ({sql})::text")))
            .fetch_one(self.pool())
            .await
            .with_context(|| sql.to_owned())?;
        Ok(row.try_get::<Option<String>, _>(0)?.unwrap_or_default())
    }

    /// The one number that SQL gives.
    ///
    /// # Errors
    /// What the server says.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        Ok(self.text(sql).await?.parse()?)
    }

    /// Waits until SQL gives this text.
    ///
    /// # Errors
    /// When it does not in time; says what it gives instead.
    pub async fn wait_for(&self, sql: &str, wanted: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let found = self.text(sql).await?;
            if found == wanted {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("waited for {wanted:?} from {sql}, and it still is {found:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many jobs are in a state.
    ///
    /// # Errors
    /// What the server says.
    pub async fn jobs_in(&self, state: &str) -> Result<i64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM howdah.jobs WHERE state = $1");
        Ok(count.bind(state).fetch_one(self.pool()).await?)
    }

    /// The server stops and starts behind the test's back with this; see the library's tests of faults.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// A worker that runs until it is told to stop.
#[derive(Debug)]
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<howdah::Result<()>>,
}

impl Running {
    /// Tells it to stop, without waiting.
    pub fn tell_to_stop(&mut self) {
        self.stop.take();
    }

    /// Stops it as a process manager would, and waits until it has.
    ///
    /// # Errors
    /// What the worker says.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.take();
        Ok(in_time("the worker to stop", self.task).await???)
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// What the worker says.
    pub async fn ended(self) -> Result<()> {
        Ok(in_time("the worker to end", self.task).await???)
    }
}

/// Starts a worker in the background.
pub fn start<S: Send + Sync + 'static>(worker: Worker<S>) -> Running {
    let (stop, told) = oneshot::channel::<()>();
    Running { stop: Some(stop), task: tokio::spawn(worker.run_until(told)) }
}

/// Waits for something that should happen at once.
///
/// # Errors
/// When it does not; says what was waited for.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.with_context(|| format!("waited in vain for {what}"))
}
