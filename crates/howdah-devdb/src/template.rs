//! Template databases: filled once, copied for each test.
//!
//! Invariant: a template carries its mark only once it is filled, and is filled, replaced and
//! copied under a lock that all processes on the server share, so a copy is never of a half-filled
//! or another one. Limit: the lock is of the database the server's URL names, so all must use that.

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::address::{Address, has_code, quoted, run};
use crate::database::{Database, drop_if_exists};
use crate::error::{Error, Result};

/// The first half of the advisory locks' keys: "tpl" in ASCII.
const LOCK_CLASS: i32 = 0x0074_706c;

/// SQLSTATE `object_in_use`: somebody is connected to the template.
const IN_USE: &str = "55006";

/// How often a copy is tried again while somebody is connected to the template.
const COPY_TRIES: u32 = 10;

/// A filled database that can be copied.
#[derive(Debug, Clone)]
pub struct Template {
    server: Address,
    given: bool,
    database: String,
    mark: String,
}

impl Template {
    pub(crate) fn new(server: &Address, given: bool, name: &str, key: &str) -> Result<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=40).contains(&name.len()) || !name.chars().all(fits) {
            return Err(Error::BadTemplateName { name: name.into() });
        }
        Ok(Self {
            server: server.clone(),
            given,
            database: format!("howdah_tpl_{name}"),
            mark: format!("howdah template, key {key}"),
        })
    }

    /// The template's own name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.database
    }

    /// Makes a copy with a name of its own.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Sql`], and [`Error::TemplateChanged`] when another process
    /// has put a template with another key in its place.
    pub async fn create_database(&self) -> Result<Database> {
        let mut connection = self.server.connect().await?;
        self.lock(&mut connection, "pg_advisory_lock_shared").await?;
        if !self.is_filled(&mut connection).await? {
            return Err(Error::TemplateChanged { name: self.database.clone() });
        }
        // Without a strategy PostgreSQL 15 and newer write the copy into the log of changes.
        let strategy = match connection.server_version_num() {
            Some(version) if version >= 150_000 => "STRATEGY file_copy",
            _ => "",
        };
        let options = format!("TEMPLATE {} {strategy}", quoted(&self.database));
        let mut tries = 1;
        let copy = loop {
            match Database::create(&mut connection, &self.server, self.given, &options).await {
                Err(Error::Sql { source, .. }) if has_code(&source, IN_USE) && tries < COPY_TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => break other?,
            }
        };
        self.unlock_by_closing(connection).await?;
        Ok(copy)
    }

    /// Whether the template is there with our key.
    async fn is_filled(&self, connection: &mut PgConnection) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 \
             AND shobj_description(oid, 'pg_database') = $2)",
        )
        .bind(&self.database)
        .bind(&self.mark)
        .fetch_one(connection)
        .await
        .map_err(|e| Error::sql(format!("look for the template {}", self.database), e))
    }

    /// Takes the template's lock, until the connection is closed.
    async fn lock(&self, connection: &mut PgConnection, function: &str) -> Result<()> {
        // The name is of a-z, 0-9 and _ only.
        let sql = format!("SELECT {function}({LOCK_CLASS}, hashtext('{}'))", self.database);
        run(connection, sql).await.map_err(|e| self.failed("lock", e))
    }

    async fn unlock_by_closing(&self, connection: PgConnection) -> Result<()> {
        connection.close().await.map_err(|e| self.failed("unlock", e))
    }

    /// Lets nobody in any more, which a copy needs, and marks the template as filled.
    async fn seal(&self, connection: &mut PgConnection) -> Result<()> {
        let name = quoted(&self.database);
        let mark = self.mark.replace('\'', "''");
        let sql = format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}';
             COMMENT ON DATABASE {name} IS '{mark}'",
            self.database
        );
        run(connection, sql).await.map_err(|e| self.failed("seal", e))
    }

    fn failed(&self, what: &str, source: sqlx::Error) -> Error {
        Error::sql(format!("{what} the template {}", self.database), source)
    }
}

/// Fills the template unless it is there with its key.
pub(crate) async fn ensure<F, Fut, E>(template: &Template, fill: F) -> Result<()>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let name = &template.database;
    let mut connection = template.server.connect().await?;
    template.lock(&mut connection, "pg_advisory_lock").await?;
    if !template.is_filled(&mut connection).await? {
        drop_if_exists(&mut connection, name).await?;
        run(&mut connection, format!("CREATE DATABASE {}", quoted(name)))
            .await
            .map_err(|e| template.failed("create", e))?;
        if let Err(error) = fill(template.server.with_database(name)).await {
            drop_if_exists(&mut connection, name).await?;
            return Err(Error::TemplateInit { name: name.clone(), source: error.into() });
        }
        template.seal(&mut connection).await?;
    }
    template.unlock_by_closing(connection).await
}
