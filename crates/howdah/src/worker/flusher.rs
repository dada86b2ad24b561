//! Tells the database how jobs ended, many at a time.
//!
//! Invariant: what is in the [`Ledger`] is told again until the database has answered, whatever happens to the
//! connection. Whatever the database does not accept was lost: it is logged, and nothing else happens. Limit:
//! an answer that was lost with the connection is asked for, see [`Flusher::report`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use sqlx::types::Json;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::ledger::{Finished, Ledger, Page, Refused};
use super::link::{Link, Rows};
use super::shared::Shared;
use crate::handler::JobError;
use crate::metrics;
use crate::retry::Retry;

/// A job, or a lease.
type Id = (i64,);

/// How long the first of some finished jobs waits for company while there is much to do.
const GATHER: Duration = Duration::from_millis(1);
const MANY: usize = 512;
/// How long a worker that leaves tries to reach a database that does not answer.
const LAST_TRIES: Duration = Duration::from_secs(10);

pub(super) struct Flusher {
    pub(super) shared: Arc<Shared>,
    pub(super) link: Link,
    pub(super) finished: mpsc::UnboundedReceiver<Finished>,
    pub(super) ledger: Ledger,
    /// When a worker that leaves gives up.
    pub(super) give_up_at: Option<Instant>,
}

impl Flusher {
    /// Runs until the worker leaves and everything is told.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        let leaving = self.shared.leaving.clone();
        loop {
            let due = self.ledger.due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                biased;
                got = self.finished.recv_many(&mut batch, 4096) => {
                    if got > 1 {
                        // A busy worker: the next ones are on their way.
                        let until = (Instant::now() + GATHER).into();
                        while batch.len() < MANY
                            && timeout_at(until, self.finished.recv_many(&mut batch, 4096)).await.is_ok() {}
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
                () = leaving.cancelled() => {
                    while let Ok(finished) = self.finished.try_recv() {
                        batch.push(finished);
                    }
                    self.note(&mut batch);
                    self.flush(true).await;
                    self.shared.all_told.cancel();
                    self.link.close().await;
                    return;
                }
            }
            self.note(&mut batch);
            self.flush(false).await;
        }
    }

    fn note(&mut self, batch: &mut Vec<Finished>) {
        let now = Instant::now();
        for finished in batch.drain(..) {
            self.ledger.add(finished, now);
        }
    }

    async fn flush(&mut self, everything: bool) {
        let (mut whole, mut parts) = self.ledger.take(Instant::now(), everything);
        if !whole.is_empty() {
            self.tell_whole(&mut whole).await;
        }
        for page in &mut parts {
            self.tell_part(page).await;
        }
        for page in whole.into_iter().chain(parts) {
            self.shared.told(page.lease_id, page.len(), page.failed.len());
            page.accept();
        }
    }

    /// Leases whose jobs all ended well: one statement for all of them.
    async fn tell_whole(&mut self, pages: &mut [Page]) {
        let (mut ids, mut jobs, mut run_ms) = (Vec::new(), Vec::new(), Vec::new());
        for page in &*pages {
            ids.push(page.lease_id);
            jobs.push(i32::try_from(page.done.len()).unwrap_or(i32::MAX));
            let mut in_order: Vec<_> = page.done.iter().map(|(position, _, ms)| (*position, *ms)).collect();
            in_order.sort_unstable();
            run_ms.extend(in_order.into_iter().map(|(_, ms)| ms));
        }
        let results = Results::of(pages);
        let sql = "SELECT howdah.complete_leases($1, $2, $3, $4, $5, $6)";
        let told = self
            .insist(|shared: &Shared| {
                let query = sqlx::query_as(shared.howdah.names().sql(sql));
                let query = query.bind(&ids).bind(&jobs).bind(&run_ms);
                query.bind(&results.leases).bind(&results.jobs).bind(&results.results)
            })
            .await;
        let held = told.as_ref().map_or(&[][..], |(held, _)| held);
        let missing: Vec<i64> = pages
            .iter()
            .filter(|page| !held.contains(&page.lease_id))
            .flat_map(|page| page.done.iter().map(|(_, id, _)| *id))
            .collect();
        let refused = match told {
            // A lease that is missing may have lost only some of its jobs: which of them arrived is asked for.
            Some(_) => self.report(missing, true).await,
            None => Refused { ids: missing, lost: false },
        };
        for page in pages {
            page.refuse(&refused);
        }
    }

    async fn tell_part(&mut self, page: &mut Page) {
        let lease = page.lease_id;
        if !page.done.is_empty() {
            let ids: Vec<i64> = page.done.iter().map(|(_, id, _)| *id).collect();
            let run_ms: Vec<i32> = page.done.iter().map(|(_, _, ms)| *ms).collect();
            let results = Results::of(std::slice::from_ref(page));
            let sql = "SELECT howdah.complete($1, $2, $3, $4, $5)";
            let refused = self
                .tell(&ids, |shared: &Shared| {
                    let query = sqlx::query_as(shared.howdah.names().sql(sql));
                    query.bind(lease).bind(&ids).bind(&run_ms).bind(&results.jobs).bind(&results.results)
                })
                .await;
            drop(results);
            page.refuse(&refused);
        }
        if !page.released.is_empty() {
            let ids = &page.released;
            let sql = "SELECT howdah.release($1, $2)";
            let refused = self
                .tell(ids, |shared: &Shared| {
                    let query = sqlx::query_as(shared.howdah.names().sql(sql));
                    query.bind(lease).bind(ids)
                })
                .await;
            page.refuse(&refused);
        }
        let failed: Vec<_> = page.failed.iter().map(|(id, error, ms)| (*id, error, *ms)).collect();
        let refused = self.tell_failed(lease, &failed).await;
        page.refuse(&refused);
        if !page.completed_in.is_empty() {
            self.tell_completed_in(page).await;
        }
    }

    async fn tell_failed(&mut self, lease: i64, failed: &[(i64, &JobError, i32)]) -> Refused {
        if failed.is_empty() {
            return Refused::default();
        }
        let ids: Vec<i64> = failed.iter().map(|(id, ..)| *id).collect();
        let verdicts: Vec<&str> = failed.iter().map(|(_, error, _)| error.verdict.as_str()).collect();
        let kinds: Vec<String> = failed.iter().map(|(_, error, _)| storable(&error.kind)).collect();
        let messages: Vec<String> = failed.iter().map(|(_, error, _)| storable(&error.message)).collect();
        let delays: Vec<Option<i64>> = failed
            .iter()
            .map(|(_, error, _)| {
                error.delay.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX).min(MOST_DELAY_MS))
            })
            .collect();
        let run_ms: Vec<i32> = failed.iter().map(|(_, _, ms)| *ms).collect();
        let retries: Vec<Option<Json<Retry>>> =
            failed.iter().map(|(_, error, _)| error.declared.as_deref().copied().map(Json)).collect();
        let causes: Vec<Option<Json<Vec<String>>>> = failed
            .iter()
            .map(|(_, error, _)| {
                let causes: Vec<_> = error.causes.iter().map(|cause| storable(cause)).collect();
                (!causes.is_empty()).then_some(Json(causes))
            })
            .collect();
        let sql = "SELECT job_id FROM howdah.fail($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        self.tell(&ids, |shared: &Shared| {
            let query = sqlx::query_as(shared.howdah.names().sql(sql)).bind(lease).bind(&ids).bind(&verdicts);
            query.bind(&kinds).bind(&messages).bind(&delays).bind(&run_ms).bind(&causes).bind(&retries)
        })
        .await
    }

    /// Jobs that their handlers have completed: let go of those whose transaction is committed; the others failed.
    async fn tell_completed_in(&mut self, page: &mut Page) {
        let ids: Vec<i64> = page.completed_in.iter().map(|(id, ..)| *id).collect();
        let (worker, lease) = (self.shared.worker_id(), page.lease_id);
        let sql = "SELECT howdah.forget($1, $2, $3)";
        let told = self
            .insist(|shared: &Shared| {
                let query = sqlx::query_as(shared.howdah.names().sql(sql));
                query.bind(worker).bind(lease).bind(&ids)
            })
            .await;
        let Some((committed, _)) = told else { return page.refuse(&Refused { ids, lost: false }) };
        let uncommitted =
            JobError::retry("complete_in was called, and its transaction was not committed").kind("not_committed");
        let failed: Vec<_> = page
            .completed_in
            .iter()
            .filter(|(id, ..)| !committed.contains(id))
            .map(|(id, error, ms)| (*id, error.as_ref().unwrap_or(&uncommitted), *ms))
            .collect();
        let uncommitted = failed.iter().map(|(id, ..)| *id).collect();
        self.tell_failed(lease, &failed).await;
        page.refuse(&Refused { ids: uncommitted, lost: false });
    }

    /// Settles some jobs of one lease, and reports those that were not ours any more.
    async fn tell<'q>(&mut self, ids: &[i64], query: impl Fn(&Shared) -> Rows<'q, Id>) -> Refused {
        let Some((settled, doubtful)) = self.insist(query).await else {
            return Refused { ids: ids.to_vec(), lost: false };
        };
        let missing = ids.iter().filter(|id| !settled.contains(id)).copied().collect();
        self.report(missing, doubtful).await
    }

    /// A worker that leaves does not try for ever, however much it has to tell.
    fn gives_up(&mut self) -> bool {
        let now = Instant::now();
        self.shared.leaving.is_cancelled() && now > *self.give_up_at.get_or_insert(now + LAST_TRIES)
    }

    /// Asks until there is an answer. Returns it, and whether an earlier answer may have been lost; `None` if the
    /// database refuses the statement itself, which asking again would not change.
    async fn insist<'q>(&mut self, query: impl Fn(&Shared) -> Rows<'q, Id>) -> Option<(Vec<i64>, bool)> {
        let mut doubtful = false;
        loop {
            let query = query(&self.shared);
            match self.link.rows(query).await {
                Ok(ids) => return Some((ids.into_iter().map(|(id,)| id).collect(), doubtful)),
                Err(error) if error.is_transient() && !self.gives_up() => {
                    doubtful = true;
                    self.link.failed(&error).await;
                }
                Err(error) => {
                    tracing::error!(%error, "could not tell how jobs ended: they are given back, and run again");
                    return None;
                }
            }
        }
    }

    /// Says which results were refused. After a lost answer, those that had arrived are not among them.
    async fn report(&mut self, mut lost: Vec<i64>, doubtful: bool) -> Refused {
        if doubtful && !lost.is_empty() {
            let worker = self.shared.worker_id();
            let sql = "SELECT id FROM howdah.jobs WHERE id = ANY($1) AND worker_id = $2 AND ended_at IS NOT NULL";
            let ids = lost.clone();
            let arrived = self
                .insist(|shared: &Shared| {
                    let query = sqlx::query_as(shared.howdah.names().sql(sql));
                    query.bind(&ids).bind(worker)
                })
                .await;
            if let Some((arrived, _)) = arrived {
                lost.retain(|id| !arrived.contains(id));
            }
        }
        for id in &lost {
            metrics::lease_lost("told");
            tracing::warn!(
                job = id,
                "the result was refused: the lease was lost, another worker has this job or it has ended"
            );
        }
        Refused { ids: lost, lost: true }
    }
}

/// What jobs returned, in the arrays that SQL takes; NULL if none did, which most do.
#[derive(Default)]
struct Results<'p> {
    leases: Option<Vec<i64>>,
    jobs: Option<Vec<i64>>,
    results: Option<Vec<Json<&'p RawValue>>>,
}

impl<'p> Results<'p> {
    fn of(pages: &'p [Page]) -> Self {
        let mut all = Self::default();
        for page in pages {
            for (job, result) in &page.results {
                all.leases.get_or_insert_default().push(page.lease_id);
                all.jobs.get_or_insert_default().push(*job);
                all.results.get_or_insert_default().push(Json(result));
            }
        }
        all
    }
}

/// 100 years.
pub(super) const MOST_DELAY_MS: i64 = 3_155_760_000_000;

/// Text as PostgreSQL can store it.
pub(super) fn storable(text: &str) -> String {
    text.chars().take(8192).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
