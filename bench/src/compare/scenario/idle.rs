//! What a worker asks the database while there is nothing to do.
//!
//! Invariant: it has had time to come up, and its concurrency is that of the drain. Limit: a long poll is one statement.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Run, WARM_UP, start_worker};
use crate::compare::manifest::Manifest;
use crate::compare::metric;

pub(super) async fn run(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    let place = run.stage.place(system).await?;
    let mut worker = run.open(system, &place, true).await?;
    worker.ask(&start_worker(system)).await?;
    tokio::time::sleep(WARM_UP).await;
    let (before, start) = (run.stage.counters(&place).await?, Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(run.sizes.idle_seconds)).await;
    let idle = run.stage.counters(&place).await? - before;
    run.samples.add(&system.name, metric::IDLE_STATEMENTS, idle.statements / start.elapsed().as_secs_f64());
    worker.say("stop_worker").await?;
    worker.end().await?;
    place.end().await
}
