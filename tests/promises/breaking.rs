//! What panics round a handler, or inside of a worker: no job is held for ever, and no slot is lost.

use std::panic::{panic_any, resume_unwind};
use std::time::Duration;

use anyhow::{Result, ensure};
use howdah::{Answer, Ctx, Job, JobError, Statement, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use tracing::subscriber::set_default;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

#[derive(Job, Serialize, Deserialize)]
struct Quick {}

async fn quick(_: Quick) {}

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Breaks {}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // Without a word to standard error: what a panic writes there with a backtrace may take longer than a handler has.
        resume_unwind(Box::new("it was dropped"));
    }
}

/// A worker with one slot runs one job that breaks, and goes on with the next. Gives how the first one failed.
async fn breaks<S: Send + Sync + 'static>(db: &Db, worker: Worker<S>) -> Result<String> {
    db.howdah.enqueue(Breaks {}).await?;
    let worker = start(worker.handle(quick).concurrency(1).timeout_grace(Duration::from_millis(50)));
    db.wait_for("SELECT state FROM howdah.jobs WHERE kind = 'breaks'", "dead").await?;
    db.howdah.enqueue(Quick {}).await?;
    db.wait_for("SELECT state FROM howdah.jobs WHERE kind = 'quick'", "completed").await?;
    worker.stop().await?;
    db.text("SELECT error_kind || ': ' || message FROM howdah.failures").await
}

#[tokio::test]
async fn a_handler_that_panics_with_what_panics_when_it_is_dropped_has_failed_like_any_other() -> Result<()> {
    let db = Db::new().await?;
    let worker = Worker::new(&db.howdah).handle(|_: Breaks| async {
        if true {
            panic_any(Bomb);
        }
    });
    assert_eq!(breaks(&db, worker).await?, "panic: no message");
    Ok(())
}

#[tokio::test]
async fn a_handler_that_panics_when_it_is_dropped_has_failed_and_its_slot_is_free() -> Result<()> {
    let db = Db::new().await?;
    db.run(r#"SELECT howdah.set_kind('breaks', '{"timeout_ms": 100}')"#).await?;
    // In the hands of the handler before it is asked for the first time: its time may be over by then.
    let worker = Worker::new(&db.howdah).handle(|_: Breaks| {
        let bomb = Bomb;
        async move {
            let _bomb = bomb;
            std::future::pending::<()>().await;
        }
    });
    assert_eq!(breaks(&db, worker).await?, "panic: it was dropped");
    Ok(())
}

#[tokio::test]
async fn a_policy_that_panics_with_what_panics_when_it_is_dropped_costs_no_job() -> Result<()> {
    let db = Db::new().await?;
    let worker = Worker::new(&db.howdah)
        .retry_by(|_| panic_any(Bomb))
        .handle(|_: Breaks| async { Err::<(), _>(JobError::retry("no").kind("refused")) });
    assert_eq!(breaks(&db, worker).await?, "refused: no");
    Ok(())
}

/// Nobody may log what runners say.
struct Breaking;

impl<S: Subscriber> Layer<S> for Breaking {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        assert_ne!(event.metadata().target(), "howdah::worker::runner");
    }
}

#[tokio::test]
async fn a_log_that_panics_keeps_no_end_from_being_told() -> Result<()> {
    let db = Db::new().await?;
    let _breaking = set_default(registry().with(Breaking));
    let worker =
        Worker::new(&db.howdah).handle(|_: Breaks| async { Err::<(), _>(JobError::retry("no").kind("refused")) });
    assert_eq!(breaks(&db, worker).await?, "refused: no");
    Ok(())
}

/// A worker for whom a hook panics at the first statement of one of its connections that this operation is in.
async fn loses_a_part(connection: &'static str, operation: &'static str) -> Result<()> {
    let db = Db::new().await?;
    let broken = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        assert!(statement.connection != connection || statement.operation != operation, "nobody may see that");
    });
    // It has to run for as long as its progress is written.
    let waits = connection == "notes";
    let worker = Worker::new(&broken).state(waits).handle(|_: Quick, cx: Ctx<bool>| async move {
        cx.progress(1, "on the way");
        if *cx.state() {
            cx.cancelled().cancelled().await;
        }
    });
    let worker = start(worker.keeper(false).grace(Duration::from_millis(100)));
    db.howdah.enqueue(Quick {}).await?;
    let ended = worker.ended().await.map_err(|error| error.to_string());
    ensure!(ended.as_ref().is_err_and(|said| said.contains("panicked")), "{connection}: {ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_has_lost_one_of_its_parts_stops_and_says_so() -> Result<()> {
    for (connection, operation) in
        [("claimer", "claim"), ("flusher", "complete_leases"), ("chores", "heartbeat"), ("notes", "note_progress")]
    {
        loses_a_part(connection, operation).await?;
    }
    Ok(())
}
