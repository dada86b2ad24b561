//! A bare round trip: a NOTIFY on one connection, to the answer of a SELECT on another whose neighbour listens.
//!
//! Invariant: what every queue that wakes by NOTIFY does at least. Limit: nothing is stored, so nothing waits for the
//! disk.

use howdah_bench_contract::{Adapter, Result, Seen, Work, unsupported};
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;

use crate::NO_QUEUE;

/// The pool, and who listens.
pub(super) struct Bare {
    pool: PgPool,
    task: Option<JoinHandle<Result<()>>>,
}

impl Adapter for Bare {
    type Lane = PgConnection;

    const VERSION: &'static str = "";

    async fn open(url: &str, _install: bool) -> Result<Self> {
        Ok(Self { pool: PgPool::connect(url).await?, task: None })
    }

    async fn enqueue_bulk(&self, _jobs: u64, _batch: usize) -> Result<()> {
        unsupported(NO_QUEUE)
    }

    async fn lane(&self) -> Result<PgConnection> {
        Ok(self.pool.acquire().await?.detach())
    }

    async fn enqueue_one(connection: &mut PgConnection, work: Work) -> Result<()> {
        let payload = serde_json::to_string(&work)?;
        sqlx::query("SELECT pg_notify('bench', $1)").bind(payload).execute(connection).await?;
        Ok(())
    }

    async fn start_worker(&mut self, _concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(if other_queue { "other" } else { "bench" }).await?;
        let mut reader = self.pool.acquire().await?.detach();
        self.task = Some(tokio::spawn(async move {
            loop {
                let heard = listener.recv().await?;
                sqlx::query("SELECT 1").execute(&mut reader).await?;
                seen.ran(serde_json::from_str(heard.payload())?).await;
            }
        }));
        Ok(())
    }

    async fn stop_worker(&mut self) -> Result<()> {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        Ok(false)
    }
}
