//! One database on a server, for one test or one run.
//!
//! Invariant: its name is its own, so nothing else is in it. Limit: on a private server it stays
//! until the server goes; on a given one dropping this drops it too, as far as that succeeds.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnection;

use crate::address::{Address, quoted, run};
use crate::builder::random;
use crate::error::{Error, Result};

/// How long a drop without `await` may hold up its thread.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A database of one's own.
pub struct Database {
    name: String,
    url: String,
    server: Address,
    /// The server was given and nobody else will clean up there.
    owed: bool,
}

// The URL has a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).field("server", &self.server).finish_non_exhaustive()
    }
}

impl Database {
    /// Makes one. `options` is the rest of the statement `CREATE DATABASE`.
    pub(crate) async fn create(
        connection: &mut PgConnection,
        server: &Address,
        owed: bool,
        options: &str,
    ) -> Result<Self> {
        let name = format!("howdah_db_{}", random(16));
        run(connection, format!("CREATE DATABASE {} {options}", quoted(&name)))
            .await
            .map_err(|e| Error::sql(format!("create the database {name}"), e))?;
        Ok(Self { url: server.with_database(&name), name, server: server.clone(), owed })
    }

    /// Its URL, password and all.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops the database, ending what is connected to it.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Sql`].
    pub async fn drop(mut self) -> Result<()> {
        self.owed = false;
        drop_database(&self.server, &self.name).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.owed {
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        // A thread with a runtime of its own, as this one may be inside a runtime or past its end.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let dropping = async { tokio::time::timeout(DROP_PATIENCE, drop_database(&server, &name)).await };
            let dropped = runtime.map(|runtime| runtime.block_on(dropping));
            if !matches!(dropped, Ok(Ok(Ok(())))) {
                tracing::warn!("the database {name} is left on {}: {dropped:?}", server.redacted());
            }
        });
        // Waited for: the process may be about to end. A panic in there has already been told.
        let _ = dropping.join();
    }
}

async fn drop_database(server: &Address, name: &str) -> Result<()> {
    let mut connection = server.connect().await?;
    drop_if_exists(&mut connection, name).await
}

/// Drops a database if it is there, ending what is connected to it.
pub(crate) async fn drop_if_exists(connection: &mut PgConnection, name: &str) -> Result<()> {
    run(connection, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name)))
        .await
        .map_err(|e| Error::sql(format!("drop the database {name}"), e))
}
