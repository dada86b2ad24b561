//! The worker processes.
//!
//! Invariant: as the view `howdah.workers` says. Limit: a thousand of them.

use std::time::SystemTime;

use howdah_admin::Admin;
use sqlx::{PgConnection, Row as _};

use super::{count, moment, sql};
use crate::error::Failure;

/// A worker process.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) kinds: Option<Vec<String>>,
    pub(crate) running: u64,
    pub(crate) started_at: SystemTime,
    pub(crate) heartbeat_at: SystemTime,
    pub(crate) expires_at: SystemTime,
    pub(crate) stopping: bool,
    pub(crate) keeper: bool,
    pub(crate) asleep: bool,
}

const WORKERS: &str = "SELECT w.id, w.name, w.version, w.queues, w.kinds, w.running, howdah.micros(w.started_at) AS started_at,
       howdah.micros(w.heartbeat_at) AS heartbeat_at, howdah.micros(w.expires_at) AS expires_at, w.stopping, w.keeper, w.asleep
  FROM howdah.workers w ORDER BY w.id DESC LIMIT 1000";

/// All of them, the newest first.
pub(crate) async fn workers(admin: &Admin, tx: &mut PgConnection) -> Result<Vec<Worker>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), WORKERS)).fetch_all(tx).await?;
    let worker = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Worker> {
        Ok(Worker {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            queues: row.try_get("queues")?,
            kinds: row.try_get("kinds")?,
            running: count(row, "running")?,
            started_at: moment(row, "started_at")?,
            heartbeat_at: moment(row, "heartbeat_at")?,
            expires_at: moment(row, "expires_at")?,
            stopping: row.try_get("stopping")?,
            keeper: row.try_get("keeper")?,
            asleep: row.try_get("asleep")?,
        })
    };
    Ok(rows.iter().map(worker).collect::<sqlx::Result<_>>()?)
}
