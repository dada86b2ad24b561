//! What goes wrong when something is asked.
//!
//! Invariant: a variant either says what is wrong itself or hands on what another says, never both. Limit: refusals of
//! the database are `howdah::Error`.

use std::time::Duration;

use crate::search::SearchError;

/// The result of everything that is asked here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no search.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The database did not answer within the time that was given it. Nothing was changed.
    #[error(
        "the database has not answered within {limit:?}: it is busy, or this is a question that it cannot answer quickly"
    )]
    TookTooLong {
        /// How long it had.
        limit: Duration,
    },
    /// What the queue says.
    #[error(transparent)]
    Queue(#[from] howdah::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}
