//! `apalis` on `apalis-postgres`: its LISTEN backend with large batches, and a poll besides for what was there before.

use std::time::Duration;

use apalis::prelude::*;
use apalis_postgres::queries::push_tasks;
use apalis_postgres::{Config, PgTask, PostgresStorage};
use howdah_bench_contract::{Adapter, Result, Seen, Work, serve};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const QUEUE: &str = "work";

struct Apalis {
    pool: PgPool,
    worker: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

async fn nothing(work: Work, seen: Data<Seen>) -> Result<(), BoxDynError> {
    seen.ran(work).await;
    Ok(())
}

fn task(work: Work) -> Result<PgTask> {
    Ok(TaskBuilder::new(serde_json::to_vec(&work)?).build())
}

impl Adapter for Apalis {
    type Lane = PgConnection;

    const VERSION: &'static str = "1.0.0";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(url).await?;
        if install {
            PostgresStorage::<()>::setup(&pool).await?;
        }
        Ok(Self { pool, worker: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        let mut connection = self.pool.acquire().await?.detach();
        for from in (0..jobs).step_by(batch) {
            let many = (from..jobs.min(from + batch as u64)).map(|n| task(Work { n, at: 0 }));
            push_tasks(&mut connection, QUEUE, many.collect::<Result<_>>()?).await?;
        }
        Ok(())
    }

    async fn lane(&self) -> Result<PgConnection> {
        Ok(self.pool.acquire().await?.detach())
    }

    async fn enqueue_one(connection: &mut PgConnection, work: Work) -> Result<()> {
        push_tasks(connection, QUEUE, vec![task(work)?]).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let queue = if other_queue { "other" } else { QUEUE };
        let backend = PostgresStorage::<Work>::new(&self.pool)
            .with_config(Config::default().queue(queue).batch_size(concurrency))
            .with_pubsub()
            .poll_with_interval(Duration::from_millis(100));
        let worker = WorkerBuilder::new("worker").backend(backend).concurrency(concurrency).data(seen).build(nothing);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
                Ok::<_, std::io::Error>(())
            };
            if let Err(error) = worker.run_until(stopped).await {
                eprintln!("the worker ended: {error}");
            }
        });
        self.worker = Some((stop, running));
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some((stop, running)) = self.worker.take() {
            drop(stop);
            running.await?;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        let left = "SELECT EXISTS (SELECT FROM apalis.jobs WHERE status <> 'Done')";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<Apalis>().await
}
