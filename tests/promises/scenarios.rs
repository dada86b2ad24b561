//! Whole scenarios, as the tests of other queues have them: many jobs, several workers, and everything exactly as often as it
//! should be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, JobError, Unique, Worker};
use howdah_tests::{Db, Running, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Step {
    n: i64,
}

/// How often each job was begun, and how often it ended well.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<HashMap<i64, (usize, usize)>>>);

impl Runs {
    fn begin(&self, n: i64) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).entry(n).or_default().0 += 1;
    }
    fn done(&self, n: i64) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).entry(n).or_default().1 += 1;
    }
    fn all(&self) -> HashMap<i64, (usize, usize)> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

fn fleet<F>(db: &Db, workers: usize, of: F) -> Vec<Running>
where
    F: Fn(&Db) -> Worker<Runs>,
{
    (0..workers).map(|i| start(of(db).name(format!("w{i}")))).collect()
}

async fn stop(fleet: Vec<Running>) -> Result<()> {
    for worker in fleet {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_two_thousand_jobs_of_which_some_fail_and_some_panic_each_ends_well_exactly_once() -> Result<()> {
    async fn shaky(job: Step, cx: Ctx<Runs>) -> Result<(), JobError> {
        cx.begin(job.n);
        // The first attempt of three in a hundred fails, and of another three panics.
        match (cx.attempt(), job.n % 100) {
            (1, 7 | 41 | 83) => return Err(JobError::retry("shaky")),
            (1, 11 | 53 | 97) => panic!("shaky"),
            _ => cx.done(job.n),
        }
        Ok(())
    }
    let db = Db::new().await?;
    db.run("UPDATE howdah.queue SET retry_base_ms = 5, retry_cap_ms = 20").await?;
    let runs = Runs::default();
    let fleet = fleet(&db, 2, |db| Worker::new(&db.howdah).state(runs.clone()).handle(shaky).concurrency(20));
    db.howdah.enqueue_many((0..1000).map(|n| Step { n })).await?;
    for n in 1000..2000 {
        db.howdah.enqueue(Step { n }).await?;
    }
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "2000").await?;
    stop(fleet).await?;
    let all = runs.all();
    assert_eq!(all.len(), 2000);
    for (n, (begun, done)) in all {
        let expected = if [7, 41, 83, 11, 53, 97].contains(&(n % 100)) { 2 } else { 1 };
        assert_eq!((begun, done), (expected, 1), "job {n}");
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 120);
    Ok(())
}

#[tokio::test]
async fn jobs_at_many_times_run_once_each_over_four_workers_and_none_before_its_time() -> Result<()> {
    async fn noted(job: Step, cx: Ctx<Runs>) -> Result<(), JobError> {
        cx.begin(job.n);
        // The server's clock, in the handler's own transaction with the completion.
        let mut tx = cx.howdah().pool().begin().await?;
        sqlx::query("INSERT INTO ran (job, at) VALUES ($1, clock_timestamp())")
            .bind(cx.id().0)
            .execute(&mut *tx)
            .await?;
        cx.complete_in(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
    let db = Db::new().await?;
    db.run("CREATE TABLE ran (job bigint, at timestamptz); CREATE TABLE due (job bigint, at timestamptz)").await?;
    let runs = Runs::default();
    let fleet = fleet(&db, 4, |db| Worker::new(&db.howdah).state(runs.clone()).handle(noted));
    for n in 0..200 {
        let delay = Duration::from_millis(u64::try_from((n * 7919) % 1500)?);
        let id = db.howdah.enqueue(Step { n }).delay(delay).await?;
        db.run(&format!(
            "INSERT INTO due SELECT j.id, j.enqueued_at + interval '{} ms' FROM howdah.job j WHERE j.id = {id}",
            delay.as_millis()
        ))
        .await?;
    }
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "200").await?;
    stop(fleet).await?;
    assert!(runs.all().values().all(|(begun, _)| *begun == 1));
    assert_eq!(db.text("SELECT count(*) || ' ' || count(DISTINCT job) FROM ran").await?, "200 200");
    assert_eq!(db.number("SELECT count(*) FROM ran JOIN due USING (job) WHERE ran.at < due.at").await?, 0);
    Ok(())
}

#[tokio::test]
async fn of_equal_jobs_at_different_times_one_runs() -> Result<()> {
    async fn once(job: Step, cx: Ctx<Runs>) {
        cx.begin(job.n);
    }
    let db = Db::new().await?;
    let runs = Runs::default();
    let mut hits = 0;
    for delay in 1..=5 {
        let job = db.howdah.enqueue(Step { n: 1 }).delay(Duration::from_millis(delay * 20));
        hits += usize::from(job.unique(Unique::by_payload()).await?.hit);
    }
    let fleet = fleet(&db, 4, |db| Worker::new(&db.howdah).state(runs.clone()).handle(once));
    let last = db.howdah.enqueue(Step { n: 2 }).delay(Duration::from_millis(200)).await?;
    db.wait_for(&format!("SELECT howdah.state({last})"), "completed").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "2").await?;
    stop(fleet).await?;
    assert_eq!((hits, runs.all()[&1].0), (4, 1));
    Ok(())
}

#[tokio::test]
async fn the_counts_of_a_queue_follow_its_jobs() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let counts = "SELECT concat_ws(' ', ready, running, scheduled, dead) FROM howdah.queues";
    assert_eq!(db.text(counts).await?, "0 0 0 0");
    db.howdah.enqueue_many([Step { n: 1 }, Step { n: 2 }]).await?;
    assert_eq!(db.text(counts).await?, "2 0 0 0");
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    assert_eq!(db.text(counts).await?, "1 1 0 0");
    db.run(&format!("SELECT howdah.complete({lease})")).await?;
    assert_eq!(db.text(counts).await?, "1 0 0 0");
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let ids = "SELECT array_agg(id) FROM howdah.jobs WHERE state = 'running'";
    db.run(&format!("SELECT howdah.fail({lease}, ({ids}))")).await?;
    assert_eq!(db.text(counts).await?, "0 0 1 0");
    db.run("SELECT howdah.retry(id) FROM howdah.jobs WHERE state = 'scheduled'").await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    db.run(&format!("SELECT howdah.fail({lease}, ({ids}), '{{discard}}')")).await?;
    assert_eq!(db.text(counts).await?, "0 0 0 1");
    Ok(())
}
