//! Who did what.
//!
//! Invariant: as the view `howdah.audit` says. Limit: the newest hundred.

use std::time::SystemTime;

use howdah_admin::Admin;
use sqlx::{PgConnection, Row as _};

use super::{moment, sql};
use crate::error::Failure;

/// Something that was done.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) at: SystemTime,
    pub(crate) by: String,
    pub(crate) action: String,
    pub(crate) settings: String,
    pub(crate) reason: Option<String>,
    pub(crate) search: Option<String>,
    /// The first of the jobs that were named.
    pub(crate) jobs: Vec<i64>,
    pub(crate) changed: i64,
    pub(crate) operation: Option<i64>,
}

const AUDIT: &str = "SELECT howdah.micros(a.made_at) AS at, a.made_by, a.action, a.settings::pg_catalog.text AS settings, a.reason, a.search,
       coalesce(a.job_ids[1:20], '{}') AS jobs, a.changed, a.operation_id
  FROM howdah.audit a ORDER BY a.made_at DESC LIMIT 100";

/// The newest.
pub(crate) async fn audit(admin: &Admin, tx: &mut PgConnection) -> Result<Vec<Deed>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), AUDIT)).fetch_all(tx).await?;
    let deed = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Deed> {
        Ok(Deed {
            at: moment(row, "at")?,
            by: row.try_get("made_by")?,
            action: row.try_get("action")?,
            settings: row.try_get("settings")?,
            reason: row.try_get("reason")?,
            search: row.try_get("search")?,
            jobs: row.try_get("jobs")?,
            changed: row.try_get("changed")?,
            operation: row.try_get("operation_id")?,
        })
    };
    Ok(rows.iter().map(deed).collect::<sqlx::Result<_>>()?)
}
