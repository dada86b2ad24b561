//! What the library says when it refuses.
//!
//! Invariant: every variant names what is wrong and what to do; no message holds a payload or a password.
//! Limit: errors of handlers are not here, see [`JobError`](crate::JobError).

use std::borrow::Cow;

use sqlx::postgres::PgDatabaseError;

use crate::job::JobId;

/// The result of everything that talks to the queue.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the queue refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A queue that does not exist (SQL code `HD001`). Workers create the queues that they serve, and jobs the
    /// one that they declare; one that is only named at an `enqueue` has to be there.
    #[error("{message}. {hint}")]
    UnknownQueue {
        /// Which one.
        message: String,
        /// How to create it.
        hint: String,
    },
    /// An argument that no job may have (SQL code `HD002`). Nothing was written.
    #[error("{field}: {message}{}{hint}", if hint.is_empty() { "" } else { ". " })]
    Invalid {
        /// The field: `payload`, `priority`, `delay`, ...
        field: String,
        /// What is wrong with it.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// A queue with a bound (`max_jobs`) takes no more jobs for now (SQL code `HD005`). Nothing was written. Outside of
    /// a transaction, [`wait_if_full`](crate::Enqueue::wait_if_full) waits until it does.
    #[error("{message}. {hint}")]
    QueueFull {
        /// Its name.
        queue: String,
        /// How many unfinished jobs it has, and its bound.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A queue that is to be deleted has unfinished jobs (SQL code `HD006`). Nothing was changed.
    #[error("{message}. {hint}")]
    QueueNotEmpty {
        /// How many, in which states.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The job's lease is not held any more (SQL code `HD010`): another worker has the job, or it has ended.
    /// Roll back the transaction, and stop working on the job.
    #[error("job {job} is not held by this attempt any more: another worker has it, or it has ended")]
    LeaseLost {
        /// The job.
        job: JobId,
    },
    /// What was asked for cannot be done to a job in its state (SQL code `HD007`). Nothing was written.
    #[error("{message}. {hint}")]
    WrongState {
        /// Which job, and which state.
        message: String,
        /// What to do instead.
        hint: String,
    },
    /// The database has no queue.
    #[error(
        "there is no howdah in the schema {schema:?} of this database: call `migrate()`, or run `howdah migrate up`"
    )]
    NotInstalled {
        /// The schema that was looked for.
        schema: String,
    },
    /// The database's queue is of another release.
    #[error(
        "the schema {schema:?} is at version {found}, and this program knows version {known}: {}",
        if found < known { "call `migrate()`, or run `howdah migrate up`" } else { "use a newer release of howdah" }
    )]
    SchemaMismatch {
        /// The schema.
        schema: String,
        /// Its version.
        found: i32,
        /// The newest version that this release knows.
        known: i32,
    },
    /// The worker's connections go through a transaction pooler, behind which sessions are shared.
    #[error(
        "this connection goes through a transaction pooler (two sessions share the server process {backend_pid}), \
         where LISTEN and prepared statements are unsafe: give the worker a direct URL with `Howdah::with_worker_url`"
    )]
    Pooler {
        /// The process that both sessions had.
        backend_pid: i32,
    },
    /// Another job has the unique key (SQL code `HD003`). Nothing was written.
    #[error("{message}. {hint}")]
    KeyHeld {
        /// Which one, and of which kind.
        message: String,
        /// What to do.
        hint: String,
        /// The job that has it.
        job: JobId,
    },
    /// There is no such job, or it ended longer ago than history is kept.
    #[error("there is no job {job}, or it ended longer ago than history is kept")]
    UnknownJob {
        /// The job.
        job: JobId,
    },
    /// The job has not ended in the time that was given to wait for it. It goes on.
    #[error("job {job} has not ended within {timeout:?}")]
    WaitedTooLong {
        /// The job.
        job: JobId,
        /// How long was waited.
        timeout: std::time::Duration,
    },
    /// What the handler returned is not what the job's type says.
    #[error("job {job} completed, but its output cannot be read as the type that was asked for: {category}")]
    Output {
        /// The job.
        job: JobId,
        /// What is wrong, without the value.
        category: &'static str,
    },
    /// A worker without handlers, or with two for one kind.
    #[error("{0}")]
    Worker(String),
    /// The database failed, or could not be reached.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
}

impl Error {
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), message: message.into(), hint: String::new() }
    }

    /// The SQLSTATE with which the server refused.
    fn code(&self) -> Option<Cow<'_, str>> {
        let Self::Database(error) = self else { return None };
        error.as_database_error()?.code()
    }

    /// Whether the server refused with this SQLSTATE.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.code().as_deref() == Some(code)
    }

    /// Whether the server refused with an SQLSTATE of this class.
    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.code().is_some_and(|code| code.starts_with(class))
    }

    /// Whether there was an answer, so that the connection is as good as it was.
    pub(crate) fn was_answered(&self) -> bool {
        !matches!(self, Self::Database(e) if e.as_database_error().is_none())
    }

    /// Whether the statement took too long.
    pub(crate) fn is_timeout(&self) -> bool {
        self.has_code("57014")
            || matches!(self, Self::Database(sqlx::Error::Io(e)) if e.kind() == std::io::ErrorKind::TimedOut)
    }

    /// Whether the same call may succeed later: the database could not be reached, gave up for now, or takes no writes, as
    /// one that was the primary before a failover.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(e)) => e.code().is_some_and(|code| {
                // Connection, resources, operator intervention, serialization, deadlock, statement timeout.
                ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
                    || ["55P03", "25006"].contains(&&*code)
            }),
            Self::Database(e) => {
                matches!(e, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_))
            }
            _ => false,
        }
    }
}

/// The queue in the details of a refusal, which are JSON.
fn named_in(detail: &str) -> String {
    let detail: serde_json::Value = serde_json::from_str(detail).unwrap_or_default();
    detail["queue"].as_str().unwrap_or_default().to_owned()
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let Some(e) = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>()) else {
            return Self::Database(error);
        };
        let (message, hint) = (e.message().to_owned(), e.hint().unwrap_or_default().to_owned());
        match e.code() {
            "HD001" => Self::UnknownQueue { message, hint },
            "HD005" => Self::QueueFull { queue: named_in(e.detail().unwrap_or_default()), message, hint },
            "HD006" => Self::QueueNotEmpty { message, hint },
            "HD003" => {
                Self::KeyHeld { message, hint, job: JobId(e.detail().and_then(|id| id.parse().ok()).unwrap_or(0)) }
            }
            "HD002" => Self::Invalid { field: e.column().unwrap_or("argument").to_owned(), message, hint },
            "HD007" => Self::WrongState { message, hint },
            _ => Self::Database(error),
        }
    }
}
