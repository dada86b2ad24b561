//! A server in use: a private one, or one that was given.
//!
//! Invariant: a given server is never stopped; a private one keeps its URL and its data through
//! every stop and start. Limit: after killing a postmaster by other means, stop it here as well
//! before starting it, so that its end is waited for.

use std::path::Path;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::address::Address;
use crate::binaries::Binaries;
use crate::builder::ServerBuilder;
use crate::database::Database;
use crate::error::{Error, Result};
use crate::template::{self, Template};
use crate::watchdog::Watchdog;

/// How long a start may take; one after a crash replays the log of changes first.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a stop may take; an orderly one writes out what is in memory first.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How often a starting server is asked whether it answers.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What passes by itself on a start after a kill: the killed server's last processes hold its
/// memory, or a client's own socket holds the port.
const PASSING: [&str; 2] = ["is still in use", "could not bind"];

/// How a postmaster is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Orderly: connections are ended, everything is written.
    Fast,
    /// At once, as `pg_ctl stop -m immediate`; the next start recovers.
    Immediate,
    /// SIGKILL for the postmaster and its processes; the next start recovers.
    Kill,
}

/// A server. A private one ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: Address,
    private: Option<Private>,
}

/// What only a private server has.
#[derive(Debug)]
struct Private {
    binaries: Binaries,
    port: u16,
    watchdog: Watchdog,
    /// Held while stopping or starting.
    switch: Mutex<()>,
}

impl Server {
    /// Collects what the server is to be like.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) fn given(address: Address) -> Self {
        Self { address, private: None }
    }

    pub(crate) fn private(address: Address, binaries: Binaries, port: u16, watchdog: Watchdog) -> Self {
        Self { address, private: Some(Private { binaries, port, watchdog, switch: Mutex::new(()) }) }
    }

    /// The URL, password and all: as given, or of the private server's database `postgres` on
    /// 127.0.0.1.
    #[must_use]
    pub fn url(&self) -> &str {
        self.address.as_str()
    }

    /// Whether it was started here.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The programs a private server runs.
    #[must_use]
    pub fn binaries(&self) -> Option<&Binaries> {
        self.private.as_ref().map(|p| &p.binaries)
    }

    /// The TCP port of a private server.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.private.as_ref().map(|p| p.port)
    }

    /// The folder of a private server: its socket, `data`, and `log`.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.private.as_ref().map(|p| p.watchdog.dir())
    }

    /// The process id of a private server's postmaster, while it runs.
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<i32> {
        self.private.as_ref().and_then(|p| p.watchdog.state().running())
    }

    /// Makes an empty database with a name of its own.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Sql`].
    pub async fn create_database(&self) -> Result<Database> {
        let mut connection = self.address.connect().await?;
        Database::create(&mut connection, &self.address, !self.is_private(), "").await
    }

    /// The template database `howdah_tpl_<name>`, made and filled by `fill`, which gets its URL,
    /// unless one with this `key` (a version or a hash of the content) is there already. Several
    /// processes may ask at once: one fills, the others wait.
    ///
    /// # Errors
    /// [`Error::BadTemplateName`], [`Error::Connect`], [`Error::Sql`], and
    /// [`Error::TemplateInit`] when `fill` fails.
    pub async fn template<F, Fut, E>(&self, name: &str, key: &str, fill: F) -> Result<Template>
    where
        F: FnOnce(String) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let template = Template::new(&self.address, !self.is_private(), name, key)?;
        template::ensure(&template, fill).await?;
        Ok(template)
    }

    /// Stops a private server in order and waits until its folder is gone. A given one is left
    /// as it is.
    ///
    /// # Errors
    /// [`Error::TooSlow`]; it is then ended the hard way.
    pub async fn stop(self) -> Result<()> {
        let Some(private) = self.private else {
            return Ok(());
        };
        let orderly = private.stop(StopMode::Fast).await;
        private.watchdog.close(STOP_PATIENCE).await?;
        orderly
    }

    /// Stops the postmaster and waits until it has ended; its data stays. Nothing to do when it
    /// does not run.
    ///
    /// # Errors
    /// [`Error::NotPrivate`], [`Error::TooSlow`], [`Error::Watchdog`].
    pub async fn stop_postmaster(&self, mode: StopMode) -> Result<()> {
        let private = self.private.as_ref().ok_or(Error::NotPrivate)?;
        let _switch = private.switch.lock().await;
        private.stop(mode).await
    }

    /// Starts the postmaster again on the same port and data, and waits until it answers. Nothing
    /// to do when it runs.
    ///
    /// # Errors
    /// [`Error::NotPrivate`], [`Error::ServerDied`], [`Error::TooSlow`], [`Error::Watchdog`].
    pub async fn start_postmaster(&self) -> Result<()> {
        let private = self.private.as_ref().ok_or(Error::NotPrivate)?;
        let _switch = private.switch.lock().await;
        if private.watchdog.state().running().is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            match start_once(&private.watchdog, &self.address, private.port).await {
                Err(Error::ServerDied { tail, .. })
                    if PASSING.iter().any(|text| tail.contains(text)) && Instant::now() < deadline =>
                {
                    tokio::time::sleep(ASK_EVERY).await;
                }
                other => return other,
            }
        }
    }
}

impl Private {
    /// Stops the postmaster, if it runs, and waits for its end.
    async fn stop(&self, mode: StopMode) -> Result<()> {
        if self.watchdog.state().running().is_none() {
            return Ok(());
        }
        match mode {
            StopMode::Fast => self.watchdog.signal("INT")?,
            StopMode::Immediate => self.watchdog.signal("QUIT")?,
            StopMode::Kill => self.watchdog.kill()?,
        }
        tokio::time::timeout(STOP_PATIENCE, self.watchdog.wait(|s| s.ended)).await.map_err(|_| Error::TooSlow {
            what: "stop",
            seconds: STOP_PATIENCE.as_secs(),
            tail: self.watchdog.log_tail(0),
        })??;
        Ok(())
    }
}

/// Starts a postmaster, and waits until it answers with the right password or ends.
pub(crate) async fn start_once(watchdog: &Watchdog, address: &Address, port: u16) -> Result<()> {
    let since = watchdog.log_length();
    watchdog.start(port)?;
    tokio::select! {
        status = watchdog.wait(|s| s.ended) => Err(Error::ServerDied {
            status: status?,
            tail: watchdog.log_tail(since),
        }),
        () = answering(address) => Ok(()),
        () = tokio::time::sleep(START_PATIENCE) => Err(Error::TooSlow {
            what: "start",
            seconds: START_PATIENCE.as_secs(),
            tail: watchdog.log_tail(since),
        }),
    }
}

/// Returns once the server lets us in.
async fn answering(address: &Address) {
    while address.try_connect().await.is_err() {
        tokio::time::sleep(ASK_EVERY).await;
    }
}
