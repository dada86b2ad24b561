//! A private Redis for the peers that keep their jobs in one.
//!
//! Invariant: it ends with this value, and its folder goes with it. Limit: `appendfsync everysec`, as BullMQ's guide for
//! production says, so that a crash loses up to a second of what was confirmed; PostgreSQL here loses nothing.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The server.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("redis-server: it is in the system's package of that name")?;
        let redis = Self { child, port, _folder: folder };
        for _ in 0..100 {
            if redis.command("PING").await.is_ok_and(|answer| answer.starts_with("+PONG")) {
                return Ok(redis);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("redis-server does not answer");
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Empties it.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.command("FLUSHALL").await.map(drop)
    }

    /// How many commands clients have sent: those that scripts call are not among them.
    pub(crate) async fn commands(&self) -> Result<f64> {
        let info = self.command("INFO commandstats").await?;
        Ok(info.lines().filter_map(calls_of_clients).sum())
    }

    async fn command(&self, command: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        // QUIT ends the stream after the answer, which spares reading its length.
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// Calls in a line of `INFO commandstats`, of the commands that BullMQ's client sends itself.
fn calls_of_clients(line: &str) -> Option<f64> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    let sent = matches!(name, "evalsha" | "eval" | "bzpopmin" | "client|setname" | "fcall" | "ping");
    if sent { rest.split(',').next()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_sends_counts() {
        assert_eq!(calls_of_clients("cmdstat_evalsha:calls=12,usec=3"), Some(12.0));
        assert_eq!(calls_of_clients("cmdstat_hset:calls=99,usec=3"), None);
    }
}
