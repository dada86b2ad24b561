//! What is wrong with the queue and the database under it, and how to mend it.
//!
//! Invariant: it changes nothing, and each finding has its proof. Limit: what is seen is what the server knows and what
//! its role may see; of this program it is the version, the clock, and whether a pooler is before it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};

use super::Howdah;
use crate::error::{Error, Result};
use crate::schema::migrate;

/// How long it may take to see whether there is a pooler.
const PATIENCE: Duration = Duration::from_secs(2);

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingState {
    /// The check found nothing.
    Ok,
    /// Worth knowing.
    Notice,
    /// To be mended before it becomes a problem.
    Warning,
    /// Jobs are late, lost, or about to be.
    Problem,
    /// The check failed, or its role may not see enough.
    Unknown,
}

impl FindingState {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Ok, "ok"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Problem, "problem"),
        (Self::Unknown, "unknown"),
    ];

    /// Its name in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for FindingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FindingState {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == s)
            .map(|(state, _)| *state)
            .ok_or_else(|| Error::invalid("state", "must be ok, notice, warning, problem or unknown"))
    }
}

/// What one check of [`Howdah::doctor`] has found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the check, such as `paused`.
    pub name: String,
    /// How bad it is.
    pub state: FindingState,
    /// One sentence with figures.
    pub found: String,
    /// A query that shows it.
    pub proof: Option<String>,
    /// What to do, with the statement that does it, if there is one.
    pub fix: Option<String>,
    /// The figures, for programs. `sql` are the statements of the fix alone: each on a line of its own, between them `;`.
    pub detail: Value,
}

/// A look at everything that goes wrong: see [`Howdah::doctor`]. `.await` it.
#[derive(Debug, Clone)]
#[must_use = "nothing is looked at until it is awaited"]
pub struct Doctor<'h> {
    howdah: &'h Howdah,
    checks: Option<Vec<String>>,
    limits: Map<String, Value>,
}

impl<'h> Doctor<'h> {
    /// Makes this check only; called again, this one too. Without it all are made.
    pub fn check(mut self, name: impl Into<String>) -> Self {
        self.checks.get_or_insert_default().push(name.into());
        self
    }

    /// From where on something is worth saying, such as `waiting_ms`: see the SQL function `howdah.doctor_limits`.
    pub fn limit(mut self, name: impl Into<String>, from: u64) -> Self {
        self.limits.insert(name.into(), Value::from(from));
        self
    }

    fn asks_for(&self, check: &str) -> bool {
        self.checks.as_ref().is_none_or(|checks| checks.iter().any(|c| c == check))
    }

    async fn look(self) -> Result<Vec<Finding>> {
        let pooled = if self.asks_for("pooler") { self.howdah.is_pooled().await } else { None };
        let (migration, code) = migrate::built_for();
        let mut connection = self.howdah.pool().acquire().await?;
        // Not before there is a connection: waiting for one is not the clock's fault.
        let at_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let client = json!({
            "migration": migration, "code": code, "release": env!("CARGO_PKG_VERSION"),
            "at_ms": u64::try_from(at_ms).unwrap_or(u64::MAX), "pooled": pooled,
        });
        let sql =
            self.howdah.names().sql("SELECT name, state, found, proof, fix, detail FROM howdah.doctor($1, $2, $3)");
        let query = sqlx::query_as(sql).bind(self.checks).bind(Value::Object(self.limits)).bind(client);
        let rows: Result<Vec<Found>> =
            self.howdah.observe_rows("doctor", Vec::len, query.fetch_all(&mut *connection)).await;
        drop(connection);
        if let Err(Error::Database(error)) = &rows
            && error.as_database_error().is_some_and(|e| e.code().is_some_and(|c| ["42883", "3F000"].contains(&&*c)))
        {
            // A schema that is so old that it has no doctor, or none at all.
            self.howdah.check_schema().await?;
        }
        rows?.into_iter().map(finding).collect()
    }
}

type Found = (String, String, String, Option<String>, Option<String>, Value);

fn finding(row: Found) -> Result<Finding> {
    Ok(Finding { name: row.0, state: row.1.parse()?, found: row.2, proof: row.3, fix: row.4, detail: row.5 })
}

impl<'h> IntoFuture for Doctor<'h> {
    type Output = Result<Vec<Finding>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'h>>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.look())
    }
}

impl Howdah {
    /// Looks for what goes wrong with a queue, and with the database under it: jobs that nobody runs, missing indexes,
    /// transactions that keep dead rows, slots, settings, rights. At least one finding for each check; what is well is
    /// [`FindingState::Ok`]. It changes nothing, costs no more than some claims however many jobs there are, and a check
    /// that fails takes none of the others down. The SQL function behind it is `howdah.doctor`.
    ///
    /// It opens two connections beside the pool for a moment, to see whether a pooler is before the server (for the check
    /// `pooler` alone).
    ///
    /// ```no_run
    /// # async fn example(howdah: howdah::Howdah) -> Result<(), howdah::Error> {
    /// for finding in howdah.doctor().limit("waiting_ms", 600_000).await? {
    ///     if finding.state != howdah::FindingState::Ok {
    ///         eprintln!("{}: {} {}", finding.state, finding.found, finding.fix.unwrap_or_default());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for a check or a limit that there is not; [`Error::NotInstalled`]; [`Error::SchemaMismatch`] if
    /// the schema is too old to have it; [`Error::Database`].
    pub fn doctor(&self) -> Doctor<'_> {
        Doctor { howdah: self, checks: None, limits: Map::new() }
    }

    /// Whether two statements of one connection may reach two sessions; `None`: it could not be seen.
    async fn is_pooled(&self) -> Option<bool> {
        let look = async {
            let (mut one, mut other) = (self.connection().await?, self.connection().await?);
            // While `one` keeps a session, `other` gets another one; a pooler then gives it the one that was freed last.
            let mut busy = one.begin().await?;
            let held = session(&mut busy).await?;
            let before = session(&mut other).await?;
            busy.commit().await?;
            let after = session(&mut other).await?;
            one.close().await?;
            other.close().await?;
            Ok::<_, Error>(before != after || before == held)
        };
        tokio::time::timeout(PATIENCE, look).await.ok()?.ok()
    }
}

/// The process behind a connection; asked so that no pooler stumbles over a prepared statement.
async fn session(connection: &mut PgConnection) -> Result<i32> {
    let row = connection.fetch_one(sqlx::raw_sql("SELECT pg_catalog.pg_backend_pid()")).await?;
    Ok(row.try_get(0)?)
}
