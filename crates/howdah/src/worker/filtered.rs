//! Claims of a worker that has a filter.
//!
//! Invariant: a claim that found nothing and has not seen everything is followed by another at once; only one that has
//! seen everything lets the worker sleep. Limit: each looks at a bounded number of jobs.

use std::time::Instant;

use serde_json::value::RawValue;
use sqlx::types::Json;

use super::claimer::{Claimer, Row};
use crate::error::Result;
use crate::filter::Filter;
use crate::sqltime::Micros;

/// Where the claim stopped and the newest id; and a row of a claim, if there is a job.
type Found = (
    Option<i64>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<Json<Box<RawValue>>>,
    Option<i16>,
    Option<i16>,
    Option<i16>,
    Option<Micros>,
    Option<Json<Box<RawValue>>>,
    Option<Micros>,
);

impl Claimer {
    /// Claims what matches, or goes on to where nobody has looked, or sleeps.
    pub(super) async fn claim_by_filter(&mut self, i: usize, wanted: usize) -> Result<()> {
        let now = Instant::now();
        let (found, seen_all) = match self.claim_where(i, wanted, now).await {
            Ok(answer) => answer,
            Err(error) => {
                self.failed_to_claim(i, now);
                return Err(error);
            }
        };
        if found > 0 {
            self.found(i, now);
        } else if seen_all {
            if self.found_nothing(i, now) {
                return self.fall_asleep(&[i]).await;
            }
        } else {
            self.look_again(i, now);
        }
        Ok(())
    }

    /// One claim. Returns how many jobs it took, and whether it has seen all there are.
    async fn claim_where(&mut self, i: usize, wanted: usize, now: Instant) -> Result<(usize, bool)> {
        let sql = "SELECT next, newest, lease_id, id, kind, payload, attempt, max_attempts, priority, enqueued_at,
                          options, howdah.now()
                     FROM howdah.claim_where($1, $2, $3, $4, $5, $6, $7, $8, prefixes => $9, except_kinds => $10)";
        let step = self.looks[i].walk.next(now);
        let shared = &self.shared;
        let rows: Vec<Found> = self
            .link
            .rows(
                sqlx::query_as(shared.howdah.names().sql(sql))
                    .bind(shared.worker_id())
                    .bind(self.looks[i].queue.name.as_ref())
                    .bind(i32::try_from(wanted).unwrap_or(1))
                    .bind(shared.settings.filter.as_ref().map(Filter::as_str))
                    .bind(&self.looks[i].queue.filter.kinds)
                    .bind(step.after)
                    .bind(step.since)
                    .bind(step.before)
                    .bind(&self.looks[i].queue.filter.prefixes)
                    .bind(&self.looks[i].queue.filter.except),
            )
            .await?;
        let Some(first) = rows.first() else { return Ok((0, true)) };
        let seen_all = self.looks[i].walk.answer(Instant::now(), step, first.0, first.1);
        let jobs: Vec<_> = rows.into_iter().filter_map(job).collect();
        Ok((self.accept(i, now, jobs), seen_all))
    }
}

fn job(found: Found) -> Option<Row> {
    let (_, _, lease, id, kind, payload, attempt, max_attempts, priority, enqueued_at, options, now) = found;
    Some((lease?, id?, kind?, payload?, attempt?, max_attempts?, priority?, enqueued_at?, options, now))
}
