//! A worker's memory while 1,000 of its jobs run.
//!
//! Invariant: all of them are in their handlers when it is read. Limit: resident memory, shared libraries included, of a
//! handler that holds nothing itself.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Run, WARM_UP};
use crate::compare::manifest::Manifest;
use crate::compare::metric;
use crate::compare::process::resident_mb;

const JOBS: u64 = 1000;
/// A system that does not run 1,000 at a time after this never will.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    let place = run.stage.place(system).await?;
    let mut worker = run.open(system, &place, true).await?;
    let mut enqueuer = run.open(system, &place, false).await?;
    worker.ask(&json!({ "do": "start_worker", "concurrency": JOBS, "hold": true })).await?;
    tokio::time::sleep(WARM_UP).await;
    enqueuer.ask(&json!({ "do": "enqueue_bulk", "jobs": JOBS, "batch": system.batch })).await?;
    let all = json!({ "do": "await", "jobs": JOBS });
    let running = tokio::time::timeout(PATIENCE, worker.ask(&all)).await;
    running.context("it does not run 1,000 jobs at a time")??;
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.samples.add(&system.name, metric::MEMORY, resident_mb(worker.pid()).unwrap_or(f64::NAN));
    worker.say("let_go").await?;
    worker.say("stop_worker").await?;
    worker.end().await?;
    enqueuer.end().await?;
    place.end().await
}
