//! `underway`. A job of it runs in an open transaction, so its concurrency is that of its pool.

use std::sync::Arc;

use howdah_bench_contract::{Adapter, Result, Seen, Work, serve, unsupported};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, block_in_place};
use underway::{Queue, Task, Worker, task};

/// Connections beside those of running jobs: for its listeners and for who asks.
const SPARE: usize = 30;
const MOST: usize = 50;

/// The handler; those who only enqueue have one that has seen nothing.
struct Nothing(Seen);

impl Task for Nothing {
    type Input = Work;
    type Output = ();

    async fn execute(&self, tx: Transaction<'_, Postgres>, work: Work) -> task::Result<()> {
        self.0.ran(work).await;
        tx.commit().await?;
        Ok(())
    }
}

struct Underway {
    pool: PgPool,
    queue: Arc<Queue<Nothing>>,
    worker: Option<(Arc<Worker<Nothing>>, JoinHandle<()>)>,
}

async fn queue(pool: &PgPool, name: &str) -> Result<Arc<Queue<Nothing>>> {
    Ok(Arc::new(Queue::builder().name(name).pool(pool.clone()).build().await?))
}

impl Adapter for Underway {
    type Lane = (PgPool, Arc<Queue<Nothing>>);

    const VERSION: &'static str = "0.2.0";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let most = u32::try_from(MOST + SPARE)?;
        let pool = PgPoolOptions::new().max_connections(most).test_before_acquire(false).connect(url).await?;
        if install {
            // Its future is not `Send`, so it cannot be awaited here.
            block_in_place(|| Handle::current().block_on(underway::run_migrations(&pool)))?;
        }
        let queue = queue(&pool, "work").await?;
        Ok(Self { pool, queue, worker: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        let task = Nothing(Seen::new(false));
        for from in (0..jobs).step_by(batch) {
            let many: Vec<_> = (from..jobs.min(from + batch as u64)).map(|n| Work { n, at: 0 }).collect();
            self.queue.enqueue_multi(&self.pool, &task, &many).await?;
        }
        Ok(())
    }

    async fn lane(&self) -> Result<Self::Lane> {
        Ok((self.pool.clone(), self.queue.clone()))
    }

    async fn enqueue_one((pool, queue): &mut Self::Lane, work: Work) -> Result<()> {
        queue.enqueue(&*pool, &Nothing(Seen::new(false)), &work).await?;
        Ok(())
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        if concurrency > MOST {
            return unsupported("a running job holds a connection");
        }
        let queue = if other_queue { queue(&self.pool, "other").await? } else { self.queue.clone() };
        let mut worker = Worker::new(queue, Nothing(seen));
        worker.set_concurrency_limit(concurrency);
        let worker = Arc::new(worker);
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
            worker.shutdown();
            task.await?;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        let left = "SELECT EXISTS (SELECT FROM underway.task WHERE state IN ('pending', 'in_progress'))";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    serve::<Underway>().await
}
