//! Statements for the schema of a handle, and the times that they give: for this crate, and for others that read the views.
//!
//! Invariant: a statement is a constant; the only thing put into it is the schema's name, which the library has checked.
//! Limit: the name is replaced textually, so that a statement may say `howdah.` only before the queue's own objects.

use std::time::{Duration, SystemTime};

use howdah::Howdah;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// A statement that names `howdah.`, for the handle's schema.
#[must_use]
pub fn of(howdah: &Howdah, statement: &'static str) -> SqlStr {
    match howdah.schema() {
        "howdah" => statement.into_sql_str(),
        schema => AssertSqlSafe(statement.replace("howdah.", &[schema, "."].concat())).into_sql_str(),
    }
}

/// A point in time from microseconds since 1970, as `howdah.micros` gives them.
#[must_use]
pub fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
}
