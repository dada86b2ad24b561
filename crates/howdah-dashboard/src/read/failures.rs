//! The failed attempts of a group.
//!
//! Invariant: the newest, up to a bound. Limit: what is still kept.

use std::time::SystemTime;

use howdah::JobId;
use howdah_admin::Admin;
use sqlx::{PgConnection, Row as _};

use super::{moment, sql};
use crate::error::Failure;

/// So many are shown, and dealt with at a time.
pub(crate) const MOST: i32 = 1000;

/// A failed attempt of a group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) job: JobId,
    pub(crate) attempt: i16,
    pub(crate) at: SystemTime,
    pub(crate) error_kind: String,
    pub(crate) message: String,
    pub(crate) kind: Option<String>,
    pub(crate) state: Option<String>,
}

const MEMBERS: &str = "SELECT f.job_id, f.attempt, howdah.micros(f.at) AS at, f.error_kind, f.message, f.kind, f.state
  FROM howdah.failures_of_group($1, $2) f";

/// The newest of a group.
pub(crate) async fn members(
    admin: &Admin,
    tx: &mut PgConnection,
    group: i64,
    most: i32,
) -> Result<Vec<Member>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), MEMBERS)).bind(group).bind(most).fetch_all(tx).await?;
    let member = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Member> {
        Ok(Member {
            job: JobId(row.try_get("job_id")?),
            attempt: row.try_get("attempt")?,
            at: moment(row, "at")?,
            error_kind: row.try_get("error_kind")?,
            message: row.try_get("message")?,
            kind: row.try_get("kind")?,
            state: row.try_get("state")?,
        })
    };
    Ok(rows.iter().map(member).collect::<sqlx::Result<_>>()?)
}

/// The dead jobs of a group, of the newest failures.
pub(crate) async fn dead_jobs(admin: &Admin, group: i64) -> Result<Vec<JobId>, Failure> {
    let mut tx = admin.question().await?;
    let members = members(admin, &mut tx, group, MOST).await?;
    let mut dead: Vec<JobId> =
        members.into_iter().filter(|member| member.state.as_deref() == Some("dead")).map(|member| member.job).collect();
    dead.sort_unstable();
    dead.dedup();
    Ok(dead)
}
