//! `riverqueue`, River's client in Rust, with the settings of River's own benchmark (`river bench`).

use std::time::Duration;

use howdah_bench_contract::{Adapter, Result, Seen, Work, serve};
use riverqueue::migrate::PostgresMigrator;
use riverqueue::{BoxError, Client, Job, JobArgs, QueueConfig, RunHandle, WorkContext, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

#[derive(Clone, Debug, Serialize, Deserialize, JobArgs)]
#[river(kind = "work")]
struct Nothing {
    n: u64,
    at: u64,
}

impl From<Work> for Nothing {
    fn from(work: Work) -> Self {
        Self { n: work.n, at: work.at }
    }
}

struct River {
    pool: PgPool,
    inserter: Client,
    running: Option<RunHandle>,
}

impl Adapter for River {
    type Lane = Client;

    const VERSION: &'static str = "0.5.0";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(32).test_before_acquire(false).connect(url).await?;
        if install {
            PostgresMigrator::new(pool.clone()).migrate_up().await?;
        }
        let inserter = Client::builder(pool.clone()).build()?;
        Ok(Self { pool, inserter, running: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        for from in (0..jobs).step_by(batch) {
            let many = (from..jobs.min(from + batch as u64)).map(|n| Nothing { n, at: 0 });
            self.inserter.insert_many(many).await?;
        }
        Ok(())
    }

    async fn lane(&self) -> Result<Client> {
        Ok(self.inserter.clone())
    }

    async fn enqueue_one(client: &mut Client, work: Work) -> Result<()> {
        client.insert(Nothing::from(work)).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let mut workers = Workers::new();
        workers.add_fn(move |_: WorkContext, job: Job<Nothing>| {
            let seen = seen.clone();
            async move {
                seen.ran(Work { n: job.args.n, at: job.args.at }).await;
                Ok::<_, BoxError>(WorkOutcome::Complete)
            }
        })?;
        let config = QueueConfig::new(concurrency).with_fetch_poll_interval(Duration::from_millis(20));
        let client = Client::builder(self.pool.clone())
            .workers(workers)
            .fetch_cooldown(Duration::from_millis(2))
            .queue(if other_queue { "other" } else { "default" }, config)
            .build()?;
        let mut running = client.start()?;
        running.wait_ready().await?;
        self.running = Some(running);
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.stop().await?;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        let left = "SELECT EXISTS (SELECT FROM river_job WHERE state <> 'completed')";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<River>().await
}
