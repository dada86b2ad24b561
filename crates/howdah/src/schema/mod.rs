//! The schema: its checked name, and its SQL as it is installed.
//!
//! Invariant: no SQL is assembled from anything but string constants and a [`Schema`], whose name has been
//! checked. Limit: a name is lower case and needs no quotes, so that replacing `howdah.` is enough.

pub(crate) mod files;
pub(crate) mod migrate;
mod operation;

use std::fmt;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::error::{Error, Result};

pub use migrate::{AppliedMigration, MigrationStatus};
pub(crate) use operation::operation;

/// The name of the schema that holds the queue; `howdah` unless told otherwise.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Schema(Option<Arc<str>>);

impl Schema {
    pub(crate) const DEFAULT: Self = Self(None);

    /// Takes a name: 1 to 40 of a-z, 0-9 and `_`, not starting with a digit or `pg_`.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let first = name.as_bytes().first().copied().unwrap_or(b'0');
        let fits = name.len() <= 40
            && !first.is_ascii_digit()
            && !name.starts_with("pg_")
            && !RESERVED.contains(&name)
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !fits {
            return Err(Error::invalid(
                "schema",
                "must be 1 to 40 of a-z, 0-9 and _, not start with a digit or pg_, and be no keyword of SQL",
            ));
        }
        Ok(Self((name != "howdah").then(|| name.into())))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.as_deref().unwrap_or("howdah")
    }

    /// A statement or channel that names `howdah.`, for this schema.
    pub(crate) fn text(&self, sql: &str) -> String {
        match &self.0 {
            None => sql.to_owned(),
            Some(name) => sql.replace("howdah.", &format!("{name}.")),
        }
    }

    /// As [`Schema::text`], ready to run; costs nothing for the default schema.
    pub(crate) fn sql(&self, sql: &'static str) -> SqlStr {
        match &self.0 {
            None => sql.into_sql_str(),
            Some(_) => AssertSqlSafe(self.text(sql)).into_sql_str(),
        }
    }
}

/// Words that PostgreSQL does not take as a schema's name without quotes.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_name_that_would_need_quotes_is_refused() {
        for name in ["", "Howdah", "a b", "a\"b", "1a", "pg_howdah", "select", "a;drop", "ä", &"a".repeat(41)] {
            assert!(Schema::named(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_statement_names_the_schema_everywhere() {
        let schema = Schema::named("jobs_eu").unwrap();
        assert_eq!(schema.text("SELECT howdah.now() FROM howdah.job"), "SELECT jobs_eu.now() FROM jobs_eu.job");
        assert_eq!(Schema::named("howdah").unwrap(), Schema::DEFAULT);
    }
}
