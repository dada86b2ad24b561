//! Looking for jobs: a page at a time, and counting up to a bound.
//!
//! Invariant: a call looks at no more jobs than it may and says how far it got; the next one goes on from there, so that
//! every job that fits all the while is found once. Limit: newest first, there is no other order.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use howdah::JobId;
use serde::Serialize;

use crate::admin::Admin;
use crate::error::Result;
use crate::search::Search;
use crate::sql;

/// Some of the jobs that a search means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The jobs, newest first.
    pub ids: Vec<JobId>,
    /// Where the next call goes on: [`Finding::before`]. `None`: every job has been looked at.
    pub next: Option<JobId>,
    /// How many jobs were looked at.
    pub looked: i64,
}

/// How many jobs a search means, as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// So many were found.
    pub jobs: u64,
    /// There may be more.
    pub or_more: bool,
}

/// `1000+` where it was not counted to the end.
impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.jobs, if self.or_more { "+" } else { "" })
    }
}

/// A search that is to be made. Made by [`Admin::search`]; `.await` it.
#[derive(Debug, Clone)]
#[must_use = "nothing is looked for until this is awaited"]
pub struct Finding<'a> {
    admin: &'a Admin,
    compiled: serde_json::Value,
    before: Option<JobId>,
    limit: u32,
    looks: u32,
    patience: Duration,
}

const SEARCH: &str =
    "SELECT s.ids, s.next, s.looked FROM howdah.search($1, $2, $3, $4, pg_catalog.make_interval(secs => $5)) s";

impl Admin {
    /// Looks for jobs, newest first: a page of at most 100, looking at no more than 20,000 jobs and for no longer than a
    /// second. The SQL function behind it is `howdah.search`.
    ///
    /// # Errors
    /// [`Error::TookTooLong`](crate::Error::TookTooLong); [`Error::Queue`](crate::Error::Queue) for numbers that are out
    /// of range, or if the database cannot be asked.
    pub fn search(&self, search: &Search) -> Finding<'_> {
        self.search_compiled(search.compiled())
    }

    fn search_compiled(&self, compiled: serde_json::Value) -> Finding<'_> {
        Finding { admin: self, compiled, before: None, limit: 100, looks: 20_000, patience: Duration::from_secs(1) }
    }

    /// Counts jobs, up to `most` (1 to 10,000) and within the bounds of one [`search`](Self::search).
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn count(&self, search: &Search, most: u32) -> Result<Count> {
        self.count_compiled(search.compiled(), most).await
    }

    pub(crate) async fn count_compiled(&self, compiled: serde_json::Value, most: u32) -> Result<Count> {
        let page = self.search_compiled(compiled).limit(most).await?;
        Ok(Count { jobs: page.ids.len() as u64, or_more: page.next.is_some() })
    }
}

impl Finding<'_> {
    /// Only jobs with smaller numbers: where the page before ended.
    pub fn before(mut self, id: Option<JobId>) -> Self {
        self.before = id;
        self
    }

    /// At most so many, 1 to 10,000. Default: 100.
    pub fn limit(mut self, jobs: u32) -> Self {
        self.limit = jobs;
        self
    }

    /// Look at about so many jobs at most, 1 to 1,000,000. Default: 20,000.
    pub fn looks(mut self, jobs: u32) -> Self {
        self.looks = jobs;
        self
    }

    /// Look for about so long at most. Default: 1 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    async fn run(self) -> Result<Page> {
        let mut tx = self.admin.question().await?;
        let capped = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let found: (Vec<i64>, Option<i64>, i64) = sqlx::query_as(sql::of(self.admin.howdah(), SEARCH))
            .bind(&self.compiled)
            .bind(self.before.map(|id| id.0))
            .bind(capped(self.limit))
            .bind(capped(self.looks))
            .bind(self.patience.as_secs_f64().min(86_400.0))
            .fetch_one(&mut *tx)
            .await
            .map_err(|e| self.admin.told(e))?;
        tx.commit().await?;
        Ok(Page { ids: found.0.into_iter().map(JobId).collect(), next: found.1.map(JobId), looked: found.2 })
    }
}

impl<'a> IntoFuture for Finding<'a> {
    type Output = Result<Page>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
