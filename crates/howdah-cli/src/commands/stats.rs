//! `howdah stats`: what waits, what runs, who works; and what attempts came to.
//!
//! Invariant: it reads counts over runs of jobs and what workers have reported, never the jobs themselves, so that it is cheap on a
//! full queue. Limit: what workers have reported is up to twenty seconds old.

use clap::Args;

use super::{Answer, workers};
use crate::args::Global;
use crate::failure::Result;
use crate::output::{Column, Output, Show};
use crate::{connect, duration, sql};

/// Of which time.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// How attempts ended over the last so long, for each queue and kind, like 1h or 7d; whole hours are taken
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    since: Option<std::time::Duration>,
    /// Only of this queue
    #[arg(long, requires = "since")]
    queue: Option<String>,
    /// Only of this kind
    #[arg(long, requires = "since")]
    kind: Option<String>,
}

const NOW: [Column; 11] = [
    Column("queue", Show::Text),
    Column("ready", Show::Number),
    Column("running", Show::Number),
    Column("scheduled", Show::Number),
    Column("blocked", Show::Number),
    Column("dead", Show::Number),
    Column("in_per_minute", Show::Number),
    Column("out_per_minute", Show::Number),
    Column("failed_per_minute", Show::Number),
    Column("oldest_ready_at", Show::Time),
    Column("paused", Show::Text),
];

const QUEUES: &str = "SELECT to_json(x)::text FROM (
    SELECT q.*, round(r.in_per_minute::numeric, 1) AS in_per_minute, round(r.out_per_minute::numeric, 1) AS out_per_minute,
           round(r.failed_per_minute::numeric, 1) AS failed_per_minute
      FROM howdah.queues q LEFT JOIN howdah.rates() r ON r.queue = q.queue ORDER BY q.queue) x";

const SINCE: [Column; 10] = [
    Column("queue", Show::Text),
    Column("kind", Show::Text),
    Column("completed", Show::Number),
    Column("failed", Show::Number),
    Column("dead", Show::Number),
    Column("cancelled", Show::Number),
    Column("run_p50_ms", Show::Number),
    Column("run_p99_ms", Show::Number),
    Column("wait_p50_ms", Show::Number),
    Column("wait_p99_ms", Show::Number),
];

const STATS: &str = "SELECT to_json(x)::text FROM (
    SELECT s.queue, s.kind, s.completed, s.retried + s.dead AS failed, s.retried, s.dead, s.cancelled, s.snoozed, s.released, s.lost,
           s.run_ms, s.wait_ms, round(s.run_p50_ms::numeric) AS run_p50_ms, round(s.run_p99_ms::numeric) AS run_p99_ms,
           round(s.wait_p50_ms::numeric) AS wait_p50_ms, round(s.wait_p99_ms::numeric) AS wait_p99_ms, s.runs, s.waits
      FROM howdah.stats(make_interval(secs => $1), $2, $3) s) x";

pub(crate) async fn run(global: &Global, out: Output, which: Stats) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    if let Some(since) = which.since {
        let query =
            sqlx::query_scalar(sql::of(&howdah, STATS)).bind(since.as_secs_f64()).bind(which.queue).bind(which.kind);
        let rows: Vec<String> = query.fetch_all(howdah.pool()).await?;
        if rows.is_empty() {
            out.nothing("no attempt has ended in that time");
        }
        out.rows(&SINCE, &rows)?;
        return Ok(Answer::Yes);
    }
    let queues: Vec<String> = sqlx::query_scalar(sql::of(&howdah, QUEUES)).fetch_all(howdah.pool()).await?;
    let workers = workers::all(&howdah).await?;
    if out.is_json() {
        out.line(format_args!("{{\"queues\":[{}],\n \"workers\":[{}]}}", queues.join(","), workers.join(",")))?;
        return Ok(Answer::Yes);
    }
    out.rows(&NOW, &queues)?;
    out.heading("workers")?;
    out.rows(&workers::LIST, &workers)?;
    workers::say_who_is_missing(out, &workers);
    Ok(Answer::Yes)
}
