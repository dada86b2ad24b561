//! Enqueueing many jobs: a few thousand to a round trip, all in one transaction.
//!
//! Invariant: all or none, in order. Limit: payloads are held in memory until they are sent.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use sqlx::types::Json;
use sqlx::{Acquire, PgConnection};

use super::enqueue::{Enqueue, delay_micros};
use super::full::{Patience, refuse_to_wait};
use super::payload::{Encoded, Payload};
use super::target::{On, Target};
use crate::error::Result;
use crate::job::{Job, JobId};
use crate::metrics;

/// How many jobs, and how many bytes of them, go in one round trip.
const ROUND_TRIP_JOBS: usize = 5_000;
const ROUND_TRIP_BYTES: usize = 4 << 20;

/// Jobs on their way into the queue. Made by [`Howdah::enqueue_many`](crate::Howdah::enqueue_many); `.await` it.
/// What is set here holds for all of them.
#[must_use = "nothing is enqueued until this is awaited"]
#[derive(Debug)]
pub struct EnqueueMany<'e> {
    pub(super) one: Enqueue<'e>,
    payloads: Vec<Encoded>,
}

impl<'e> EnqueueMany<'e> {
    pub(super) fn new(one: Enqueue<'e>, payloads: Vec<Encoded>) -> Self {
        Self { one, payloads }
    }

    pub(super) fn declared<J: Job>(mut self) -> Self {
        self.one = self.one.declared::<J>();
        self
    }

    /// As [`Enqueue::delay`].
    pub fn delay(mut self, delay: Duration) -> Self {
        self.one = self.one.delay(delay);
        self
    }

    /// As [`Enqueue::run_at`].
    pub fn run_at(mut self, at: SystemTime) -> Self {
        self.one = self.one.run_at(at);
        self
    }

    /// As [`Enqueue::priority`].
    pub fn priority(mut self, priority: u8) -> Self {
        self.one = self.one.priority(priority);
        self
    }

    /// As [`Enqueue::queue`].
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.one = self.one.queue(queue);
        self
    }

    /// As [`Enqueue::max_attempts`].
    pub fn max_attempts(mut self, attempts: u16) -> Self {
        self.one = self.one.max_attempts(attempts);
        self
    }

    /// As [`Enqueue::parked`].
    pub fn parked(mut self) -> Self {
        self.one = self.one.parked();
        self
    }

    /// As [`Enqueue::on`]. Without it, the jobs are enqueued in a transaction of their own.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.one = self.one.on(target);
        self
    }

    async fn run(mut self) -> Result<JobIds> {
        self.one.check()?;
        self.one.options.join_trace();
        let seal = |payload: Encoded| self.one.howdah.keys().seal(&self.one.kind, payload?);
        let payloads = std::mem::take(&mut self.payloads).into_iter().map(seal).collect::<Result<Vec<_>>>()?;
        match std::mem::replace(&mut self.one.target, Target::Pool(self.one.howdah.pool())) {
            Target::Pool(pool) => {
                let mut patience = Patience::new(self.one.wait_if_full);
                loop {
                    let sent = self.send_all(&mut *pool.acquire().await?, &payloads).await;
                    if !(self.one.queue_went(&sent) || patience.wait_after(&sent).await) {
                        return sent;
                    }
                }
            }
            Target::Connection(connection) => {
                refuse_to_wait(self.one.wait_if_full)?;
                let sent = self.send_all(connection, &payloads).await;
                self.one.queue_went(&sent);
                sent
            }
        }
    }

    /// In a transaction, or in a savepoint of the caller's, so that a refusal half-way leaves nothing.
    async fn send_all(&self, connection: &mut PgConnection, payloads: &[Payload]) -> Result<JobIds> {
        self.one.prepare(connection).await?;
        let mut ids = JobIds::default();
        let mut rest = payloads;
        let mut tx = connection.begin().await?;
        // Also of none: the server is asked what it thinks of the rest.
        loop {
            let mut bytes = 0;
            let fits = rest.iter().take(ROUND_TRIP_JOBS).take_while(|p| {
                bytes += p.get().len();
                bytes <= ROUND_TRIP_BYTES
            });
            let (now, later) = rest.split_at(fits.count().max(1).min(rest.len()));
            rest = later;
            self.send(&mut tx, now, &mut ids).await?;
            if rest.is_empty() {
                break;
            }
        }
        tx.commit().await?;
        metrics::enqueued(&self.one.queue, &self.one.kind, ids.len());
        Ok(ids)
    }

    async fn send(&self, connection: &mut PgConnection, payloads: &[Payload], ids: &mut JobIds) -> Result<()> {
        let one = &self.one;
        let sql = "SELECT first_id, jobs FROM howdah.enqueue_many($1, $2, $3, $4,
                     howdah.at_micros($5), howdah.span_micros($6), $7, $8)";
        let query = sqlx::query_as(one.howdah.names().sql(sql))
            .bind(one.kind.as_ref())
            .bind(payloads.iter().map(|p| Json(&**p)).collect::<Vec<_>>())
            .bind(one.queue.as_ref())
            .bind(i32::from(one.priority))
            .bind(one.due_micros())
            .bind(one.delay.map(delay_micros))
            .bind(one.max_attempts.map(i32::from))
            .bind(one.options.in_sql());
        let runs: Vec<(i64, i32)> =
            one.howdah.observe_rows("enqueue_many", Vec::len, query.fetch_all(connection)).await?;
        ids.runs.extend(runs);
        Ok(())
    }
}

impl<'e> IntoFuture for EnqueueMany<'e> {
    type Output = Result<JobIds>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<JobIds>> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The ids of jobs that were enqueued together, in their order. Held as runs, so a million of them are small.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobIds {
    runs: Vec<(i64, i32)>,
}

impl JobIds {
    /// How many jobs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(|(_, jobs)| usize::try_from(*jobs).unwrap_or(0)).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Each id, in the order enqueued.
    pub fn iter(&self) -> impl Iterator<Item = JobId> + '_ {
        self.runs.iter().flat_map(|(first, jobs)| (*first..first + i64::from(*jobs)).map(JobId))
    }
}
