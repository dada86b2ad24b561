//! Claims and completions beside millions of waiting and scheduled jobs, against the same beside thousands.
//!
//! Invariant: as many jobs come as go, so that each side keeps its backlog. Limit: claims of ten by the SQL functions;
//! every call is timed, and the round trip is in it.

use std::time::Instant;

use anyhow::{Result, ensure};
use howdah::Howdah;
use sqlx::PgConnection;

use super::{fresh, raw_worker};
use crate::compare::bars::Bar;
use crate::compare::metric::Better;
use crate::compare::samples::percentile;
use crate::compare::stage::Stage;

const MANY: i32 = 10_000_000;
const FEW: i32 = 10_000;
/// Jobs of a claim, and claims of a turn.
const BATCH: i32 = 10;
const CLAIMS: i32 = 100;

/// One side: its session, its worker's number, and its times in seconds.
struct Side {
    howdah: Howdah,
    connection: PgConnection,
    worker: i64,
    claims: Vec<f64>,
    completions: Vec<f64>,
}

pub(super) async fn run(stage: &Stage, quick: bool) -> Result<Vec<Bar>> {
    let (many, turns) = if quick { (MANY / 100, 2) } else { (MANY, 20) };
    let (mut deep, mut shallow) = (Side::filled(stage, many).await?, Side::filled(stage, FEW).await?);
    for _ in 0..turns {
        deep.turn().await?;
        shallow.turn().await?;
    }
    let bar = |what: &str, deep: &mut [f64], shallow: &mut [f64]| Bar {
        what: format!("{what} p99, {many} waiting and as many scheduled"),
        beside: format!("of the same with {FEW}"),
        reached: percentile(deep, 0.99) / percentile(shallow, 0.99),
        wanted: Some(1.2),
        better: Better::Lower,
    };
    Ok(vec![
        bar("claim", &mut deep.claims, &mut shallow.claims),
        bar("complete", &mut deep.completions, &mut shallow.completions),
    ])
}

impl Side {
    async fn filled(stage: &Stage, jobs: i32) -> Result<Self> {
        let howdah = fresh(stage).await?;
        enqueue(&howdah, jobs, None).await?;
        enqueue(&howdah, jobs, Some("1 day")).await?;
        sqlx::raw_sql("VACUUM (ANALYZE)").execute(howdah.pool()).await?;
        let (connection, worker) = raw_worker(&howdah).await?;
        Ok(Self { howdah, connection, worker, claims: Vec::new(), completions: Vec::new() })
    }

    /// Takes jobs and puts as many there again.
    async fn turn(&mut self) -> Result<()> {
        for _ in 0..CLAIMS {
            let start = Instant::now();
            let leases: Vec<i64> = sqlx::query_scalar("SELECT lease_id FROM howdah.claim($1, 'default', $2)")
                .bind(self.worker)
                .bind(BATCH)
                .fetch_all(&mut self.connection)
                .await?;
            self.claims.push(start.elapsed().as_secs_f64());
            ensure!(leases.len() == usize::try_from(BATCH)?, "{} jobs of {BATCH}", leases.len());
            let start = Instant::now();
            sqlx::query("SELECT howdah.complete($1)").bind(leases[0]).execute(&mut self.connection).await?;
            self.completions.push(start.elapsed().as_secs_f64());
        }
        enqueue(&self.howdah, CLAIMS * BATCH, None).await
    }
}

async fn enqueue(howdah: &Howdah, jobs: i32, delay: Option<&str>) -> Result<()> {
    const CALL: i32 = 10_000;
    for from in (0..jobs).step_by(usize::try_from(CALL)?) {
        let many = "SELECT count(*) FROM howdah.enqueue_many('work', array_fill('{\"n\": 0}'::jsonb, ARRAY[$1]),
                      delay => $2::text::interval)";
        sqlx::query(many).bind(CALL.min(jobs - from)).bind(delay).execute(howdah.pool()).await?;
    }
    Ok(())
}
