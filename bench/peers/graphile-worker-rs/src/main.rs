//! `graphile_worker`, with the settings of its own benchmark (`benches/perf_test.rs`).

use std::sync::Arc;
use std::time::Duration;

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, Worker, WorkerContext, WorkerOptions, WorkerUtils,
};
use howdah_bench_contract::{Adapter, Result, Seen, Work, serve};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinHandle;

#[derive(Clone, Serialize, Deserialize)]
struct Nothing(Work);

impl TaskHandler for Nothing {
    const IDENTIFIER: &'static str = "work";

    async fn run(self, ctx: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(seen) = ctx.get_ext::<Seen>() {
            seen.ran(self.0).await;
        }
        Ok::<(), String>(())
    }
}

/// Its way to another queue: a task that no job names.
#[derive(Clone, Serialize, Deserialize)]
struct Other;

impl TaskHandler for Other {
    const IDENTIFIER: &'static str = "other";

    async fn run(self, _ctx: WorkerContext) -> impl IntoTaskHandlerResult {
        Ok::<(), String>(())
    }
}

struct Graphile {
    pool: PgPool,
    utils: WorkerUtils,
    worker: Option<(Arc<Worker>, JoinHandle<()>)>,
}

impl Adapter for Graphile {
    type Lane = WorkerUtils;

    const VERSION: &'static str = "0.14.1";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(100).test_before_acquire(false).connect(url).await?;
        let utils = WorkerUtils::new(pool.clone(), "graphile_worker");
        if install {
            utils.migrate().await?;
        }
        Ok(Self { pool, utils, worker: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        let spec = JobSpec::default();
        for from in (0..jobs).step_by(batch) {
            let many: Vec<_> =
                (from..jobs.min(from + batch as u64)).map(|n| (Nothing(Work { n, at: 0 }), &spec)).collect();
            self.utils.add_jobs::<Nothing>(&many).await?;
        }
        Ok(())
    }

    async fn lane(&self) -> Result<WorkerUtils> {
        Ok(self.utils.clone())
    }

    async fn enqueue_one(utils: &mut WorkerUtils, work: Work) -> Result<()> {
        utils.add_job(Nothing(work), JobSpec::default()).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let options = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .concurrency(concurrency)
            .poll_interval(Duration::from_millis(5))
            .complete_job_batch_delay(Duration::from_millis(5))
            .local_queue(LocalQueueConfig::default().with_size(5000))
            .listen_os_shutdown_signals(false)
            .add_extension(seen);
        let options = if other_queue { options.define_job::<Other>() } else { options.define_job::<Nothing>() };
        let worker = Arc::new(options.init().await?);
        let running = worker.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = running.run().await {
                eprintln!("the worker ended: {error}");
            }
        });
        self.worker = Some((worker, task));
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some((worker, task)) = self.worker.take() {
            worker.request_shutdown();
            task.await?;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        let left = "SELECT EXISTS (SELECT FROM graphile_worker.jobs)";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<Graphile>().await
}
