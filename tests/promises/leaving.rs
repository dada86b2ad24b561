//! A worker that is told to stop leaves nothing behind, and takes nothing with it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, JobError, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

#[derive(Job, Serialize, Deserialize)]
struct Step {
    waits: bool,
}

/// Jobs that wait have started, and go on when they are let.
#[derive(Clone)]
struct Gate {
    started: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { started: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }
}

async fn step(job: Step, cx: Ctx<Gate>) -> Result<(), JobError> {
    if job.waits {
        cx.started.add_permits(1);
        cx.open.acquire().await?.forget();
    }
    Ok(())
}

#[tokio::test]
async fn a_running_job_may_finish_within_the_grace_period() -> Result<()> {
    let (db, gate) = (Db::new().await?, Gate::new());
    db.howdah.enqueue(Step { waits: true }).await?;
    let mut worker = start(Worker::new(&db.howdah).state(gate.clone()).handle(step));
    gate.started.acquire().await?.forget();
    worker.tell_to_stop();
    let late = db.howdah.enqueue(Step { waits: false }).await?;
    gate.open.add_permits(1);
    worker.ended().await?;
    assert_eq!(db.jobs_in("completed").await?, 1);
    assert_eq!(db.text(&format!("SELECT state FROM howdah.jobs WHERE id = {late}")).await?, "ready");
    Ok(())
}

#[tokio::test]
async fn what_has_not_started_is_given_back_and_its_attempt_does_not_count() -> Result<()> {
    let (db, gate) = (Db::new().await?, Gate::new());
    // Short jobs make the worker claim ahead; then one waits, and the rest wait behind it.
    db.howdah.enqueue_many((0..5000).map(|n| Step { waits: n == 3000 })).await?;
    let worker = Worker::new(&db.howdah).state(gate.clone()).handle(step).concurrency(1);
    let mut worker = start(worker);
    gate.started.acquire().await?.forget();
    worker.tell_to_stop();
    db.wait_for("SELECT sum(cardinality(first_ids)) FROM howdah.lease", "1").await?;
    assert_eq!(db.jobs_in("running").await?, 1, "only what runs is still held");
    gate.open.add_permits(1);
    worker.ended().await?;
    let completed = db.jobs_in("completed").await?;
    assert_eq!(completed + db.jobs_in("ready").await?, 5000);
    assert!(completed < 5000);
    assert_eq!(db.number("SELECT max(attempt) FROM howdah.jobs WHERE state = 'ready'").await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_waits_behind_a_long_job_is_given_to_others() -> Result<()> {
    let (db, gate) = (Db::new().await?, Gate::new());
    db.howdah.enqueue_many((0..5000).map(|n| Step { waits: n == 3000 })).await?;
    let hoarder = start(Worker::new(&db.howdah).state(gate.clone()).handle(step).concurrency(1));
    gate.started.acquire().await?.forget();
    // It holds what it had claimed ahead, and has no hand free. Another one finds all but the one that runs.
    let other = start(Worker::new(&db.howdah).state(gate.clone()).handle(step));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "4999").await?;
    gate.open.add_permits(1);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "5000").await?;
    hoarder.stop().await?;
    other.stop().await
}

#[tokio::test]
async fn a_job_that_outlasts_the_grace_period_is_cut_off_and_tried_again_elsewhere() -> Result<()> {
    let (db, gate) = (Db::new().await?, Gate::new());
    let id = db.howdah.enqueue(Step { waits: true }).await?;
    let worker = Worker::new(&db.howdah).state(gate.clone()).handle(step).grace(Duration::from_millis(20));
    let worker = start(worker);
    gate.started.acquire().await?.forget();
    worker.stop().await?;
    let failure = db.text("SELECT attempt || ' ' || error_kind FROM howdah.failures").await?;
    assert_eq!(failure, "1 worker_stopped");
    gate.open.add_permits(1);
    let other = start(Worker::new(&db.howdah).state(gate).handle(step));
    db.wait_for(&format!("SELECT state || attempt FROM howdah.jobs WHERE id = {id}"), "completed2").await?;
    other.stop().await
}
