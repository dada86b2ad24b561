//! Schedules, and what they have fired.
//!
//! Invariant: as the views `howdah.schedules` and `howdah.firings` say. Limit: a thousand schedules.

use std::time::SystemTime;

use howdah::JobId;
use howdah_admin::Admin;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::{moment, sql, time};
use crate::error::Failure;

/// A schedule.
#[derive(Debug, Clone)]
pub(crate) struct ScheduleLine {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) timezone: String,
    pub(crate) next_at: Option<SystemTime>,
    pub(crate) last_at: Option<SystemTime>,
    pub(crate) last_job: Option<JobId>,
    pub(crate) last_state: Option<String>,
    pub(crate) paused_at: Option<SystemTime>,
    pub(crate) paused_by: Option<String>,
    pub(crate) pause_reason: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) queue: String,
    pub(crate) kind: String,
    /// As much as is shown.
    pub(crate) payload: String,
    pub(crate) unique_key: Option<String>,
    pub(crate) missed: String,
}

/// A slot that was fired.
#[derive(Debug, Clone)]
pub(crate) struct FiringLine {
    pub(crate) due_at: SystemTime,
    pub(crate) fired_at: SystemTime,
    pub(crate) how: String,
    pub(crate) job: JobId,
    pub(crate) hit: bool,
    pub(crate) state: Option<String>,
}

const SCHEDULES: &str = "SELECT s.name, s.expression, s.timezone, howdah.micros(s.next_at) AS next_at, howdah.micros(s.last_at) AS last_at,
       s.last_job, s.last_state, howdah.micros(s.paused_at) AS paused_at, s.paused_by, s.pause_reason, s.error, s.queue, s.kind,
       pg_catalog.left(s.payload::pg_catalog.text, 65536) AS payload, s.unique_key, s.missed
  FROM howdah.schedules s WHERE s.name OPERATOR(pg_catalog.=) coalesce($1::pg_catalog.text, s.name) ORDER BY s.name LIMIT 1000";

/// All schedules, or the one of this name.
pub(crate) async fn schedules(
    admin: &Admin,
    tx: &mut PgConnection,
    name: Option<&str>,
) -> Result<Vec<ScheduleLine>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), SCHEDULES)).bind(name).fetch_all(tx).await?;
    let schedule = |row: &PgRow| -> sqlx::Result<ScheduleLine> {
        Ok(ScheduleLine {
            name: row.try_get("name")?,
            expression: row.try_get("expression")?,
            timezone: row.try_get("timezone")?,
            next_at: time(row, "next_at")?,
            last_at: time(row, "last_at")?,
            last_job: row.try_get::<Option<i64>, _>("last_job")?.map(JobId),
            last_state: row.try_get("last_state")?,
            paused_at: time(row, "paused_at")?,
            paused_by: row.try_get("paused_by")?,
            pause_reason: row.try_get("pause_reason")?,
            error: row.try_get("error")?,
            queue: row.try_get("queue")?,
            kind: row.try_get("kind")?,
            payload: row.try_get("payload")?,
            unique_key: row.try_get("unique_key")?,
            missed: row.try_get("missed")?,
        })
    };
    Ok(rows.iter().map(schedule).collect::<sqlx::Result<_>>()?)
}

const FIRINGS: &str =
    "SELECT howdah.micros(f.due_at) AS due_at, howdah.micros(f.fired_at) AS fired_at, f.how, f.job_id, f.hit, f.state
  FROM howdah.firings f WHERE f.schedule OPERATOR(pg_catalog.=) $1 ORDER BY f.fired_at DESC, f.due_at DESC LIMIT 50";

/// What a schedule has fired, the newest first.
pub(crate) async fn firings(admin: &Admin, tx: &mut PgConnection, name: &str) -> Result<Vec<FiringLine>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), FIRINGS)).bind(name).fetch_all(tx).await?;
    let firing = |row: &PgRow| -> sqlx::Result<FiringLine> {
        Ok(FiringLine {
            due_at: moment(row, "due_at")?,
            fired_at: moment(row, "fired_at")?,
            how: row.try_get("how")?,
            job: JobId(row.try_get("job_id")?),
            hit: row.try_get("hit")?,
            state: row.try_get("state")?,
        })
    };
    Ok(rows.iter().map(firing).collect::<sqlx::Result<_>>()?)
}
