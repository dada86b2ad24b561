//! A server that may be crashed, a database with a queue, a proxy, and a folder for what everybody writes down.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use howdah_devdb::{Server, StopMode};
use tempfile::TempDir;

use super::actor::{STOP, Way};
use super::proxy::Proxy;
use super::setup;
use crate::history::{Event, Log, audit};
use crate::mutations::Mutation;
use crate::pooler::Pooler;
use crate::{Db, server_to_crash};

/// Where a run takes place.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) db: Db,
    pub(super) proxy: Proxy,
    /// None: there is no PgBouncer on this machine.
    pooler: Option<Pooler>,
    /// What the one writes down who does the harm.
    pub(super) log: Log,
    folder: TempDir,
}

impl Stage {
    pub(super) async fn new(mutations: &[Mutation]) -> Result<Self> {
        let server = server_to_crash().setting("max_connections", "200").start().await?;
        let db = Db::on(&server).await?;
        for mutation in mutations {
            mutation.apply(&db).await?;
        }
        setup::set_up(&db).await?;
        let port = server.port().context("a private server has a port")?;
        let proxy = Proxy::new(port).await?;
        let password = db.url().split([':', '@']).nth(2).context("the URL has a password")?;
        let pooler = Pooler::start(port, password)?;
        let folder = TempDir::new()?;
        let log = Log::open(folder.path(), "nemesis")?;
        Ok(Self { server, db, proxy, pooler, log, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn has_pooler(&self) -> bool {
        self.pooler.is_some()
    }

    /// Kills the pooler, and starts it again.
    pub(super) fn kill_pooler(&mut self) -> Result<()> {
        self.pooler.as_mut().map_or(Ok(()), Pooler::kill)
    }

    /// The way to the database.
    pub(super) fn url(&self, way: Way) -> String {
        let server = self.server.port().unwrap_or_default();
        let port = match way {
            Way::Direct => server,
            Way::Proxy => self.proxy.port(),
            Way::Pooler => self.pooler.as_ref().map_or(server, Pooler::port),
        };
        self.db.url().replacen(&format!(":{server}/"), &format!(":{port}/"), 1)
    }

    /// Tells producers to stop, or that they need not any more.
    pub(super) fn tell_to_stop(&self, stop: bool) -> Result<()> {
        let path = self.folder().join(STOP);
        if stop {
            std::fs::write(path, "")?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Forgets the phase that was checked: files are emptied, since those who write them go on.
    pub(super) async fn forget(&self) -> Result<()> {
        for file in std::fs::read_dir(self.folder())? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
            }
        }
        self.db.run(audit::FORGET).await?;
        self.db.run("TRUNCATE effect, row_of_app").await
    }

    /// Stops the server the hard way and starts it again.
    pub(super) async fn crash(&self, mode: StopMode) -> Result<()> {
        self.log.write(Event::Crashes);
        crate::crash(&self.server, mode).await?;
        // The pool has thrown away what is gone.
        let (began, mut in_a_row) = (Instant::now(), 0);
        while in_a_row < 20 {
            in_a_row = if self.db.run("SELECT 1").await.is_ok() { in_a_row + 1 } else { 0 };
            if began.elapsed() > Duration::from_secs(60) {
                bail!("the server does not answer after a crash");
            }
        }
        Ok(())
    }
}
