//! What has finished and the database does not know yet, lease by lease.
//!
//! Invariant: every finished job leaves the ledger once. A lease whose jobs all ended well leaves as a whole, which
//! costs the database one row however many they were. Limit: a lease that is only partly done waits a little
//! for the rest, see [`PATIENCE`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::queue::Lease;
use super::shared::Shared;
use crate::error::Error;
use crate::handler::{Answer, JobError};
use crate::job::JobId;

/// How long a finished job waits for the others of its lease.
const PATIENCE: Duration = Duration::from_millis(15);

/// A job that does not run any more.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) lease: Arc<Lease>,
    pub(super) position: usize,
    pub(super) id: i64,
    pub(super) run_ms: i32,
    pub(super) end: End,
    /// Who waits to hear whether the database has accepted it.
    pub(super) answer: Option<Answer>,
}

#[derive(Debug)]
pub(super) enum End {
    Done(Option<Box<RawValue>>),
    Failed(JobError),
    /// The handler has completed it in its own transaction, and may have failed afterwards.
    CompletedIn(Option<JobError>),
    /// It has not started.
    Released,
    /// It is another worker's by now: there is nothing to tell.
    Lost,
}

impl End {
    /// What became of the attempt, for who counts.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Done(_) | Self::CompletedIn(None) => "completed",
            Self::Failed(error) | Self::CompletedIn(Some(error)) => error.verdict.as_str(),
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

/// The jobs of one lease that are to be told together.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) lease_id: i64,
    /// Place in the lease, id, milliseconds.
    pub(super) done: Vec<(usize, i64, i32)>,
    /// What some of those that are done have returned.
    pub(super) results: HashMap<i64, Box<RawValue>>,
    pub(super) failed: Vec<(i64, JobError, i32)>,
    pub(super) completed_in: Vec<(i64, Option<JobError>, i32)>,
    pub(super) released: Vec<i64>,
    lost: usize,
    answers: Vec<(i64, Answer)>,
    jobs: usize,
    /// Jobs of the lease that were told before.
    told: usize,
    /// Since when the oldest of them waits.
    since: Option<Instant>,
}

impl Page {
    pub(super) fn len(&self) -> usize {
        self.done.len() + self.failed.len() + self.completed_in.len() + self.released.len() + self.lost
    }

    fn is_whole(&self) -> bool {
        self.done.len() == self.jobs
    }

    /// When it should be told at the latest.
    fn due(&self) -> Option<Instant> {
        let since = self.since?;
        if !self.answers.is_empty() {
            return Some(since);
        }
        Some(if self.told + self.len() == self.jobs || self.len() > self.done.len() { since } else { since + PATIENCE })
    }
}

/// Jobs of which the database did not accept how they ended.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) ids: Vec<i64>,
    /// They were not ours any more. Otherwise the database refused to be told.
    pub(super) lost: bool,
}

impl Page {
    pub(super) fn done_ids(&self) -> Vec<i64> {
        self.done.iter().map(|(_, id, _)| *id).collect()
    }

    /// All that are to be told.
    pub(super) fn ids(&self) -> Vec<i64> {
        let failed = self.failed.iter().map(|(id, ..)| *id);
        let completed_in = self.completed_in.iter().map(|(id, ..)| *id);
        self.done_ids().into_iter().chain(failed).chain(completed_in).chain(self.released.iter().copied()).collect()
    }

    /// How large what a job returned is.
    pub(super) fn bytes_of(&self, job: i64) -> usize {
        self.results.get(&job).map_or(0, |result| result.get().len())
    }

    /// How large is what its jobs returned.
    pub(super) fn bytes(&self) -> usize {
        self.results.values().map(|result| result.get().len()).sum()
    }

    /// What has ended elsewhere is told to nobody.
    pub(super) fn forget_lost(&mut self, shared: &Shared) {
        shared.told(self.lease_id, std::mem::take(&mut self.lost), 0);
    }

    /// The database knows how these jobs ended, of which so many have failed, or does not want to: whoever waits for one hears it.
    pub(super) fn settle(&mut self, shared: &Shared, jobs: &[i64], failures: usize, refused: &Refused) {
        shared.told(self.lease_id, jobs.len(), failures);
        self.refuse(refused);
        for (_, answer) in self.answers.extract_if(.., |(id, _)| jobs.contains(id)) {
            let _ = answer.send(Ok(()));
        }
    }

    /// Tells those who wait for these jobs that they were refused.
    pub(super) fn refuse(&mut self, refused: &Refused) {
        for (id, answer) in self.answers.extract_if(.., |(id, _)| refused.ids.contains(id)) {
            let _ = answer.send(Err(if refused.lost {
                Error::LeaseLost { job: JobId(id) }
            } else {
                Error::Worker(format!("the database did not take how job {id} ended; the log says why"))
            }));
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pages: HashMap<i64, Page>,
}

impl Ledger {
    pub(super) fn add(&mut self, finished: Finished, now: Instant) {
        let lease = &finished.lease;
        let page = self.pages.entry(lease.id).or_insert_with(|| Page {
            lease_id: lease.id,
            jobs: lease.jobs,
            ..Page::default()
        });
        page.since.get_or_insert(now);
        page.answers.extend(finished.answer.map(|answer| (finished.id, answer)));
        match finished.end {
            End::Done(result) => {
                page.done.push((finished.position, finished.id, finished.run_ms));
                page.results.extend(result.map(|result| (finished.id, result)));
            }
            End::Failed(error) => page.failed.push((finished.id, error, finished.run_ms)),
            End::CompletedIn(error) => page.completed_in.push((finished.id, error, finished.run_ms)),
            End::Released => page.released.push(finished.id),
            End::Lost => page.lost += 1,
        }
    }

    /// When the next page is due; `None` if there is none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pages.values().filter_map(Page::due).min()
    }

    /// Takes what is due: leases that are wholly done, and parts of others.
    pub(super) fn take(&mut self, now: Instant, everything: bool) -> (Vec<Page>, Vec<Page>) {
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        self.pages.retain(|_, page| {
            if !page.due().is_some_and(|due| everything || due <= now) {
                return true;
            }
            let told = page.told + page.len();
            let rest = Page { lease_id: page.lease_id, jobs: page.jobs, told, ..Page::default() };
            let taken = std::mem::replace(page, rest);
            if taken.is_whole() { &mut whole } else { &mut parts }.push(taken);
            told < page.jobs
        });
        (whole, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(lease: &Arc<Lease>, position: usize, end: End) -> Finished {
        Finished {
            lease: Arc::clone(lease),
            position,
            id: 100 + i64::try_from(position).unwrap(),
            run_ms: 1,
            end,
            answer: None,
        }
    }

    #[test]
    fn a_lease_that_is_wholly_done_leaves_at_once_and_a_part_waits_for_the_rest() {
        let now = Instant::now();
        let lease = Arc::new(Lease { id: 7, jobs: 2, arrived: now });
        let mut ledger = Ledger::default();
        ledger.add(finished(&lease, 0, End::Done(None)), now);
        assert_eq!(ledger.due(), Some(now + PATIENCE));
        assert!(ledger.take(now, false).0.is_empty());
        ledger.add(finished(&lease, 1, End::Done(None)), now);
        let (whole, parts) = ledger.take(now, false);
        assert_eq!((whole.len(), whole[0].done.len(), parts.len()), (1, 2, 0));
        assert_eq!(ledger.due(), None);
    }

    #[test]
    fn a_lease_that_has_lost_jobs_leaves_the_ledger_with_the_last_of_the_others() {
        let now = Instant::now();
        let lease = Arc::new(Lease { id: 7, jobs: 3, arrived: now });
        let mut ledger = Ledger::default();
        ledger.add(finished(&lease, 1, End::Lost), now);
        let (whole, parts) = ledger.take(now, false);
        assert_eq!((whole.len(), parts.len(), parts[0].len(), parts[0].done.len()), (0, 1, 1, 0));
        ledger.add(finished(&lease, 0, End::Done(None)), now);
        ledger.add(finished(&lease, 2, End::Done(None)), now);
        let (whole, parts) = ledger.take(now, false);
        assert_eq!((whole.len(), parts[0].done.len()), (0, 2), "what is left is not a whole lease");
        assert!(ledger.pages.is_empty());
    }

    #[test]
    fn a_lease_with_a_failure_is_told_job_by_job() {
        let now = Instant::now();
        let lease = Arc::new(Lease { id: 7, jobs: 3, arrived: now });
        let mut ledger = Ledger::default();
        ledger.add(finished(&lease, 0, End::Done(None)), now);
        ledger.add(finished(&lease, 1, End::Failed(JobError::retry("no"))), now);
        let (whole, parts) = ledger.take(now, false);
        assert_eq!((whole.len(), parts[0].done.len(), parts[0].failed.len()), (0, 1, 1));
        ledger.add(finished(&lease, 2, End::Done(None)), now);
        let (whole, parts) = ledger.take(now, false);
        assert_eq!((whole.len(), parts[0].done.len()), (0, 1), "the rest is not a whole lease");
        assert!(ledger.pages.is_empty());
    }
}
