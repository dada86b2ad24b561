//! `howdah stats`: what waits, what runs, who works.
//!
//! Invariant: it reads counts over runs of jobs, never the jobs themselves, so that it is cheap on a full queue.
//! Limit: rates are not kept by the queue, so none are shown.

use serde_json::Value;

use super::{Answer, queues};
use crate::args::Global;
use crate::failure::Result;
use crate::output::{Column, Output, Show, parsed};
use crate::{connect, sql};

const WORKERS: [Column; 9] = [
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

pub(crate) async fn run(global: &Global, out: Output) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let queues = queues::all(&howdah).await?;
    let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.workers ORDER BY id) x";
    let workers: Vec<String> = sqlx::query_scalar(sql::of(&howdah, statement)).fetch_all(howdah.pool()).await?;
    if out.is_json() {
        out.line(format_args!("{{\"queues\":[{}],\n \"workers\":[{}]}}", queues.join(","), workers.join(",")))?;
        return Ok(Answer::Yes);
    }
    out.rows(&queues::LIST, &queues)?;
    out.heading("workers")?;
    out.rows(&WORKERS, &workers)?;
    if workers.is_empty() {
        out.nothing("no worker is running: start one with `howdah work --exec PROGRAM`");
    } else if !has_keeper(&workers) {
        out.nothing("no keeper: what is due later is not promoted, and nothing is rescued, until one is elected");
    }
    Ok(Answer::Yes)
}

fn has_keeper(workers: &[String]) -> bool {
    workers.iter().filter_map(|text| parsed(text).ok()).any(|w| w.get("keeper") == Some(&Value::Bool(true)))
}
