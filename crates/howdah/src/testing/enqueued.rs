//! What waits in the queue, and whether it is what a test expects.
//!
//! Invariant: only what waits counts (ready, scheduled or blocked); nothing is changed. Limit: payloads appear in the
//! messages of failed assertions, as nowhere else.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;

use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::client::{Howdah, On, Target};
use crate::error::{Error, Result};
use crate::handler::{RawJob, decode};
use crate::job::{Job, JobId};

/// A job that waits: id, queue, kind, state, payload.
type Waiting = (i64, String, String, String, Json<Box<RawValue>>);

/// How many jobs a message lists.
const MOST_LISTED: i64 = 20;

/// Jobs of one type that wait: made by [`enqueued`]; `.await` it.
#[must_use = "nothing is looked at until this is awaited"]
pub struct Enqueued<'e, J> {
    howdah: &'e Howdah,
    queue: Option<String>,
    target: Target<'e>,
    job: std::marker::PhantomData<fn() -> J>,
}

/// The jobs of one type that wait (ready, scheduled or blocked), in the order enqueued.
///
/// # Errors
/// [`Error::Invalid`] for a payload that does not fit the type; [`Error::Database`].
pub fn enqueued<J: Job>(howdah: &Howdah) -> Enqueued<'_, J> {
    Enqueued { howdah, queue: None, target: Target::Pool(howdah.pool()), job: std::marker::PhantomData }
}

impl<'e, J: Job> Enqueued<'e, J> {
    /// Only those in this queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
        self
    }

    /// Looks from the caller's transaction, which may not be committed yet.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.target = target.target();
        self
    }

    async fn look(self) -> Result<Vec<(JobId, J)>> {
        match self.target {
            Target::Pool(pool) => look(self.howdah, self.queue.as_deref(), &mut *pool.acquire().await?).await,
            Target::Connection(connection) => look(self.howdah, self.queue.as_deref(), connection).await,
        }
    }
}

async fn look<J: Job>(howdah: &Howdah, queue: Option<&str>, on: &mut PgConnection) -> Result<Vec<(JobId, J)>> {
    let sql = "SELECT id, payload FROM howdah.jobs
                WHERE kind OPERATOR(pg_catalog.=) $1 AND ($2 IS NULL OR queue OPERATOR(pg_catalog.=) $2)
                  AND state OPERATOR(pg_catalog.=) ANY (ARRAY['ready', 'scheduled', 'blocked']) ORDER BY id";
    let rows: Vec<(i64, Json<Box<RawValue>>)> =
        sqlx::query_as(howdah.names().sql(sql)).bind(J::KIND).bind(queue).fetch_all(on).await?;
    let read = |(id, payload): (i64, Json<Box<RawValue>>)| {
        let read = howdah
            .keys()
            .open(J::KIND, payload.0)
            .and_then(|payload| decode(&RawJob { kind: J::KIND.to_owned(), payload, version: J::VERSION }));
        read.map(|job| (JobId(id), job)).map_err(|e| Error::invalid("payload", format!("of job {id}: {e}")))
    };
    rows.into_iter().map(read).collect()
}

/// An assertion about what waits: made by [`assert_enqueued`] or [`assert_none_enqueued`]; `.await` it.
#[must_use = "nothing is checked until this is awaited"]
pub struct AssertEnqueued<'e, J, F> {
    jobs: Enqueued<'e, J>,
    matches: F,
    wanted: bool,
    caller: &'static Location<'static>,
}

/// Checks that a job of this type waits for which `matches` is true. Gives those that match.
///
/// # Panics
/// When awaited, if there is none, with a list of what waits instead; or if the database cannot be asked.
#[track_caller]
pub fn assert_enqueued<J: Job, F: Fn(&J) -> bool + Send>(howdah: &Howdah, matches: F) -> AssertEnqueued<'_, J, F> {
    AssertEnqueued { jobs: enqueued(howdah), matches, wanted: true, caller: Location::caller() }
}

/// Checks that no job of this type waits for which `matches` is true.
///
/// # Panics
/// When awaited, if there is one, with a list of what waits; or if the database cannot be asked.
#[track_caller]
pub fn assert_none_enqueued<J: Job, F: Fn(&J) -> bool + Send>(howdah: &Howdah, matches: F) -> AssertEnqueued<'_, J, F> {
    AssertEnqueued { jobs: enqueued(howdah), matches, wanted: false, caller: Location::caller() }
}

impl<'e, J: Job, F: Fn(&J) -> bool + Send> AssertEnqueued<'e, J, F> {
    /// Only jobs in this queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.jobs = self.jobs.queue(name);
        self
    }

    /// Looks from the caller's transaction, which may not be committed yet.
    pub fn on(mut self, target: impl On<'e>) -> Self {
        self.jobs = self.jobs.on(target);
        self
    }

    async fn check(self) -> Vec<(JobId, J)> {
        let Self { jobs, matches, wanted, caller } = self;
        let (howdah, queue) = (jobs.howdah, jobs.queue);
        let checked = match jobs.target {
            Target::Pool(pool) => match pool.acquire().await {
                Ok(mut connection) => check(howdah, queue.as_deref(), &mut connection, matches, wanted).await,
                Err(error) => Err(error.into()),
            },
            Target::Connection(connection) => check(howdah, queue.as_deref(), connection, matches, wanted).await,
        };
        match checked {
            Ok(Ok(jobs)) => jobs,
            Ok(Err(message)) => panic!("{message}\nasserted at {caller}"),
            Err(error) => panic!("what is enqueued cannot be looked at: {error}\nasserted at {caller}"),
        }
    }
}

/// Gives the jobs that match, or what to say if that is not as wanted.
async fn check<J: Job>(
    howdah: &Howdah,
    queue: Option<&str>,
    on: &mut PgConnection,
    matches: impl Fn(&J) -> bool,
    wanted: bool,
) -> Result<Result<Vec<(JobId, J)>, String>> {
    let mut found = look::<J>(howdah, queue, on).await?;
    found.retain(|(_, job)| matches(job));
    if found.is_empty() != wanted {
        return Ok(Ok(found));
    }
    let place = queue.map_or_else(String::new, |queue| format!(" in the queue {queue:?}"));
    let what = if wanted { "no job" } else { "a job" };
    let kind = J::KIND;
    Ok(Err(format!("{what} of the kind {kind:?}{place} waits that matches\n{}", waiting(howdah, on).await?)))
}

/// Everything that waits, as people read it.
async fn waiting(howdah: &Howdah, on: &mut PgConnection) -> Result<String> {
    let sql = "SELECT id, queue, kind, state, payload FROM howdah.jobs
                WHERE state OPERATOR(pg_catalog.=) ANY (ARRAY['ready', 'scheduled', 'blocked']) ORDER BY id LIMIT $1";
    let rows: Vec<Waiting> = sqlx::query_as(howdah.names().sql(sql)).bind(MOST_LISTED + 1).fetch_all(on).await?;
    if rows.is_empty() {
        return Ok("nothing waits at all".to_owned());
    }
    let mut text = String::from("what waits:");
    for (n, (id, queue, kind, state, payload)) in rows.iter().enumerate() {
        if i64::try_from(n).is_ok_and(|n| n == MOST_LISTED) {
            text.push_str("\n  and more");
            break;
        }
        text.push_str(&format!("\n  {id} {kind} in {queue}, {state}: {}", payload.0.get()));
    }
    Ok(text)
}

impl<'e, J: Job> IntoFuture for Enqueued<'e, J> {
    type Output = Result<Vec<(JobId, J)>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.look())
    }
}

impl<'e, J: Job, F: Fn(&J) -> bool + Send + 'e> IntoFuture for AssertEnqueued<'e, J, F> {
    type Output = Vec<(JobId, J)>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.check())
    }
}

impl<J> fmt::Debug for Enqueued<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueued").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<J, F> fmt::Debug for AssertEnqueued<'_, J, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertEnqueued").field("jobs", &self.jobs).field("wanted", &self.wanted).finish_non_exhaustive()
    }
}
