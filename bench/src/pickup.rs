//! Pickup: from just before the enqueue to the first line of the handler, on an idle queue.
//!
//! The limit is a NOTIFY on one connection to the answer of a SELECT on another that listens, by the same driver:
//! bare, and in a statement that also inserts a row. An enqueue has to wait for the disk and a bare NOTIFY has not,
//! so the second is the one that says what the queue adds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use howdah::{Ctx, Howdah, Job, Worker};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tokio::sync::mpsc;

use crate::report::percentile;

const JOBS: u32 = 150;
/// Long enough for the worker to have fallen asleep again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Job, Serialize, Deserialize)]
struct Ping {}

#[derive(Clone)]
struct Started(Arc<mpsc::UnboundedSender<Instant>>);

async fn ping(_: Ping, cx: Ctx<Started>) {
    let _ = cx.0.send(Instant::now());
}

pub(crate) async fn run(howdah: &Howdah, _rounds: usize) -> Result<()> {
    println!("pickup on an idle queue, {JOBS} jobs, {} ms apart", PAUSE.as_millis());
    sqlx::raw_sql("CREATE TABLE ping (n integer)").execute(howdah.pool()).await?;
    let bare = notified(howdah, "SELECT pg_notify('bench', '')").await?;
    let durable = notified(howdah, "INSERT INTO ping SELECT 1 FROM pg_notify('bench', '')").await?;
    let (sender, mut started) = mpsc::unbounded_channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Worker::new(howdah).state(Started(Arc::new(sender))).handle(ping);
    let worker = tokio::spawn(worker.run_until(stopped));
    let (mut times, mut after) = (Vec::new(), Vec::new());
    for _ in 0..JOBS {
        tokio::time::sleep(PAUSE).await;
        let start = Instant::now();
        howdah.enqueue(Ping {}).await?;
        let committed = Instant::now();
        if let Some(at) = started.recv().await {
            times.push((at - start).as_secs_f64() * 1e6);
            after.push(at.saturating_duration_since(committed).as_secs_f64() * 1e6);
        }
    }
    drop(stop);
    worker.await??;
    for (name, values) in
        [("NOTIFY to SELECT", &bare), ("INSERT and NOTIFY to SELECT", &durable), ("enqueue to start", &times)]
    {
        println!("  {name:<44} p50 {:.0} µs, p99 {:.0} µs", percentile(values, 0.5), percentile(values, 0.99));
    }
    let ratio = |to: &[f64]| percentile(&times, 0.5) / percentile(to, 0.5);
    println!("  {:<44} {:.2}", "p50 / NOTIFY to SELECT", ratio(&bare));
    println!(
        "  {:<44} {:.2}",
        "p50 from the commit / NOTIFY to SELECT",
        percentile(&after, 0.5) / percentile(&bare, 0.5)
    );
    println!("  {:<44} {:.2}", "p50 / INSERT and NOTIFY to SELECT", ratio(&durable));
    Ok(())
}

async fn notified(howdah: &Howdah, sql: &'static str) -> Result<Vec<f64>> {
    let mut listener = PgListener::connect_with(howdah.pool()).await?;
    listener.listen("bench").await?;
    let mut reader = howdah.pool().acquire().await?;
    let mut times = Vec::new();
    for _ in 0..JOBS {
        tokio::time::sleep(PAUSE).await;
        let start = Instant::now();
        let notify = async {
            sqlx::query(sql).execute(howdah.pool()).await?;
            Ok::<_, anyhow::Error>(())
        };
        let hear = async {
            listener.recv().await?;
            sqlx::query("SELECT id FROM howdah.job WHERE id = 0").execute(&mut *reader).await?;
            Ok::<_, anyhow::Error>(start.elapsed())
        };
        let (_, heard) = tokio::try_join!(notify, hear)?;
        times.push(heard.as_secs_f64() * 1e6);
    }
    Ok(times)
}
