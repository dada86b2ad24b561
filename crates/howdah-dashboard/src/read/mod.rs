//! What pages ask the database.
//!
//! Invariant: every question is a documented function or view, bounded in what it gives, in a transaction that cannot write and that
//! the server ends in time. Limit: JSON comes as text, so that nothing of it is lost.

pub(crate) mod audit;
pub(crate) mod cron;
pub(crate) mod depths;
pub(crate) mod failures;
pub(crate) mod job;
pub(crate) mod queue;
pub(crate) mod workers;
pub(crate) mod workflows;

use std::time::SystemTime;

pub(crate) use howdah_admin::sql::of as sql;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// A time that a statement gives in microseconds.
pub(crate) fn time(row: &PgRow, column: &str) -> sqlx::Result<Option<SystemTime>> {
    let micros: Option<i64> = row.try_get(column)?;
    Ok(micros.map(howdah_admin::sql::time))
}

/// A time that is always there.
pub(crate) fn moment(row: &PgRow, column: &str) -> sqlx::Result<SystemTime> {
    Ok(time(row, column)?.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// A number of things, which is not negative.
pub(crate) fn count(row: &PgRow, column: &str) -> sqlx::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}
