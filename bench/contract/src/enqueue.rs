//! Single enqueues: as fast as they go, and at a given pace.
//!
//! Invariant: each is a commit of its own. A paced job's time counts from just before its enqueue, or from when it was
//! due if its lane was still busy then, so that a system which falls behind cannot hide it. Limit: a timer of 1 ms.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{Adapter, Result, Work, now_ns};

/// How late a timer may be by itself.
const TIMER_NS: u64 = 2_000_000;
/// Between the first jobs and those that are measured, so that a worker sleeps again.
const SETTLE: Duration = Duration::from_secs(2);

/// Every lane enqueues for so long. Gives the number of jobs and the seconds.
pub(crate) async fn flat_out<A: Adapter>(adapter: &A, lanes: u64, seconds: f64) -> Result<(u64, f64)> {
    let mut tasks = JoinSet::new();
    let open = open(adapter, lanes).await?;
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
    for (mut lane, first) in open.into_iter().zip(0..) {
        tasks.spawn(async move {
            let mut done = 0;
            while start.elapsed() < limit {
                A::enqueue_one(&mut lane, Work { n: first + done * lanes, at: 0 }).await?;
                done += 1;
            }
            Ok::<_, anyhow::Error>(done)
        });
    }
    let mut jobs = 0;
    while let Some(done) = tasks.join_next().await {
        jobs += done??;
    }
    Ok((jobs, start.elapsed().as_secs_f64()))
}

/// All lanes together enqueue so many a second, evenly, once each has enqueued `warm` others. Gives the number of jobs and
/// the seconds.
pub(crate) async fn paced<A: Adapter>(adapter: &A, lanes: u64, warm: u64, rate: f64, jobs: u64) -> Result<(u64, f64)> {
    let mut tasks = JoinSet::new();
    let mut open = open(adapter, lanes).await?;
    for lane in &mut open {
        for n in 0..warm {
            A::enqueue_one(lane, Work { n, at: 0 }).await?;
        }
    }
    tokio::time::sleep(SETTLE).await;
    let (start, start_ns) = (Instant::now(), now_ns());
    for (mut lane, first) in open.into_iter().zip(0..) {
        tasks.spawn(async move {
            let mut n = first;
            while n < jobs {
                #[allow(clippy::cast_precision_loss)]
                let due = Duration::from_secs_f64((n + 1) as f64 / rate);
                tokio::time::sleep_until((start + due).into()).await;
                let (due, now) = (start_ns + u64::try_from(due.as_nanos())?, now_ns());
                let at = if now.saturating_sub(due) > TIMER_NS { due } else { now };
                A::enqueue_one(&mut lane, Work { n, at }).await?;
                n += lanes;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok((jobs, start.elapsed().as_secs_f64()))
}

async fn open<A: Adapter>(adapter: &A, lanes: u64) -> Result<Vec<A::Lane>> {
    let mut open = Vec::new();
    for _ in 0..lanes {
        open.push(adapter.lane().await?);
    }
    Ok(open)
}
