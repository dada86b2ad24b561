//! Databases on a server of the test's own, which it may crash.
//!
//! Invariant: what is waited for may fail meanwhile, since the server may be down. Limit: as everywhere, a patience.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use howdah::Howdah;
use howdah_devdb::{Durability, Server, ServerBuilder, StopMode};

use crate::{Db, PATIENCE};

/// A server that keeps each commit that waits for the disk through a crash of its processes, and syncs nothing.
#[must_use]
pub fn server_to_crash() -> ServerBuilder {
    Server::builder().private().durability(Durability::Fast).setting("synchronous_commit", "on")
}

/// Crashes the server, and starts it again.
///
/// # Errors
/// When it does not start.
pub async fn crash(server: &Server, mode: StopMode) -> Result<()> {
    server.stop_postmaster(mode).await?;
    Ok(server.start_postmaster().await?)
}

impl Db {
    /// A new database with a queue in it, on this server.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn on(server: &Server) -> Result<Self> {
        let db = Self::bare(server).await?;
        db.howdah.migrate().await?;
        Ok(db)
    }

    /// A new database on this server with nothing in it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn bare(server: &Server) -> Result<Self> {
        let database = server.create_database().await?;
        Ok(Self { howdah: Howdah::connect(database.url()).await?, database })
    }

    /// Waits until SQL gives this text, through crashes of the server.
    ///
    /// # Errors
    /// When it does not in time; says what it gives instead.
    pub async fn wait_through(&self, sql: &str, wanted: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let found = self.text(sql).await;
            if found.as_ref().is_ok_and(|found| found == wanted) {
                return Ok(());
            }
            if start.elapsed() > 2 * PATIENCE {
                bail!("waited for {wanted:?} from {sql}, and it still is {found:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
