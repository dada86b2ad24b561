//! What is in each queue.
//!
//! Invariant: it costs the same however much waits: counts are capped. Limit: a capped count is a lower bound.

use std::time::SystemTime;

use howdah_admin::Admin;
use sqlx::{PgConnection, Row as _};

use super::{count, sql, time};
use crate::error::Failure;

/// So many rows of each queue and room are counted.
const CAP: i32 = 1000;

/// A queue.
#[derive(Debug, Clone)]
pub(crate) struct Depth {
    pub(crate) queue: String,
    pub(crate) ready: u64,
    pub(crate) running: u64,
    pub(crate) scheduled: u64,
    pub(crate) blocked: u64,
    pub(crate) dead: u64,
    /// There is more than was counted.
    pub(crate) more: bool,
    /// When the oldest of those that are ready was enqueued.
    pub(crate) oldest_ready_at: Option<SystemTime>,
    pub(crate) paused_at: Option<SystemTime>,
    pub(crate) paused_by: Option<String>,
    pub(crate) pause_reason: Option<String>,
    pub(crate) max_jobs: Option<i32>,
}

const DEPTHS: &str = "SELECT d.queue, d.ready, d.running, d.scheduled, d.blocked, d.dead, d.more, howdah.micros(d.oldest_ready_at) AS oldest_ready_at,
       howdah.micros(q.paused_at) AS paused_at, q.paused_by, q.pause_reason, q.max_jobs
  FROM howdah.depths($1) d JOIN howdah.queue q ON q.name OPERATOR(pg_catalog.=) d.queue
 WHERE $2 IS NULL OR d.queue OPERATOR(pg_catalog.=) $2 ORDER BY d.queue";

/// Every queue, or this one.
pub(crate) async fn depths(admin: &Admin, tx: &mut PgConnection, queue: Option<&str>) -> Result<Vec<Depth>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), DEPTHS)).bind(CAP).bind(queue).fetch_all(tx).await?;
    let depth = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Depth> {
        Ok(Depth {
            queue: row.try_get("queue")?,
            ready: count(row, "ready")?,
            running: count(row, "running")?,
            scheduled: count(row, "scheduled")?,
            blocked: count(row, "blocked")?,
            dead: count(row, "dead")?,
            more: row.try_get("more")?,
            oldest_ready_at: time(row, "oldest_ready_at")?,
            paused_at: time(row, "paused_at")?,
            paused_by: row.try_get("paused_by")?,
            pause_reason: row.try_get("pause_reason")?,
            max_jobs: row.try_get("max_jobs")?,
        })
    };
    Ok(rows.iter().map(depth).collect::<sqlx::Result<_>>()?)
}
