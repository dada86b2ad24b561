//! How soon an idle worker starts a job: from just before the enqueue, and from its commit, to the handler.
//!
//! Limits: a bare NOTIFY on one connection to the answer of a SELECT on another that listens; the same for a statement
//! that also inserts a row, since an enqueue waits for the disk and a bare NOTIFY does not.

use std::time::{Duration, Instant};

use howdah::{Ctx, Howdah, Job, Worker};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tokio::sync::{mpsc, oneshot};

use super::progress::Progress;
use super::report::{Figure, Report};
use crate::failure::{Failure, Result};
use crate::sql;

/// Long enough for the worker to have fallen asleep again.
const PAUSE: Duration = Duration::from_millis(100);
/// After this, what was waited for will not come.
const PATIENCE: Duration = Duration::from_secs(30);
const NOTIFY: &str = "SELECT pg_notify('howdah_bench_notified', '')";
const INSERT_AND_NOTIFY: &str = "INSERT INTO howdah.plain (queue_id, priority, max_attempts, kind, payload)
    SELECT 1, 5, 20, 'ping', '{}' FROM pg_notify('howdah_bench_notified', '')";

#[derive(Job, Serialize, Deserialize)]
struct Ping {}

#[derive(Clone)]
struct Started(mpsc::UnboundedSender<Instant>);

async fn ping(_: Ping, cx: Ctx<Started>) {
    // Nobody listens any more: the measurement was given up.
    let _ = cx.0.send(Instant::now());
}

pub(super) async fn round(howdah: &Howdah, pickups: u16, progress: &Progress, report: &mut Report) -> Result<()> {
    let takes = PAUSE * u32::from(pickups);
    {
        let _phase = progress.timed("NOTIFY to SELECT", takes);
        report.extend(Figure::Notify, notified(howdah, NOTIFY, pickups).await?);
    }
    {
        let _phase = progress.timed("INSERT and NOTIFY to SELECT", takes);
        report.extend(Figure::InsertNotify, notified(howdah, INSERT_AND_NOTIFY, pickups).await?);
    }
    let _phase = progress.timed("pickup by an idle worker", takes);
    let (sender, mut started) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = Worker::new(howdah).state(Started(sender)).handle(ping);
    let mut worker = tokio::task::JoinSet::from_iter([worker.run_until(stopped)]);
    for _ in 0..pickups {
        tokio::time::sleep(PAUSE).await;
        let start = Instant::now();
        howdah.enqueue(Ping {}).await?;
        let committed = Instant::now();
        let at = tokio::select! {
            at = started.recv() => at.unwrap_or(committed),
            ended = worker.join_next() => return Err(early(ended)),
            () = tokio::time::sleep(PATIENCE) => return Err(silence("no job was started")),
        };
        report.extend(Figure::Pickup, [ms(at - start)]);
        report.extend(Figure::FromCommit, [ms(at.saturating_duration_since(committed))]);
    }
    drop(stop);
    while let Some(ended) = worker.join_next().await {
        ended.map_err(|e| Failure::no(format!("the worker ended: {e}")))??;
    }
    Ok(())
}

fn early(ended: Option<Result<howdah::Result<()>, tokio::task::JoinError>>) -> Failure {
    match ended {
        Some(Ok(Err(error))) => error.into(),
        other => Failure::no(format!("the worker ended too early: {other:?}")),
    }
}

fn silence(what: &str) -> Failure {
    Failure::no(format!("{what} within {} s", PATIENCE.as_secs()))
        .hint("behind a transaction pooler like PgBouncer there are no notifications: give the server's own address")
}

fn ms(length: Duration) -> f64 {
    length.as_secs_f64() * 1_000.0
}

async fn notified(howdah: &Howdah, statement: &'static str, times: u16) -> Result<Vec<f64>> {
    let mut listener = PgListener::connect_with(howdah.pool()).await?;
    listener.listen("howdah_bench_notified").await?;
    let mut reader = howdah.pool().acquire().await?;
    let mut waits = Vec::new();
    for _ in 0..times {
        tokio::time::sleep(PAUSE).await;
        let start = Instant::now();
        let notify = async {
            sqlx::query(sql::of(howdah, statement)).execute(howdah.pool()).await?;
            Ok::<_, sqlx::Error>(())
        };
        let hear = async {
            listener.recv().await?;
            let read = sql::of(howdah, "SELECT id FROM howdah.plain WHERE id = 0");
            sqlx::query(read).execute(&mut *reader).await?;
            Ok(start.elapsed())
        };
        let both = async { tokio::try_join!(notify, hear) };
        let ((), heard) = tokio::time::timeout(PATIENCE, both).await.map_err(|_| silence("no notification came"))??;
        waits.push(ms(heard));
    }
    Ok(waits)
}
