//! Failures in groups of the same cause.
//!
//! Invariant: a look costs of the groups that there are, and never of all failures. Limit: what is grouped is what is still
//! kept; groups are counted up to a bound.

use std::time::SystemTime;

use howdah::JobId;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::admin::Admin;
use crate::error::{Error, Result};
use crate::find::Count;
use crate::sql;

/// Failed attempts of the same kind of error, whose messages are the same but for numbers, quoted parts and the like.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ErrorGroup {
    /// Its number, which stays the same.
    pub fingerprint: i64,
    /// The kind of error.
    pub error_kind: String,
    /// What the messages have in common.
    pub shape: String,
    /// How many failed attempts.
    pub failures: Count,
    /// When the oldest of them failed that is still kept.
    pub first_at: SystemTime,
    /// When the newest failed.
    pub last_at: SystemTime,
    /// The job of the newest.
    pub job: JobId,
    /// The message of the newest, up to 1,000 characters.
    pub message: String,
    /// The kinds of jobs among the newest 20.
    pub kinds: Vec<String>,
}

/// As far as the failures of a group are counted.
const CAP: i64 = 1000;

const GROUPS: &str =
    "SELECT g.fingerprint, g.error_kind, g.shape, g.failures, howdah.micros(g.first_at), howdah.micros(g.last_at),
       g.job_id, g.message, g.kinds
  FROM howdah.error_groups($1, howdah.at_micros($2), $3::pg_catalog.int4) g";

impl Admin {
    /// The failures that are kept, in groups of the same cause: those with the newest failure first, at most `most` (1 to
    /// 1,000) groups, only those with a failure since `since`. The SQL function behind it is `howdah.error_groups`.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn error_groups(&self, most: u32, since: Option<SystemTime>) -> Result<Vec<ErrorGroup>> {
        let since = since.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros());
        let since = since.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX));
        let mut tx = self.question().await?;
        let query = sqlx::query(sql::of(self.howdah(), GROUPS))
            .bind(i32::try_from(most).unwrap_or(i32::MAX))
            .bind(since)
            .bind(CAP);
        let rows = query.fetch_all(&mut *tx).await.map_err(|e| self.told(e))?;
        tx.commit().await?;
        rows.iter().map(|row| group(row).map_err(Error::from)).collect()
    }
}

fn group(row: &PgRow) -> sqlx::Result<ErrorGroup> {
    let failures: i64 = row.try_get(3)?;
    Ok(ErrorGroup {
        fingerprint: row.try_get(0)?,
        error_kind: row.try_get(1)?,
        shape: row.try_get(2)?,
        failures: Count { jobs: failures.unsigned_abs(), or_more: failures >= CAP },
        first_at: sql::time(row.try_get(4)?),
        last_at: sql::time(row.try_get(5)?),
        job: JobId(row.try_get(6)?),
        message: row.try_get(7)?,
        kinds: row.try_get(8)?,
    })
}
