//! What only Howdah is asked, each beside a reference of its own that is taken in the same run.
//!
//! Invariant: the two sides of a ratio take turns on one server. Limit: sizes are those of the bars; a quick run has so
//! few jobs that it only shows that everything works.

mod backlog;
mod horizon;
mod mixed;
mod queues;

use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use howdah::{Ctx, Howdah, Job, Worker};
use howdah_bench_contract::{Seen, Work};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::bars::Bar;
use super::stage::Stage;

/// A question to Howdah alone. The one that leaves most behind is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Alone {
    /// A drain of 10,000 queues, and of 10,000 shares of one queue, against one without shares.
    Queues,
    /// The tenth minute under a transaction that holds the horizon of vacuum, against the first.
    Horizon,
    /// 10 queues, 3 priorities, one attempt in 20 fails, one job in 10 is delayed: against a no-op drain.
    Mixed,
    /// Claims and completions beside 10,000,000 waiting and 10,000,000 scheduled jobs, against 10,000 and 10,000.
    Backlog,
}

impl Alone {
    /// Asks it.
    pub(crate) async fn run(self, stage: &Stage, quick: bool) -> Result<Vec<Bar>> {
        match self {
            Self::Backlog => backlog::run(stage, quick).await,
            Self::Queues => queues::run(stage, quick).await,
            Self::Horizon => horizon::run(stage, quick).await,
            Self::Mixed => mixed::run(stage, quick).await,
        }
    }
}

#[derive(Job, Serialize, Deserialize)]
#[job(kind = "work")]
struct Nothing {
    n: u64,
}

async fn nothing(job: Nothing, cx: Ctx<Seen>) {
    cx.ran(Work { n: job.n, at: 0 }).await;
}

/// A queue in a database of its own.
async fn fresh(stage: &Stage) -> Result<Howdah> {
    let howdah = Howdah::connect(stage.server().create_database().await?.url()).await?;
    howdah.migrate().await?;
    Ok(howdah)
}

/// A session of its own, and a worker's number for it.
async fn raw_worker(howdah: &Howdah) -> Result<(PgConnection, i64)> {
    let mut connection = howdah.pool().acquire().await?.detach();
    let start = "SELECT howdah.start_worker('raw', lease_ms => 3600000)";
    let worker = sqlx::query_scalar(start).fetch_one(&mut connection).await?;
    Ok((connection, worker))
}

/// Drains so many jobs with this worker; gives jobs a second until its orderly end.
async fn drain(worker: Worker<Seen>, seen: Seen, jobs: u64) -> Result<f64> {
    let start = Instant::now();
    worker.run_until(async move { seen.until(jobs).await }).await?;
    #[allow(clippy::cast_precision_loss)]
    Ok(jobs as f64 / start.elapsed().as_secs_f64())
}
