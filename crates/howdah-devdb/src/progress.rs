//! The steps of getting a server, for showing to a person.
//!
//! Invariant: no step holds a password. Limit: steps only tell; what fails is an [`Error`](crate::Error).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One step, told as it begins. `Display` is a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A given server is used; nothing is started.
    UsingGiven {
        /// Its URL without the password.
        url: String,
    },
    /// The system's package is being installed.
    Installing {
        /// The command that runs.
        command: String,
    },
    /// The programs are being downloaded.
    Downloading {
        /// Where they go.
        into: PathBuf,
    },
    /// A private server is being made.
    Starting {
        /// Its version, like `15.14`.
        version: String,
        /// The folder of its programs.
        bin: PathBuf,
    },
    /// The private server answers.
    Ready {
        /// Its TCP port on 127.0.0.1.
        port: u16,
        /// How long it took from the start of `initdb`.
        took: Duration,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsingGiven { url } => write!(f, "using the PostgreSQL at {url}"),
            Self::Installing { command } => write!(f, "installing PostgreSQL with `{command}`"),
            Self::Downloading { into } => {
                write!(f, "downloading PostgreSQL into {}", into.display())
            }
            Self::Starting { version, bin } => {
                write!(f, "starting PostgreSQL {version} from {}", bin.display())
            }
            Self::Ready { port, took } => {
                write!(f, "PostgreSQL answers on 127.0.0.1:{port} after {} ms", took.as_millis())
            }
        }
    }
}

/// The caller's function.
type Listener = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Tells each step to the caller's function, and to `tracing` at level info.
#[derive(Clone, Default)]
pub(crate) struct Teller(Option<Listener>);

impl Teller {
    /// A teller that calls `f`.
    pub(crate) fn new(f: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    /// Tells one step.
    pub(crate) fn tell(&self, step: &Progress) {
        tracing::info!("{step}");
        if let Some(f) = &self.0 {
            f(step);
        }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Teller").field(&self.0.is_some()).finish()
    }
}
