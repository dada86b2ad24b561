//! Settings and limits of one queue.
//!
//! Invariant: what is set is shown as the database says it. Limit: read only; `howdah queues set` and `howdah limits set` change them.

use howdah_admin::Admin;
use sqlx::{PgConnection, Row as _};

use super::sql;
use crate::error::Failure;

/// A limit, a rate or a weight.
#[derive(Debug, Clone)]
pub(crate) struct LimitLine {
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) max_running: Option<i32>,
    pub(crate) rate: Option<i32>,
    pub(crate) rate_period_ms: Option<i64>,
    pub(crate) weight: Option<i32>,
    pub(crate) running: Option<i64>,
    pub(crate) blocked: Option<i64>,
}

const LIMITS: &str = "SELECT l.scope, l.name, l.max_running, l.rate, l.rate_period_ms, l.weight, l.running, l.blocked
  FROM howdah.limits l WHERE $1 IS NULL OR (l.scope OPERATOR(pg_catalog.=) 'queue' AND l.name OPERATOR(pg_catalog.=) $1)
 ORDER BY l.scope, l.name LIMIT 200";

/// The limits that are set: all, or those of a queue.
pub(crate) async fn limits(
    admin: &Admin,
    tx: &mut PgConnection,
    queue: Option<&str>,
) -> Result<Vec<LimitLine>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), LIMITS)).bind(queue).fetch_all(tx).await?;
    let limit = |row: &sqlx::postgres::PgRow| -> sqlx::Result<LimitLine> {
        Ok(LimitLine {
            scope: row.try_get("scope")?,
            name: row.try_get("name")?,
            max_running: row.try_get("max_running")?,
            rate: row.try_get("rate")?,
            rate_period_ms: row.try_get("rate_period_ms")?,
            weight: row.try_get("weight")?,
            running: row.try_get("running")?,
            blocked: row.try_get("blocked")?,
        })
    };
    Ok(rows.iter().map(limit).collect::<sqlx::Result<_>>()?)
}

/// What is set of a queue, as the text of JSON.
pub(crate) async fn settings(admin: &Admin, tx: &mut PgConnection, queue: &str) -> Result<String, Failure> {
    let query = sqlx::query_scalar(sql(admin.howdah(), "SELECT howdah.queue_settings($1)::pg_catalog.text"));
    Ok(query.bind(queue).fetch_one(tx).await?)
}
