//! Enqueueing a job unless there is one like it.
//!
//! Invariant: decided by a unique index, so it holds whoever enqueues at the same time. Limit: a key belongs to one
//! kind, and another transaction that uses it waits for the end of this one.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::types::Json;

use super::enqueue::{Enqueue, delay_micros};
use super::full::{Patience, refuse_to_wait};
use super::target::Target;
use super::{check_text, payload};
use crate::error::Result;
use crate::job::JobId;
use crate::metrics;

/// Which jobs are the same one, for how long, and what is done when there is one already.
///
/// Without anything else: as long as the first has not ended, and then the first is kept.
///
/// ```no_run
/// # use howdah::{Howdah, Job, Unique};
/// # use std::time::Duration;
/// # #[derive(Job, serde::Serialize, serde::Deserialize)] struct Reindex { shop: i64 }
/// # async fn example(howdah: Howdah) -> Result<(), howdah::Error> {
/// let first = howdah.enqueue(Reindex { shop: 7 }).unique(Unique::by_payload()).await?;
/// let again = howdah.enqueue(Reindex { shop: 7 }).unique(Unique::by_payload()).await?;
/// assert!(again.hit && again.id == first.id);
///
/// // A debounce: each call moves the one job that waits to a minute from now.
/// let minute = Duration::from_secs(60);
/// howdah.enqueue(Reindex { shop: 7 }).delay(minute).unique(Unique::key("shop 7").replace()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    key: Option<String>,
    scope: &'static str,
    period: Option<Duration>,
    on_hit: &'static str,
}

impl Unique {
    fn new(key: Option<String>) -> Self {
        Self { key, scope: "live", period: None, on_hit: "keep" }
    }

    /// Jobs of a kind with the same key, 1 to 512 bytes, are the same one.
    #[must_use]
    pub fn key(key: impl Into<String>) -> Self {
        Self::new(Some(key.into()))
    }

    /// Jobs of a kind with equal payloads are the same one, however their JSON is written.
    #[must_use]
    pub fn by_payload() -> Self {
        Self::new(None)
    }

    /// For this long after the job was enqueued, whatever becomes of it.
    #[must_use]
    pub fn within(mut self, period: Duration) -> Self {
        (self.scope, self.period) = ("period", Some(period));
        self
    }

    /// For good: one job with this key, ever.
    #[must_use]
    pub fn forever(mut self) -> Self {
        (self.scope, self.period) = ("forever", None);
        self
    }

    /// If the other one waits, it gets this one's payload, time, priority and options, and its attempts start over. If it
    /// runs, this one is enqueued beside it and has the key from then on.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.on_hit = "replace";
        self
    }

    /// As [`replace`](Self::replace), the payload only.
    #[must_use]
    pub fn replace_payload(mut self) -> Self {
        self.on_hit = "replace_payload";
        self
    }

    /// As [`replace`](Self::replace), the time only.
    #[must_use]
    pub fn replace_time(mut self) -> Self {
        self.on_hit = "replace_time";
        self
    }

    /// [`Error::KeyHeld`](crate::Error::KeyHeld) if there is another.
    #[must_use]
    pub fn or_error(mut self) -> Self {
        self.on_hit = "error";
        self
    }
}

/// What came of a unique enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// The job: the new one, or the one that was there.
    pub id: JobId,
    /// Whether it was there before.
    pub hit: bool,
}

/// A unique job on its way into the queue. Made by [`Enqueue::unique`]; `.await` it.
#[must_use = "nothing is enqueued until this is awaited"]
#[derive(Debug)]
pub struct EnqueueUnique<'e, O = ()> {
    one: Enqueue<'e, O>,
    unique: Unique,
}

impl<'e, O> Enqueue<'e, O> {
    /// Unless there is one like it. Say everything else before. The SQL function behind it is `howdah.enqueue_unique`.
    pub fn unique(self, unique: Unique) -> EnqueueUnique<'e, O> {
        EnqueueUnique { one: self, unique }
    }
}

impl<O> EnqueueUnique<'_, O> {
    async fn run(mut self) -> Result<Enqueued> {
        let payload = std::mem::replace(&mut self.one.payload, payload::nothing())?;
        if self.unique.key.is_none() {
            let why = "cannot be made of a payload that is encrypted, since equal ones differ then: say `Unique::key`";
            self.one.howdah.keys().refuse("key", why)?;
        }
        let payload = self.one.howdah.keys().seal(&self.one.kind, payload)?;
        self.one.check()?;
        self.one.options.join_trace();
        if let Some(key) = &self.unique.key {
            check_text("key", key)?;
        }
        let payload = Json(&*payload);
        match std::mem::replace(&mut self.one.target, Target::Pool(self.one.howdah.pool())) {
            Target::Pool(pool) => {
                let mut patience = Patience::new(self.one.wait_if_full);
                loop {
                    let sent = self.send(&mut *pool.acquire().await?, payload).await;
                    if !(self.one.queue_went(&sent) || patience.wait_after(&sent).await) {
                        return sent;
                    }
                }
            }
            Target::Connection(connection) => {
                refuse_to_wait(self.one.wait_if_full)?;
                let sent = self.send(connection, payload).await;
                self.one.queue_went(&sent);
                sent
            }
        }
    }

    async fn send(
        &self,
        connection: &mut PgConnection,
        payload: Json<&serde_json::value::RawValue>,
    ) -> Result<Enqueued> {
        let (one, unique) = (&self.one, &self.unique);
        one.prepare(connection).await?;
        let sql = "SELECT id, hit FROM howdah.enqueue_unique($1, $2, $3, $4, howdah.span_micros($5), $6, $7, $8,
                     howdah.at_micros($9), howdah.span_micros($10), $11, $12)";
        let query = sqlx::query_as(one.howdah.names().sql(sql))
            .bind(one.kind.as_ref())
            .bind(payload)
            .bind(&unique.key)
            .bind(unique.scope)
            .bind(unique.period.map(delay_micros))
            .bind(unique.on_hit)
            .bind(one.queue.as_ref())
            .bind(i32::from(one.priority))
            .bind(one.due_micros())
            .bind(one.delay.map(delay_micros))
            .bind(one.max_attempts.map(i32::from))
            .bind(one.options.in_sql());
        let (id, hit): (i64, bool) = one.howdah.observe("enqueue_unique", query.fetch_one(connection)).await?;
        metrics::enqueued(&one.queue, &one.kind, usize::from(!hit));
        Ok(Enqueued { id: JobId(id), hit })
    }
}

impl<'e, O: 'e> IntoFuture for EnqueueUnique<'e, O> {
    type Output = Result<Enqueued>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Enqueued>> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
