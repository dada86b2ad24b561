//! What a server is to be like, and the way to one.
//!
//! Invariant: a given URL is used or fails, it is never passed over for a private server. Limit:
//! the builder's wishes for a private server (settings, durability) don't touch a given one.

use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::Rng;
use rand::distr::Alphanumeric;

use crate::account::Account;
use crate::address::Address;
use crate::binaries::Binaries;
use crate::error::{Error, Result};
use crate::initdb::{self, Settings};
use crate::install::{self, InstallPolicy};
use crate::progress::{Progress, Teller};
use crate::server::{Server, start_once};
use crate::watchdog::Watchdog;

/// The longest folder that leaves room for a socket's name in the 104 bytes of the meanest system.
const LONGEST_BASE: usize = 50;

/// How many ports are tried: another process may take a free one before PostgreSQL does.
const PORTS: usize = 5;

/// What a private server does for the safety of its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// PostgreSQL's defaults: a commit is on the disk. For benches.
    #[default]
    Durable,
    /// Nothing is synced. For tests. The end of the postmaster loses the last commits unless it is
    /// orderly; a test of crashes adds the setting `synchronous_commit` = `on`, which keeps them.
    Fast,
}

/// Collects what a server is to be like.
#[derive(Clone, Default)]
pub struct ServerBuilder {
    database_url: Option<String>,
    private: bool,
    bin_dir: Option<PathBuf>,
    durability: Durability,
    install_policy: InstallPolicy,
    settings: Settings,
    teller: Teller,
}

// The URL may have a password.
impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("private", &self.private)
            .field("bin_dir", &self.bin_dir)
            .field("durability", &self.durability)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// Uses this server instead of the one `DATABASE_URL` names.
    #[must_use]
    pub fn database_url(mut self, url: impl Into<String>) -> Self {
        self.database_url = Some(url.into());
        self
    }

    /// Starts a private server whatever `DATABASE_URL` says.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Runs the programs in this folder.
    #[must_use]
    pub fn bin_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.bin_dir = Some(dir.into());
        self
    }

    /// The default is [`Durability::Durable`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The default is [`InstallPolicy::Auto`].
    #[must_use]
    pub fn install_policy(mut self, policy: InstallPolicy) -> Self {
        self.install_policy = policy;
        self
    }

    /// Adds a line to `postgresql.conf`, quoted; the later of two equal names wins.
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Tells each step to `f`.
    #[must_use]
    pub fn on_progress(mut self, f: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.teller = Teller::new(f);
        self
    }

    /// Uses the given server, or starts a private one.
    ///
    /// # Errors
    /// [`Error::BadUrl`] and [`Error::Connect`] for a given one; else those of
    /// [`ServerBuilder::binaries`] and of starting: [`Error::NoAccount`], [`Error::Watchdog`],
    /// [`Error::Initdb`], [`Error::BadSetting`], [`Error::ServerDied`], [`Error::TooSlow`].
    pub async fn start(self) -> Result<Server> {
        if let Some(url) = self.given_url() {
            let address = Address::parse(&url)?;
            self.teller.tell(&Progress::UsingGiven { url: address.redacted() });
            address.connect().await?;
            return Ok(Server::given(address));
        }
        initdb::check_settings(&self.settings)?;
        let binaries = self.binaries().await?;
        self.start_private(binaries).await
    }

    /// The programs a private server would run. Gets them first if need be.
    ///
    /// # Errors
    /// [`Error::BadBinFolder`], [`Error::NoPostgres`], [`Error::InstallFailed`],
    /// [`Error::DownloadFailed`].
    pub async fn binaries(&self) -> Result<Binaries> {
        if let Some(dir) = &self.bin_dir {
            return Binaries::at(dir).await;
        }
        match Binaries::find().await? {
            Some(found) => Ok(found),
            None => install::install(self.install_policy, &self.teller).await,
        }
    }

    /// The URL of the given server, if one is given. An empty variable counts as unset.
    fn given_url(&self) -> Option<String> {
        if self.private {
            return None;
        }
        self.database_url.clone().or_else(|| std::env::var("DATABASE_URL").ok()).filter(|url| !url.is_empty())
    }

    async fn start_private(self, binaries: Binaries) -> Result<Server> {
        self.teller
            .tell(&Progress::Starting { version: binaries.version().to_owned(), bin: binaries.dir().to_owned() });
        let began = Instant::now();
        let name = format!("howdah-{}", random(12));
        let watchdog = Watchdog::spawn(Account::for_server()?, &base(), &name, binaries.dir()).await?;
        let password = random(32);
        let conf = initdb::conf(self.durability, &self.settings, watchdog.dir());
        initdb::initdb(&watchdog, binaries.dir(), &password, &conf).await?;
        let mut left = PORTS;
        loop {
            let port = free_port()?;
            let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
            let address = Address::parse(&url)?;
            match start_once(&watchdog, &address, port).await {
                Err(Error::ServerDied { tail, .. }) if left > 1 && tail.contains("could not bind") => {
                    left -= 1;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    let took = began.elapsed();
                    self.teller.tell(&Progress::Ready { port, took });
                    return Ok(Server::private(address, binaries, port, watchdog));
                }
            }
        }
    }
}

/// Where private folders go: the folder for temporary files, unless a socket in it would have too
/// long a path.
fn base() -> PathBuf {
    let temp = std::env::temp_dir();
    if temp.is_absolute() && temp.as_os_str().len() <= LONGEST_BASE { temp } else { Path::new("/tmp").to_owned() }
}

/// A port nobody listens on just now.
fn free_port() -> Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::io("find a free port on 127.0.0.1", e))
}

/// Random letters and digits, lower case only so that they also make a database's name.
pub(crate) fn random(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).map(|byte| char::from(byte).to_ascii_lowercase()).take(length).collect()
}
