//! `awa`, with its queue storage and the settings of its own benchmark of the runtime (`tests/benchmark_test.rs`).

use std::time::Duration;

use awa::{Client, InsertOpts, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig, migrations, model};
use howdah_bench_contract::{Adapter, Result, Seen, Work, serve};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

const QUEUE: &str = "work";

#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct Nothing {
    n: u64,
    at: u64,
}

struct Awa {
    pool: PgPool,
    storage: QueueStorage,
    client: Option<Client>,
}

fn opts() -> InsertOpts {
    InsertOpts { queue: QUEUE.into(), ..Default::default() }
}

impl Adapter for Awa {
    type Lane = PgPool;

    const VERSION: &'static str = "0.6.9";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(url).await?;
        let storage = QueueStorage::new(QueueStorageConfig::default())?;
        if install {
            // Their futures are not `Send`, so they cannot be awaited here.
            block_in_place(|| Handle::current().block_on(migrations::run(&pool)))?;
            block_in_place(|| Handle::current().block_on(storage.install(&pool)))?;
        }
        Ok(Self { pool, storage, client: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        for from in (0..jobs).step_by(batch) {
            let many = (from..jobs.min(from + batch as u64))
                .map(|n| model::insert::params_with(&Nothing { n, at: 0 }, opts()))
                .collect::<Result<Vec<_>, _>>()?;
            self.storage.enqueue_params_copy(&self.pool, &many).await?;
        }
        Ok(())
    }

    async fn lane(&self) -> Result<PgPool> {
        Ok(self.pool.clone())
    }

    async fn enqueue_one(pool: &mut PgPool, work: Work) -> Result<()> {
        awa::insert_with(&*pool, &Nothing { n: work.n, at: work.at }, opts()).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let config = QueueConfig {
            max_workers: u32::try_from(concurrency)?,
            poll_interval: Duration::from_millis(50),
            deadline_duration: Duration::ZERO,
            ..QueueConfig::default()
        };
        let client = Client::builder(self.pool.clone())
            .queue(if other_queue { "other" } else { QUEUE }, config)
            .queue_storage(QueueStorageConfig::default(), Duration::from_secs(1), Duration::from_millis(50))
            .register::<Nothing, _, _>(move |args: Nothing, _ctx| {
                let seen = seen.clone();
                async move {
                    seen.ran(Work { n: args.n, at: args.at }).await;
                    Ok(JobResult::Completed)
                }
            })
            .build()?;
        client.start().await?;
        self.client = Some(client);
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some(client) = self.client.take() {
            client.shutdown(Duration::from_secs(10)).await;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        // Its view of all jobs, whatever table they are in.
        let left = "SELECT EXISTS (SELECT FROM awa.jobs WHERE state NOT IN ('completed', 'failed', 'cancelled'))";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<Awa>().await
}
