//! Statements of the command line itself: reading the views.
//!
//! Invariant: a statement is a constant; the only thing put into it is the schema's name, which the library has
//! checked. Limit: rows come as the text of JSON objects, so that numbers stay exact and columns in order.

use howdah::Howdah;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// A statement that names `howdah.`, for the handle's schema.
pub(crate) fn of(howdah: &Howdah, statement: &'static str) -> SqlStr {
    match howdah.schema() {
        "howdah" => statement.into_sql_str(),
        schema => AssertSqlSafe(statement.replace("howdah.", &[schema, "."].concat())).into_sql_str(),
    }
}
