//! The servers that all systems share, one system at a time, and their counters.
//!
//! Invariant: every run has a database with nothing in it, just after a checkpoint. Limit: counters of a server are of
//! everything that it did meanwhile, its own chores included.

use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result};
use howdah_devdb::{Database, Durability, Server};
use sqlx::{Connection, PgConnection, PgPool};

use super::manifest::{Manifest, Store};
use super::process::cpu_seconds;
use super::redis::Redis;

/// The servers.
pub(crate) struct Stage {
    server: Server,
    redis: Option<Redis>,
    admin: PgPool,
    counts_statements: bool,
}

/// Where one run happens.
pub(crate) struct Place {
    pub(crate) url: String,
    database: Option<Database>,
}

/// What a server had done by some moment, or between two.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) cpu_seconds: f64,
    pub(crate) wal_bytes: f64,
    pub(crate) statements: f64,
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            wal_bytes: self.wal_bytes - before.wal_bytes,
            statements: self.statements - before.statements,
        }
    }
}

impl Stage {
    /// Starts PostgreSQL, and Redis if some system needs it.
    pub(crate) async fn start(with_redis: bool) -> Result<Self> {
        let (server, counts_statements) = match postgres(true).await {
            Ok(server) => (server, true),
            // Where the package of PostgreSQL comes without its extensions.
            Err(_) => (postgres(false).await?, false),
        };
        let admin = PgPool::connect(server.url()).await?;
        if counts_statements {
            sqlx::raw_sql("CREATE EXTENSION pg_stat_statements").execute(&admin).await?;
        }
        let redis = if with_redis { Some(Redis::start().await?) } else { None };
        Ok(Self { server, redis, admin, counts_statements })
    }

    /// The release of the database.
    pub(crate) async fn version(&self) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
            .fetch_one(&self.admin)
            .await?)
    }

    /// The time, for the report.
    pub(crate) async fn now(&self) -> Result<String> {
        let now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"')";
        Ok(sqlx::query_scalar(now).fetch_one(&self.admin).await?)
    }

    /// Whether commits wait for the disk, from now on.
    pub(crate) async fn set_durable(&self, durable: bool) -> Result<()> {
        let sql =
            if durable { "ALTER SYSTEM RESET synchronous_commit" } else { "ALTER SYSTEM SET synchronous_commit = off" };
        sqlx::raw_sql(sql).execute(&self.admin).await?;
        sqlx::raw_sql("SELECT pg_reload_conf()").execute(&self.admin).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    /// A place with nothing in it.
    pub(crate) async fn place(&self, manifest: &Manifest) -> Result<Place> {
        if manifest.store == Store::Redis {
            let redis = self.redis.as_ref().context("there is no Redis")?;
            redis.flush().await?;
            return Ok(Place { url: redis.url(), database: None });
        }
        let database = self.server.create_database().await?;
        sqlx::raw_sql("CHECKPOINT").execute(&self.admin).await?;
        Ok(Place { url: database.url().to_owned(), database: Some(database) })
    }

    /// What the server of a place has done until now.
    pub(crate) async fn counters(&self, place: &Place) -> Result<Counters> {
        let Some(database) = &place.database else {
            let redis = self.redis.as_ref().context("there is no Redis")?;
            let cpu_seconds = redis.pid().and_then(cpu_seconds).unwrap_or(f64::NAN);
            return Ok(Counters { cpu_seconds, wal_bytes: f64::NAN, statements: redis.commands().await? });
        };
        let wal = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8";
        let wal_bytes = sqlx::query_scalar(wal).fetch_one(&self.admin).await?;
        let statements = if self.counts_statements {
            "SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements
               WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)"
        } else {
            "SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = $1"
        };
        let statements = sqlx::query_scalar(statements).bind(database.name()).fetch_one(&self.admin).await?;
        let postmaster = self.server.postmaster_pid().and_then(|pid| u32::try_from(pid).ok());
        let cpu_seconds = postmaster.and_then(cpu_seconds).unwrap_or(f64::NAN);
        Ok(Counters { cpu_seconds, wal_bytes, statements })
    }

    /// Lets the planner know what is there, as it would a minute later.
    pub(crate) async fn analyze(&self, place: &Place) -> Result<()> {
        if place.database.is_some() {
            let mut connection = PgConnection::connect(&place.url).await?;
            sqlx::raw_sql("ANALYZE").execute(&mut connection).await?;
            connection.close().await?;
        }
        Ok(())
    }

    /// How many row versions have died there: every update and delete leaves one, vacuumed or not.
    pub(crate) async fn dead_tuples(&self, place: &Place) -> Result<f64> {
        if place.database.is_none() {
            return Ok(f64::NAN);
        }
        // Sessions hand in their counts when they end, or a second later.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let mut connection = PgConnection::connect(&place.url).await?;
        let dead = "SELECT coalesce(sum(n_tup_upd + n_tup_del), 0)::float8 FROM pg_stat_user_tables";
        let dead = sqlx::query_scalar(dead).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(dead)
    }

    /// The server itself, for what needs more than a contract.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Ends the servers.
    pub(crate) async fn end(self) -> Result<()> {
        self.admin.close().await;
        Ok(self.server.stop().await?)
    }
}

impl Place {
    /// Drops what is there.
    pub(crate) async fn end(self) -> Result<()> {
        if let Some(database) = self.database {
            database.drop().await?;
        }
        Ok(())
    }
}

async fn postgres(with_statements: bool) -> Result<Server> {
    let mut builder = Server::builder()
        .private()
        .durability(Durability::Durable)
        .setting("shared_buffers", "512MB")
        .setting("max_wal_size", "4GB")
        .on_progress(|step| eprintln!("{step}"));
    if with_statements {
        builder = builder
            .setting("shared_preload_libraries", "pg_stat_statements")
            .setting("pg_stat_statements.max", "10000")
            .setting("pg_stat_statements.save", "off");
    }
    Ok(builder.start().await?)
}
