//! Single enqueues, each its own commit, from 16 connections of one process beside a worker in another.
//!
//! Invariant: the enqueuers are timed over a set time, so that slow and fast systems are under load equally long. An
//! idle worker serves another queue of the same database; a busy one runs the jobs. Limit: on two cores a busy worker
//! takes processor time from the enqueuers, in every system.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{LANES, Run, WARM_UP, all_done, start_worker};
use crate::compare::manifest::Manifest;
use crate::compare::metric;

pub(super) async fn run(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    idle(run, system).await?;
    busy(run, system).await
}

async fn idle(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    let place = run.stage.place(system).await?;
    let mut worker = run.open(system, &place, true).await?;
    let mut enqueuer = run.open(system, &place, false).await?;
    let mut start = start_worker(system);
    start["other_queue"] = true.into();
    worker.ask(&start).await?;
    tokio::time::sleep(WARM_UP).await;
    let done = enqueuer.ask(&flat_out(run)).await?;
    run.samples.add(&system.name, metric::SINGLE_IDLE, rate(&done)?);
    worker.end().await?;
    enqueuer.end().await?;
    place.end().await
}

/// Also gives the capacity: how many jobs a second are enqueued one by one and run.
pub(super) async fn busy(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    let place = run.stage.place(system).await?;
    let mut worker = run.open(system, &place, true).await?;
    let mut enqueuer = run.open(system, &place, false).await?;
    worker.ask(&start_worker(system)).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    let done = enqueuer.ask(&flat_out(run)).await?;
    run.samples.add(&system.name, metric::SINGLE_BUSY, rate(&done)?);
    let jobs = done["jobs"].as_u64().context("no number of jobs")?;
    all_done(&mut worker, jobs).await?;
    #[allow(clippy::cast_precision_loss)]
    run.samples.add(&system.name, metric::CAPACITY, jobs as f64 / start.elapsed().as_secs_f64());
    worker.say("stop_worker").await?;
    worker.end().await?;
    enqueuer.end().await?;
    place.end().await
}

fn flat_out(run: &Run<'_>) -> Value {
    json!({ "do": "enqueue_single", "lanes": LANES, "seconds": run.sizes.single_seconds })
}

fn rate(done: &Value) -> Result<f64> {
    let (jobs, seconds) = (done["jobs"].as_f64(), done["seconds"].as_f64());
    Ok(jobs.context("no number of jobs")? / seconds.context("no seconds")?)
}
