//! What an attempt says of itself while it runs: how far it is, and where the next one can go on.
//!
//! Invariant: only the attempt that holds the job is heard, see `howdah.report_progress`. Of progress, the last
//! value is written at most twice a second for each job, however often it is said, and is not lost while the job
//! runs on; a checkpoint is written before the call returns. Limit: progress that was said shortly before the attempt
//! ends may not be kept; what must be is a checkpoint.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::ctx::{Call, Ctx};
use crate::client::has_nul;
use crate::error::{Error, Result};
use crate::worker::Note;

/// How often the progress of one job is written at most: twice a second, and as it goes on a hundred times in the time
/// that it has run, until that is every five seconds. A row that is written over and over rots while somebody holds
/// an old snapshot.
const SELDOM: Duration = Duration::from_millis(500);
const MOST_SELDOM: Duration = Duration::from_secs(5);
/// What the database keeps of a message.
const MOST_CHARS: usize = 1000;

const REPORT: &str = "SELECT howdah.report_progress($1, $2, NULL, NULL, $3)";

/// What one attempt has said and the database does not know yet.
#[derive(Debug, Default)]
pub(crate) struct Said(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    percent: Option<f32>,
    message: Option<String>,
    /// The writer has been told of it.
    queued: bool,
    written: Option<Instant>,
}

impl Said {
    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what is said. Returns whether the writer is to be told.
    fn say(&self, percent: Option<f32>, message: String) -> bool {
        let mut latest = self.latest();
        latest.percent = percent.or(latest.percent);
        latest.message = Some(message);
        !std::mem::replace(&mut latest.queued, true)
    }

    /// When it may be written, of an attempt that has run since then.
    pub(crate) fn due(&self, now: Instant, started: Instant) -> Instant {
        let pause = (now.duration_since(started) / 100).clamp(SELDOM, MOST_SELDOM);
        self.latest().written.map_or(now, |at| at + pause)
    }

    /// What is to be written now. What is said from now on is news.
    pub(crate) fn take(&self, now: Instant) -> (Option<f32>, Option<String>) {
        let mut latest = self.latest();
        (latest.queued, latest.written) = (false, Some(now));
        (latest.percent.take(), latest.message.take())
    }

    /// It could not be written. Returns whether the writer has to look at it again by itself.
    pub(crate) fn put_back(&self, percent: Option<f32>, message: Option<String>) -> bool {
        let mut latest = self.latest();
        latest.percent = latest.percent.or(percent);
        latest.message = latest.message.take().or(message);
        !std::mem::replace(&mut latest.queued, true)
    }
}

impl<T> Ctx<T> {
    /// Says how far the job is, 0 to 100 (what is outside is cut off, NaN leaves what was), and what it does, for
    /// people: `howdah jobs show` has it, and `howdah.get_progress`. Costs nothing to call often: the last value is
    /// written at most twice a second, and every five seconds once it has run for minutes. A message is cut at 1000
    /// characters.
    ///
    /// It is gone when the job has ended well, and kept with a dead one. The SQL function behind it is
    /// `howdah.note_progress`. If that finds that the job is not this attempt's any more,
    /// [`cancelled`](Ctx::cancelled) fires.
    pub fn progress(&self, percent: impl Into<f64>, message: impl Into<String>) {
        let percent: f64 = percent.into();
        #[allow(clippy::cast_possible_truncation, reason = "0 to 100 fits")]
        let percent = (!percent.is_nan()).then(|| percent.clamp(0.0, 100.0) as f32);
        let message: String =
            message.into().chars().take(MOST_CHARS).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect();
        if self.call().said.say(percent, message) {
            self.call().notes.send(Note::Progress(Arc::clone(self.call())));
        }
    }

    /// Keeps a value for whoever tries the job next: how far this attempt came. Written when this returns. At most
    /// 64 KiB of JSON; a value that is JSON null clears it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no JSON, or too large; [`Error::LeaseLost`] if the job is not this attempt's any
    /// more; [`Error::Database`]. The SQL function behind it is `howdah.report_progress`.
    pub async fn checkpoint(&self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let mut connection = self.howdah().pool().acquire().await?;
        self.checkpoint_in(&mut connection, value).await
    }

    /// As [`checkpoint`](Self::checkpoint), inside the handler's own transaction: it is kept if and only if that
    /// commits, together with the work that it stands for.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint). Roll back if there is one.
    pub async fn checkpoint_in(&self, transaction: &mut PgConnection, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let json = encode(value)?;
        let call = self.call();
        let query = sqlx::query(call.howdah.names().sql(REPORT)).bind(call.lease_id).bind(call.id.0).bind(Json(json));
        let told = call.howdah.observe("report_progress", query.execute(transaction)).await;
        told.map(|_| ()).map_err(|error| self.or_lost(error))
    }

    /// The last checkpoint of the job: of an attempt that failed, or of this one. `None`: there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `checkpoint` if it does not fit the type; [`Error::Database`]. The SQL
    /// function behind it is `howdah.get_progress`.
    pub async fn last_checkpoint<C: DeserializeOwned>(&self) -> Result<Option<C>> {
        let call = self.call();
        let sql = call.howdah.names().sql("SELECT checkpoint FROM howdah.get_progress($1)");
        let query = sqlx::query_scalar::<_, Option<Json<Box<RawValue>>>>(sql).bind(call.id.0);
        let found = call.howdah.observe("get_progress", query.fetch_optional(call.howdah.pool())).await?.flatten();
        found.map(|json| decode(&json.0)).transpose()
    }
}

fn encode(value: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>> {
    let json = serde_json::value::to_raw_value(value)
        .map_err(|e| Error::invalid("checkpoint", format!("cannot be written as JSON: {e}")))?;
    if has_nul(json.get()) {
        return Err(Error::invalid(
            "checkpoint",
            "has the character NUL (\\u0000) in a string, which PostgreSQL cannot store as JSON",
        ));
    }
    Ok(json)
}

/// The error names the field that does not fit, and not what was there.
fn decode<C: DeserializeOwned>(json: &RawValue) -> Result<C> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json.get())).map_err(|e| {
        let place = e.path().to_string();
        Error::invalid("checkpoint", format!("does not fit the type that is asked for, at {place}"))
    })
}

impl Call {
    /// The database says that the job is not this attempt's any more.
    pub(crate) fn lose(&self) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            tracing::warn!(job = %self.id, attempt = self.attempt, "lost the lease: another worker may run this job now");
            self.cancelled.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_value_is_written_and_not_too_soon_after_another() {
        let (said, now) = (Said::default(), Instant::now());
        assert!(said.say(Some(1.0), "a".to_owned()));
        assert!(!said.say(None, "b".to_owned()), "the writer knows");
        assert_eq!(said.due(now, now), now);
        assert_eq!(said.take(now), (Some(1.0), Some("b".to_owned())));
        assert!(said.say(Some(2.0), "c".to_owned()));
        assert_eq!(said.due(now, now), now + SELDOM);
        let later = now + Duration::from_secs(3600);
        assert_eq!(said.due(later, now), now + MOST_SELDOM);
    }

    #[test]
    fn what_could_not_be_written_gives_way_to_what_was_said_meanwhile() {
        let (said, now) = (Said::default(), Instant::now());
        said.say(Some(1.0), "a".to_owned());
        let (percent, message) = said.take(now);
        assert!(said.put_back(percent, message));
        assert_eq!(said.take(now), (Some(1.0), Some("a".to_owned())));
        said.say(Some(2.0), "b".to_owned());
        assert!(!said.put_back(Some(1.0), Some("a".to_owned())));
        assert_eq!(said.take(now), (Some(2.0), Some("b".to_owned())));
    }
}
