//! Where the demo plays: a server, a database of its own with the queue, and two tables.
//!
//! Invariant: nothing of it stays: the database goes at the end, and a private server with it. Limit: on the server
//! of `--database-url` the user must be allowed to create a database.

use howdah::Howdah;
use howdah_devdb::{Database, Durability, Server};

use crate::failure::{Failure, Result};

/// What the jobs record. No unique constraint: a file that was recorded twice is to be seen.
const TABLES: [&str; 2] = [
    "CREATE TABLE demo_file (
       job_id bigint NOT NULL, path text NOT NULL, bytes bigint, lines bigint, sha256 text, error text,
       attempt integer NOT NULL, worker integer NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp())",
    "CREATE TABLE demo_ping (n integer NOT NULL, started_us bigint NOT NULL, worker integer NOT NULL)",
];

/// A server and a database, ready.
pub(super) struct Stage {
    server: Server,
    database: Database,
    howdah: Howdah,
}

impl Stage {
    /// Starts a private server, or uses the given one; makes a database and installs the queue.
    pub(super) async fn set(given: Option<&str>) -> Result<Self> {
        let builder = Server::builder().durability(Durability::Durable).on_progress(|step| eprintln!("{step}"));
        let builder = match given {
            Some(url) => builder.database_url(url),
            None => builder.private(),
        };
        let server = Box::pin(builder.start()).await.map_err(|e| no_server(&e))?;
        let database = server.create_database().await.map_err(|e| no_server(&e))?;
        let howdah = Howdah::connect(database.url()).await?;
        howdah.migrate().await?;
        for table in TABLES {
            sqlx::query(table).execute(howdah.pool()).await?;
        }
        Ok(Self { server, database, howdah })
    }

    pub(super) fn url(&self) -> &str {
        self.database.url()
    }

    pub(super) fn howdah(&self) -> &Howdah {
        &self.howdah
    }

    /// Takes it all away.
    pub(super) async fn strike(self) -> Result<()> {
        self.howdah.pool().close().await;
        if !self.server.is_private() {
            self.database.drop().await.map_err(|e| no_server(&e))?;
        }
        self.server.stop().await.map_err(|e| no_server(&e))
    }
}

fn no_server(error: &howdah_devdb::Error) -> Failure {
    Failure::unreachable(error.to_string())
}
