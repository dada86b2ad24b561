//! Many jobs at once: enqueued in bulk, and run by one worker whose handler does nothing.
//!
//! Limits: COPY into a plain table with the columns and the key of `howdah.job`; a loop of `claim` and `complete_leases`
//! on one connection, that decodes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use howdah::{Ctx, Howdah, Job, Worker};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use tokio::sync::Notify;

use super::progress::Progress;
use super::report::{Figure, Report};
use crate::failure::Result;
use crate::sql;

#[derive(Job, Serialize, Deserialize)]
struct Nothing {
    n: u64,
}

/// How many have run, and the end of all.
#[derive(Clone)]
struct Count(Arc<(AtomicU64, u64, Notify)>);

impl Count {
    fn until(all: u64) -> Self {
        Self(Arc::new((AtomicU64::new(0), all, Notify::new())))
    }

    fn ran(&self) {
        if self.0.0.fetch_add(1, Ordering::Relaxed) + 1 == self.0.1 {
            self.0.2.notify_one();
        }
    }

    fn so_far(&self) -> impl Fn() -> u64 + Send + 'static {
        let count = self.clone();
        move || count.0.0.load(Ordering::Relaxed)
    }
}

async fn nothing(_: Nothing, cx: Ctx<Count>) {
    cx.ran();
}

pub(super) async fn round(howdah: &Howdah, jobs: u32, progress: &Progress, report: &mut Report) -> Result<()> {
    let jobs = u64::from(jobs);
    report.add(Figure::Copy, copy(howdah, jobs, progress).await?);
    enqueue(howdah, jobs, progress).await?;
    report.add(Figure::Loop, sql_loop(howdah, jobs, progress).await?);
    let before = wal(howdah).await?;
    report.add(Figure::Bulk, enqueue(howdah, jobs, progress).await?);
    report.add(Figure::Drain, drain(howdah, jobs, progress).await?);
    report.add(Figure::Wal, (wal(howdah).await? - before) / jobs as f64);
    Ok(())
}

fn per_second(jobs: u64, start: Instant) -> f64 {
    jobs as f64 / start.elapsed().as_secs_f64()
}

/// Where the server's log is: every byte that is written moves it on.
async fn wal(howdah: &Howdah) -> Result<f64> {
    let place = "SELECT (pg_current_wal_insert_lsn() - '0/0')::double precision";
    Ok(sqlx::query_scalar(place).fetch_one(howdah.pool()).await?)
}

async fn copy(howdah: &Howdah, rows: u64, progress: &Progress) -> Result<f64> {
    let sent = Count::until(rows);
    let _phase = progress.phase("COPY into a plain table", rows, sent.so_far());
    let mut connection = howdah.pool().acquire().await?;
    let truncate = sql::of(howdah, "TRUNCATE howdah.plain");
    sqlx::query(truncate.clone()).execute(&mut *connection).await?;
    let start = Instant::now();
    let into = "COPY howdah.plain (id, queue_id, priority, max_attempts, kind, payload) FROM STDIN";
    let mut copy = PgConnection::copy_in_raw(&mut connection, sql::of(howdah, into).as_str()).await?;
    for from in (0..rows).step_by(1_000) {
        let lines: String =
            (from..rows.min(from + 1_000)).map(|n| format!("{n}\t1\t5\t20\tnothing\t{{\"n\": {n}}}\n")).collect();
        copy.send(lines.into_bytes()).await?;
        sent.0.0.store(from, Ordering::Relaxed);
    }
    copy.finish().await?;
    let rate = per_second(rows, start);
    sqlx::query(truncate).execute(&mut *connection).await?;
    Ok(rate)
}

async fn enqueue(howdah: &Howdah, jobs: u64, progress: &Progress) -> Result<f64> {
    let made = Count::until(jobs);
    let _phase = progress.phase("bulk enqueue", jobs, made.so_far());
    let start = Instant::now();
    let each = (0..jobs).map(|n| {
        made.0.0.store(n, Ordering::Relaxed);
        Nothing { n }
    });
    howdah.enqueue_many(each).await?;
    Ok(per_second(jobs, start))
}

/// From the start of the worker to its end: every completion is in the database.
async fn drain(howdah: &Howdah, jobs: u64, progress: &Progress) -> Result<f64> {
    let count = Count::until(jobs);
    let _phase = progress.phase("a worker runs them", jobs, count.so_far());
    let start = Instant::now();
    let worker = Worker::new(howdah).state(count.clone()).handle(nothing);
    worker.run_until(count.0.2.notified()).await?;
    Ok(per_second(jobs, start))
}

async fn sql_loop(howdah: &Howdah, jobs: u64, progress: &Progress) -> Result<f64> {
    let done = Count::until(jobs);
    let _phase = progress.phase("claim and complete in a loop", jobs, done.so_far());
    let mut connection = howdah.pool().acquire().await?;
    let start_worker = sql::of(howdah, "SELECT howdah.start_worker('howdah bench')");
    let worker: i64 = sqlx::query_scalar(start_worker).fetch_one(&mut *connection).await?;
    let start = Instant::now();
    loop {
        let claim = sql::of(
            howdah,
            "SELECT lease_id, id, kind, payload::text FROM howdah.claim($1, 'default', 500, NULL, NULL)",
        );
        let jobs: Vec<(i64, i64, String, String)> =
            sqlx::query_as(claim).bind(worker).fetch_all(&mut *connection).await?;
        let Some((lease, ..)) = jobs.first() else { break };
        let complete = "SELECT howdah.complete_leases(ARRAY[$1], ARRAY[$2], array_fill(0, ARRAY[$2]))";
        let count = i32::try_from(jobs.len()).unwrap_or(i32::MAX);
        sqlx::query(sql::of(howdah, complete)).bind(lease).bind(count).execute(&mut *connection).await?;
        done.0.0.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    }
    let rate = per_second(jobs, start);
    let stop = sql::of(howdah, "SELECT howdah.stop_worker($1)");
    sqlx::query(stop).bind(worker).execute(&mut *connection).await?;
    Ok(rate)
}
