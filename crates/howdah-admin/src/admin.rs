//! The handle of whoever asks questions and gives commands.
//!
//! Invariant: a question is a transaction that cannot write and that the server ends when its time is up. Limit: it takes
//! its connections from the pool of the `Howdah` that it was given.

use std::time::Duration;

use howdah::Howdah;
use sqlx::{Postgres, Transaction};

use crate::error::{Error, Result};

/// How long a question may take, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// Questions and commands about the jobs of one queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    howdah: Howdah,
    limit: Duration,
}

impl Admin {
    /// Asks through the pool of this handle.
    #[must_use]
    pub fn new(howdah: Howdah) -> Self {
        Self { howdah, limit: PATIENCE }
    }

    /// After which time the server gives a question up: `statement_timeout`. Default: 5 s.
    #[must_use]
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The queue that is asked.
    #[must_use]
    pub fn howdah(&self) -> &Howdah {
        &self.howdah
    }

    /// A transaction for questions of one's own, to the functions and views that are documented: it cannot write, and the server gives
    /// each statement up after [`statement_timeout`](Self::statement_timeout). These settings last as long as it does, so that it is
    /// safe behind a pooler. A hook of [`Howdah::on_statement`] sees that it is opened, as the operation `question`.
    ///
    /// # Errors
    /// [`Error::Queue`] if the database cannot be asked.
    pub async fn question(&self) -> Result<Transaction<'static, Postgres>> {
        let mut tx = self.howdah.pool().begin().await?;
        let settings = "SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('transaction_read_only', 'on', true)";
        // 0 would be no limit.
        let ms = self.limit.as_millis().clamp(1, 86_400_000);
        self.howdah.observed("question", sqlx::query(settings).bind(ms.to_string()).execute(&mut *tx)).await?;
        Ok(tx)
    }

    /// Tells a question that was given up from other failures.
    pub(crate) fn told(&self, error: sqlx::Error) -> Error {
        if error.as_database_error().and_then(|e| e.code()).as_deref() == Some("57014") {
            return Error::TookTooLong { limit: self.limit };
        }
        error.into()
    }
}
