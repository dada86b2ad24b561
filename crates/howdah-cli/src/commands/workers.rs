//! `howdah workers`: who works, and on what.
//!
//! Invariant: what is shown is what the database knows. Limit: a worker that was killed is listed until its lease is over.

use clap::Subcommand;
use howdah::Howdah;
use serde_json::{Value, json};

use super::Answer;
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, listed, parsed, with};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Workers {
    /// List worker processes
    Ls,
    /// Show one with what it runs
    Show {
        /// The worker's number
        id: i64,
    },
    /// Tell workers to claim no more jobs, and to stay; what they have goes on
    Quiet {
        /// The workers' numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Tell workers that are quiet to claim jobs again
    Resume {
        /// The workers' numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Tell workers to end gracefully, as by SIGTERM; whoever started the processes may start them again
    Stop {
        /// The workers' numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

/// The columns of a list of workers.
pub(super) const LIST: [Column; 9] = [
    Column("id", Show::Number),
    Column("name", Show::Text),
    Column("queues", Show::Text),
    Column("running", Show::Number),
    Column("started_at", Show::Time),
    Column("heartbeat_at", Show::Time),
    Column("keeper", Show::Text),
    Column("asleep", Show::Text),
    Column("stopping", Show::Text),
];

const ONE: [Column; 13] = [
    Column("id", Show::Number),
    Column("name", Show::Text),
    Column("version", Show::Text),
    Column("queues", Show::Text),
    Column("kinds", Show::Text),
    Column("running", Show::Number),
    Column("started_at", Show::Time),
    Column("heartbeat_at", Show::Time),
    Column("expires_at", Show::Time),
    Column("keeper", Show::Text),
    Column("asleep", Show::Text),
    Column("stopping", Show::Text),
    Column("told", Show::Text),
];

const JOBS: [Column; 5] = [
    Column("id", Show::Number),
    Column("queue", Show::Text),
    Column("kind", Show::Text),
    Column("attempt", Show::Number),
    Column("claimed_at", Show::Time),
];

/// Every worker, as the text of JSON objects.
pub(super) async fn all(howdah: &Howdah) -> Result<Vec<String>> {
    let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.workers ORDER BY id) x";
    Ok(sqlx::query_scalar(sql::of(howdah, statement)).fetch_all(howdah.pool()).await?)
}

pub(crate) async fn run(global: &Global, out: Output, command: Workers) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Workers::Ls => {
            let workers = all(&howdah).await?;
            out.rows(&LIST, &workers)?;
            say_who_is_missing(out, &workers);
            Ok(Answer::Yes)
        }
        Workers::Show { id } => one(&howdah, out, id).await,
        Workers::Quiet { ids } => tell(&howdah, out, &ids, "quiet").await,
        Workers::Resume { ids } => tell(&howdah, out, &ids, "work").await,
        Workers::Stop { ids } => tell(&howdah, out, &ids, "stop").await,
    }
}

/// Tells workers something; those that there are not are said.
async fn tell(howdah: &Howdah, out: Output, ids: &[i64], what: &str) -> Result<Answer> {
    let mut rows = Vec::new();
    let mut all_there = true;
    for id in ids {
        let statement = sql::of(howdah, "SELECT howdah.tell_worker($1, $2)");
        let there: bool = sqlx::query_scalar(statement).bind(id).bind(what).fetch_one(howdah.pool()).await?;
        all_there &= there;
        rows.push(
            json!({ "id": id, "result": if there { "told" } else { "there is none" }, "done": there }).to_string(),
        );
    }
    out.rows(&[Column("id", Show::Number), Column("result", Show::Text)], &rows)?;
    Ok(all_there.into())
}

/// Tells a person that nobody works, or that nobody does the chores.
pub(super) fn say_who_is_missing(out: Output, workers: &[String]) {
    if workers.is_empty() {
        out.nothing("no worker is running: start one with `howdah work --exec PROGRAM`");
    } else if !has_keeper(workers) {
        out.nothing("no keeper: what is due later is not promoted, and nothing is rescued, until one is elected");
    }
}

fn has_keeper(workers: &[String]) -> bool {
    workers.iter().filter_map(|text| parsed(text).ok()).any(|w| w.get("keeper") == Some(&Value::Bool(true)))
}

async fn one(howdah: &Howdah, out: Output, id: i64) -> Result<Answer> {
    let statement = "SELECT to_json(x)::text FROM howdah.workers x WHERE id = $1";
    let row: Option<String> =
        sqlx::query_scalar(sql::of(howdah, statement)).bind(id).fetch_optional(howdah.pool()).await?;
    let Some(row) = row else { return Err(Failure::no(format!("there is no worker {id}, or it has stopped"))) };
    // Of its jobs so many as fit on a screen.
    let statement = "SELECT to_json(x)::text FROM (
        SELECT id, queue, kind, attempt, claimed_at FROM howdah.jobs WHERE state = 'running' AND worker_id = $1 ORDER BY id LIMIT 100) x";
    let jobs: Vec<String> = sqlx::query_scalar(sql::of(howdah, statement)).bind(id).fetch_all(howdah.pool()).await?;
    if out.is_json() {
        out.line(with(&row, "jobs", &listed(&jobs)))?;
        return Ok(Answer::Yes);
    }
    out.fields(&ONE, &parsed(&row)?)?;
    if !jobs.is_empty() {
        out.heading("running")?;
        out.rows(&JOBS, &jobs)?;
    }
    Ok(Answer::Yes)
}
