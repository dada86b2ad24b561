//! Following what happens.
//!
//! Invariant: an event is told once, in the order of its time within a look. A look costs of what happened since the last one, and
//! nothing is kept for it in the database. Limit: whoever looks less often than every ten seconds misses some; so does who
//! looks at more than a thousand at a time, and is told so.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use howdah::JobId;
use serde::Deserialize;
use serde_json::Value;

use crate::admin::Admin;
use crate::error::{Error, Result};
use crate::search::Search;
use crate::sql;

/// As many events as one look tells.
const MOST: i32 = 1000;

/// For how long the database may tell an event again, and some more.
const AGAIN: Duration = Duration::from_secs(20);

/// What happened to a job.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// When, in RFC 3339.
    pub at: String,
    /// What.
    pub event: What,
    /// Which job.
    pub id: JobId,
    /// Its queue.
    pub queue: String,
    /// Its kind.
    pub kind: String,
    /// Which attempt; 0 for what ended without one.
    pub attempt: i16,
    /// The worker's number.
    pub worker_id: Option<i64>,
    /// How long the attempt ran, in milliseconds.
    pub run_ms: Option<i32>,
    /// The kind of error.
    pub error_kind: Option<String>,
    /// Its message, up to 1,000 characters.
    pub message: Option<String>,
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        self.at.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }
}

/// A sort of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum What {
    /// An attempt began. Of one that was over before it was looked, only the end is told.
    Began,
    /// A job has completed.
    Completed,
    /// An attempt failed, and there will be another one.
    Failed,
    /// The last attempt failed, or the job has expired in a queue that keeps such ones.
    Dead,
    /// A job was cancelled.
    Cancelled,
    /// A job was not started in time.
    Expired,
}

impl What {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// What one look has seen.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Look {
    /// The events, oldest first, with the text of each as JSON.
    pub events: Vec<(Event, String)>,
    /// Some are missing: more happened than is told at a time.
    pub more: bool,
    /// Some may be missing: since the look before so much time has passed.
    pub gap: Option<Duration>,
}

/// Follows what happens from now on. Made by [`Admin::tail`].
#[derive(Debug)]
pub struct Tail {
    admin: Admin,
    search: Value,
    /// What the database said that now is, and when.
    seen: Option<(String, Instant)>,
    told: Told,
}

impl Admin {
    /// Follows what happens to the jobs that a search means: attempts that begin and fail, and jobs that end. The SQL function
    /// behind it is `howdah.tail`.
    #[must_use]
    pub fn tail(&self, search: &Search) -> Tail {
        Tail { admin: self.clone(), search: search.compiled(), seen: None, told: Told::default() }
    }
}

const TAIL: &str = "SELECT t.now, ARRAY(SELECT e::pg_catalog.text FROM pg_catalog.jsonb_array_elements(t.events) WITH ORDINALITY u(e, n) ORDER BY n), t.more
  FROM howdah.tail($1::pg_catalog.text::pg_catalog.pg_snapshot, $2, $3) t";

impl Tail {
    /// What has happened since the look before; the first one sees nothing. One statement that waits for nobody; a look each
    /// second is a good measure, and one every ten seconds the least.
    ///
    /// # Errors
    /// As [`Admin::search`]. The next look goes on from the last one that did not fail.
    pub async fn look(&mut self) -> Result<Look> {
        /// The database looks back for 15 seconds.
        const SAFE: Duration = Duration::from_secs(12);
        let mut tx = self.admin.question().await?;
        let query = sqlx::query_as(sql::of(self.admin.howdah(), TAIL))
            .bind(self.seen.as_ref().map(|(now, _)| now))
            .bind(&self.search)
            .bind(MOST);
        let looked: (String, Vec<String>, bool) = query.fetch_one(&mut *tx).await.map_err(|e| self.admin.told(e))?;
        tx.commit().await?;
        let (now, texts, more) = looked;
        let before = self.seen.replace((now, Instant::now()));
        let gap = before.map(|(_, at)| at.elapsed()).filter(|length| *length > SAFE);
        let mut events = Vec::with_capacity(texts.len());
        for text in texts {
            let event: Event = serde_json::from_str(&text).map_err(|e| Error::from(sqlx::Error::Decode(e.into())))?;
            if self.told.is_new(&event) {
                events.push((event, text));
            }
        }
        self.told.grow_old();
        Ok(Look { events, more, gap })
    }
}

/// What was told lately: of two times, so that what is old goes at once.
#[derive(Debug, Default)]
struct Told {
    now: HashSet<(JobId, i16, String, What)>,
    before: HashSet<(JobId, i16, String, What)>,
    since: Option<Instant>,
}

impl Told {
    fn is_new(&mut self, event: &Event) -> bool {
        // A dead job that was sent again meanwhile has failed only.
        let what = if event.event == What::Dead { What::Failed } else { event.event };
        let key = (event.id, event.attempt, event.at.clone(), what);
        !self.before.contains(&key) && self.now.insert(key)
    }

    fn grow_old(&mut self) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= AGAIN {
            self.before = std::mem::take(&mut self.now);
            self.since = Some(Instant::now());
        }
    }
}
