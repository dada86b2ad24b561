//! One worker process of the demo.
//!
//! Invariant: what a job records and that it is completed commit together. Limit: hidden; only the demo starts it.

use std::io::Read;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::Args;
use howdah::{Ctx, Howdah, Job, JobError, Worker};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::files;
use crate::commands::Answer;
use crate::failure::{Failure, Result};

/// The variables by which the demo tells a worker its database and its name.
pub(super) const URL: &str = "HOWDAH_DEMO_URL";
pub(super) const NAME: &str = "HOWDAH_DEMO_NAME";

/// How many jobs run at a time. Three such workers fit into PostgreSQL's default of 100 connections.
const CONCURRENCY: usize = 8;
/// Up to this many bytes, a file is read in place.
const SMALL: u64 = 256 << 10;
/// How long a worker whose demo is gone may take to stop: its database may be gone as well.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// A worker process of the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoWorker {}

/// Read a file, and record what it holds.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(kind = "hash_file", queue = "files")]
pub(super) struct HashFile {
    /// As [`files::name_of`] writes it.
    pub(super) path: String,
}

/// Record when this began.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(kind = "ping", queue = "pings")]
pub(super) struct Ping {
    pub(super) n: i32,
}

pub(crate) async fn run(_: DemoWorker) -> Result<Answer> {
    let variable = |name| std::env::var(name).map_err(|_| Failure::usage("demo-worker is started by `howdah demo`"));
    let (url, name) = (variable(URL)?, variable(NAME)?);
    let options = PgConnectOptions::from_str(&url)?.application_name(&name);
    let pool =
        PgPoolOptions::new().max_connections(u32::try_from(CONCURRENCY).unwrap_or(8)).connect_with(options).await?;
    let howdah = Howdah::from_pool(pool);
    let worker = Worker::new(&howdah).name(name).concurrency(CONCURRENCY).handle(hash_file).handle(ping);
    let stop = async {
        end_of_input().await;
        tokio::spawn(async {
            tokio::time::sleep(LAST_WORDS).await;
            std::process::exit(1);
        });
    };
    worker.run_until(stop).await?;
    Ok(Answer::Yes)
}

async fn hash_file(job: HashFile, cx: Ctx) -> Result<(), JobError> {
    let Some(path) = files::path_of(&job.path) else { return Err(JobError::discard("this is no path")) };
    // A small file takes less time than handing it to another thread.
    let read = if path.symlink_metadata().is_ok_and(|data| data.len() <= SMALL) {
        files::read(&path)
    } else {
        tokio::task::spawn_blocking(move || files::read(&path)).await?
    };
    let (content, error) = match read {
        Ok(content) => (Some(content), None),
        Err(error) => (None, Some(error)),
    };
    let mut tx = cx.howdah().pool().begin().await?;
    sqlx::query(
        "INSERT INTO demo_file (job_id, path, bytes, lines, sha256, error, attempt, worker)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(cx.id().0)
    .bind(&job.path)
    .bind(content.as_ref().map(|c| c.bytes))
    .bind(content.as_ref().map(|c| c.lines))
    .bind(content.as_ref().map(|c| &c.sha256))
    .bind(error)
    .bind(i32::from(cx.attempt()))
    .bind(own_pid())
    .execute(&mut *tx)
    .await?;
    cx.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

async fn ping(job: Ping, cx: Ctx) -> Result<(), JobError> {
    let started = now_us();
    let mut tx = cx.howdah().pool().begin().await?;
    sqlx::query("INSERT INTO demo_ping (n, started_us, worker) VALUES ($1, $2, $3)")
        .bind(job.n)
        .bind(started)
        .bind(own_pid())
        .execute(&mut *tx)
        .await?;
    cx.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Microseconds since 1970 by this machine's clock, which the demo and its workers share.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// Returns when standard input ends, which it does with the demo, however that ends.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while std::io::stdin().read(&mut ignored).is_ok_and(|n| n > 0) {}
        drop(ended);
    });
    // An error is what dropping the sender makes.
    let _ = end.await;
}
