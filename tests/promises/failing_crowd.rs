//! Very many jobs fail at once, are tried again and die: others start meanwhile, statements stay few, and nothing is left.
//!
//! `HOWDAH_CROWD=100000` says how many. Limit: that memory stays bounded is asserted only then, when this test runs alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use howdah::{Answer, Ctx, Job, JobError, Statement, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Fails {
    n: usize,
}

#[derive(Job, Serialize, Deserialize)]
#[job(priority = 0)]
struct Asks {}

async fn fails(job: Fails, cx: Ctx<()>) -> Result<(), JobError> {
    Err(JobError::retry(format!("job {} cannot be done in attempt {}", job.n, cx.attempt())).kind("boom"))
}

async fn asks(_: Asks) {}

/// How much memory this process has had at most, in bytes.
fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_jobs_that_fail_at_once_stops_nobody_and_leaves_nothing_behind() -> Result<()> {
    let given = std::env::var("HOWDAH_CROWD").ok();
    let crowd: usize = given.as_deref().unwrap_or("3000").parse()?;
    let db = Db::new().await?;
    db.run(r#"SELECT howdah.set_queue('default', '{"retry_base_ms": 1, "retry_policy": "constant"}')"#).await?;
    let sent: Arc<Mutex<HashMap<&'static str, usize>>> = Arc::default();
    let count = Arc::clone(&sent);
    let howdah = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        *count.lock().unwrap_or_else(PoisonError::into_inner).entry(statement.operation).or_default() += 1;
    });
    for from in (0..crowd).step_by(50_000) {
        db.howdah.enqueue_many((from..crowd.min(from + 50_000)).map(|n| Fails { n })).max_attempts(2).await?;
    }
    let before = peak_memory()?;
    let worker = start(Worker::new(&howdah).handle(fails).handle(asks).concurrency(100));
    let (began, mut slowest, mut asked) = (Instant::now(), Duration::ZERO, 0);
    while db.number("SELECT count(*) FROM howdah.dead").await? < i64::try_from(crowd)? {
        let at = Instant::now();
        let wait = db.howdah.enqueue(Asks {}).wait();
        in_time("a job beside the crowd", wait).await??;
        (slowest, asked) = (slowest.max(at.elapsed()), asked + 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    worker.stop().await?;
    let grown = peak_memory()?.saturating_sub(before) >> 20;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!(
        "{crowd} jobs died in {took:?}; of {asked} jobs beside them the slowest took {slowest:?}; {grown} MiB; {sent:?}"
    );
    let each = "SELECT string_agg(DISTINCT concat_ws(' ', attempts, kinds), ', ') FROM (
        SELECT array_agg(attempt ORDER BY attempt) AS attempts, array_agg(DISTINCT error_kind) AS kinds FROM howdah.failures GROUP BY job_id) x";
    assert_eq!(db.text(each).await?, "{1,2} {boom}", "each attempt of each job is written down once");
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 2 * i64::try_from(crowd)?);
    let left = "SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.ticket) + (SELECT count(*) FROM howdah.deferred)";
    assert_eq!(db.number(left).await?, 0);
    let times = |operation: &str| sent.get(operation).copied().unwrap_or(0);
    for operation in ["claim", "fail"] {
        ensure!((1..=crowd / 5).contains(&times(operation)), "{} times {operation} for {crowd} jobs", times(operation));
    }
    ensure!(given.is_none() || grown < 300, "the worker took {grown} MiB for {crowd} jobs");
    Ok(())
}
