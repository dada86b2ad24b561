//! `howdah workflows`: look at workflows and their jobs, cancel them, run them again.
//!
//! Invariant: what is shown is read from the views that SQL has too. Limit: a workflow is known for as long as something is left of
//! its jobs.

use clap::Subcommand;
use howdah::{Howdah, WorkflowId};
use serde_json::json;

use super::Answer;
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, listed, parsed, with};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Workflows {
    /// List workflows, newest first, with how many of their jobs are in which state
    Ls {
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show one with its jobs, and what each of them still waits for
    Show {
        /// The workflow's number
        id: i64,
    },
    /// Cancel all of its jobs that have not ended
    Cancel {
        /// The workflow's number
        id: i64,
    },
    /// Run again what is dead, cancelled or expired of it; what has completed is kept
    Retry {
        /// The workflow's number
        id: i64,
    },
}

/// The columns of a list, and of one workflow.
const LIST: [Column; 13] = [
    Column("id", Show::Number),
    Column("name", Show::Text),
    Column("state", Show::Text),
    Column("created_at", Show::Time),
    Column("ended_at", Show::Time),
    Column("jobs", Show::Number),
    Column("blocked", Show::Number),
    Column("scheduled", Show::Number),
    Column("ready", Show::Number),
    Column("running", Show::Number),
    Column("completed", Show::Number),
    Column("cancelled", Show::Number),
    Column("dead", Show::Number),
];

const JOBS: [Column; 6] = [
    Column("job_id", Show::Number),
    Column("name", Show::Text),
    Column("kind", Show::Text),
    Column("queue", Show::Text),
    Column("state", Show::Text),
    Column("waits_for", Show::Text),
];

pub(crate) async fn run(global: &Global, out: Output, command: Workflows) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Workflows::Ls { limit } => {
            let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.workflows ORDER BY id DESC LIMIT $1) x";
            let rows: Vec<String> =
                sqlx::query_scalar(sql::of(&howdah, statement)).bind(limit).fetch_all(howdah.pool()).await?;
            if rows.is_empty() {
                out.nothing("no workflows");
            }
            out.rows(&LIST, &rows)?;
            Ok(Answer::Yes)
        }
        Workflows::Show { id } => show(&howdah, out, id).await,
        Workflows::Cancel { id } => {
            must_exist(&howdah, id).await?;
            let sum = howdah.cancel_workflow(WorkflowId(id)).await?;
            let text = format!("{} cancelled, {} asked to end", sum.done, sum.asked);
            out.answer(&json!({ "cancelled": sum.done, "cancelling": sum.asked }), text)?;
            Ok(Answer::Yes)
        }
        Workflows::Retry { id } => {
            must_exist(&howdah, id).await?;
            let jobs = howdah.retry_workflow(WorkflowId(id)).await?;
            out.answer(&json!({ "retried": jobs }), format_args!("{jobs} retried"))?;
            Ok((jobs > 0).into())
        }
    }
}

async fn one(howdah: &Howdah, id: i64) -> Result<String> {
    let statement = "SELECT to_json(x)::text FROM howdah.workflows x WHERE id = $1";
    let row: Option<String> =
        sqlx::query_scalar(sql::of(howdah, statement)).bind(id).fetch_optional(howdah.pool()).await?;
    row.ok_or_else(|| Failure::no(format!("there is no workflow {id}, or nothing is left of its jobs")))
}

async fn must_exist(howdah: &Howdah, id: i64) -> Result<()> {
    let statement = "SELECT EXISTS (SELECT FROM howdah.workflow WHERE id = $1)";
    let there: bool = sqlx::query_scalar(sql::of(howdah, statement)).bind(id).fetch_one(howdah.pool()).await?;
    if there { Ok(()) } else { one(howdah, id).await.map(|_| ()) }
}

async fn show(howdah: &Howdah, out: Output, id: i64) -> Result<Answer> {
    let row = one(howdah, id).await?;
    // A terminal and a pipe have the names as text; JSON has them as they are.
    let statement = if out.is_json() {
        "SELECT to_json(x)::text FROM howdah.workflow_nodes($1) x"
    } else {
        "SELECT to_json(x)::text FROM (SELECT job_id, name, kind, queue, state, array_to_string(waits_for, ', ') AS waits_for
                                         FROM howdah.workflow_nodes($1)) x"
    };
    let jobs: Vec<String> = sqlx::query_scalar(sql::of(howdah, statement)).bind(id).fetch_all(howdah.pool()).await?;
    if out.is_json() {
        out.line(with(&row, "nodes", &listed(&jobs)))?;
        return Ok(Answer::Yes);
    }
    out.fields(&LIST, &parsed(&row)?)?;
    out.heading("jobs")?;
    out.rows(&JOBS, &jobs)?;
    Ok(Answer::Yes)
}
