//! How much is told to the database in one statement, and in what form.
//!
//! Invariant: every item is in one piece. Limit: one item may be larger than a piece should be.

use std::ops::Range;

use serde_json::value::RawValue;
use sqlx::types::Json;

use super::ledger::Page;

/// Jobs of one statement.
const MOST_JOBS: usize = 10_000;
/// Bytes of what they returned or failed with.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Pieces of a list that are still to be told.
pub(super) struct Pieces(Vec<Range<usize>>);

impl Pieces {
    /// Of items of so many jobs and bytes.
    pub(super) fn of(items: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        let (mut jobs, mut bytes) = (0, 0);
        for (n, (more_jobs, more_bytes)) in items.enumerate() {
            (jobs, bytes) = (jobs + more_jobs, bytes + more_bytes);
            match pieces.last_mut() {
                Some(piece) if jobs <= MOST_JOBS && bytes <= MOST_BYTES => piece.end = n + 1,
                _ => {
                    (jobs, bytes) = (more_jobs, more_bytes);
                    pieces.push(n..n + 1);
                }
            }
        }
        pieces.reverse();
        Self(pieces)
    }

    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.0.pop()
    }

    /// To be told in two.
    pub(super) fn halve(&mut self, piece: &Range<usize>) {
        let middle = piece.start + piece.len() / 2;
        self.0.extend([middle..piece.end, piece.start..middle]);
    }
}

/// What jobs returned, in the arrays that SQL takes; NULL if none did, which most do.
#[derive(Default)]
pub(super) struct Results<'p> {
    pub(super) leases: Option<Vec<i64>>,
    pub(super) jobs: Option<Vec<i64>>,
    pub(super) results: Option<Vec<Json<&'p RawValue>>>,
}

impl<'p> Results<'p> {
    pub(super) fn of(pages: &'p [Page]) -> Self {
        let mut all = Self::default();
        for page in pages {
            for (job, result) in &page.results {
                all.add(page.lease_id, *job, result);
            }
        }
        all
    }

    pub(super) fn of_jobs(page: &'p Page, jobs: &[i64]) -> Self {
        let mut all = Self::default();
        for job in jobs {
            if let Some(result) = page.results.get(job) {
                all.add(page.lease_id, *job, result);
            }
        }
        all
    }

    fn add(&mut self, lease: i64, job: i64, result: &'p RawValue) {
        self.leases.get_or_insert_default().push(lease);
        self.jobs.get_or_insert_default().push(job);
        self.results.get_or_insert_default().push(Json(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut pieces: Pieces) -> Vec<Range<usize>> {
        std::iter::from_fn(|| pieces.next()).collect()
    }

    #[test]
    fn what_is_too_much_for_a_statement_is_told_in_several() {
        assert!(all(Pieces::of(std::iter::empty())).is_empty());
        let one = Pieces::of([(1, 0); 3].into_iter());
        assert_eq!((one.0.len(), all(one).pop()), (1, Some(0..3)));
        assert_eq!(all(Pieces::of([(MOST_JOBS, 0), (1, 0), (1, 0)].into_iter())), [0..1, 1..3]);
        let large = MOST_BYTES / 2;
        assert_eq!(
            all(Pieces::of([(1, large), (1, large), (1, 2 * MOST_BYTES), (1, 1)].into_iter())),
            [0..2, 2..3, 3..4]
        );
    }

    #[test]
    fn halves_are_told_in_order_and_before_what_comes_later() {
        let mut pieces = Pieces::of([(MOST_JOBS / 4, 0); 5].into_iter());
        let first = pieces.next().unwrap();
        assert_eq!(first, 0..4);
        pieces.halve(&first);
        assert_eq!(all(pieces), [0..2, 2..4, 4..5]);
    }
}
