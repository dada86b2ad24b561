//! Why a command gave up: one line for a person, a hint, and an exit status.
//!
//! Invariant: no message holds a password or a payload. Limit: what a server says of itself is quoted as it is.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::output::{UnknownField, printable, say};

/// The result of every command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// The answer is no.
pub(crate) const NO: u8 = 1;
/// What was typed makes no sense.
pub(crate) const USAGE: u8 = 2;
/// PostgreSQL cannot be reached.
pub(crate) const UNREACHABLE: u8 = 3;
/// There is no schema, or one of another version.
pub(crate) const SCHEMA: u8 = 4;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command gave up.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hint: String,
    unknown_queue: Option<String>,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new(), unknown_queue: None }
    }

    /// The answer is no.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self::new(NO, message)
    }

    /// What was typed makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// PostgreSQL cannot be reached.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(UNREACHABLE, message)
    }

    /// The schema is missing or does not fit.
    pub(crate) fn schema(message: impl Into<String>, schema: &str) -> Self {
        let option = if schema == "howdah" { String::new() } else { format!(" --schema {schema}") };
        Self::new(SCHEMA, message).hint(format!("run `howdah migrate up{option}`"))
    }

    /// Ctrl-C.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(INTERRUPTED, message)
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Puts something before the message.
    pub(crate) fn context(mut self, before: impl std::fmt::Display) -> Self {
        self.message = format!("{before}: {}", self.message);
        self
    }

    /// Adds something after the message.
    pub(crate) fn and(mut self, after: impl std::fmt::Display) -> Self {
        self.message = format!("{}; {after}", self.message);
        self
    }

    /// The name of a queue, if it is that there is none of that name.
    pub(crate) fn unknown_queue(&self) -> Option<&str> {
        self.unknown_queue.as_deref()
    }

    /// Whether it is that the database cannot be asked now, and perhaps later.
    pub(crate) fn may_pass(&self) -> bool {
        self.code == UNREACHABLE
    }

    /// Says it on standard error. A failure without a message has nothing to say, like a closed pipe.
    pub(crate) fn tell(&self) -> ExitCode {
        if !self.message.is_empty() {
            say(&printable(&self.message));
        }
        if !self.hint.is_empty() {
            let _ = writeln!(io::stderr(), "hint: {}", printable(&self.hint));
        }
        ExitCode::from(self.code)
    }
}

/// What a person is told first.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if let Some(unknown) = error.get_ref().and_then(|inner| inner.downcast_ref::<UnknownField>()) {
            return Self::usage(unknown.to_string());
        }
        // Whoever read our output has had enough, as `head` does: nothing is wrong.
        if error.kind() == io::ErrorKind::BrokenPipe { Self::new(0, "") } else { Self::no(error.to_string()) }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        howdah::Error::from(error).into()
    }
}

impl From<howdah_admin::Error> for Failure {
    fn from(error: howdah_admin::Error) -> Self {
        match error {
            howdah_admin::Error::Queue(error) => error.into(),
            howdah_admin::Error::Search(error) => Self::usage(error.to_string()),
            other => Self::no(other.to_string()),
        }
    }
}

impl From<howdah::Error> for Failure {
    fn from(error: howdah::Error) -> Self {
        use howdah::Error;
        match error {
            Error::Invalid { field, message, .. } if field == "schedule" => {
                Self::no(message).hint("see `howdah cron ls`")
            }
            Error::Invalid { field, message, hint } => {
                Self::usage(format!("{}: {message}", option_of(&field))).hint(hint)
            }
            Error::UnknownQueue { message, .. } => {
                let name = message.split('\'').nth(1).map(str::to_owned);
                let hint = "create it with `howdah queues create NAME`, or start a worker that serves it";
                Self { unknown_queue: name, ..Self::no(message).hint(hint) }
            }
            Error::KeyHeld { message, job, .. } => Self::no(message)
                .hint(format!("see `howdah jobs show {job}`; with --on-hit keep its number is printed instead")),
            Error::NotInstalled { schema } => {
                Self::schema(format!("there is no queue in the schema {schema:?} of this database"), &schema)
            }
            Error::SchemaMismatch { schema, found, known } if found < known => {
                Self::schema(format!("the schema {schema:?} is at version {found}, and this needs {known}"), &schema)
            }
            Error::SchemaMismatch { schema, found, known } => Self::new(
                SCHEMA,
                format!("the schema {schema:?} is at version {found}, and this howdah knows only {known}"),
            )
            .hint("use a newer release of howdah"),
            Error::Database(error) => of_database(&error),
            other => Self::no(other.to_string()),
        }
    }
}

/// The option that sets a field of a job.
fn option_of(field: &str) -> String {
    match field {
        "delay" | "priority" | "queue" | "schema" | "retry" | "filter" => format!("--{field}"),
        "depends_on" => "--after".to_owned(),
        "workflow_id" => "--after-workflow".to_owned(),
        "ttl_ms" => "--ttl".to_owned(),
        "expires_at" => "--expires-at".to_owned(),
        "timeout_ms" => "--timeout".to_owned(),
        "attributes" => "--attribute".to_owned(),
        "key" => "--unique-key".to_owned(),
        "period" => "--unique-for".to_owned(),
        "run_at" => "--run-at".to_owned(),
        "max_attempts" => "--max-attempts".to_owned(),
        "states" => "--state".to_owned(),
        "checks" => "--check".to_owned(),
        "limits" => "--limit".to_owned(),
        "expression" => "EXPRESSION".to_owned(),
        "timezone" | "missed" => format!("--{field}"),
        "max_missed" => "--max-missed".to_owned(),
        "grace_ms" => "--grace".to_owned(),
        "unique_key" => "--unique-key".to_owned(),
        "kind" => "KIND".to_owned(),
        other => other.to_owned(),
    }
}

fn of_database(error: &sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    match error {
        // Undefined table, undefined function, undefined schema: checked before, so it went meanwhile.
        sqlx::Error::Database(e) if ["42P01", "42883", "3F000"].contains(&code.as_ref()) => {
            Failure::schema(format!("the queue's schema is not complete: {}", e.message()), "howdah")
        }
        sqlx::Error::Database(e) if ["08", "28", "3D", "57P"].iter().any(|c| code.starts_with(c)) => {
            Failure::unreachable(format!("PostgreSQL does not let us in: {}", e.message()))
        }
        sqlx::Error::Database(e) => {
            let hint =
                e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().and_then(|e| e.hint()).unwrap_or_default();
            Failure::no(format!("PostgreSQL refused: {} ({code})", e.message())).hint(hint)
        }
        sqlx::Error::Io(e) => Failure::unreachable(format!("cannot reach PostgreSQL: {e}")),
        sqlx::Error::PoolTimedOut => Failure::unreachable("cannot reach PostgreSQL: it did not answer in time"),
        other => Failure::no(format!("PostgreSQL: {other}")),
    }
}
