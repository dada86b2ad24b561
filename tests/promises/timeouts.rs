//! An attempt whose time is over is told so, then dropped, and its slot is never lost.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::Result;
use howdah::{Ctx, Job, JobError, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

#[derive(Job, Serialize, Deserialize)]
#[job(timeout = "50ms", attempts = 1)]
struct Late {
    how: String,
}

async fn late(job: Late, cx: Ctx<()>) -> Result<(), JobError> {
    match job.how.as_str() {
        "ends well" => cx.cancelled().cancelled().await,
        "fails" => {
            cx.cancelled().cancelled().await;
            return Err(JobError::discard("half-way").kind("mine"));
        }
        "snoozes" => {
            cx.cancelled().cancelled().await;
            return Err(JobError::snooze(Duration::ZERO));
        }
        "looks" => {
            while !cx.cancelled().is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        "sets" => {
            assert!(cx.set_deadline(Instant::now() + Duration::from_millis(20)));
            std::future::pending::<()>().await;
        }
        "clears" => {
            let deadline = cx.deadline().unwrap();
            assert!(cx.clear_deadline() && cx.deadline().is_none());
            tokio::time::sleep_until((deadline + Duration::from_millis(100)).into()).await;
        }
        "too late" => {
            cx.cancelled().cancelled().await;
            assert!(!cx.extend(Duration::from_secs(60)) && !cx.clear_deadline());
            std::future::pending::<()>().await;
        }
        _ => std::future::pending().await,
    }
    Ok(())
}

/// Runs one job to its end; returns its state and its failure.
async fn end_of(how: &str, grace: Duration, options: &str) -> Result<(String, String)> {
    let db = Db::new().await?;
    db.run(&format!(r#"SELECT howdah.enqueue('late', '{{"how": "{how}"}}', options => {options}, max_attempts => 1)"#))
        .await?;
    let worker = start(Worker::new(&db.howdah).handle(late).timeout_grace(grace));
    db.wait_for("SELECT state IN ('completed', 'dead') FROM howdah.jobs", "true").await?;
    worker.stop().await?;
    let failure = db.text("SELECT string_agg(error_kind || ': ' || message, '; ') FROM howdah.failures").await?;
    Ok((db.text("SELECT state FROM howdah.jobs").await?, failure))
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);
const OVER: &str = "timeout: the attempt took longer than its timeout of 50ms";

#[tokio::test]
async fn a_handler_is_told_that_its_time_is_over_and_may_still_end_by_itself() -> Result<()> {
    assert_eq!(end_of("ends well", LONG, "NULL").await?, ("completed".to_owned(), String::new()));
    assert_eq!(end_of("fails", LONG, "NULL").await?, ("dead".to_owned(), format!("{OVER}: half-way")));
    let (state, failure) = end_of("snoozes", LONG, "NULL").await?;
    assert!(state == "dead" && failure.starts_with(OVER), "it counts: {state}, {failure}");
    Ok(())
}

#[tokio::test]
async fn a_handler_that_does_not_end_in_the_grace_period_is_dropped() -> Result<()> {
    assert_eq!(end_of("hangs", SHORT, "NULL").await?, ("dead".to_owned(), OVER.to_owned()));
    assert_eq!(end_of("too late", SHORT, "NULL").await?, ("dead".to_owned(), OVER.to_owned()));
    Ok(())
}

#[tokio::test]
async fn the_timeout_of_the_job_counts_before_that_of_its_kind() -> Result<()> {
    let (_, failure) = end_of("hangs", SHORT, r#"'{"timeout_ms": 70}'"#).await?;
    assert_eq!(failure, "timeout: the attempt took longer than its timeout of 70ms");
    Ok(())
}

#[tokio::test]
async fn a_handler_may_set_and_clear_its_deadline() -> Result<()> {
    let (_, failure) = end_of("sets", SHORT, r#"'{"timeout_ms": 3600000}'"#).await?;
    assert!(failure.starts_with("timeout: the attempt had not ended at its deadline, "), "{failure}");
    // Long enough to begin before it is over.
    assert_eq!(end_of("clears", SHORT, r#"'{"timeout_ms": 1000}'"#).await?.0, "completed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_never_waits_hears_of_its_deadline_all_the_same() -> Result<()> {
    assert_eq!(end_of("looks", LONG, "NULL").await?, ("completed".to_owned(), String::new()));
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
#[job(timeout = "2s", attempts = 1)]
struct Long {
    steps: u32,
    then_hangs: bool,
}

async fn long(job: Long, cx: Ctx<()>) {
    for _ in 0..job.steps {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let more = Duration::from_secs(2);
        assert!(cx.extend(more));
        let left = cx.deadline().unwrap().duration_since(Instant::now());
        assert!(left <= more, "extensions are not added up");
    }
    if job.then_hangs {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_handler_that_extends_its_deadline_again_and_again_goes_on_for_as_long() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue(Long { steps: 50, then_hangs: false }).await?;
    let worker = start(Worker::new(&db.howdah).handle(long).timeout_grace(SHORT));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    assert!(db.number("SELECT run_ms FROM howdah.jobs").await? >= 2500);
    let hangs = db.howdah.enqueue(Long { steps: 5, then_hangs: true }).await?;
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {hangs}"), "dead").await?;
    worker.stop().await?;
    let failure = db.text("SELECT error_kind || ': ' || message FROM howdah.failures").await?;
    assert!(failure.starts_with("timeout: the attempt had not ended at its deadline"), "{failure}");
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
#[job(timeout = "2s", attempts = 1)]
struct Blocks {
    completes_first: bool,
}

#[derive(Job, Serialize, Deserialize)]
struct Quick {}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "beside")]
struct Beside {}

async fn beside(_: Beside) {}

/// What the handlers and the test tell each other.
#[derive(Clone)]
struct Stage {
    release: Arc<Mutex<mpsc::Receiver<()>>>,
    blocking: Arc<Notify>,
    said: Arc<Mutex<Vec<String>>>,
    ended: Arc<Notify>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    /// Quick jobs wait for it.
    gate: Arc<Semaphore>,
}

impl Stage {
    fn new() -> (Self, mpsc::Sender<()>) {
        let (release, released) = mpsc::channel();
        let stage = Self {
            release: Arc::new(Mutex::new(released)),
            blocking: Arc::default(),
            said: Arc::default(),
            ended: Arc::default(),
            running: Arc::default(),
            most: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        };
        (stage, release)
    }
}

async fn blocks(job: Blocks, cx: Ctx<Stage>) -> Result<(), JobError> {
    let mut tx = cx.howdah().pool().begin().await?;
    if job.completes_first {
        sqlx::query("INSERT INTO effect VALUES (1)").execute(&mut *tx).await?;
        cx.complete_in(&mut tx).await?;
    }
    cx.blocking.notify_one();
    let _ = cx.release.lock().unwrap().recv();
    let said = if job.completes_first {
        // Still long enough for it to be dropped meanwhile, if anybody would.
        sqlx::query("SELECT pg_sleep(0.1)").execute(&mut *tx).await?;
        format!("committed {}", tx.commit().await.is_ok())
    } else {
        // Nothing that waits comes after this: whoever is abandoned is dropped there.
        let refused = futures_util::FutureExt::now_or_never(cx.complete_in(&mut tx));
        format!("{:?} held {}", refused.map(|r| r.map_err(|e| e.to_string())), cx.lease_held())
    };
    cx.said.lock().unwrap().push(said);
    cx.ended.notify_one();
    Ok(())
}

async fn quick(_: Quick, cx: Ctx<Stage>) {
    let now = cx.running.fetch_add(1, Ordering::SeqCst) + 1;
    cx.most.fetch_max(now, Ordering::SeqCst);
    cx.gate.acquire().await.unwrap().forget();
    cx.running.fetch_sub(1, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_slot_of_a_handler_that_blocks_its_thread_is_given_back() -> Result<()> {
    let db = Db::new().await?;
    let blocked = db.howdah.enqueue(Blocks { completes_first: false }).await?;
    let (stage, release) = Stage::new();
    let worker = Worker::new(&db.howdah).state(stage.clone()).handle(blocks).handle(quick).handle(beside);
    let worker = start(worker.concurrency(1).timeout_grace(SHORT));
    in_time("the handler to block", stage.blocking.notified()).await?;
    // With its only slot taken the worker could not do these.
    db.howdah.enqueue_many((0..20).map(|_| Quick {})).await?;
    stage.gate.add_permits(5);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "5").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'running'", "1").await?;
    assert_eq!(
        db.text("SELECT error_kind || ': ' || message FROM howdah.failures").await?,
        "timeout: the attempt took longer than its timeout of 2s; it was abandoned: its handler blocks a thread"
    );
    release.send(())?;
    in_time("the handler to end", stage.ended.notified()).await?;
    let said = format!(
        "Some(Err(\"job {blocked} is not held by this attempt any more: another worker has it, or it has ended\")) held false"
    );
    assert_eq!(*stage.said.lock().unwrap(), [said]);
    // Its own runner has ended with it: there still is one slot, not two.
    // The claimer has looked into both queues since.
    for done in 6..=8 {
        db.howdah.enqueue(Beside {}).await?;
        db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", &done.to_string()).await?;
    }
    for done in 9..=23 {
        stage.gate.add_permits(1);
        db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", &done.to_string()).await?;
    }
    worker.stop().await?;
    assert_eq!(stage.most.load(Ordering::SeqCst), 1);
    assert_eq!(db.text(&format!("SELECT state FROM howdah.jobs WHERE id = {blocked}")).await?, "dead");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blocked_handler_that_has_completed_its_job_in_a_transaction_may_still_commit() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE effect (n integer)").await?;
    db.howdah.enqueue(Blocks { completes_first: true }).await?;
    let (stage, release) = Stage::new();
    let worker = Worker::new(&db.howdah).state(stage.clone()).handle(blocks).handle(quick);
    let worker = start(worker.concurrency(1).timeout_grace(SHORT));
    in_time("the handler to block", stage.blocking.notified()).await?;
    db.howdah.enqueue(Quick {}).await?;
    stage.gate.add_permits(1);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1").await?;
    assert_eq!(db.text("SELECT state FROM howdah.jobs WHERE kind = 'blocks'").await?, "running", "nobody else has it");
    release.send(())?;
    db.wait_for("SELECT state FROM howdah.jobs WHERE kind = 'blocks'", "completed").await?;
    worker.stop().await?;
    assert_eq!(
        db.text("SELECT (SELECT count(*) FROM effect) || ' ' || (SELECT count(*) FROM howdah.failure)").await?,
        "1 0"
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.lease").await?, 0);
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Patient {}

/// Waits until the one worker goes by what is set now. The first heartbeat that is seen may have begun before, the second
/// has not, and when there is a third, the worker has the answer to the second.
async fn three_heartbeats(db: &Db) -> Result<()> {
    for _ in 0..3 {
        let last = db.text("SELECT clock_timestamp()").await?;
        let heard = format!("SELECT max(heartbeat_at) > '{last}'::timestamptz FROM howdah.worker");
        db.wait_for(&heard, "true").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_timeout_that_is_set_of_a_queue_or_a_kind_is_heard_by_a_running_worker() -> Result<()> {
    async fn patient(_: Patient) {
        std::future::pending::<()>().await;
    }
    let db = Db::new().await?;
    let worker = Worker::new(&db.howdah).handle(patient).heartbeat(Duration::from_millis(20));
    let worker = start(worker.lease(Duration::from_secs(20)).timeout_grace(Duration::ZERO).concurrency(9));
    db.run("SELECT howdah.set_queue('default', '{\"timeout_ms\": 77}')").await?;
    three_heartbeats(&db).await?;
    db.howdah.enqueue(Patient {}).await?;
    db.wait_for(
        "SELECT string_agg(message, ';') FROM howdah.failures",
        "the attempt took longer than its timeout of 77ms",
    )
    .await?;
    db.run("SELECT howdah.set_kind('patient', '{\"timeout_ms\": 55}'); TRUNCATE howdah.failure").await?;
    three_heartbeats(&db).await?;
    db.howdah.enqueue(Patient {}).await?;
    db.wait_for(
        "SELECT string_agg(message, ';') FROM howdah.failures",
        "the attempt took longer than its timeout of 55ms",
    )
    .await?;
    worker.stop().await
}

#[tokio::test]
async fn a_handler_that_hangs_after_its_own_transaction_was_rolled_back_is_ended_by_its_timeout() -> Result<()> {
    #[derive(Job, Serialize, Deserialize)]
    #[job(attempts = 1)]
    struct Hangs {
        /// Its transaction stays open.
        open: bool,
    }
    async fn hangs(job: Hangs, cx: Ctx<()>) -> Result<(), JobError> {
        let mut tx = cx.howdah().pool().begin().await?;
        cx.complete_in(&mut tx).await?;
        cx.set_deadline(Instant::now());
        if !job.open {
            tx.rollback().await?;
        }
        std::future::pending().await
    }
    let db = Db::new().await?;
    // Neighbours in one lease.
    db.howdah.enqueue_many([true, false].map(|open| Hangs { open })).await?;
    let worker = Worker::new(&db.howdah).concurrency(2).timeout_grace(Duration::from_millis(50)).handle(hangs);
    let worker = start(worker.grace(Duration::ZERO));
    let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs";
    db.wait_for(states, "running dead").await?;
    assert_eq!(db.text("SELECT string_agg(error_kind, ', ') FROM howdah.failures").await?, "timeout");
    assert_eq!(db.text(states).await?, "running dead");
    worker.stop().await
}
