//! What a handler waits for without a slot: a time, or a signal.
//!
//! Invariant: when the waiting is over is fixed when it is first reached, and kept as a step: neither a retry nor a restart
//! begins it anew. While a job waits there is no attempt, no slot, no connection. Limit: what the handler does before
//! is done again when it goes on, unless it is in steps too.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, postgres::PgRow};

use super::ctx::Ctx;
use super::steps::{decode, wrong};
use super::verdict::JobError;
use crate::error::Result;

const SLEEP: &str = "SELECT howdah.begin_sleep($1, $2, $3, $4)";
const AWAIT: &str = "SELECT state, result FROM howdah.await_signal($1, $2, $3, $4)";

impl<T> Ctx<T> {
    /// Sleeps for so long, up to 100 years, without holding anything: the first time, this ends the attempt (pass the error
    /// on with `?`), which does not count; the job is scheduled, over restarts and retries, until the time has come, and
    /// runs again from its beginning; then this returns at once.
    ///
    /// ```no_run
    /// use howdah::{Ctx, Job, JobError};
    /// use std::time::Duration;
    /// # async fn mail(to: &str, what: &str) -> Result<(), std::io::Error> { let _ = (to, what); Ok(()) }
    ///
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Trial { address: String }
    ///
    /// async fn trial(job: Trial, cx: Ctx<()>) -> Result<(), JobError> {
    ///     cx.step("welcome", || mail(&job.address, "welcome")).await?;
    ///     cx.sleep("a week", Duration::from_secs(7 * 86_400)).await?;
    ///     cx.step("how do you like it", || mail(&job.address, "how do you like it?")).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The name is that of a step: one of its own for each. The time is the server's.
    ///
    /// # Errors
    /// The verdict that sets the job aside; and as [`step`](Self::step). The SQL function behind it is
    /// `howdah.begin_sleep`.
    pub async fn sleep(&self, name: impl Into<String>, length: Duration) -> Result<(), JobError> {
        let name = name.into();
        let using = self.begin(&name)?;
        let over = self.kept(&name, "sleep").await?.is_some_and(|kept| !kept.is_waiting());
        if !over && !self.call().is_alone() {
            let (left,) = self.ask::<(i64,)>("begin_sleep", SLEEP, &name, Some(length)).await?;
            if left > 0 {
                let left = Duration::from_millis(left.unsigned_abs());
                return Err(JobError::wait(Some(left), format!("sleeps ({name})")));
            }
        }
        using.end();
        Ok(())
    }

    /// Waits for a signal of this name ([`Howdah::signal`](crate::Howdah::signal)), sent to this job or to everybody, before
    /// or after; for at most so long, `None` for ever. Gives its payload; `None`: none came in time. Nothing is held
    /// meanwhile: as with [`sleep`](Self::sleep), the attempt ends (pass the error on with `?`) and does not count, and
    /// the job runs again as soon as the signal is committed, or when the time is over.
    ///
    /// ```no_run
    /// use howdah::{Ctx, Howdah, Job, JobError};
    /// use std::time::Duration;
    ///
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Order { id: i64 }
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Payment { by: String }
    ///
    /// async fn order(job: Order, cx: Ctx<()>) -> Result<(), JobError> {
    ///     let paid = cx.wait_for_signal::<Payment>(format!("order {} paid", job.id), Duration::from_secs(86_400)).await?;
    ///     let Some(payment) = paid else { return Err(JobError::cancel("not paid within a day")) };
    ///     println!("paid by {}", payment.by);
    ///     Ok(())
    /// }
    ///
    /// # async fn example(howdah: Howdah) -> Result<(), Box<dyn std::error::Error>> {
    /// // elsewhere, in the transaction that books the payment:
    /// let mut tx = howdah.pool().begin().await?;
    /// howdah.signal("order 42 paid", &Payment { by: "card".into() }).on(&mut tx).await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What came is kept as a step of this name: every later attempt gets the same. So does the end of the time: a signal
    /// that comes after that is not heard under this name.
    ///
    /// # Errors
    /// The verdict that sets the job aside; a failure of the kind `step` if the payload does not fit the type; and as
    /// [`step`](Self::step). The SQL function behind it is `howdah.await_signal`.
    pub async fn wait_for_signal<P: DeserializeOwned>(
        &self,
        name: impl Into<String>,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Option<P>, JobError> {
        let (name, timeout) = (name.into(), timeout.into());
        let using = self.begin(&name)?;
        if self.call().is_alone() {
            return Err(wrong("a job that is in no database cannot wait for a signal: enqueue it, and drain"));
        }
        let kept = self.kept(&name, "signal").await?.filter(|kept| !kept.is_waiting());
        let payload = match kept {
            Some(kept) => kept.result().map(|payload| decode(&name, Some(payload))),
            None => {
                let row = self.ask::<(String, Option<Json<Box<RawValue>>>)>("await_signal", AWAIT, &name, timeout);
                match row.await? {
                    (state, _) if state == "waiting" => {
                        return Err(JobError::wait(timeout, format!("waits for the signal {name:?}")));
                    }
                    (_, payload) => payload.map(|Json(payload)| decode(&name, Some(&payload))),
                }
            }
        };
        let payload = payload.transpose()?;
        using.end();
        Ok(payload)
    }

    /// Asks for a wait: whether it is over.
    async fn ask<R>(&self, what: &'static str, sql: &'static str, name: &str, length: Option<Duration>) -> Result<R>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let call = self.call();
        let ms = length.map(|length| i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
        let query: QueryAs<'_, Postgres, R, PgArguments> = sqlx::query_as(call.howdah.names().sql(sql));
        let query = query.bind(call.lease_id).bind(call.id.0).bind(name).bind(ms);
        let told = call.howdah.observe(what, query.fetch_one(call.howdah.pool())).await;
        told.map_err(|error| self.or_lost(error))
    }
}
