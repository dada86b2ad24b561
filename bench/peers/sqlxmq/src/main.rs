//! `sqlxmq`.

use std::path::Path;

use howdah_bench_contract::{Adapter, Result, Seen, Work, serve};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlxmq::{CurrentJob, JobRegistry, JobRunnerHandle, job};

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[job(channel_name = "work")]
async fn work(mut current_job: CurrentJob, seen: Seen) -> Result<(), Failed> {
    if let Some(payload) = current_job.json::<Work>()? {
        seen.ran(payload).await;
    }
    current_job.complete().await?;
    Ok(())
}

struct Sqlxmq {
    pool: PgPool,
    runner: Option<JobRunnerHandle>,
}

impl Adapter for Sqlxmq {
    type Lane = PgPool;

    const VERSION: &'static str = "0.6.0";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(url).await?;
        if install {
            Migrator::new(Path::new(env!("SQLXMQ_MIGRATIONS"))).await?.run(&pool).await?;
        }
        Ok(Self { pool, runner: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        for from in (0..jobs).step_by(batch) {
            let mut tx = self.pool.begin().await?;
            for n in from..jobs.min(from + batch as u64) {
                work.builder().set_json(&Work { n, at: 0 })?.spawn(&mut *tx).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn lane(&self) -> Result<PgPool> {
        Ok(self.pool.clone())
    }

    async fn enqueue_one(pool: &mut PgPool, payload: Work) -> Result<()> {
        work.builder().set_json(&payload)?.spawn(&*pool).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let mut registry = JobRegistry::new(&[work]);
        registry.set_context(seen);
        let mut runner = registry.runner(&self.pool);
        runner.set_concurrency(concurrency.div_ceil(2), concurrency);
        runner.set_channel_names(&[if other_queue { "other" } else { "work" }]);
        self.runner = Some(runner.run().await?);
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some(mut runner) = self.runner.take() {
            runner.stop().await;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        // The row with the nil id is its own.
        let left = "SELECT EXISTS (SELECT FROM mq_msgs WHERE id <> uuid_nil())";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<Sqlxmq>().await
}
