//! What a job is: its identity and its type.
//!
//! Invariant: a [`Job`] is a plain serde type; it knows neither the database nor the handler. Limit: a kind is
//! stored with every job, so renaming one orphans what waits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::retry::Retry;

/// A type of work: the arguments are its fields, and `#[derive(Job)]` gives the rest.
///
/// ```
/// use howdah::Job;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Job, Serialize, Deserialize)]
/// #[job(kind = "welcome", queue = "mail", attempts = 8, timeout = "30s", priority = 3)]
/// struct Welcome { user: i64 }
/// assert_eq!(Welcome::KIND, "welcome");
/// ```
///
/// Every attribute may be left out: the kind is then the type's name in `snake_case`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "this needs `#[derive(Job, Serialize, Deserialize)]`",
    note = "a job is a serde type with a kind: add `#[derive(howdah::Job, serde::Serialize, serde::Deserialize)]` to `{Self}`"
)]
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// What its handler returns, for those who [wait](crate::Enqueue::wait) for it: `#[job(output = Receipt)]`; `()`
    /// otherwise, and then nothing is kept.
    type Output: Serialize + DeserializeOwned + Send + 'static;
    /// Names the handler, in the database too: 1 to 128 bytes. Keep it when you rename the type.
    const KIND: &'static str;
    /// The queue that it goes to if the caller names none. Created when it is first used.
    const QUEUE: &'static str = "default";
    /// How often it is tried before it is dead, 1 to 1000. `None`: as the queue says, 20 by default.
    const MAX_ATTEMPTS: Option<u16> = None;
    /// How long one attempt may take. `None`: as the kind or the queue says in the database, or else as long as it likes.
    const TIMEOUT: Option<Duration> = None;
    /// The version of the payload's type, 1 to 32767: raise it when old payloads no longer fit the new type. Several
    /// versions of a kind may have a handler each, see [`Worker::handle`](crate::Worker::handle).
    const VERSION: u16 = 1;
    /// 0 runs first, 9 last.
    const PRIORITY: u8 = 5;
    /// When it is tried again after a failure. `None`: as the kind or the queue says in the database.
    const RETRY: Option<Retry> = None;
}

/// The number of a job. It is unique in its schema, and grows in the order enqueued within a transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.0)
    }
}

impl From<JobId> for i64 {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl FromStr for JobId {
    type Err = std::num::ParseIntError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}
