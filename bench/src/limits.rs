//! Claims beside a million waiting jobs of one saturated key, against claims of a queue without them.
//!
//! Both queues have the same rule, and their claims are taken in turns. Limit: what it costs when the million arrives is
//! not in the ratio; it is said for itself.

use std::time::Instant;

use anyhow::Result;
use howdah::{Howdah, Limit};

use crate::report::{line, ratio};

const BLOCKED: i64 = 1_000_000;
const JOBS: i32 = 4000;

pub(crate) async fn run(free: &Howdah, beside: &Howdah, rounds: usize) -> Result<()> {
    println!("{JOBS} jobs, claimed one by one and ten by ten, beside {BLOCKED} jobs of one saturated key");
    for howdah in [free, beside] {
        howdah.set_limit(Limit::key("key").max_running(1)).await?;
    }
    saturate(beside).await?;
    for (name, batch) in [("one by one", 1), ("ten by ten", 10)] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            without.push(claims(free, batch).await?);
            with.push(claims(beside, batch).await?);
        }
        line(&format!("{name}, without them"), "jobs/s", &without);
        line(&format!("{name}, beside them"), "jobs/s", &with);
        ratio("beside / without", &with, &without);
    }
    Ok(())
}

/// Enqueues the million, which are first in the queue, and claims until all but one have gone aside.
async fn saturate(howdah: &Howdah) -> Result<()> {
    let many = "SELECT count(*) FROM howdah.enqueue_many('other', array_fill('{}'::jsonb, '{10000}'), priority => 0,
                  options => '{\"limit_key\": \"key\"}')";
    for _ in 0..BLOCKED / 10_000 {
        sqlx::query(many).execute(howdah.pool()).await?;
    }
    sqlx::query("VACUUM (ANALYZE) howdah.ticket, howdah.deferred, howdah.job").execute(howdah.pool()).await?;
    let worker: i64 = sqlx::query_scalar("SELECT howdah.start_worker('w')").fetch_one(howdah.pool()).await?;
    let (start, mut calls) = (Instant::now(), 0);
    loop {
        sqlx::query("SELECT howdah.claim($1)").bind(worker).execute(howdah.pool()).await?;
        calls += 1;
        let blocked: i64 =
            sqlx::query_scalar("SELECT blocked::int8 FROM howdah.queues").fetch_one(howdah.pool()).await?;
        if blocked == BLOCKED - 1 {
            println!("  they went aside in {calls} claims and {} ms", start.elapsed().as_millis());
            return Ok(());
        }
    }
}

/// Enqueues, claims and completes so many jobs; gives the rate of the claims alone.
async fn claims(howdah: &Howdah, batch: i32) -> Result<f64> {
    let mut connection = howdah.pool().acquire().await?;
    let worker: i64 = sqlx::query_scalar("SELECT howdah.start_worker('w')").fetch_one(&mut *connection).await?;
    sqlx::query("SELECT howdah.enqueue('job') FROM generate_series(1, $1)")
        .bind(JOBS)
        .execute(&mut *connection)
        .await?;
    let mut seconds = 0.0;
    for _ in 0..JOBS / batch {
        let start = Instant::now();
        let leases: Vec<i64> = sqlx::query_scalar("SELECT lease_id FROM howdah.claim($1, jobs => $2)")
            .bind(worker)
            .bind(batch)
            .fetch_all(&mut *connection)
            .await?;
        seconds += start.elapsed().as_secs_f64();
        anyhow::ensure!(leases.len() == usize::try_from(batch)?, "{} jobs of {batch}", leases.len());
        sqlx::query("SELECT howdah.complete($1)").bind(leases[0]).execute(&mut *connection).await?;
    }
    sqlx::query("SELECT howdah.stop_worker($1)").bind(worker).execute(&mut *connection).await?;
    Ok(f64::from(JOBS) / seconds)
}
