//! Minutes under a transaction that holds the horizon of vacuum: nothing that dies can be cleared away meanwhile, except
//! by truncation. Then the same minutes without it, to tell what comes of the growing tables and of the disk.
//!
//! Invariant: jobs are enqueued and run all the time, with no more than some thousands waiting. Limit: a quick run has
//! seconds for minutes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use howdah::{Answer, Howdah, Statement, Worker};
use howdah_bench_contract::Seen;
use tokio::sync::oneshot;

use super::{Nothing, fresh, nothing};
use crate::compare::bars::Bar;
use crate::compare::metric::Better;
use crate::compare::samples::percentile;
use crate::compare::stage::Stage;

const WINDOWS: usize = 10;
const CALL: u64 = 1000;
const WAITING: u64 = 5000;
/// The size at which the keeper turns a ring.
const TURN_BYTES: f64 = 8_388_608.0;

/// What a window saw.
struct Window {
    rate: f64,
    claim_p99: f64,
}

pub(super) async fn run(stage: &Stage, quick: bool) -> Result<Vec<Bar>> {
    let window = Duration::from_secs(if quick { 1 } else { 60 });
    let (held, turns) = minutes(stage, window, true).await?;
    let (free, _) = minutes(stage, window, false).await?;
    Ok(bars(&held, &free, turns))
}

/// What each window saw, and the largest ring after them, in the sizes at which it is turned.
async fn minutes(stage: &Stage, window: Duration, hold: bool) -> Result<(Vec<Window>, f64)> {
    let claims = Arc::new(Mutex::new(Vec::new()));
    let told = claims.clone();
    let howdah = fresh(stage).await?.on_statement(move |statement: &Statement, answer: &Answer<'_>| {
        if statement.operation == "claim" && answer.rows > 0 {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(answer.took.as_secs_f64());
        }
    });
    // A transaction that has done nothing yet holds nothing.
    let mut holder = howdah.pool().begin().await?;
    if hold {
        let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()";
        sqlx::raw_sql(snapshot).execute(&mut *holder).await?;
    }
    let seen = Seen::new(false);
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = Worker::new(&howdah).state(seen.clone()).handle(nothing).concurrency(100);
    let worker = tokio::spawn(worker.run_until(stopped));
    let (mut windows, mut enqueued) = (Vec::new(), 0);
    for _ in 0..WINDOWS {
        let (start, before) = (Instant::now(), seen.count());
        while start.elapsed() < window {
            if enqueued < seen.count() + WAITING {
                howdah.enqueue_many((0..CALL).map(|n| Nothing { n })).await?;
                enqueued += CALL;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let mut times = std::mem::take(&mut *claims.lock().unwrap_or_else(PoisonError::into_inner));
        #[allow(clippy::cast_precision_loss)]
        let rate = (seen.count() - before) as f64 / start.elapsed().as_secs_f64();
        windows.push(Window { rate, claim_p99: percentile(&mut times, 0.99) });
    }
    let turns = turns(&howdah).await?;
    seen.until(enqueued).await;
    drop(stop);
    worker.await??;
    holder.rollback().await?;
    Ok((windows, turns))
}

/// The largest ring, in the sizes at which it is turned.
async fn turns(howdah: &Howdah) -> Result<f64> {
    let rings = [
        ["ticket_0", "ticket_1", "", ""],
        ["ticket_2", "ticket_3", "", ""],
        ["lease_0", "lease_1", "lease_2", "lease_3"],
    ];
    let mut most: f64 = 0.0;
    for ring in rings {
        let names: Vec<String> = ring.iter().filter(|t| !t.is_empty()).map(|t| format!("howdah.{t}")).collect();
        let size = "SELECT sum(pg_relation_size(t::regclass))::float8 FROM unnest($1) t";
        let bytes: f64 = sqlx::query_scalar(size).bind(names).fetch_one(howdah.pool()).await?;
        most = most.max(bytes / TURN_BYTES);
    }
    Ok(most)
}

fn bars(held: &[Window], free: &[Window], turns: f64) -> Vec<Bar> {
    let ends = |windows: &[Window]| match (windows.first(), windows.last()) {
        (Some(first), Some(last)) => (last.rate / first.rate, last.claim_p99 / first.claim_p99),
        _ => (f64::NAN, f64::NAN),
    };
    let ((rate, p99), (free_rate, free_p99)) = (ends(held), ends(free));
    let bar = |what: &str, beside: &str, reached: f64, wanted: Option<f64>, better: Better| Bar {
        what: what.into(),
        beside: beside.into(),
        reached,
        wanted,
        better,
    };
    let beside = "minute 10 of minute 1";
    vec![
        bar("throughput under a held xmin", beside, rate, Some(0.95), Better::Higher),
        bar("claim p99 under a held xmin", beside, p99, Some(1.2), Better::Lower),
        bar("largest ring under a held xmin", "times the size at which it is turned", turns, Some(2.0), Better::Lower),
        bar("throughput with none held, for comparison", beside, free_rate, None, Better::Higher),
        bar("claim p99 with none held, for comparison", beside, free_p99, None, Better::Lower),
    ]
}
