//! Bringing a database to the state that this release needs.
//!
//! Invariant: one process at a time does it, in one transaction: all of it or nothing. An application may keep
//! running meanwhile: where a step has to wait for a table, whoever comes after it waits half a second at most. Limit: forward only; a
//! schema newer than this release is refused.

use std::time::{Duration, Instant, SystemTime};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Schema, files};
use crate::error::{Error, Result};
use crate::sqltime::Micros;

/// One step that a database has had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// Counts from 1.
    pub version: i32,
    /// What it is about.
    pub name: String,
    /// When it was applied, by the server's clock; `None` if it is still to come.
    pub applied_at: Option<SystemTime>,
}

/// How a database stands against this release. See [`Howdah::migration_status`](crate::Howdah::migration_status).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// Every step that this release or the database knows, in order.
    pub migrations: Vec<AppliedMigration>,
    /// Whether functions and views are those of this release.
    pub code_current: bool,
    /// The release that last installed functions and views.
    pub release: Option<String>,
}

impl MigrationStatus {
    /// Whether this release can work with the database as it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.code_current && self.migrations.iter().all(|m| m.applied_at.is_some() && m.version <= newest())
    }
}

/// The newest version that this release knows.
pub(crate) fn newest() -> i32 {
    files::migrations().map(|m| m.version).max().unwrap_or(0)
}

/// What this release is made for: the newest version that it knows, and the fingerprint of its functions and views.
pub(crate) fn built_for() -> (i32, String) {
    (newest(), files::code_hash())
}

/// The script of a fresh installation.
pub(crate) fn script(schema: &Schema) -> String {
    files::script(schema)
}

/// How long others may keep it from its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries: whoever has been held up goes first.
const PAUSE: Duration = Duration::from_millis(500);

/// Applies what is missing. See [`Howdah::migrate`](crate::Howdah::migrate).
pub(crate) async fn migrate(connection: &mut PgConnection, schema: &Schema) -> Result<()> {
    let began = Instant::now();
    loop {
        match apply(connection, schema).await {
            Err(error) if is_in_the_way(&error) && began.elapsed() < PATIENCE => {
                let others = others(connection, schema).await.unwrap_or_default();
                tracing::warn!(schema = schema.name(), others, "the migration waits for others: {error}");
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// Whether it is that somebody else uses a table: nothing was changed.
fn is_in_the_way(error: &Error) -> bool {
    let code = if let Error::Database(sqlx::Error::Database(e)) = error { e.code() } else { None };
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

/// Who uses tables of the queue in the oldest transactions, for a person.
async fn others(connection: &mut PgConnection, schema: &Schema) -> Result<String> {
    let who = "SELECT coalesce(pg_catalog.string_agg(w.who, '; '), '') FROM (
        SELECT pg_catalog.format('pid %s, %s since %s: %s', a.pid, a.state, a.xact_start, pg_catalog.left(a.query, 80)) AS who
          FROM pg_catalog.pg_stat_activity a
         WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.pid IN (
               SELECT l.pid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
                WHERE l.granted AND c.relnamespace = pg_catalog.to_regnamespace($1))
         ORDER BY a.xact_start LIMIT 3) w";
    Ok(sqlx::query_scalar(who).bind(schema.name()).fetch_one(connection).await?)
}

/// Applies what is missing, unless somebody is in the way.
async fn apply(connection: &mut PgConnection, schema: &Schema) -> Result<()> {
    let mut tx = connection.begin().await?;
    run(&mut tx, "SET LOCAL search_path = pg_catalog, pg_temp".to_owned()).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('howdah.migrate.' || $1, 0))")
        .bind(schema.name())
        .execute(&mut *tx)
        .await?;
    // Who waits for a table to himself holds up all that come after him. And less than `deadlock_timeout`, so that it is never an
    // application that has to begin again.
    run(&mut tx, "SET LOCAL lock_timeout = '500ms'".to_owned()).await?;
    become_owner(&mut tx, schema).await?;
    let status = status(&mut tx, schema).await?;
    refuse_newer(&status, schema)?;
    if status.is_current() {
        return Ok(());
    }
    if status.migrations.iter().all(|m| m.applied_at.is_none()) {
        run(&mut tx, format!("CREATE SCHEMA IF NOT EXISTS {}", schema.name())).await?;
    }
    for step in files::migrations() {
        if status.migrations.iter().any(|m| m.version == step.version && m.applied_at.is_some()) {
            continue;
        }
        tracing::info!(schema = schema.name(), version = step.version, name = step.name, "migrating");
        run(&mut tx, schema.text(step.sql)).await?;
        sqlx::query(schema.sql("INSERT INTO howdah.migration (version, name) VALUES ($1, $2)"))
            .bind(step.version)
            .bind(step.name)
            .execute(&mut *tx)
            .await?;
    }
    run(&mut tx, schema.text(&files::code())).await?;
    sqlx::query(schema.sql(
        "INSERT INTO howdah.code (hash, release) VALUES ($1, $2)
         ON CONFLICT (one) DO UPDATE SET hash = excluded.hash, release = excluded.release, applied_at = excluded.applied_at",
    ))
    .bind(files::code_hash())
    .bind(env!("CARGO_PKG_VERSION"))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Where there are roles, what is made must belong to their owner, whoever makes it.
async fn become_owner(connection: &mut PgConnection, schema: &Schema) -> Result<()> {
    let there: bool = sqlx::query_scalar("SELECT pg_catalog.to_regclass($1) IS NOT NULL")
        .bind(schema.text("howdah.access"))
        .fetch_one(&mut *connection)
        .await?;
    if there {
        let become_it =
            "SELECT pg_catalog.set_config('role', pg_catalog.concat(prefix, '_owner'), true) FROM howdah.access";
        sqlx::query(schema.sql(become_it)).execute(connection).await?;
    }
    Ok(())
}

/// Looks without changing anything.
pub(crate) async fn status(connection: &mut PgConnection, schema: &Schema) -> Result<MigrationStatus> {
    let installed: bool = sqlx::query_scalar("SELECT pg_catalog.to_regclass($1) IS NOT NULL")
        .bind(schema.text("howdah.migration"))
        .fetch_one(&mut *connection)
        .await?;
    let (mut applied, mut code) = (Vec::new(), None);
    if installed {
        applied = sqlx::query_as::<_, (i32, String, Micros)>(
            schema.sql("SELECT version, name, applied_at FROM howdah.migration ORDER BY version"),
        )
        .fetch_all(&mut *connection)
        .await?;
        code = sqlx::query_as::<_, (String, String)>(schema.sql("SELECT hash, release FROM howdah.code"))
            .fetch_optional(&mut *connection)
            .await?;
    }
    let mut migrations: Vec<_> = applied
        .into_iter()
        .map(|(version, name, at)| AppliedMigration { version, name, applied_at: Some(at.time()) })
        .collect();
    for step in files::migrations() {
        if migrations.iter().all(|m| m.version != step.version) {
            migrations.push(AppliedMigration { version: step.version, name: step.name.to_owned(), applied_at: None });
        }
    }
    let code_current = code.as_ref().is_some_and(|(hash, _)| *hash == files::code_hash());
    Ok(MigrationStatus { migrations, code_current, release: code.map(|(_, release)| release) })
}

/// What a worker asks before it starts: is the queue there, and neither older nor newer than this release?
pub(crate) async fn check(connection: &mut PgConnection, schema: &Schema) -> Result<()> {
    let status = status(connection, schema).await?;
    refuse_newer(&status, schema)?;
    match status.migrations.iter().rfind(|m| m.applied_at.is_some()) {
        None => Err(Error::NotInstalled { schema: schema.name().to_owned() }),
        Some(last) if last.version < newest() => {
            Err(Error::SchemaMismatch { schema: schema.name().to_owned(), found: last.version, known: newest() })
        }
        Some(_) => Ok(()),
    }
}

fn refuse_newer(status: &MigrationStatus, schema: &Schema) -> Result<()> {
    match status.migrations.iter().find(|m| m.version > newest()) {
        Some(m) => Err(Error::SchemaMismatch { schema: schema.name().to_owned(), found: m.version, known: newest() }),
        None => Ok(()),
    }
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}
