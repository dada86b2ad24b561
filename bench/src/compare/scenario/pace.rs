//! How long a job waits, from just before its enqueue to its handler: on an idle queue, and under a steady load.
//!
//! Invariant: both times are of the machine's one clock, taken in the enqueuer's and the worker's process; a job that
//! could not be enqueued when it was due has waited since then. Limit: one worker process.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{LANES, Run, WARM_UP, single, start_worker};
use crate::compare::manifest::Manifest;
use crate::compare::metric::{self, Metric};
use crate::compare::samples::percentile;

/// Slow enough for every worker to have fallen asleep between two jobs.
const IDLE_RATE: f64 = 4.0;
/// Jobs that each connection enqueues before.
const WARM: u64 = 4;
/// A load that most systems can bear.
const SAME_RATE: f64 = 200.0;

pub(super) async fn pickup(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    let percentiles = [(metric::PICKUP_P50, 0.5), (metric::PICKUP_P99, 0.99)];
    let jobs = run.sizes.pickups;
    paced(run, system, 1, IDLE_RATE, jobs, &percentiles).await
}

pub(super) async fn load(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    if run.samples.median(&system.name, metric::CAPACITY).is_none() {
        single::busy(run, system).await?;
    }
    let capacity = run.samples.median(&system.name, metric::CAPACITY).context("its capacity is not known")?;
    let rate = capacity / 2.0;
    run.samples.add(&system.name, metric::LOAD_RATE, rate);
    let half = [(metric::LOAD_P50, 0.5), (metric::LOAD_P99, 0.99), (metric::LOAD_P999, 0.999)];
    let jobs = jobs_in(rate, run.sizes.load_seconds);
    paced(run, system, LANES, rate, jobs, &half).await?;
    let same = [(metric::SAME_P50, 0.5), (metric::SAME_P99, 0.99), (metric::SAME_P999, 0.999)];
    let jobs = jobs_in(SAME_RATE, run.sizes.load_seconds);
    paced(run, system, LANES, SAME_RATE, jobs, &same).await
}

async fn paced(
    run: &mut Run<'_>,
    system: &Manifest,
    lanes: u64,
    rate: f64,
    jobs: u64,
    percentiles: &[(Metric, f64)],
) -> Result<()> {
    let place = run.stage.place(system).await?;
    let mut worker = run.open(system, &place, true).await?;
    let mut enqueuer = run.open(system, &place, false).await?;
    worker.ask(&start_worker(system)).await?;
    tokio::time::sleep(WARM_UP).await;
    // The first jobs prepare statements and fill caches, in every connection.
    let pace = json!({ "do": "pace", "lanes": lanes, "warm": WARM, "rate": rate, "jobs": jobs });
    enqueuer.ask(&pace).await?;
    worker.ask(&json!({ "do": "await", "jobs": lanes * WARM + jobs })).await?;
    let waited = worker.say("waited").await?;
    let mut waited: Vec<f64> = waited["us"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    ensure!(!waited.is_empty(), "no waiting times");
    for (metric, part) in percentiles {
        run.samples.add(&system.name, *metric, percentile(&mut waited, *part) / 1000.0);
    }
    worker.say("stop_worker").await?;
    worker.end().await?;
    enqueuer.end().await?;
    place.end().await
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn jobs_in(rate: f64, seconds: f64) -> u64 {
    ((rate * seconds) as u64).max(LANES)
}
