//! Workflows and their jobs.
//!
//! Invariant: as the views `howdah.workflows` and `howdah.workflow_jobs` say. Limit: a page of workflows; of one, as many jobs as
//! can be drawn or listed.

use std::time::SystemTime;

use howdah::JobId;
use howdah_admin::Admin;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::{count, moment, sql, time};
use crate::error::Failure;

/// So many are on a page.
pub(crate) const PAGE: i64 = 50;
/// So many jobs of one are listed.
pub(crate) const MOST: i64 = 2000;

/// A workflow.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowLine {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) created_at: SystemTime,
    pub(crate) ended_at: Option<SystemTime>,
    pub(crate) jobs: u64,
    pub(crate) completed: u64,
    pub(crate) dead: u64,
}

/// A job of a workflow.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) job: JobId,
    pub(crate) kind: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) depends_on: Vec<String>,
    pub(crate) waits_for: Vec<String>,
}

const WORKFLOWS: &str = "SELECT w.id, w.name, w.state, howdah.micros(w.created_at) AS created_at, howdah.micros(w.ended_at) AS ended_at,
       w.jobs::pg_catalog.int8 AS jobs, w.completed, w.dead OPERATOR(pg_catalog.+) w.expired AS dead
  FROM howdah.workflows w WHERE w.id OPERATOR(pg_catalog.=) ANY (ARRAY(
    SELECT k.id FROM howdah.workflow k WHERE ($1 IS NULL OR k.id OPERATOR(pg_catalog.=) $1) AND ($2 IS NULL OR k.id OPERATOR(pg_catalog.<) $2)
     ORDER BY k.id DESC LIMIT $3)) ORDER BY w.id DESC";

/// The newest workflows with smaller numbers than `before`; or this one.
pub(crate) async fn workflows(
    admin: &Admin,
    tx: &mut PgConnection,
    id: Option<i64>,
    before: Option<i64>,
) -> Result<Vec<WorkflowLine>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), WORKFLOWS)).bind(id).bind(before).bind(PAGE).fetch_all(tx).await?;
    let workflow = |row: &PgRow| -> sqlx::Result<WorkflowLine> {
        Ok(WorkflowLine {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            state: row.try_get("state")?,
            created_at: moment(row, "created_at")?,
            ended_at: time(row, "ended_at")?,
            jobs: count(row, "jobs")?,
            completed: count(row, "completed")?,
            dead: count(row, "dead")?,
        })
    };
    Ok(rows.iter().map(workflow).collect::<sqlx::Result<_>>()?)
}

const NODES: &str = "SELECT n.name, n.job_id, n.kind, n.state, n.depends_on, n.waits_for
  FROM howdah.workflow_nodes($1) n ORDER BY n.job_id LIMIT $2";

/// The jobs of a workflow, in the order of their numbers.
pub(crate) async fn nodes(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Vec<Node>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), NODES)).bind(id).bind(MOST).fetch_all(tx).await?;
    let node = |row: &PgRow| -> sqlx::Result<Node> {
        Ok(Node {
            name: row.try_get("name")?,
            job: JobId(row.try_get("job_id")?),
            kind: row.try_get("kind")?,
            state: row.try_get("state")?,
            depends_on: row.try_get("depends_on")?,
            waits_for: row.try_get("waits_for")?,
        })
    };
    Ok(rows.iter().map(node).collect::<sqlx::Result<_>>()?)
}
