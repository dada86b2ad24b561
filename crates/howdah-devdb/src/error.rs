//! What can go wrong, each with what to do about it.
//!
//! Invariant: no message holds a password. Limit: a log's tail is quoted as PostgreSQL wrote it.

use std::path::PathBuf;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bin folder that was named has no usable PostgreSQL.
    #[error(
        "{origin} names {}, which has no usable PostgreSQL: {reason}. Name the folder that holds \
         `postgres` and `initdb` (for example /usr/lib/postgresql/17/bin), or leave it out to have \
         one found",
        dir.display()
    )]
    BadBinFolder {
        /// What named it: `HOWDAH_PG_BIN` or `bin_dir`.
        origin: &'static str,
        /// The folder named.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No PostgreSQL was found, and none could be had.
    #[error(
        "found no PostgreSQL 14 or newer{why}. Install it with `{command}`, or set DATABASE_URL to a \
         server that runs, or HOWDAH_PG_BIN to the folder of its programs"
    )]
    NoPostgres {
        /// Why none was installed; empty, or starting with ", ".
        why: String,
        /// The command that installs it here.
        command: String,
    },
    /// The system's package could not be installed.
    #[error("`{command}` failed ({status}):\n{output}\nRun it by hand to see why")]
    InstallFailed {
        /// The command that ran.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it printed.
        output: String,
    },
    /// PostgreSQL's programs could not be downloaded.
    #[error("downloading PostgreSQL failed: {reason}. Install it with `{command}` instead")]
    DownloadFailed {
        /// What the download said.
        reason: String,
        /// The command that installs it here.
        command: String,
    },
    /// Running as root, and there is no account for the server to run as.
    #[error(
        "PostgreSQL refuses to run as root, and this system has neither a `postgres` nor a `nobody` \
         account. Add one with `useradd --system postgres`, or run this as another user"
    )]
    NoAccount,
    /// The watchdog, the small shell that owns the private server, could not start or is gone.
    #[error("the watchdog of the private server {what}. Check that /bin/sh runs and {} can be written", dir.display())]
    Watchdog {
        /// What happened.
        what: String,
        /// The private folder.
        dir: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb of {} failed with status {status}; its last lines:\n{tail}", bin.display())]
    Initdb {
        /// The folder of the programs.
        bin: PathBuf,
        /// Its exit status.
        status: i32,
        /// The last lines of the log.
        tail: String,
    },
    /// The server ended while it was starting.
    #[error("PostgreSQL ended with status {status} instead of starting; the last lines of its log:\n{tail}")]
    ServerDied {
        /// Its exit status.
        status: i32,
        /// The last lines of the log.
        tail: String,
    },
    /// The server did not answer, or did not stop, in time.
    #[error("PostgreSQL did not {what} within {seconds} s; the last lines of its log:\n{tail}")]
    TooSlow {
        /// `start` or `stop`.
        what: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
        /// The last lines of the log.
        tail: String,
    },
    /// A setting that can't be written into `postgresql.conf`.
    #[error("the setting {key:?} can't be used: {reason}")]
    BadSetting {
        /// The setting's name.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server was given by its URL: it is not ours to stop or start.
    #[error(
        "the server at DATABASE_URL was not started here, so it can't be stopped or started here; \
         unset DATABASE_URL to have a private one"
    )]
    NotPrivate,
    /// A database URL that can't be read.
    #[error("the database URL can't be read: {reason}. It looks like postgres://user:password@host:5432/database")]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection to the server.
    #[error("can't connect to {url}: {source}. Check that it runs and that the URL is right")]
    Connect {
        /// The URL, without its password.
        url: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A statement on a database as a whole failed.
    #[error("can't {what}: {source}")]
    Sql {
        /// What was tried.
        what: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// A template's name is not 1 to 40 of `a-z`, `0-9` and `_`.
    #[error("{name:?} can't name a template: use 1 to 40 of a-z, 0-9 and _")]
    BadTemplateName {
        /// The name given.
        name: String,
    },
    /// Another process has replaced the template by one with another key.
    #[error(
        "the template {name} was replaced by one with another key while this process used it; let \
         each version of the code use a server of its own"
    )]
    TemplateChanged {
        /// The template's database.
        name: String,
    },
    /// The caller's own step that fills a template failed; no template was left.
    #[error("filling the template {name} failed, and nothing of it was kept: {source}")]
    TemplateInit {
        /// The template's name.
        name: String,
        /// What the step said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reading or writing a file, or starting a program, failed.
    #[error("can't {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// An I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// A server's refusal with what was tried.
    pub(crate) fn sql(what: impl Into<String>, source: sqlx::Error) -> Self {
        Self::Sql { what: what.into(), source }
    }
}
