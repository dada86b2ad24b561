//! Enqueueing one job: a builder that is a future.
//!
//! Invariant: one statement, `SELECT howdah.enqueue(...)`, or in a stream of jobs what that would write; the server
//! decides what is valid, except for what it could only answer with an unclear error. Limit: nothing happens until
//! it is awaited.

use std::borrow::Cow;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::full::{Patience, refuse_to_wait};
use super::options::Options;
use super::payload::Encoded;
use super::queues::{Facts, Known};
use super::target::{On, Target};
use super::{Howdah, check_text};
use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::metrics;

/// The most that a delay may be: 100 years.
const MOST_DELAY: Duration = Duration::from_secs(3_155_760_000);

/// A job on its way into the queue. Made by [`Howdah::enqueue`]; `.await` it.
#[must_use = "nothing is enqueued until this is awaited"]
#[derive(Debug)]
pub struct Enqueue<'e, O = ()> {
    pub(super) howdah: &'e Howdah,
    pub(super) kind: Cow<'static, str>,
    pub(super) payload: Encoded,
    pub(super) queue: Cow<'static, str>,
    queue_is_declared: bool,
    pub(super) priority: u8,
    pub(super) run_at: Option<SystemTime>,
    pub(super) delay: Option<Duration>,
    pub(super) parked: bool,
    pub(super) max_attempts: Option<u16>,
    pub(super) options: Options,
    pub(super) target: Target<'e>,
    pub(super) wait_if_full: Option<Duration>,
    output: PhantomData<fn() -> O>,
}

impl<'e, O> Enqueue<'e, O> {
    pub(super) fn new(howdah: &'e Howdah, kind: Cow<'static, str>, payload: Encoded) -> Self {
        Self {
            howdah,
            kind,
            payload,
            queue: Cow::Borrowed("default"),
            queue_is_declared: false,
            priority: 5,
            run_at: None,
            delay: None,
            parked: false,
            max_attempts: None,
            options: Options::default(),
            target: Target::Pool(howdah.pool()),
            wait_if_full: None,
            output: PhantomData,
        }
    }

    pub(super) fn declared<J: Job>(mut self) -> Self {
        self.queue = Cow::Borrowed(J::QUEUE);
        self.queue_is_declared = true;
        self.priority = J::PRIORITY;
        self.max_attempts = J::MAX_ATTEMPTS;
        self.options.version = (J::VERSION != 1).then_some(J::VERSION);
        self
    }

    /// Due this long after now, by the server's clock; up to 100 years. Not together with [`run_at`](Self::run_at).
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Due at this time. One in the past means at once.
    pub fn run_at(mut self, at: SystemTime) -> Self {
        self.run_at = Some(at);
        self
    }

    /// 0 runs first, 9 last; 5 unless the job says otherwise.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Goes to this queue, which must exist: serve it with a worker, or [`create`](Howdah::create_queue) it.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Cow::Owned(queue.into());
        self.queue_is_declared = false;
        self
    }

    /// How often it is tried before it is dead: 1 to 1000. Unless the job or this says otherwise, as the queue says.
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Does not run by itself: it waits until somebody [retries](Howdah::retry) it.
    pub fn parked(mut self) -> Self {
        self.parked = true;
        self
    }

    /// Runs on the caller's transaction (or connection): the job exists if and only if that commits.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.target = target.target();
        self
    }

    /// Makes the queue that the job declares, refuses what cannot be sent.
    pub(super) async fn prepare(&self, connection: &mut PgConnection) -> Result<()> {
        if self.queue_is_declared {
            self.howdah.ensure_queue(connection, &self.queue).await?;
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        check_text("kind", &self.kind)?;
        check_text("queue", &self.queue)?;
        if self.delay.is_some_and(|d| d > MOST_DELAY) {
            return Err(Error::invalid("delay", "must be at most 100 years"));
        }
        if self.run_at.is_some_and(|t| micros(t).is_none()) {
            return Err(Error::invalid("run_at", "must be before the year 9999"));
        }
        if self.parked && (self.run_at.is_some() || self.delay.is_some()) {
            return Err(Error::invalid("parked", "has no time: leave out run_at and delay"));
        }
        self.options.check()
    }

    pub(super) async fn run(mut self) -> Result<JobId> {
        let payload = std::mem::replace(&mut self.payload, super::payload::nothing())?;
        let payload = self.howdah.keys().seal(&self.kind, payload)?;
        self.check()?;
        self.options.join_trace();
        let id = match std::mem::replace(&mut self.target, Target::Pool(self.howdah.pool())) {
            Target::Pool(pool) => {
                let mut patience = Patience::new(self.wait_if_full);
                loop {
                    let sent = self.send(&mut *pool.acquire().await?, &payload).await;
                    if !(self.queue_went(&sent) || patience.wait_after(&sent).await) {
                        break sent?;
                    }
                }
            }
            Target::Connection(connection) => {
                refuse_to_wait(self.wait_if_full)?;
                let sent = self.send(connection, &payload).await;
                self.queue_went(&sent);
                sent?
            }
        };
        metrics::enqueued(&self.queue, &self.kind, 1);
        Ok(id)
    }

    /// Whether a queue that was there is not any more, and sending again would create it. A transaction in which
    /// that happened is lost; the next one goes right.
    pub(super) fn queue_went<T>(&self, sent: &Result<T>) -> bool {
        matches!(sent, Err(Error::UnknownQueue { .. }))
            && self.howdah.queues.forget(&self.queue)
            && self.queue_is_declared
    }

    async fn send(&self, connection: &mut PgConnection, payload: &RawValue) -> Result<JobId> {
        self.prepare(connection).await?;
        if self.is_common(payload) {
            match self.howdah.queues.known(&self.queue, Instant::now()) {
                Known::Facts { facts, look_for_sleepers } if fits(payload, facts) => {
                    return self.insert(connection, payload, facts, look_for_sleepers).await;
                }
                Known::Busy => self.learn(connection).await?,
                _ => {}
            }
        }
        self.call(connection, payload).await
    }

    /// Due at once, and nothing about it that the server would have to refuse.
    fn is_common(&self, payload: &RawValue) -> bool {
        !self.is_later()
            && self.options.is_empty()
            && self.priority <= 9
            && (1..=128).contains(&self.kind.len())
            && !self.kind.chars().any(char::is_control)
            && self.max_attempts.is_none_or(|n| (1..=1000).contains(&n))
            && payload.get().len() < SMALL
    }

    fn is_later(&self) -> bool {
        self.run_at.is_some() || self.delay.is_some() || self.parked
    }

    /// When it is due, as `howdah.at_micros` takes it.
    pub(super) fn due_micros(&self) -> Option<i64> {
        if self.parked { Some(i64::MAX) } else { self.run_at.and_then(micros) }
    }

    /// The function, which decides everything.
    async fn call(&self, connection: &mut PgConnection, payload: &RawValue) -> Result<JobId> {
        let full = self.is_later() || !self.options.is_empty();
        let sql = if full {
            "SELECT howdah.enqueue($1, $2, $3, $4, howdah.at_micros($6), howdah.span_micros($7), $5, $8)"
        } else {
            "SELECT howdah.enqueue($1, $2, $3, $4, NULL, NULL, $5)"
        };
        let mut query = sqlx::query_scalar(self.howdah.names().sql(sql))
            .bind(self.kind.as_ref())
            .bind(Json(payload))
            .bind(self.queue.as_ref())
            .bind(i32::from(self.priority))
            .bind(self.max_attempts.map(i32::from));
        if full {
            query = query.bind(self.due_micros()).bind(self.delay.map(delay_micros)).bind(self.options.in_sql());
        }
        Ok(JobId(self.howdah.observe("enqueue", query.fetch_one(connection)).await?))
    }

    /// What the function writes, without asking what is known: in a stream of jobs that is half of its cost.
    async fn insert(
        &self,
        connection: &mut PgConnection,
        payload: &RawValue,
        facts: Facts,
        look_for_sleepers: bool,
    ) -> Result<JobId> {
        let sql = if look_for_sleepers { INSERT_AND_WAKE } else { INSERT };
        let asked = Instant::now();
        let query = sqlx::query_as(self.howdah.names().sql(sql))
            .bind(facts.id)
            .bind(i16::from(self.priority))
            .bind(self.max_attempts.map_or(facts.max_attempts, |n| i16::try_from(n).unwrap_or(i16::MAX)))
            .bind(self.kind.as_ref())
            .bind(Json(payload))
            .bind(facts.fresh_slot);
        let (id, woken): (i64, i64) = self.howdah.observe("enqueue", query.fetch_one(connection)).await?;
        if look_for_sleepers && woken == 0 {
            self.howdah.queues.nobody_sleeps(&self.queue, asked);
        }
        Ok(JobId(id))
    }

    async fn learn(&self, connection: &mut PgConnection) -> Result<()> {
        // Nothing of a queue with a bound: only the function holds it to that. Nor where we may not write into tables.
        let sql = "SELECT id, max_attempts, max_payload_bytes, fresh_slot FROM howdah.queue
                    WHERE name OPERATOR(pg_catalog.=) $1 AND max_jobs IS NULL
                      AND pg_catalog.has_table_privilege('howdah.job', 'INSERT')
                      AND pg_catalog.has_table_privilege('howdah.ticket', 'INSERT')";
        let query = sqlx::query_as(self.howdah.names().sql(sql)).bind(self.queue.as_ref());
        let row: Option<(i32, i16, i32, i16)> =
            self.howdah.observe("enqueue", query.fetch_optional(connection)).await?;
        let facts = row.map(|(id, max_attempts, max_payload_bytes, fresh_slot)| Facts {
            id,
            max_attempts,
            max_payload_bytes,
            fresh_slot,
        });
        self.howdah.queues.learn(&self.queue, facts, Instant::now());
        Ok(())
    }
}

/// Payloads longer than this are left to the function.
const SMALL: usize = 8192;

const INSERT: &str = "WITH j AS (
    INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload)
    VALUES (pg_catalog.nextval('howdah.block_seq') OPERATOR(pg_catalog.<<) 7, howdah.now(), $1, $2, $3, $4, $5) RETURNING id)
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
  SELECT id, $1, $6, $2, 1, 0, $4 FROM j RETURNING first_id, 0::pg_catalog.int8";

const INSERT_AND_WAKE: &str = "WITH j AS (
    INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload)
    VALUES (pg_catalog.nextval('howdah.block_seq') OPERATOR(pg_catalog.<<) 7, howdah.now(), $1, $2, $3, $4, $5) RETURNING id)
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
  SELECT id, $1, $6, $2, 1, 0, $4 FROM j
  RETURNING first_id, (SELECT pg_catalog.count(pg_catalog.pg_notify('howdah.wake', $1::pg_catalog.text))
                         FROM (SELECT FROM howdah.sleeper s WHERE s.queue_id OPERATOR(pg_catalog.=) $1 LIMIT 1) s)";

/// Whether a payload is surely within the queue's limit: as jsonb it may take several times what it does as text.
fn fits(payload: &RawValue, facts: Facts) -> bool {
    usize::try_from(facts.max_payload_bytes).is_ok_and(|most| payload.get().len() * 16 < most)
}

/// The end of what can be reckoned with, in microseconds since 1970.
pub(crate) const YEAR_9999: i64 = 253_370_764_800_000_000;

/// Microseconds since 1970, if it is a time that SQL can have.
pub(super) fn micros(time: SystemTime) -> Option<i64> {
    let micros = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).ok()?,
        // Any past means at once.
        Err(_) => 0,
    };
    (micros < YEAR_9999).then_some(micros)
}

/// Longer than any span that may be, and a span that SQL can have: the server says which field is too long.
pub(super) const TOO_LONG: Duration = Duration::from_secs(10_000 * 31_557_600);

pub(super) fn delay_micros(delay: Duration) -> i64 {
    i64::try_from(delay.min(TOO_LONG).as_micros()).unwrap_or(i64::MAX)
}

impl<'e, O: 'e> IntoFuture for Enqueue<'e, O> {
    type Output = Result<JobId>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<JobId>> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
