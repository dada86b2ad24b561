//! A server that may be crashed, a database with a queue, a proxy, and a folder for what everybody writes down.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use howdah_devdb::{Server, StopMode};
use tempfile::TempDir;

use super::actor::STOP;
use super::proxy::Proxy;
use super::setup;
use crate::history::{Event, Log, audit};
use crate::mutations::Mutation;
use crate::{Db, server_to_crash};

/// Where a run takes place.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) db: Db,
    pub(super) proxy: Proxy,
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
        let proxy = Proxy::new(server.port().context("a private server has a port")?).await?;
        let folder = TempDir::new()?;
        let log = Log::open(folder.path(), "nemesis")?;
        Ok(Self { server, db, proxy, log, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The way to the database, through the proxy or not.
    pub(super) fn url(&self, direct: bool) -> String {
        let port = self.server.port().unwrap_or_default();
        if direct {
            return self.db.url().to_owned();
        }
        self.db.url().replacen(&format!(":{port}/"), &format!(":{}/", self.proxy.port()), 1)
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
