//! Says to the database how jobs ended, in statements that it can take.
//!
//! Invariant: what it refuses is told again in smaller pieces, down to a single job, so that no job's end is lost with that of
//! another; and a job whose end it does not take at all is dead, with an attempt that counts. Whatever the database
//! does not accept was lost: it is logged, and nothing else happens. Limit: an answer that was lost with the
//! connection is asked for, see [`Teller::report`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failures;
use super::ledger::{Page, Refused};
use super::link::{Link, Rows};
use super::pieces::{MOST_BYTES, Pieces, Results};
use super::shared::Shared;
use crate::error::Error;
use crate::handler::JobError;
use crate::metrics;

/// A job, or a lease.
type Id = (i64,);

/// How long a worker that leaves tries to reach a database that does not answer.
const LAST_TRIES: Duration = Duration::from_secs(10);

pub(super) struct Teller {
    shared: Arc<Shared>,
    pub(super) link: Link,
    /// When a worker that leaves gives up.
    give_up_at: Option<Instant>,
    /// Whether an answer to what is being told may have been lost.
    doubtful: bool,
}

/// Why something is not told.
enum Stop {
    /// The worker leaves, and the database was not to be reached.
    GaveUp,
    /// The database refuses the statement itself, which asking again would not change.
    Refused(Error),
    /// It took too long for so many.
    TooSlow,
    /// Somebody's transaction holds what it needs.
    Blocked,
}

/// What became of failures that were to be told.
#[derive(Default)]
struct Fate {
    lost: Vec<i64>,
    given_back: Vec<i64>,
    blocked: Vec<i64>,
}

impl Teller {
    pub(super) fn new(shared: &Arc<Shared>, link: Link) -> Self {
        Self { shared: Arc::clone(shared), link, give_up_at: None, doubtful: false }
    }

    /// Leases whose jobs all ended well: one statement for all of them. Gives those that have to be told job by job.
    pub(super) async fn tell_whole(&mut self, mut pages: Vec<Page>) -> Vec<Page> {
        let mut pieces = Pieces::of(pages.iter().map(|page| (page.done.len(), page.bytes())));
        let mut alone = Vec::new();
        self.doubtful = false;
        while let Some(piece) = pieces.next() {
            if piece.len() == 1 && pages[piece.start].bytes() > MOST_BYTES {
                alone.push(piece.start);
                continue;
            }
            match self.complete_leases(&mut pages[piece.clone()]).await {
                Ok(()) => {}
                Err(Stop::GaveUp) => {
                    for page in &mut pages[piece] {
                        let ids = page.done_ids();
                        page.settle(&self.shared, &ids, 0, &Refused { ids: ids.clone(), lost: false });
                    }
                }
                Err(_) if piece.len() > 1 => pieces.halve(&piece),
                Err(_) => alone.push(piece.start),
            }
        }
        alone.sort_unstable();
        let mut nth = 0..;
        pages.retain(|_| alone.binary_search(&nth.next().unwrap_or_default()).is_ok());
        pages
    }

    async fn complete_leases(&mut self, pages: &mut [Page]) -> Result<(), Stop> {
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
        let query = |shared: &Shared| {
            let query = sqlx::query_as(shared.howdah.names().sql(sql)).bind(&ids).bind(&jobs).bind(&run_ms);
            query.bind(&results.leases).bind(&results.jobs).bind(&results.results)
        };
        let held = self.insist(run_ms.len(), query).await?;
        let missing = pages.iter().filter(|page| !held.contains(&page.lease_id)).flat_map(Page::done_ids).collect();
        // A lease that is missing may have lost only some of its jobs: which of them arrived is asked for.
        self.doubtful = true;
        let refused = self.report(missing).await;
        for page in pages {
            let ids = page.done_ids();
            page.settle(&self.shared, &ids, 0, &refused);
        }
        Ok(())
    }

    /// Tells job by job. Leaves in the page what somebody's transaction holds up.
    pub(super) async fn tell_part(&mut self, page: &mut Page) {
        page.forget_lost(&self.shared);
        self.tell_done(page).await;
        self.tell_released(page).await;
        self.tell_failed(page).await;
        self.tell_completed_in(page).await;
    }

    async fn tell_done(&mut self, page: &mut Page) {
        let (lease, done) = (page.lease_id, std::mem::take(&mut page.done));
        let mut pieces = Pieces::of(done.iter().map(|(_, id, _)| (1, page.bytes_of(*id))));
        self.doubtful = false;
        while let Some(piece) = pieces.next() {
            let some = &done[piece.clone()];
            let ids: Vec<i64> = some.iter().map(|(_, id, _)| *id).collect();
            let run_ms: Vec<i32> = some.iter().map(|(_, _, ms)| *ms).collect();
            let results = Results::of_jobs(page, &ids);
            let sql = "SELECT howdah.complete($1, $2, $3, $4, $5)";
            let query = |shared: &Shared| {
                let query = sqlx::query_as(shared.howdah.names().sql(sql)).bind(lease).bind(&ids).bind(&run_ms);
                query.bind(&results.jobs).bind(&results.results)
            };
            let told = self.insist(ids.len(), query).await;
            let refused = match told {
                Ok(held) => self.report(without(&ids, &held)).await,
                Err(Stop::GaveUp) => Refused { ids: ids.clone(), lost: false },
                Err(_) if piece.len() > 1 => {
                    pieces.halve(&piece);
                    continue;
                }
                Err(Stop::Refused(error)) => {
                    if !self.refuse_output(lease, some[0], &error).await {
                        page.done.extend(some);
                        continue;
                    }
                    Refused { ids: ids.clone(), lost: false }
                }
                Err(_) => {
                    page.done.extend(some);
                    continue;
                }
            };
            page.settle(&self.shared, &ids, 0, &refused);
        }
    }

    /// A job has done its work, and the database does not take how it ended. False: that cannot be told now.
    async fn refuse_output(&mut self, lease: i64, (_, id, ms): (usize, i64, i32), error: &Error) -> bool {
        if !of_data(error) {
            given_back(error, id);
            return true;
        }
        let error =
            JobError::discard(format!("the database does not take what the job returned: {error}")).kind("output");
        self.fail(lease, &[(id, &error, ms)]).await.blocked.is_empty()
    }

    async fn tell_released(&mut self, page: &mut Page) {
        if page.released.is_empty() {
            return;
        }
        let (lease, ids) = (page.lease_id, std::mem::take(&mut page.released));
        self.doubtful = false;
        let sql = "SELECT howdah.release($1, $2)";
        let query = |shared: &Shared| sqlx::query_as(shared.howdah.names().sql(sql)).bind(lease).bind(&ids);
        let refused = match self.insist(1, query).await {
            Ok(held) => self.report(without(&ids, &held)).await,
            Err(Stop::Blocked) => {
                page.released = ids;
                return;
            }
            Err(_) => Refused { ids: ids.clone(), lost: false },
        };
        page.settle(&self.shared, &ids, 0, &refused);
    }

    async fn tell_failed(&mut self, page: &mut Page) {
        self.doubtful = false;
        let failed = std::mem::take(&mut page.failed);
        let some: Vec<_> = failed.iter().map(|(id, error, ms)| (*id, error, *ms)).collect();
        let fate = self.fail(page.lease_id, &some).await;
        drop(some);
        let (blocked, told): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(id, ..)| fate.blocked.contains(id));
        page.failed = blocked;
        let ids: Vec<i64> = told.iter().map(|(id, ..)| *id).collect();
        page.refuse(&Refused { ids: fate.given_back, lost: false });
        page.settle(&self.shared, &ids, ids.len(), &Refused { ids: fate.lost, lost: true });
    }

    async fn fail(&mut self, lease: i64, failed: &[(i64, &JobError, i32)]) -> Fate {
        let mut pieces = Pieces::of(failed.iter().map(|(_, error, _)| (1, failures::bytes(error))));
        let mut fate = Fate::default();
        while let Some(piece) = pieces.next() {
            let some = &failed[piece.clone()];
            let ids = some.iter().map(|(id, ..)| *id);
            match self.fail_together(lease, some).await {
                Ok(lost) => fate.lost.extend(lost),
                Err(Stop::GaveUp) => fate.given_back.extend(ids),
                Err(_) if piece.len() > 1 => pieces.halve(&piece),
                Err(Stop::Refused(error)) => {
                    let (id, failure, ms) = some[0];
                    match self.fail_together(lease, &[(id, &failures::plain(failure, &error), ms)]).await {
                        Ok(lost) => fate.lost.extend(lost),
                        Err(_) => {
                            given_back(&error, id);
                            fate.given_back.push(id);
                        }
                    }
                }
                Err(_) => fate.blocked.extend(ids),
            }
        }
        fate
    }

    /// One statement. Gives those that were lost.
    async fn fail_together(&mut self, lease: i64, failed: &[(i64, &JobError, i32)]) -> Result<Vec<i64>, Stop> {
        let arrays = failures::Arrays::of(failed);
        let held = self.insist(failed.len(), |shared: &Shared| arrays.query(&shared.howdah, lease)).await?;
        Ok(self.report(without(&arrays.ids, &held)).await.ids)
    }

    /// Jobs that their handlers have completed: let go of those whose transaction is committed; the others failed.
    async fn tell_completed_in(&mut self, page: &mut Page) {
        let (lease, completed) = (page.lease_id, std::mem::take(&mut page.completed_in));
        let mut pieces = Pieces::of(completed.iter().map(|_| (1, 0)));
        let mut blocked = Vec::new();
        self.doubtful = false;
        while let Some(piece) = pieces.next() {
            let some = &completed[piece.clone()];
            let ids: Vec<i64> = some.iter().map(|(id, ..)| *id).collect();
            let refused = match self.forget(lease, &ids).await {
                Ok(committed) => self.fail_uncommitted(lease, some, &committed).await,
                Err(Stop::GaveUp | Stop::Refused(_)) => Refused { ids: ids.clone(), lost: false },
                Err(_) if piece.len() > 1 => {
                    pieces.halve(&piece);
                    continue;
                }
                Err(_) => {
                    blocked.extend(ids);
                    continue;
                }
            };
            page.settle(&self.shared, &ids, 0, &refused);
        }
        page.completed_in = completed.into_iter().filter(|(id, ..)| blocked.contains(id)).collect();
    }

    async fn forget(&mut self, lease: i64, ids: &[i64]) -> Result<Vec<i64>, Stop> {
        let worker = self.shared.worker_id();
        let sql = "SELECT howdah.forget($1, $2, $3)";
        let query = |shared: &Shared| sqlx::query_as(shared.howdah.names().sql(sql)).bind(worker).bind(lease).bind(ids);
        self.insist(ids.len(), query).await
    }

    async fn fail_uncommitted(
        &mut self,
        lease: i64,
        completed: &[(i64, Option<JobError>, i32)],
        committed: &[i64],
    ) -> Refused {
        let uncommitted =
            JobError::retry("complete_in was called, and its transaction was not committed").kind("not_committed");
        let others = completed.iter().filter(|(id, ..)| !committed.contains(id));
        let failed: Vec<_> = others.map(|(id, error, ms)| (*id, error.as_ref().unwrap_or(&uncommitted), *ms)).collect();
        self.fail(lease, &failed).await;
        Refused { ids: failed.iter().map(|(id, ..)| *id).collect(), lost: false }
    }

    /// A worker that leaves does not try for ever, however much it has to tell.
    fn gives_up(&mut self) -> bool {
        let now = Instant::now();
        self.shared.leaving.is_cancelled() && now > *self.give_up_at.get_or_insert(now + LAST_TRIES)
    }

    /// Asks until there is an answer, or no use in asking so again for so many.
    async fn insist<'q>(&mut self, many: usize, query: impl Fn(&Shared) -> Rows<'q, Id>) -> Result<Vec<i64>, Stop> {
        loop {
            let query = query(&self.shared);
            let error = match self.link.rows(query).await {
                Ok(ids) => return Ok(ids.into_iter().map(|(id,)| id).collect()),
                Err(error) => error,
            };
            if !self.link.may_pass(&error) {
                tracing::warn!(%error, jobs = many, "the database refuses how jobs ended: what is refused is told piece by piece");
                return Err(Stop::Refused(error));
            }
            if self.gives_up() {
                tracing::error!(%error, "could not tell how jobs ended: they are given back, and run again");
                return Err(Stop::GaveUp);
            }
            if error.has_code("55P03") {
                return Err(Stop::Blocked);
            }
            self.doubtful = true;
            self.link.failed(&error).await;
            if many > 1 && error.is_timeout() {
                return Err(Stop::TooSlow);
            }
        }
    }

    /// Says which results were refused. After a lost answer, those that had arrived are not among them.
    async fn report(&mut self, mut lost: Vec<i64>) -> Refused {
        if self.doubtful && !lost.is_empty() {
            let worker = self.shared.worker_id();
            let sql = "SELECT id FROM howdah.jobs WHERE id = ANY($1) AND worker_id = $2 AND ended_at IS NOT NULL";
            let ids = lost.clone();
            let query = |shared: &Shared| sqlx::query_as(shared.howdah.names().sql(sql)).bind(&ids).bind(worker);
            if let Ok(arrived) = self.insist(1, query).await {
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

/// Whether it is about what was told, and not about who told it or how the database is.
fn of_data(error: &Error) -> bool {
    matches!(error, Error::Invalid { .. }) || error.has_class("22") || error.has_class("54")
}

fn given_back(error: &Error, job: i64) {
    tracing::error!(%error, job, "could not tell how a job ended: it is given back, and runs again");
}

fn without(ids: &[i64], held: &[i64]) -> Vec<i64> {
    ids.iter().filter(|id| !held.contains(id)).copied().collect()
}
