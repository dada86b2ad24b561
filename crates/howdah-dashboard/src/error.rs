//! What a page says when it cannot say what was asked.
//!
//! Invariant: whoever reads it learns what to do; nothing of a statement or of the connection is told. Limit: what went wrong
//! inside is logged, as an event of `tracing`.

use std::time::Duration;

use axum::http::StatusCode;

use crate::app::PATIENCE;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// There is no such thing, and what it is.
    Missing(String),
    /// What was asked for cannot be: why.
    Refused(String),
    /// Not with this role: which one is needed.
    Forbidden(&'static str),
    /// The database has not answered in time, or cannot be reached.
    Late(String),
    /// Anything else.
    Broken(String),
}

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Late(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// One sentence.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Missing(text) | Self::Refused(text) | Self::Late(text) | Self::Broken(text) => text.clone(),
            Self::Forbidden(role) => format!("This needs the role “{role}”."),
        }
    }

    pub(crate) fn is_late(&self) -> bool {
        matches!(self, Self::Late(_))
    }

    /// What can be had in time. Beside the server's own limit, for a server that does not answer at all.
    pub(crate) fn in_time<T>(body: impl Future<Output = Result<T, Self>>) -> impl Future<Output = Result<T, Self>> {
        // Boxed here, or every page would hold it twice.
        let body = Box::pin(tokio::time::timeout(PATIENCE + Duration::from_secs(1), body));
        async { body.await.unwrap_or_else(|_| Err(Self::took_longer_than(PATIENCE))) }
    }

    pub(crate) fn took_longer_than(limit: Duration) -> Self {
        Self::Late(format!("The database has not answered within {limit:?}."))
    }
}

impl From<howdah_admin::Error> for Failure {
    fn from(error: howdah_admin::Error) -> Self {
        match error {
            howdah_admin::Error::TookTooLong { limit } => Self::took_longer_than(limit),
            howdah_admin::Error::Queue(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<howdah::Error> for Failure {
    fn from(error: howdah::Error) -> Self {
        match error {
            howdah::Error::Database(error) => of_database(&error),
            howdah::Error::NotInstalled { .. } | howdah::Error::SchemaMismatch { .. } => {
                Self::Broken(error.to_string())
            }
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        howdah::Error::from(error).into()
    }
}

fn of_database(error: &sqlx::Error) -> Failure {
    use sqlx::Error as E;
    tracing::warn!(%error, "a page of the dashboard could not be made");
    let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
    match (error, &*code) {
        (_, "57014") => Failure::Late("The database gave the question up: it took too long.".into()),
        (_, "42501") => Failure::Refused("The database role of this dashboard may not do that.".into()),
        (_, "42883" | "42P01" | "42703" | "3F000") => {
            Failure::Broken("The queue's schema is not there, or of another release: run `howdah migrate up`.".into())
        }
        (_, "25006") => Failure::Refused("The database is read-only now.".into()),
        (_, code) if ["08", "53", "57P", "55P03", "40"].iter().any(|class| code.starts_with(class)) => {
            Failure::Late("The database takes no questions now.".into())
        }
        (E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::Protocol(_), _) => {
            Failure::Late("The database cannot be reached.".into())
        }
        _ => Failure::Broken("The database has refused the question; the log of the dashboard says more.".into()),
    }
}
