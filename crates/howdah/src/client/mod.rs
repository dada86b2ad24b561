//! The handle of an application: everything that can be asked of the queue without being a worker.
//!
//! Invariant: every question is one documented SQL function or view. Limit: it holds a pool and a name, and no
//! state of the queue, so that any number of handles agree.

mod after;
mod decide;
mod doctor;
mod enqueue;
mod enqueue_many;
mod find;
mod flow;
mod full;
mod graph;
mod jobs;
mod many;
mod operate;
mod options;
pub(crate) mod payload;
mod queues;
mod retention;
mod roles;
mod schedules;
mod settings;
mod signal;
mod steps;
mod target;
mod tls;
mod unique;
mod wait;
mod why;
mod workflow;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::encryption::Keys;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::schema::{MigrationStatus, Schema, migrate};
use crate::statement::Observer;
use queues::Queues;

pub use after::OnParentFailure;
pub use decide::{Change, Decide};
pub use doctor::{Doctor, Finding, FindingState};
pub use enqueue::Enqueue;
pub(crate) use enqueue::YEAR_9999;
pub use enqueue_many::{EnqueueMany, JobIds};
pub use find::{Find, FoundJob};
pub use flow::Limit;
pub use graph::{Graph, Parent};
pub use jobs::Jobs;
pub use many::{Many, Progress};
pub use operate::{Cancelled, JobState};
pub(crate) use options::check_retry;
pub(crate) use payload::{Encoded, Payload, has_nul};
pub use retention::{Config, RemovedJob, Retention};
pub use roles::Roles;
pub use schedules::{Firing, ScheduleInfo};
pub use settings::{KindSettings, QueueSettings};
pub use signal::Signal;
pub use steps::JobStep;
pub use target::On;
#[cfg(feature = "testing")]
pub(crate) use target::Target;
pub use tls::strict_tls;
pub use unique::{EnqueueUnique, Enqueued, Unique};
use wait::Watch;
pub use wait::{Ended, Wait};
pub use why::Reason;
pub use workflow::{EnqueueWorkflow, WorkflowId, WorkflowJob};

/// A connection that slept longer than this is asked whether it still lives before it is used.
const PING_AFTER: Duration = Duration::from_secs(5);

/// The job queue of one database. Cheap to clone; clones share the pool.
///
/// ```no_run
/// # async fn example(url: &str) -> Result<(), howdah::Error> {
/// let howdah = howdah::Howdah::connect(url).await?;
/// howdah.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Howdah {
    pool: PgPool,
    schema: Schema,
    worker_options: Option<Box<PgConnectOptions>>,
    queues: Arc<Queues>,
    watch: Arc<Watch>,
    keys: Keys,
    pub(crate) observer: Observer,
}

impl Howdah {
    /// Connects with a pool of its own: up to 10 connections.
    ///
    /// # Errors
    /// [`Error::Database`] if the URL is not one, or the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(10)
            // Asking before each use costs a third of the round trips; a connection that was just used lives.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > PING_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(strict_tls(url.parse()?))
            .await?;
        Ok(Self::from_pool(pool))
    }

    /// Uses the application's own pool. Enqueueing takes a connection for one statement; workers open their own.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        Self {
            pool,
            schema: Schema::DEFAULT,
            worker_options: None,
            queues: Arc::default(),
            watch: Arc::default(),
            keys: Keys::default(),
            observer: Observer::default(),
        }
    }

    /// Uses another schema than `howdah`, so that several queues can live in one database.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the name is 1 to 40 of `a-z`, `0-9` and `_`, and needs no quotes in SQL.
    pub fn with_schema(mut self, name: &str) -> Result<Self> {
        self.schema = Schema::named(name)?;
        self.queues = Arc::default();
        self.watch = Arc::default();
        Ok(self)
    }

    /// Gives workers a URL of their own: the direct one, if the pool goes through PgBouncer or another
    /// transaction pooler. Workers keep sessions open, which such a pooler cannot give.
    ///
    /// # Errors
    /// [`Error::Database`] if the URL is not one.
    pub fn with_worker_url(mut self, url: &str) -> Result<Self> {
        self.worker_options = Some(Box::new(strict_tls(url.parse()?)));
        Ok(self)
    }

    /// The pool, for the application's own statements.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The name of the schema: `howdah` unless told otherwise.
    #[must_use]
    pub fn schema(&self) -> &str {
        self.schema.name()
    }

    /// Installs the queue in the database, or brings it to this release. Any number of processes may call it at
    /// once, at every start: one does it, in one transaction, and the others find it done. Workers and producers may go on
    /// meanwhile. Where a table has to be changed that somebody uses, it lets others pass after half a second and tries again, for a minute,
    /// and logs who is in the way.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`] if the database is of a newer release; [`Error::Database`] if somebody was in the way for a minute
    /// (`is_transient`), if the user may not
    /// create a schema (let one who may run `howdah migrate up` or `howdah migrate sql`), or, where there are
    /// [roles](Self::create_roles), is not of the owner's.
    pub async fn migrate(&self) -> Result<()> {
        // Not from the pool: the transaction may be long, and a pool of one must not wait for itself.
        let mut connection = self.connection().await?;
        migrate::migrate(&mut connection, &self.schema).await?;
        connection.close().await?;
        Ok(())
    }

    /// Which migrations the database has had, and which are to come.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn migration_status(&self) -> Result<MigrationStatus> {
        migrate::status(&mut *self.pool.acquire().await?, &self.schema).await
    }

    /// Whether this release can work with the database as it is: what a worker asks before it starts.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::SchemaMismatch`] or [`Error::Database`].
    pub async fn check_schema(&self) -> Result<()> {
        migrate::check(&mut *self.pool.acquire().await?, &self.schema).await
    }

    /// The SQL of a fresh installation, for those who run migrations by hand.
    #[must_use]
    pub fn migration_sql(&self) -> String {
        migrate::script(&self.schema)
    }

    /// Enqueues one job. What you get back is a builder and a future: `.await` it, after
    /// [`delay`](Enqueue::delay), [`priority`](Enqueue::priority), [`on`](Enqueue::on) and the like.
    ///
    /// The SQL function behind it is `howdah.enqueue`.
    ///
    /// ```no_run
    /// # use howdah::{Howdah, Job};
    /// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Welcome { user: i64 }
    /// # async fn example(howdah: Howdah) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = howdah.pool().begin().await?;
    /// // ... the application's own writes ...
    /// let id = howdah.enqueue(Welcome { user: 42 }).on(&mut tx).await?;
    /// tx.commit().await?; // now the job exists
    /// # Ok(())
    /// # }
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "a job that is enqueued is given away")]
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<'_, J::Output> {
        let enqueue = Enqueue::new(self, Cow::Borrowed(J::KIND), payload::encode(&job));
        enqueue.declared::<J>()
    }

    /// Enqueues a job of a kind that has no type here: the payload is anything that serializes, and so is its output.
    pub fn enqueue_raw(
        &self,
        kind: impl Into<String>,
        payload: &(impl Serialize + ?Sized),
    ) -> Enqueue<'_, serde_json::Value> {
        Enqueue::new(self, Cow::Owned(kind.into()), payload::encode(payload))
    }

    /// Enqueues many jobs of one type in one transaction, a few thousand to a round trip, in order: all or none.
    ///
    /// The SQL function behind it is `howdah.enqueue_many`.
    pub fn enqueue_many<J: Job>(&self, jobs: impl IntoIterator<Item = J>) -> EnqueueMany<'_> {
        let payloads = jobs.into_iter().map(|job| payload::encode(&job)).collect();
        EnqueueMany::new(Enqueue::new(self, Cow::Borrowed(J::KIND), payload::nothing()), payloads).declared::<J>()
    }

    /// As [`enqueue_many`](Self::enqueue_many), for a kind that has no type here.
    pub fn enqueue_many_raw<P: Serialize>(
        &self,
        kind: impl Into<String>,
        payloads: impl IntoIterator<Item = P>,
    ) -> EnqueueMany<'_> {
        let payloads = payloads.into_iter().map(|p| payload::encode(&p)).collect();
        EnqueueMany::new(Enqueue::new(self, Cow::Owned(kind.into()), payload::nothing()), payloads)
    }

    /// Encrypts the payload of every job that is enqueued with this handle, and decrypts those that its workers run: who reads
    /// the database, its backups or `howdah.jobs` sees which key was used, and nothing else of the payload. Outputs, steps,
    /// signals, attributes and errors are stored as they are. A job whose payload cannot be decrypted is dead at once, with the
    /// kind of error `encryption`. Refused with a keyring: [`Unique::by_payload`], a schedule with a payload, and
    /// [`Change::payload`]. See [`Keyring`](crate::Keyring).
    #[cfg(feature = "encryption")]
    #[must_use]
    pub fn with_keys(mut self, keys: crate::Keyring) -> Self {
        self.keys = Keys::of(keys);
        self
    }

    /// The payload of a job that was found, which this handle has the key of: `howdah.decrypt(&job.kind, &job.payload)`. One
    /// that is not encrypted comes back as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it cannot be decrypted.
    #[cfg(feature = "encryption")]
    pub fn decrypt(
        &self,
        kind: &str,
        payload: &serde_json::value::RawValue,
    ) -> Result<Box<serde_json::value::RawValue>> {
        self.keys.open_for_people(kind, payload)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn names(&self) -> &Schema {
        &self.schema
    }

    /// How workers connect.
    pub(crate) fn worker_options(&self) -> PgConnectOptions {
        match &self.worker_options {
            Some(options) => (**options).clone(),
            None => (*self.pool.connect_options()).clone(),
        }
    }

    /// A connection outside the pool.
    async fn connection(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.pool.connect_options()).await?)
    }

    /// Creates a queue that a job declares, if it is not there. Apart from the caller's transaction: queues are
    /// settings, and one that appears in a transaction would make others who need it wait.
    async fn ensure_queue(&self, on: &mut PgConnection, queue: &str) -> Result<()> {
        if queue == "default" || self.queues.exists(queue) {
            return Ok(());
        }
        let sql = self.schema.sql("SELECT EXISTS (SELECT FROM howdah.queue WHERE name OPERATOR(pg_catalog.=) $1)");
        let exists: bool = self.observe("create_queue", sqlx::query_scalar(sql).bind(queue).fetch_one(on)).await?;
        if !exists {
            let mut connection = self.connection().await?;
            let create = sqlx::query(self.schema.sql("SELECT howdah.create_queue($1)")).bind(queue);
            let created = self.observe("create_queue", create.execute(&mut connection)).await;
            connection.close().await?;
            // Who may only enqueue is told by the enqueue itself that there is no such queue, and what to do.
            if created.as_ref().is_err_and(|e| e.has_code("42501")) {
                return Ok(());
            }
            created?;
        }
        self.queues.set_exists(queue);
        Ok(())
    }
}

// The pool and the worker's URL hold passwords.
impl fmt::Debug for Howdah {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Howdah").field("schema", &self.schema.name()).finish_non_exhaustive()
    }
}

/// Refuses a text that PostgreSQL cannot store, before it costs the caller their transaction.
fn check_text(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(nul_in(field));
    }
    Ok(())
}

fn nul_in(field: &str) -> Error {
    Error::invalid(field, "must not contain the character NUL (\\0), which PostgreSQL cannot store")
}
