//! 200,000 jobs: enqueued in bulk, and drained by one worker whose handler does nothing.
//!
//! The limit is a raw loop over the same SQL functions on one connection by the same driver: it claims 500, decodes
//! nothing, completes the lease, and so on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use howdah::{Ctx, Howdah, Job, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::report::{line, ratio};

const JOBS: usize = 200_000;

#[derive(Job, Serialize, Deserialize)]
struct Nothing {
    n: usize,
}

#[derive(Clone, Default)]
struct Count(Arc<(AtomicUsize, Notify)>);

async fn nothing(_: Nothing, cx: Ctx<Count>) {
    if cx.0.0.fetch_add(1, Ordering::Relaxed) + 1 == JOBS {
        cx.0.1.notify_one();
    }
}

pub(crate) async fn run(howdah: &Howdah, rounds: usize) -> Result<()> {
    println!("{JOBS} jobs in bulk, one worker that does nothing");
    let (mut raw_in, mut raw_out, mut lib_in, mut lib_out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        raw_in.push(raw_enqueue(howdah).await?);
        raw_out.push(raw_drain(howdah).await?);
        lib_in.push(enqueue(howdah).await?);
        lib_out.push(drain(howdah).await?);
    }
    line("enqueue, raw calls of enqueue_many", "jobs/s", &raw_in);
    line("enqueue, library", "jobs/s", &lib_in);
    ratio("library / raw", &lib_in, &raw_in);
    line("drain, raw loop of claim and complete", "jobs/s", &raw_out);
    line("drain, library", "jobs/s", &lib_out);
    ratio("library / raw", &lib_out, &raw_out);
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn per_second(start: Instant) -> f64 {
    JOBS as f64 / start.elapsed().as_secs_f64()
}

async fn raw_enqueue(howdah: &Howdah) -> Result<f64> {
    let start = Instant::now();
    let mut tx = howdah.pool().begin().await?;
    for from in (0..JOBS).step_by(5000) {
        let payloads: Vec<_> = (from..from + 5000).map(|n| sqlx::types::Json(Nothing { n })).collect();
        sqlx::query("SELECT count(*) FROM howdah.enqueue_many('nothing', $1)").bind(payloads).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(per_second(start))
}

async fn raw_drain(howdah: &Howdah) -> Result<f64> {
    let mut connection = howdah.pool().acquire().await?;
    let worker: i64 = sqlx::query_scalar("SELECT howdah.start_worker('raw')").fetch_one(&mut *connection).await?;
    let start = Instant::now();
    loop {
        let claim = "SELECT lease_id, id, kind, payload::text FROM howdah.claim($1, 'default', 500, NULL, NULL)";
        let jobs: Vec<(i64, i64, String, String)> =
            sqlx::query_as(claim).bind(worker).fetch_all(&mut *connection).await?;
        let Some((lease, ..)) = jobs.first() else { break };
        let count = i32::try_from(jobs.len())?;
        sqlx::query("SELECT howdah.complete_leases(ARRAY[$1], ARRAY[$2], array_fill(0, ARRAY[$2]))")
            .bind(lease)
            .bind(count)
            .execute(&mut *connection)
            .await?;
    }
    let rate = per_second(start);
    sqlx::query("SELECT howdah.stop_worker($1)").bind(worker).execute(&mut *connection).await?;
    Ok(rate)
}

async fn enqueue(howdah: &Howdah) -> Result<f64> {
    let start = Instant::now();
    let ids = howdah.enqueue_many((0..JOBS).map(|n| Nothing { n })).await?;
    anyhow::ensure!(ids.len() == JOBS, "{} ids for {JOBS} jobs", ids.len());
    Ok(per_second(start))
}

/// From the start of the worker to its end: every completion is in the database.
async fn drain(howdah: &Howdah) -> Result<f64> {
    let count = Count::default();
    let start = Instant::now();
    let worker = Worker::new(howdah).state(count.clone()).handle(nothing);
    worker.run_until(count.0.1.notified()).await?;
    let rate = per_second(start);
    let left: i64 =
        sqlx::query_scalar("SELECT (SELECT count(*) FROM howdah.ticket) + (SELECT count(*) FROM howdah.lease)")
            .fetch_one(howdah.pool())
            .await?;
    anyhow::ensure!(left == 0, "{left} rows left");
    Ok(rate)
}
