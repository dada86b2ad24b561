//! Claims from several queues at once, for a worker that serves more than one.
//!
//! Invariant: queues of one claim take the same kinds, and each gives no more than was wanted of it. Limit: a claim has at
//! most [`QUEUES`] of them, and at most [`JOBS`] jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use sqlx::types::Json;

use super::claimer::{Claimer, Row, UNKNOWN_WORKER};
use super::link::backoff;
use crate::error::{Error, Result};
use crate::sqltime::Micros;

const QUEUES: usize = 1000;
const JOBS: usize = 10_000;
/// A sleeping worker that has to look into one queue looks into those whose time comes soon, too.
const SOON: Duration = Duration::from_secs(1);

/// The place of the queue, and a row of its claim.
type Placed =
    (i32, i64, i64, String, Json<Box<RawValue>>, i16, i16, i16, Micros, Option<Json<Box<RawValue>>>, Option<Micros>);

const CLAIM: &str =
    "SELECT n, lease_id, id, kind, payload, attempt, max_attempts, priority, enqueued_at, options, howdah.now()
                       FROM howdah.claim_queues($1, $2, $3, $4, $5, $6, $7)";

/// A queue to look into, and how many jobs to claim at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) look: usize,
    pub(super) wanted: usize,
}

impl Claimer {
    /// Looks into all that are due, in as few claims as may be. Those whose claim the server refuses are tried again later,
    /// each in its own time, and keep no others waiting.
    ///
    /// # Errors
    /// What concerns all of them.
    pub(super) async fn claim_all(&mut self, due: &[Due]) -> Result<()> {
        let mut rest = due;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(self.alike(rest));
            rest = later;
            let claimed = match batch {
                [one] => self.claim_or_sleep(one.look, one.wanted).await,
                several => self.claim_queues(several).await,
            };
            match claimed {
                Ok(()) => batch.iter().for_each(|due| self.looks[due.look].works()),
                Err(error) if error.has_code(UNKNOWN_WORKER) => return Err(error),
                Err(error) => self.refused(batch, error).await?,
            }
        }
        Ok(())
    }

    /// Says that a claim has failed, and when it is tried again. Gives the error back if the connection has failed.
    async fn refused(&mut self, batch: &[Due], error: Error) -> Result<()> {
        // A claim that takes its connection along each time would otherwise be tried as soon as there is a new one.
        let failures = batch.iter().map(|due| self.looks[due.look].failures).max().unwrap_or(0);
        let (wait, for_now) = (backoff(failures), error.is_transient());
        batch.iter().for_each(|due| self.looks[due.look].fails(wait, !for_now));
        if error.was_answered() {
            let queue = batch.first().map(|due| Arc::clone(&self.looks[due.look].queue.name));
            tracing::warn!(queue = queue.as_deref(), queues = batch.len(), %error, retry_ms = wait.as_millis(),
                "could not claim, trying again");
            if for_now {
                // Another session may be with a server that can.
                self.link.close().await;
            }
            return Ok(());
        }
        Err(error)
    }

    /// How many of the first of them go into one claim.
    fn alike(&self, due: &[Due]) -> usize {
        let Some(first) = due.first() else { return 0 };
        if self.shared.settings.filter.is_some() {
            return 1;
        }
        let filter = &self.looks[first.look].queue.filter;
        if self.looks[first.look].alone {
            return 1;
        }
        let mut jobs = 0;
        let fits = |next: &&Due| {
            jobs += next.wanted;
            let look = &self.looks[next.look];
            jobs <= JOBS && !look.alone && look.queue.filter == *filter
        };
        due.iter().take(QUEUES).take_while(fits).count().max(1)
    }

    async fn claim_queues(&mut self, batch: &[Due]) -> Result<()> {
        let now = Instant::now();
        let (mut names, mut jobs) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let (mut fronts, mut swept) = (Vec::with_capacity(batch.len() * 10), Vec::with_capacity(batch.len()));
        for due in batch {
            let look = &mut self.looks[due.look];
            names.push(look.queue.name.to_string());
            jobs.push(i32::try_from(due.wanted).unwrap_or(1));
            let front = look.fronts.next(now);
            swept.push(front.is_none());
            fronts.extend(front.unwrap_or_else(|| vec![0; 10]));
        }
        let filter = self.looks[batch[0].look].queue.filter.clone();
        let claim = sqlx::query_as(self.shared.howdah.names().sql(CLAIM))
            .bind(self.shared.worker_id())
            .bind(names)
            .bind(jobs)
            .bind(filter.kinds)
            .bind(fronts)
            .bind(filter.prefixes)
            .bind(filter.except);
        let rows: Vec<Placed> = match self.link.rows(claim).await {
            Ok(rows) => rows,
            Err(error) => {
                batch.iter().for_each(|due| self.failed_to_claim(due.look, now));
                return Err(error);
            }
        };
        // In no order that was promised.
        let mut of: Vec<Vec<Row>> = batch.iter().map(|_| Vec::new()).collect();
        for row in rows {
            if let Some(of) = usize::try_from(row.0 - 1).ok().and_then(|place| of.get_mut(place)) {
                of.push(of_queue(row));
            }
        }
        let mut drowsy = Vec::new();
        for ((due, swept), rows) in batch.iter().zip(swept).zip(of) {
            let found = self.accept(due.look, now, rows);
            if self.claimed(*due, now, found, swept) {
                drowsy.push(due.look);
            }
        }
        self.fall_asleep(&drowsy).await
    }

    /// While it sleeps, all whose time comes soon have it now: so many queues are looked into together.
    pub(super) fn gather_sleepers(&mut self, now: Instant) {
        if self.looks.len() > 1 && self.looks.iter().any(|look| look.is_asleep() && look.at <= now) {
            for look in
                self.looks.iter_mut().filter(|look| look.is_asleep() && look.failures == 0 && look.at <= now + SOON)
            {
                look.at = now;
            }
        }
    }
}

fn of_queue(row: Placed) -> Row {
    (row.1, row.2, row.3, row.4, row.5, row.6, row.7, row.8, row.9, row.10)
}
