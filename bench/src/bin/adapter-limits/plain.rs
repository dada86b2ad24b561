//! Rows in a plain table with the columns and the key of `howdah.job`: by COPY or by INSERT of many, and one by one.
//!
//! Invariant: one transaction in bulk, as Howdah's one call is. Limit: nobody ever takes the rows out.

use howdah_bench_contract::{Adapter, Result, Seen, Work, unsupported};
use sqlx::postgres::PgPoolCopyExt;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use crate::NO_QUEUE;

const TABLE: &str = r#"CREATE TABLE plain (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  queue_id integer NOT NULL, priority smallint NOT NULL, max_attempts smallint NOT NULL,
  kind text COLLATE "C" NOT NULL, payload jsonb NOT NULL, options jsonb)"#;

/// By COPY, or by INSERT.
pub(super) struct Plain<const COPY: bool>(PgPool);

impl<const COPY: bool> Adapter for Plain<COPY> {
    type Lane = PgConnection;

    const VERSION: &'static str = "";

    async fn open(url: &str, install: bool) -> Result<Self> {
        let pool = PgPool::connect(url).await?;
        if install {
            sqlx::raw_sql(TABLE).execute(&pool).await?;
        }
        Ok(Self(pool))
    }

    async fn enqueue_bulk(&self, jobs: u64, batch: usize) -> Result<()> {
        if COPY {
            return copy(&self.0, jobs, batch).await;
        }
        let mut tx = self.0.begin().await?;
        for from in (0..jobs).step_by(batch) {
            let payloads: Vec<_> = (from..jobs.min(from + batch as u64)).map(|n| Json(Work { n, at: 0 })).collect();
            sqlx::query(
                "INSERT INTO plain (queue_id, priority, max_attempts, kind, payload)
                   SELECT 1, 5, 20, 'work', payload FROM unnest($1) payload",
            )
            .bind(payloads)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    async fn lane(&self) -> Result<PgConnection> {
        if COPY { unsupported("COPY is for many") } else { Ok(self.0.acquire().await?.detach()) }
    }

    async fn enqueue_one(connection: &mut PgConnection, work: Work) -> Result<()> {
        sqlx::query("INSERT INTO plain (queue_id, priority, max_attempts, kind, payload) VALUES (1, 5, 20, $1, $2)")
            .bind("work")
            .bind(Json(work))
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn start_worker(&mut self, _concurrency: usize, other_queue: bool, _seen: Seen) -> Result<()> {
        // Nobody is there to be woken either way.
        if other_queue { Ok(()) } else { unsupported(NO_QUEUE) }
    }

    async fn stop_worker(&mut self) -> Result<()> {
        Ok(())
    }

    async fn unfinished(&self) -> Result<bool> {
        unsupported(NO_QUEUE)
    }
}

async fn copy(pool: &PgPool, jobs: u64, batch: usize) -> Result<()> {
    let mut copy = pool.copy_in_raw("COPY plain (queue_id, priority, max_attempts, kind, payload) FROM STDIN").await?;
    for from in (0..jobs).step_by(batch) {
        let mut lines = String::new();
        for n in from..jobs.min(from + batch as u64) {
            lines.push_str("1\t5\t20\twork\t");
            lines.push_str(&serde_json::to_string(&Work { n, at: 0 })?);
            lines.push('\n');
        }
        copy.send(lines.as_bytes()).await?;
    }
    copy.finish().await?;
    Ok(())
}
