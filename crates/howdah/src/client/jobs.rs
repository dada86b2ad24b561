//! A selection of jobs: what the operations on many of them, and looking for them, are about.
//!
//! Invariant: it is a value that is bound as the arguments of a function, and never part of a statement. Limit: what it
//! can say is what those functions take.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;

use super::{JobState, check_text};
use crate::error::Result;
use crate::filter::Filter;
use crate::job::JobId;

/// Which jobs: those of which everything is true that it says.
///
/// ```
/// use howdah::{Filter, JobState, Jobs};
///
/// let jobs = Jobs::kind("report").in_queue("slow").in_state(JobState::Ready).filter(Filter::attr("tenant").eq(42));
/// # let _ = jobs;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a selection does nothing by itself"]
pub struct Jobs {
    pub(super) queue: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) states: Option<Vec<JobState>>,
    pub(super) filter: Option<Filter>,
    pub(super) ids: Option<Vec<i64>>,
}

impl Jobs {
    /// All jobs that an operation is for.
    pub fn all() -> Self {
        Self::default()
    }

    /// Jobs of this kind.
    pub fn kind(kind: impl Into<String>) -> Self {
        Self::all().of_kind(kind)
    }

    /// Jobs of this queue.
    pub fn queue(queue: impl Into<String>) -> Self {
        Self::all().in_queue(queue)
    }

    /// These jobs.
    pub fn ids(ids: impl IntoIterator<Item = JobId>) -> Self {
        Self { ids: Some(ids.into_iter().map(|id| id.0).collect()), ..Self::default() }
    }

    /// Only those of this kind.
    pub fn of_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only those of this queue, which must exist.
    pub fn in_queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Only those in this state; called again, in either.
    pub fn in_state(mut self, state: JobState) -> Self {
        self.states.get_or_insert_default().push(state);
        self
    }

    /// Only those whose attributes match; called again, both.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(before) => before & filter,
            None => filter,
        });
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        check_text("queue", self.queue.as_deref().unwrap_or_default())?;
        check_text("kind", self.kind.as_deref().unwrap_or_default())
    }

    /// Binds queue, kind, states, filter and ids, in this order; of the states, those that the operation would take.
    pub(super) fn bind<'q, T>(
        &'q self,
        query: QueryAs<'q, Postgres, T, PgArguments>,
        states: Option<&[JobState]>,
    ) -> QueryAs<'q, Postgres, T, PgArguments> {
        let states = self.states.as_deref().or(states).map(|s| s.iter().map(|s| s.as_str()).collect::<Vec<_>>());
        query
            .bind(self.queue.as_deref())
            .bind(self.kind.as_deref())
            .bind(states)
            .bind(self.filter.as_ref().map(Filter::as_str))
            .bind(self.ids.as_deref())
    }
}
