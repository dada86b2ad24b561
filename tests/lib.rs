//! What the promises share: a database of their own each, a worker in the background, and waiting for things.
//!
//! Invariant: a test never waits for a time to pass, only for something to be seen, with a limit after which it
//! fails and says what it waited for. Limit: one server for all tests of a process.

pub mod chaos;
mod crashes;
mod crowd;
mod graph_job;
mod guests;
pub mod history;
pub mod mutations;
pub mod pooler;
pub mod recorder;
pub mod seed;
pub mod standby;

use std::future::IntoFuture;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use howdah::{Ctx, Howdah, Job, JobError, Worker};
use howdah_devdb::{Database, shared_for_tests};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use crashes::{crash, server_to_crash};
pub use crowd::fill;
pub use graph_job::{Fate, GRAPH_TABLES, GraphJob, graph_job};
pub use guests::Guests;

/// How long something may take that is expected at once.
const PATIENCE: Duration = Duration::from_secs(60);

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

impl Db {
    /// A connection of its own.
    ///
    /// # Errors
    /// When there is no server.
    pub async fn session(&self) -> Result<Session> {
        Ok(Session(PgConnection::connect(self.url()).await?))
    }

    /// Moves the queue's clock, such as `'1 hour'`; from then on, not once more on top.
    ///
    /// # Errors
    /// What the server says.
    pub async fn travel(&self, ahead: &str) -> Result<()> {
        self.run(&format!(
            "CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
             RETURN pg_catalog.clock_timestamp() + interval '{ahead}'"
        ))
        .await
    }

    /// Stops the queue's clock so long after the year 2100 began, such as `'1 hour'`: for what is decided by seconds.
    ///
    /// # Errors
    /// What the server says.
    pub async fn stop_clock(&self, after: &str) -> Result<()> {
        self.run(&format!(
            "CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
             RETURN timestamptz '2100-01-01 00:00:00+00' + interval '{after}'"
        ))
        .await
    }

    /// Turns autovacuum off for the queue's tables: from here on only what the test does changes plans and pages.
    ///
    /// # Errors
    /// What the server says.
    pub async fn stop_autovacuum(&self) -> Result<()> {
        let off = "SELECT string_agg(format('ALTER TABLE %s SET (autovacuum_enabled = off)', oid::regclass), ';')
                     FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND relkind = 'r'";
        self.run(&self.text(off).await?).await
    }

    /// Registers a worker by SQL, with a lease of a minute and a heartbeat every two seconds.
    ///
    /// # Errors
    /// What the server says.
    pub async fn worker(&self) -> Result<i64> {
        self.number("SELECT howdah.start_worker('w', 60000, 2000)").await
    }

    /// The whole content of the queue's tables, a line for each that has rows; the sequences are left out, as
    /// they are not part of any transaction.
    ///
    /// # Errors
    /// What the server says.
    pub async fn content(&self) -> Result<String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND relkind = 'r' ORDER BY 1",
        )
        .fetch_all(self.pool())
        .await?;
        let selects: Vec<_> = tables
            .iter()
            .map(|t| {
                format!("SELECT '{t}' AS t, string_agg(r::text, E'\\n  ' ORDER BY r::text) AS x FROM howdah.{t} r")
            })
            .collect();
        let all = selects.join(" UNION ALL ");
        self.text(&format!("SELECT string_agg(t || E'\\n  ' || x, E'\\n' ORDER BY t) FROM ({all}) c")).await
    }

    /// Runs a script with `psql`, each statement in a transaction of its own unless it says `BEGIN`, and gives what
    /// it prints: a line for each row, `|` between the columns.
    ///
    /// # Errors
    /// What `psql` says, with the SQLSTATE; or that there is none.
    pub async fn psql(&self, script: &str) -> Result<String> {
        let beside = shared_for_tests().await?.binaries().map(|b| b.dir().join("psql")).filter(|psql| psql.exists());
        let mut psql = tokio::process::Command::new(beside.unwrap_or_else(|| "psql".into()))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f", "-", self.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("these tests need psql, next to the server's programs or in PATH")?;
        if let Some(mut input) = psql.stdin.take() {
            input.write_all(script.as_bytes()).await?;
        }
        let output = in_time("psql to end", psql.wait_with_output()).await??;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

/// One connection of its own, for what several sessions do to each other.
#[derive(Debug)]
pub struct Session(pub PgConnection);

impl Session {
    /// Runs SQL that gives nothing back; several statements, if need be.
    ///
    /// # Errors
    /// What the server says.
    pub async fn run(&mut self, sql: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await.with_context(|| sql.to_owned())?;
        Ok(())
    }

    /// Every value that SQL gives in its one column, as text.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&mut self, sql: &str) -> Result<Vec<String>> {
        let rows = sqlx::query_scalar(AssertSqlSafe(format!("SELECT x::text FROM ({sql}) a(x)")));
        rows.fetch_all(&mut self.0).await.with_context(|| sql.to_owned())
    }

    /// The one value that SQL gives, as text.
    ///
    /// # Errors
    /// What the server says.
    pub async fn text(&mut self, sql: &str) -> Result<String> {
        let value = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(format!("SELECT ({sql})::text")));
        Ok(value.fetch_one(&mut self.0).await.with_context(|| sql.to_owned())?.unwrap_or_default())
    }

    /// The one number that SQL gives.
    ///
    /// # Errors
    /// What the server says.
    pub async fn number(&mut self, sql: &str) -> Result<i64> {
        Ok(self.text(sql).await?.parse()?)
    }

    /// The SQLSTATE and the COLUMN field with which the server refuses SQL: `HD002 payload`.
    ///
    /// # Errors
    /// When it is not refused.
    pub async fn refusal(&mut self, sql: &str) -> Result<String> {
        match sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await {
            Ok(_) => bail!("this was not refused: {sql}"),
            Err(error) => match error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>()) {
                Some(e) => Ok(format!("{} {}", e.code(), e.column().unwrap_or_default()).trim_end().to_owned()),
                None => Err(error.into()),
            },
        }
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
pub async fn in_time<T>(what: &str, work: impl IntoFuture<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work.into_future()).await.with_context(|| format!("waited in vain for {what}"))
}

/// A job that lasts until the test says so: see `worker_process.rs`.
#[derive(Debug, Job, Serialize, Deserialize)]
pub struct Held {}

/// Writes down what a handler sees, where the test can see it.
///
/// # Errors
/// What the server says.
pub async fn note<T>(cx: &Ctx<T>, what: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO seen (job, attempt, pid, what) VALUES ($1, $2, $3, $4)")
        .bind(cx.id().0)
        .bind(i32::from(cx.attempt()))
        .bind(i64::from(std::process::id()))
        .bind(what)
        .execute(cx.howdah().pool())
        .await?;
    Ok(())
}

/// The tables that [`Held`] jobs write to and wait for.
pub const HELD_TABLES: &str = "CREATE TABLE seen (at timestamptz NOT NULL DEFAULT clock_timestamp(), job bigint,
    attempt integer, pid bigint, what text); CREATE TABLE go (n integer)";

/// A job that is seen from outside: it writes down when it begins and when it ends, by the server's clock.
#[derive(Debug, Job, Serialize, Deserialize)]
pub struct Watched {
    /// What is looked at together.
    pub key: String,
    /// Its first so many attempts fail.
    pub fails: i16,
}

/// The table that [`Watched`] jobs write to.
pub const WATCHED_TABLE: &str = "CREATE TABLE watched (n bigserial, job bigint, key text, pid bigint, attempt integer,
    began timestamptz NOT NULL DEFAULT clock_timestamp(), ended timestamptz)";

/// Runs a [`Watched`] job for a few milliseconds.
///
/// # Errors
/// What the server says; and as often as the job is to fail.
pub async fn watched(job: Watched, cx: Ctx<()>) -> std::result::Result<(), howdah::JobError> {
    let begin = sqlx::query_scalar("INSERT INTO watched (job, key, pid, attempt) VALUES ($1, $2, $3, $4) RETURNING n");
    let n: i64 = begin
        .bind(cx.id().0)
        .bind(&job.key)
        .bind(i64::from(std::process::id()))
        .bind(i32::from(cx.attempt()))
        .fetch_one(cx.howdah().pool())
        .await?;
    tokio::time::sleep(Duration::from_millis(3)).await;
    let end = sqlx::query("UPDATE watched SET ended = clock_timestamp() WHERE n = $1");
    end.bind(n).execute(cx.howdah().pool()).await?;
    if cx.attempt() <= u16::try_from(job.fails).unwrap_or_default() {
        return Err(howdah::JobError::retry("not yet"));
    }
    Ok(())
}

/// How much memory a `worker-process` may map, in bytes.
pub const MEMORY: &str = "HOWDAH_TEST_MEMORY";

/// A job that takes its process with it: see `worker_process.rs`.
#[derive(Debug, Job, Serialize, Deserialize)]
pub struct Poison {
    /// By asking for memory until there is no more.
    pub takes_memory: bool,
}

/// A job of four steps, see [`stepped`].
#[derive(Debug, Job, Serialize, Deserialize)]
pub struct Stepped {}

/// Does four steps, each of which writes itself down; the third one lasts until the test says so.
///
/// # Errors
/// What the server says.
pub async fn stepped(_: Stepped, cx: Ctx<()>) -> std::result::Result<(), JobError> {
    let mut sum = 0;
    for n in 1..=4 {
        let work = || async {
            note(&cx, &format!("step {n}")).await?;
            while n == 3 && !sqlx::query_scalar("SELECT EXISTS (SELECT FROM go)").fetch_one(cx.howdah().pool()).await? {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok::<_, sqlx::Error>(n * 10)
        };
        sum += cx.step(format!("step {n}"), work).await?;
    }
    note(&cx, &format!("sum {sum}")).await?;
    Ok(())
}
