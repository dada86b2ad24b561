//! A streaming standby of a private server, to be promoted.
//!
//! Invariant: it runs as the account that owns the primary's files, in a folder of the primary's, and ends with this. Limit: only
//! where `pg_basebackup` is beside the server's programs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use howdah_devdb::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

use crate::{Db, in_time};

/// A copy of a server, that follows it.
#[derive(Debug)]
pub struct Standby {
    port: u16,
    postmaster: Child,
}

impl Standby {
    /// Copies a server and starts the copy. None: there is no program for it.
    ///
    /// # Errors
    /// What the programs say.
    pub async fn of(server: &Server, db: &Db) -> Result<Option<Self>> {
        let programs = server.binaries().map(|binaries| binaries.dir().to_owned()).context("a private server")?;
        if !programs.join("pg_basebackup").exists() {
            return Ok(None);
        }
        let data = server.folder().context("a private server")?.join("standby");
        let run = as_owner(&programs.join("pg_basebackup"), &data)?
            .args(["-R", "-X", "stream", "-c", "fast", "-D"])
            .arg(&data)
            .args(["-d", &format!("{}&application_name=standby", db.url())])
            .output()?;
        ensure!(run.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&run.stderr));
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let log = std::fs::File::create(data.join("log"))?;
        let postmaster = as_owner(&programs.join("postgres"), &data)?
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Some(Self { port, postmaster }))
    }

    /// The same database on the standby.
    ///
    /// # Errors
    /// When the URL has no port.
    pub fn url(&self, server: &Server, db: &Db) -> Result<String> {
        let port = server.port().context("a private server has a port")?;
        Ok(db.url().replacen(&format!(":{port}/"), &format!(":{}/", self.port), 1))
    }

    /// Makes it a primary, and waits until it takes writes.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn promote(&self, url: &str) -> Result<()> {
        let mut connection = in_time("the standby to answer", connect(url)).await?;
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote()").fetch_one(&mut connection).await?;
        if !promoted {
            bail!("the standby was not promoted");
        }
        Ok(connection.close().await?)
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // At once, and orderly enough to leave no process behind.
        if let Ok(pid) = i32::try_from(self.postmaster.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _ = self.postmaster.wait();
    }
}

async fn connect(url: &str) -> PgConnection {
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A program run by who owns the server's files: PostgreSQL does not run as root.
fn as_owner(program: &Path, data: &Path) -> Result<Command> {
    use std::os::unix::process::CommandExt;
    let folder: PathBuf = data.parent().context("a folder")?.to_owned();
    let owner = std::fs::metadata(&folder)?;
    let mut command = Command::new(program);
    command.current_dir(&folder);
    if owner.uid() != nix::unistd::getuid().as_raw() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    Ok(command)
}
