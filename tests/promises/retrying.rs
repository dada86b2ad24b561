//! When a failed job is tried again, and what is kept of the failure.

use std::time::Duration;

use anyhow::Result;
use howdah::{Job, JobError, Retry, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

/// The waits after the first five failures of a job, in milliseconds.
async fn waits(db: &Db, worker: i64, options: &str) -> Result<Vec<i64>> {
    let mut waits = Vec::new();
    let job = db.number(&format!("SELECT howdah.enqueue('k', options => {options})")).await?;
    for attempt in 1..=5 {
        let lease =
            db.number(&format!("SELECT lease_id FROM howdah.claim({worker}) WHERE attempt = {attempt}")).await?;
        db.run(&format!("SELECT howdah.fail({lease}, ARRAY[{job}::bigint])")).await?;
        let wait =
            "SELECT round(extract(epoch FROM due_at - howdah.now()) * 1000) FROM howdah.jobs WHERE state = 'scheduled'";
        waits.push(db.number(wait).await?);
        db.run(&format!("SELECT howdah.retry({job})")).await?;
    }
    db.run(&format!("SELECT howdah.cancel({job})")).await?;
    Ok(waits)
}

#[tokio::test]
async fn each_policy_waits_as_it_says_and_the_job_comes_before_its_kind_before_its_queue() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    db.run("UPDATE howdah.queue SET retry_jitter = 0, retry_base_ms = 1000, retry_cap_ms = 10000, retry_factor = 2")
        .await?;
    let worker = db.worker().await?;
    assert_eq!(waits(&db, worker, "NULL").await?, [1000, 2000, 4000, 8000, 10000]);
    db.run("UPDATE howdah.queue SET retry_policy = 'linear', retry_floor_ms = 2500").await?;
    assert_eq!(waits(&db, worker, "NULL").await?, [2500, 2500, 3000, 4000, 5000]);
    db.run(
        "INSERT INTO howdah.kind (name, retry_policy, retry_base_ms, retry_floor_ms) VALUES ('k', 'constant', 700, 0)",
    )
    .await?;
    assert_eq!(waits(&db, worker, "NULL").await?, [700, 700, 700, 700, 700]);
    let job = r#"'{"retry": {"policy": "exponential", "base_ms": 10, "factor": 3, "cap_ms": 300}}'"#;
    assert_eq!(waits(&db, worker, job).await?, [10, 30, 90, 270, 300]);
    Ok(())
}

#[tokio::test]
async fn jitter_spreads_what_failed_together_by_its_share_and_no_further() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    db.run("UPDATE howdah.queue SET retry_jitter = 0.2, retry_base_ms = 100000").await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{200}'))").await?;
    let failed =
        "SELECT count(*) FROM (SELECT lease_id, array_agg(id) AS ids FROM howdah.claim($w, jobs => 200) GROUP BY 1) c,
                  howdah.fail(c.lease_id, c.ids)";
    assert_eq!(db.number(&failed.replace("$w", &worker.to_string())).await?, 200);
    let waits = "extract(epoch FROM due_at - howdah.now())";
    assert_eq!(
        db.text(&format!(
            "SELECT min({waits}) >= 80 AND max({waits}) <= 120 AND count(DISTINCT {waits}) > 150
             AND min({waits}) < 90 AND max({waits}) > 110 FROM howdah.jobs"
        ))
        .await?,
        "true"
    );
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
#[job(retry = Retry::constant(Duration::from_secs(3600)).jitter(0.0))]
struct Declared {}

/// What the first failure of a job that a worker runs has made of it: the seconds until it is due.
async fn seconds_until_due(worker: impl FnOnce(Worker<()>) -> Worker<()>, prepare: &str) -> Result<i64> {
    async fn fails(_: Declared) -> Result<(), JobError> {
        Err(JobError::retry("no").kind("busy"))
    }
    let db = Db::new().await?;
    db.run(prepare).await?;
    db.howdah.enqueue(Declared {}).await?;
    let running = start(worker(Worker::new(&db.howdah).handle(fails)));
    db.wait_for("SELECT state FROM howdah.jobs", "scheduled").await?;
    running.stop().await?;
    db.number("SELECT round(extract(epoch FROM due_at - at) / 100) * 100 FROM howdah.jobs, howdah.failures").await
}

#[tokio::test]
async fn a_program_declares_the_retry_of_a_kind_and_the_database_overrules_it() -> Result<()> {
    assert_eq!(seconds_until_due(|worker| worker, "SELECT 1").await?, 3600);
    let kind = "INSERT INTO howdah.kind (name, retry_policy, retry_base_ms) VALUES ('declared', 'constant', 7200000)";
    assert_eq!(seconds_until_due(|worker| worker, kind).await?, 7200);
    Ok(())
}

#[tokio::test]
async fn a_function_of_the_application_may_decide() -> Result<()> {
    let by_kind = |worker: Worker<()>| {
        worker.retry_by(|failed| {
            (failed.kind == "declared" && failed.error_kind == "busy" && failed.attempt == 1 && failed.message == "no")
                .then_some(Duration::from_secs(500))
        })
    };
    assert_eq!(seconds_until_due(by_kind, "SELECT 1").await?, 500);
    let panics = |worker: Worker<()>| worker.retry_by(|_| panic!("on purpose"));
    assert_eq!(seconds_until_due(panics, "SELECT 1").await?, 3600);
    Ok(())
}

#[tokio::test]
async fn every_failed_attempt_keeps_its_causes_its_worker_and_how_long_it_took() -> Result<()> {
    #[derive(Debug, thiserror::Error)]
    #[error("could not read the order")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("line 3")]
    struct Inner(#[source] std::num::ParseIntError);
    async fn fails(_: Declared) -> Result<(), Outer> {
        "x".parse::<i32>().map(|_| ()).map_err(|e| Outer(Inner(e)))
    }
    let db = Db::new().await?;
    db.howdah.enqueue(Declared {}).max_attempts(1).await?;
    let worker = start(Worker::new(&db.howdah).name("w7").handle(fails));
    db.wait_for("SELECT state FROM howdah.jobs", "dead").await?;
    let failure = "SELECT concat_ws(' | ', f.error_kind, f.message, f.causes, f.run_ms >= 0, w.name)
                     FROM howdah.failures f JOIN howdah.workers w ON w.id = f.worker_id";
    assert_eq!(
        db.text(failure).await?,
        "Outer | could not read the order: line 3: invalid digit found in string | \
         [\"line 3\", \"invalid digit found in string\"] | t | w7"
    );
    worker.stop().await
}
