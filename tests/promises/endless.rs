//! Settings without an end mean what they say, and break nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Job, Serialize, Deserialize)]
struct Quick {}

async fn quick(_: Quick) {}

/// Begins, is told to end, and ends when it may.
#[derive(Job, Serialize, Deserialize)]
struct Waits {}

#[derive(Clone, Default)]
struct Stage {
    begun: Arc<Notify>,
    told: Arc<Notify>,
    may_end: Arc<Notify>,
}

async fn waits(_: Waits, cx: Ctx<Stage>) {
    cx.begun.notify_one();
    tokio::select! {
        () = cx.cancelled().cancelled() => cx.told.notify_one(),
        () = cx.may_end.notified() => return,
    }
    cx.may_end.notified().await;
}

const STATES: &str = "SELECT string_agg(concat_ws(' ', kind, state, attempt), ', ' ORDER BY kind) FROM howdah.jobs";

#[tokio::test]
async fn a_worker_that_is_never_to_poll_hears_of_jobs() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle(quick).poll(Duration::MAX));
    db.wait_for("SELECT count(*) FROM howdah.sleeper", "1").await?;
    db.howdah.enqueue(Quick {}).await?;
    db.wait_for(STATES, "quick completed 1").await?;
    worker.stop().await
}

#[tokio::test]
async fn a_worker_that_stops_waits_for_its_jobs_for_as_long_as_it_was_told() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue(Waits {}).await?;
    let stage = Stage::default();
    let mut worker = start(Worker::new(&db.howdah).state(stage.clone()).handle(waits).grace(Duration::MAX));
    in_time("the job to begin", stage.begun.notified()).await?;
    worker.tell_to_stop();
    stage.may_end.notify_one();
    worker.ended().await?;
    assert_eq!(db.text(STATES).await?, "waits completed 1");
    Ok(())
}

#[tokio::test]
async fn a_handler_whose_time_is_over_has_as_long_to_end_as_it_was_given() -> Result<()> {
    let db = Db::new().await?;
    db.run(r#"SELECT howdah.set_kind('waits', '{"timeout_ms": 100}')"#).await?;
    db.howdah.enqueue(Waits {}).await?;
    let stage = Stage::default();
    let worker = Worker::new(&db.howdah).state(stage.clone()).handle(waits).handle(quick);
    let worker = start(worker.timeout_grace(Duration::MAX).concurrency(1));
    in_time("the handler to be told", stage.told.notified()).await?;
    stage.may_end.notify_one();
    db.wait_for(STATES, "waits completed 1").await?;
    db.howdah.enqueue(Quick {}).await?;
    db.wait_for(STATES, "quick completed 1, waits completed 1").await?;
    worker.stop().await
}

#[tokio::test]
async fn a_worker_without_a_limit_of_jobs_runs_them() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle(quick).concurrency(usize::MAX));
    // So many that they are known to be short, and are claimed ahead.
    for n in 1..=10 {
        db.howdah.enqueue_many((0..100).map(|_| Quick {})).await?;
        db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", &(n * 100).to_string()).await?;
    }
    worker.stop().await
}
