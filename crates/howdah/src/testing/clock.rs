//! A clock that a test sets.
//!
//! Invariant: whatever asks for the time of this schema sees the same, since `howdah.now()` is the one clock; a schema in
//! which a worker lives is left alone. Limit: the schema's own; triggers and defaults of the application go on by
//! the server's clock.

use std::time::{Duration, SystemTime};

use sqlx::{AssertSqlSafe, PgConnection};

use crate::client::Howdah;
use crate::error::{Error, Result};
use crate::schema::files;
use crate::sqltime::Micros;

/// The clock of one schema, to be stopped and moved by a test: it replaces the function `howdah.now()`, so the user must own
/// that, and every session of every program sees it. Use it in databases of tests only. Until [`restore`](Self::restore)
/// is called, the clock stays as it was set.
///
/// ```no_run
/// # use howdah::{Howdah, Worker, testing};
/// # use std::time::Duration;
/// # async fn test(howdah: Howdah, worker: Worker) -> Result<(), howdah::Error> {
/// let clock = testing::Clock::of(&howdah);
/// clock.freeze().await?;
/// // ... enqueue something that is due tomorrow ...
/// clock.advance(Duration::from_secs(86_400)).await?;
/// testing::drain(&worker, "mail").await?.assert_all_completed();
/// clock.restore().await
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "the clock is only changed by its methods"]
pub struct Clock {
    howdah: Howdah,
    despite_workers: bool,
}

impl Clock {
    /// The clock of this schema. Nothing is changed yet.
    pub fn of(howdah: &Howdah) -> Self {
        Self { howdah: howdah.clone(), despite_workers: false }
    }

    /// Changes the clock even though workers live in the schema: those of the test. Their heartbeats, leases and
    /// retries go by it too; one that jumps by more than a lease makes them look dead.
    pub fn despite_workers(mut self) -> Self {
        self.despite_workers = true;
        self
    }

    /// Stops it at the present time; gives that.
    ///
    /// # Errors
    /// [`Error::Worker`] if a worker lives in the schema; [`Error::Database`] if the user does not own it.
    pub async fn freeze(&self) -> Result<SystemTime> {
        self.stop_at(None, Duration::ZERO).await
    }

    /// Moves it on and stops it there; gives the time that it then is.
    ///
    /// # Errors
    /// As [`freeze`](Self::freeze); [`Error::Invalid`] for a time after the year 9999.
    pub async fn advance(&self, by: Duration) -> Result<SystemTime> {
        self.stop_at(None, by).await
    }

    /// Stops it at this time, between 1970 and 9999.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn set(&self, to: SystemTime) -> Result<()> {
        let since = to.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::invalid("time", "is before 1970"))?;
        self.stop_at(Some(0), since).await.map(|_| ())
    }

    /// Lets it go by the server's time again.
    ///
    /// # Errors
    /// As [`freeze`](Self::freeze).
    pub async fn restore(&self) -> Result<()> {
        let mut connection = self.howdah.pool().acquire().await?;
        self.refuse_workers(&mut connection).await?;
        self.replace(&mut connection, files::function("now")).await
    }

    /// Stops it so long after a time in microseconds; `None`: now.
    async fn stop_at(&self, since: Option<i64>, after: Duration) -> Result<SystemTime> {
        const YEAR_9999: i64 = 253_370_764_800_000_000;
        let mut connection = self.howdah.pool().acquire().await?;
        self.refuse_workers(&mut connection).await?;
        let since = match since {
            Some(micros) => micros,
            None => {
                let now = sqlx::query_scalar::<_, Micros>(self.howdah.names().sql("SELECT howdah.now()"));
                now.fetch_one(&mut *connection).await?.0
            }
        };
        let stopped = i64::try_from(after.as_micros()).ok().and_then(|after| since.checked_add(after));
        let Some(stopped) = stopped.filter(|micros| *micros < YEAR_9999) else {
            return Err(Error::invalid("time", "is after the year 9999"));
        };
        // PostgreSQL 14 reads no more than 2^31 seconds; and days would go by the session's time zone.
        let (hours, rest) = (stopped / 3_600_000_000, stopped % 3_600_000_000);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let sql = format!(
            "CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
             RETURN pg_catalog.timestamptz_pl_interval('1970-01-01 00:00:00+00', '{hours} hours {seconds}.{micros:06} seconds')"
        );
        self.replace(&mut connection, &sql).await?;
        Ok(Micros(stopped).time())
    }

    async fn replace(&self, connection: &mut PgConnection, sql: &str) -> Result<()> {
        // No text but our own and numbers.
        let sql = AssertSqlSafe(self.howdah.names().text(sql));
        sqlx::raw_sql(sql).execute(connection).await?;
        Ok(())
    }

    /// Production has workers.
    async fn refuse_workers(&self, connection: &mut PgConnection) -> Result<()> {
        let sql = "SELECT name FROM howdah.workers WHERE expires_at OPERATOR(pg_catalog.>=) howdah.now() LIMIT 1";
        let living = sqlx::query_scalar::<_, String>(self.howdah.names().sql(sql)).fetch_optional(connection).await?;
        match living {
            Some(name) if !self.despite_workers => Err(Error::Worker(format!(
                "the worker {name:?} lives in the schema {:?}, and a clock that is stopped would stop it: \
                 end it, or call `despite_workers` if it is the test's own",
                self.howdah.schema()
            ))),
            _ => Ok(()),
        }
    }
}
