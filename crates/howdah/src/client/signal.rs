//! Signals: what jobs wait for by name, sent from anywhere.
//!
//! Invariant: a signal exists if and only if the transaction that sends it commits, and then reaches every job that waits
//! for it, or begins to while it is kept. Limit: one payload for each name while it is kept: the first.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use sqlx::types::Json;

use super::enqueue::delay_micros;
use super::payload::{self, Encoded};
use super::target::{On, Target};
use super::{Howdah, check_text};
use crate::error::{Error, Result};
use crate::job::JobId;

const SEND: &str = "SELECT howdah.send_signal($1, $2, $3, howdah.span_micros($4))";
const WITHDRAW: &str = "SELECT howdah.withdraw_signal($1, $2)";

/// A signal to be: made by [`Howdah::signal`]; `.await` it. Gives whether it was the first of its name: while one is
/// kept, another changes nothing.
#[must_use = "nothing is sent until this is awaited"]
#[derive(Debug)]
pub struct Signal<'e> {
    howdah: &'e Howdah,
    name: String,
    payload: Encoded,
    job: Option<JobId>,
    keep_for: Option<Duration>,
    target: Target<'e>,
}

impl Howdah {
    /// Sends a signal to all jobs that [wait](crate::Ctx::wait_for_signal) for this name, or will while it is kept. Each of
    /// them gets the payload. The SQL function behind it is `howdah.send_signal`.
    ///
    /// ```no_run
    /// # async fn example(howdah: howdah::Howdah) -> Result<(), Box<dyn std::error::Error>> {
    /// let first = howdah.signal("order 42 paid", &serde_json::json!({ "by": "card" })).await?;
    /// assert!(first, "somebody has said so before");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is not 1 to 128 bytes without control characters, or the payload is larger than
    /// 256 KiB; [`Error::UnknownJob`] if it is for a job that does not exist; [`Error::Database`].
    pub fn signal(&self, name: impl Into<String>, payload: &(impl Serialize + ?Sized)) -> Signal<'_> {
        Signal {
            howdah: self,
            name: name.into(),
            payload: payload::encode(payload),
            job: None,
            keep_for: None,
            target: Target::Pool(self.pool()),
        }
    }

    /// Takes a signal back, so that nobody finds it any more and another one of the name can be sent; `job` as it was sent
    /// to. Jobs that have it keep it. Returns whether there was one. The SQL function behind it is
    /// `howdah.withdraw_signal`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn withdraw_signal(&self, name: &str, job: Option<JobId>) -> Result<bool> {
        check_text("name", name)?;
        let query = sqlx::query_scalar(self.names().sql(WITHDRAW)).bind(name).bind(job.map(i64::from));
        self.observe("withdraw_signal", query.fetch_one(self.pool())).await
    }
}

impl<'e> Signal<'e> {
    /// Only this job hears it. Besides one that is sent to everybody: of both, it gets this.
    pub fn to(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// How long it is kept for jobs that begin to wait later; 7 days, or as the setting `signal_retention` says.
    pub fn keep_for(mut self, length: Duration) -> Self {
        self.keep_for = Some(length);
        self
    }

    /// Sends it in the caller's transaction (or on their connection): it is sent if and only if that commits. Another
    /// transaction that sends the same signal waits for the end of this one; jobs and workers do not.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.target = target.target();
        self
    }

    async fn run(self) -> Result<bool> {
        check_text("name", &self.name)?;
        let query = sqlx::query_scalar(self.howdah.names().sql(SEND)).bind(&self.name).bind(Json(self.payload?));
        let query = query.bind(self.job.map(i64::from)).bind(self.keep_for.map(delay_micros));
        let told: Option<String> = match self.target {
            Target::Pool(pool) => self.howdah.observe("send_signal", query.fetch_one(pool)).await?,
            Target::Connection(connection) => self.howdah.observe("send_signal", query.fetch_one(connection)).await?,
        };
        match (told.as_deref(), self.job) {
            (None, Some(job)) => Err(Error::UnknownJob { job }),
            (told, _) => Ok(told == Some("sent")),
        }
    }
}

impl<'e> IntoFuture for Signal<'e> {
    type Output = Result<bool>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
