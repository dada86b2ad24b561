//! Handlers that block the whole runtime, or do not listen when they are told to end: what becomes of their jobs, and that
//! a worker stops all the same.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::sync::oneshot;

#[derive(Job, Serialize, Deserialize)]
struct Blocks {}

/// The first one blocks until it is let go; others end at once.
#[derive(Clone)]
struct Stage {
    blocking: Arc<Notify>,
    release: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
    ended: Arc<Notify>,
}

impl Stage {
    fn new() -> (Self, mpsc::Sender<()>) {
        let (release, released) = mpsc::channel();
        let released = Arc::new(Mutex::new(Some(released)));
        (Self { blocking: Arc::default(), release: released, ended: Arc::default() }, release)
    }
}

async fn blocks(_: Blocks, cx: Ctx<Stage>) {
    let release = cx.release.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(release) = release {
        cx.blocking.notify_one();
        let _ = release.recv();
        cx.ended.notify_one();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_whole_runtime_loses_its_job_to_another_worker() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Blocks {}).await?;
    let (stage, release) = Stage::new();
    let (stop, told) = oneshot::channel::<()>();
    let (url, state) = (db.url().to_owned(), stage.clone());
    // A runtime of one thread of its own: no heartbeat goes out while it is blocked.
    let frozen = std::thread::spawn(move || -> Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let howdah = howdah::Howdah::connect(&url).await?;
            let worker = Worker::new(&howdah).state(state).handle(blocks).name("frozen");
            let worker = worker.lease(Duration::from_millis(1500)).heartbeat(Duration::from_millis(200));
            Ok(worker.run_until(told).await?)
        })
    });
    in_time("the handler to block", stage.blocking.notified()).await?;
    let other =
        start(Worker::new(&db.howdah).state(stage.clone()).handle(blocks).heartbeat(Duration::from_millis(200)));
    db.wait_for(&format!("SELECT state || attempt FROM howdah.jobs WHERE id = {id}"), "completed2").await?;
    assert_eq!(db.text("SELECT string_agg(error_kind, ',') FROM howdah.failures").await?, "worker_lost");
    // What the first one says afterwards is refused, and it goes on with other work.
    release.send(())?;
    in_time("the handler to end", stage.ended.notified()).await?;
    other.stop().await?;
    let next = db.howdah.enqueue(Blocks {}).await?;
    db.wait_for(&format!("SELECT state || attempt FROM howdah.jobs WHERE id = {next}"), "completed1").await?;
    drop(stop);
    let ended = tokio::task::spawn_blocking(move || frozen.join());
    let ended = in_time("the worker to end", ended).await??;
    ended.map_err(|_| anyhow::anyhow!("the worker panicked"))??;
    assert_eq!(
        db.text("SELECT count(*) || ' ' || (SELECT count(*) FROM howdah.lease) FROM howdah.failures").await?,
        "1 0"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_worker_stops_while_a_handler_blocks_its_thread_and_gives_its_job_back() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Blocks {}).await?;
    let (stage, release) = Stage::new();
    let worker = Worker::new(&db.howdah).state(stage.clone()).handle(blocks).grace(Duration::from_millis(20));
    let worker = start(worker);
    in_time("the handler to block", stage.blocking.notified()).await?;
    worker.stop().await?;
    let left = "SELECT concat_ws(' ', state, attempt, (SELECT string_agg(error_kind, ',') FROM howdah.failures),
                                 (SELECT count(*) FROM howdah.workers)) FROM howdah.jobs";
    assert!(["ready 1 worker_stopped 0", "scheduled 1 worker_stopped 0"].contains(&db.text(left).await?.as_str()));
    db.run(&format!("SELECT howdah.retry({id})")).await?;
    let other = start(Worker::new(&db.howdah).state(stage.clone()).handle(blocks));
    db.wait_for(&format!("SELECT state || attempt FROM howdah.jobs WHERE id = {id}"), "completed2").await?;
    release.send(())?;
    in_time("the handler to end", stage.ended.notified()).await?;
    other.stop().await?;
    assert_eq!(
        db.text("SELECT state || attempt FROM howdah.jobs").await?,
        "completed2",
        "nobody speaks for it any more"
    );
    Ok(())
}
