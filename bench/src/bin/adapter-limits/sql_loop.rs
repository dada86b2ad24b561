//! Howdah's SQL functions without its library: one connection that claims 500 jobs, decodes none, completes them.
//!
//! Invariant: a job it counts is completed in the database. Limit: no heartbeat, so it must be done within the lease.

use std::time::Duration;

use howdah_bench_contract::{Adapter, Result, Seen, Work, unsupported};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinHandle;

use crate::NO_QUEUE;

/// How many jobs a claim takes.
const BATCH: usize = 500;

/// The functions, and the task that calls them.
pub(super) struct Loop {
    pool: PgPool,
    task: Option<JoinHandle<Result<()>>>,
}

impl Adapter for Loop {
    type Lane = ();

    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPool::connect(url).await?;
        if install {
            howdah::Howdah::from_pool(pool.clone()).migrate().await?;
        }
        Ok(Self { pool, task: None })
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        for from in (0..jobs).step_by(batch) {
            let payloads: Vec<_> = (from..jobs.min(from + batch as u64)).map(|n| Json(Work { n, at: 0 })).collect();
            let many = "SELECT count(*) FROM howdah.enqueue_many('work', $1)";
            sqlx::query(many).bind(payloads).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn lane(&self) -> Result<()> {
        unsupported("it is about bulk")
    }

    async fn enqueue_one(_lane: &mut (), _work: Work) -> Result<()> {
        unsupported("it is about bulk")
    }

    async fn start_worker(&mut self, concurrency: usize, other_queue: bool, seen: Seen) -> Result<()> {
        if other_queue || concurrency > BATCH {
            return unsupported("it runs nothing, and never sleeps");
        }
        let connection = self.pool.acquire().await?.detach();
        self.task = Some(tokio::spawn(work(connection, seen)));
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
        if self.task.as_ref().is_some_and(JoinHandle::is_finished) {
            return unsupported(NO_QUEUE);
        }
        let left = "SELECT EXISTS (SELECT FROM howdah.ticket) OR EXISTS (SELECT FROM howdah.lease)";
        Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
    }
}

async fn work(mut connection: PgConnection, seen: Seen) -> Result<()> {
    let worker: i64 = sqlx::query_scalar("SELECT howdah.start_worker('loop')").fetch_one(&mut connection).await?;
    loop {
        let claim = "SELECT lease_id, id, kind, payload::text FROM howdah.claim($1, 'default', $2, NULL, NULL)";
        let jobs: Vec<(i64, i64, String, String)> =
            sqlx::query_as(claim).bind(worker).bind(i32::try_from(BATCH)?).fetch_all(&mut connection).await?;
        let Some((lease, ..)) = jobs.first() else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let count = i32::try_from(jobs.len())?;
        sqlx::query("SELECT howdah.complete_leases(ARRAY[$1], ARRAY[$2], array_fill(0, ARRAY[$2]))")
            .bind(lease)
            .bind(count)
            .execute(&mut connection)
            .await?;
        for _ in jobs {
            seen.ran(Work { n: 0, at: 0 }).await;
        }
    }
}
