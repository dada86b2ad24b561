//! A handler in a transaction: what it writes exists if and only if its job was completed by it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, JobError, JobState, Tx, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use sqlx::Connection;
use tokio::sync::Semaphore;

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 2)]
struct Pay {
    n: i32,
    how: String,
}

#[derive(Job, Serialize, Deserialize)]
struct Thank {}

/// The handler has written, and goes on when it is let.
#[derive(Clone)]
struct Gate {
    written: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { written: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }
}

async fn pay(job: Pay, cx: Ctx<Gate>, mut tx: Tx) -> Result<(), JobError> {
    let n = job.n * 100 + i32::from(cx.attempt());
    sqlx::query("INSERT INTO paid (n) VALUES ($1)").bind(n).execute(&mut *tx).await?;
    cx.howdah().enqueue(Thank {}).on(&mut *tx).await?;
    cx.written.add_permits(1);
    match job.how.as_str() {
        "waits" => cx.open.acquire().await?.forget(),
        "fails" => return Err(JobError::retry("not this time")),
        "panics" => panic!("on purpose"),
        "breaks a statement" => {
            sqlx::query("SELECT 1/0").execute(&mut *tx).await?;
        }
        "hides a broken statement" => {
            let _ = sqlx::query("SELECT 1/0").execute(&mut *tx).await;
        }
        "goes on after a savepoint" => {
            let mut inner = tx.begin().await?;
            assert!(sqlx::query("SELECT 1/0").execute(&mut *inner).await.is_err());
            inner.rollback().await?;
        }
        "fails at the commit" => {
            sqlx::query("INSERT INTO refers (n) VALUES (77)").execute(&mut *tx).await?;
        }
        "keeps the transaction" => drop(tokio::spawn(async move {
            let _kept = tx;
            std::future::pending::<()>().await;
        })),
        "completes by itself" => cx.complete_in(&mut tx).await?,
        "cancels itself" => cx.cancel_in(&mut tx).await?,
        "uses other connections" => {
            for _ in 0..3 {
                cx.howdah().enqueue(Thank {}).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn database() -> Result<Db> {
    let db = Db::new().await?;
    db.run(
        "CREATE TABLE paid (n integer PRIMARY KEY);
         CREATE TABLE refers (n integer REFERENCES paid (n) DEFERRABLE INITIALLY DEFERRED);
         UPDATE howdah.queue SET retry_base_ms = 1",
    )
    .await?;
    Ok(db)
}

/// How a job of each kind ends: its state, what it has paid and enqueued, and its failures.
async fn end_of(how: &str) -> Result<(String, String)> {
    let db = database().await?;
    let id = db.howdah.enqueue(Pay { n: 1, how: how.to_owned() }).await?;
    let worker = start(Worker::new(&db.howdah).state(Gate::new()).handle_in_tx(pay));
    db.wait_for(&format!("SELECT ended_at IS NOT NULL FROM howdah.jobs WHERE id = {id}"), "true").await?;
    worker.stop().await?;
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.settled)").await?,
        0
    );
    let sql = "SELECT (SELECT state FROM howdah.jobs WHERE kind = 'pay') || ' ' || (SELECT count(*) FROM paid) || ' '
                      || (SELECT count(*) FROM howdah.jobs WHERE kind = 'thank')";
    let failures = "SELECT string_agg(attempt || ' ' || error_kind || ': ' || message, '; ' ORDER BY attempt) FROM howdah.failures";
    Ok((db.text(sql).await?, db.text(failures).await?))
}

#[tokio::test]
async fn a_handler_that_succeeds_commits_with_its_completion() -> Result<()> {
    for how in ["succeeds", "completes by itself", "goes on after a savepoint"] {
        assert_eq!(end_of(how).await?, ("completed 1 1".to_owned(), String::new()), "{how}");
    }
    Ok(())
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_leaves_nothing_but_its_failure() -> Result<()> {
    let (left, failures) = end_of("fails").await?;
    assert_eq!((left.as_str(), failures.as_str()), ("dead 0 0", "1 error: not this time; 2 error: not this time"));
    let (left, failures) = end_of("panics").await?;
    assert_eq!((left.as_str(), failures.as_str()), ("dead 0 0", "1 panic: on purpose; 2 panic: on purpose"));
    Ok(())
}

#[tokio::test]
async fn a_failed_statement_is_the_handlers_own_failure() -> Result<()> {
    let (left, failures) = end_of("breaks a statement").await?;
    assert_eq!(left, "dead 0 0");
    assert!(failures.contains("division by zero"), "{failures}");
    // Hidden from the worker, it must not read as success.
    let (left, failures) = end_of("hides a broken statement").await?;
    assert_eq!(left, "dead 0 0");
    assert!(failures.contains("current transaction is aborted"), "{failures}");
    Ok(())
}

#[tokio::test]
async fn a_commit_that_is_refused_is_a_failed_attempt() -> Result<()> {
    let (left, failures) = end_of("fails at the commit").await?;
    assert_eq!(left, "dead 0 0");
    assert!(failures.contains("violates foreign key constraint"), "{failures}");
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_the_handler_keeps_is_never_committed() -> Result<()> {
    let (left, failures) = end_of("keeps the transaction").await?;
    assert_eq!(left, "dead 0 0");
    assert!(failures.starts_with("1 transaction: the handler returned while"), "{failures}");
    Ok(())
}

#[tokio::test]
async fn a_job_that_cancels_itself_in_its_transaction_is_cancelled_with_its_writes() -> Result<()> {
    assert_eq!(end_of("cancels itself").await?, ("cancelled 1 1".to_owned(), String::new()));
    Ok(())
}

#[tokio::test]
async fn a_job_that_cancelled_itself_and_then_fails_is_gone_and_not_tried_again() -> Result<()> {
    async fn leaves(_: Thank, cx: Ctx<()>) -> Result<(), JobError> {
        let mut tx = cx.howdah().pool().begin().await?;
        cx.cancel_in(&mut tx).await?;
        tx.commit().await?;
        Err(JobError::retry("too late to matter"))
    }
    let db = Db::new().await?;
    // In leases of one job and of many.
    db.howdah.enqueue(Thank {}).await?;
    db.howdah.enqueue_many((0..100).map(|_| Thank {})).await?;
    let worker = start(Worker::new(&db.howdah).handle(leaves));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'cancelled'", "101").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    assert_eq!(db.number("SELECT max(attempt) FROM howdah.jobs").await?, 1);
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.settled)").await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_job_that_was_lost_meanwhile_leaves_nothing() -> Result<()> {
    let (db, gate) = (database().await?, Gate::new());
    let id = db.howdah.enqueue(Pay { n: 1, how: "waits".to_owned() }).await?;
    let worker = start(Worker::new(&db.howdah).state(gate.clone()).handle_in_tx(pay));
    gate.written.acquire().await?.forget();
    db.howdah.pause_queue("default", None, None).await?;
    // It is given up, and its job is ready for others: what the first attempt has written must not stay.
    db.run("SELECT howdah.rescue_worker(id, 'test', 'given up') FROM howdah.worker").await?;
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Ready));
    gate.open.add_permits(2);
    db.wait_for(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'howdah handler' AND state LIKE 'idle in%'",
        "0",
    )
    .await?;
    assert_eq!(db.number("SELECT count(*) FROM paid").await?, 0);
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Ready));
    db.howdah.resume_queue("default").await?;
    db.wait_for(&format!("SELECT state || attempt FROM howdah.jobs WHERE id = {id}"), "completed2").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM paid").await?, 1);
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE kind = 'thank'").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_handler_that_is_cut_off_at_its_timeout_leaves_nothing() -> Result<()> {
    #[derive(Job, Serialize, Deserialize)]
    #[job(timeout = "100ms", attempts = 1)]
    struct Slow {}
    async fn slow(_: Slow, _: Ctx<()>, mut tx: Tx) -> Result<(), JobError> {
        sqlx::query("INSERT INTO paid (n) VALUES (1)").execute(&mut *tx).await?;
        std::future::pending().await
    }
    let db = database().await?;
    db.howdah.enqueue(Slow {}).await?;
    let worker = start(Worker::new(&db.howdah).handle_in_tx(slow));
    db.wait_for("SELECT state FROM howdah.jobs", "dead").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM paid").await?, 0);
    assert_eq!(db.text("SELECT error_kind FROM howdah.failures").await?, "timeout");
    Ok(())
}

#[tokio::test]
async fn open_transactions_of_handlers_make_nobody_wait() -> Result<()> {
    let (db, gate) = (database().await?, Gate::new());
    // More of them than the pool has connections, which all enqueue through the pool as well.
    db.howdah.enqueue_many((0..12).map(|n| Pay { n, how: "waits".to_owned() })).await?;
    let worker = start(Worker::new(&db.howdah).state(gate.clone()).handle_in_tx(pay).concurrency(12));
    in_time("twelve handlers", gate.written.acquire_many(12)).await??.forget();
    in_time("an enqueue", db.howdah.enqueue(Thank {}).into_future()).await??;
    let beside = start(Worker::new(&db.howdah).state(gate.clone()).handle_in_tx(pay).concurrency(12));
    db.howdah.enqueue_many((12..24).map(|n| Pay { n, how: "uses other connections".to_owned() })).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "12").await?;
    gate.open.add_permits(12);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "24").await?;
    worker.stop().await?;
    beside.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM paid").await?, 24);
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'howdah handler' AND datname = current_database()";
    db.wait_for(connections, "0").await
}

#[tokio::test]
async fn stopping_waits_for_a_handler_in_its_transaction() -> Result<()> {
    let (db, gate) = (database().await?, Gate::new());
    db.howdah.enqueue(Pay { n: 1, how: "waits".to_owned() }).await?;
    let worker = Worker::new(&db.howdah).state(gate.clone()).handle_in_tx(pay).grace(Duration::from_secs(60));
    let mut worker = start(worker);
    gate.written.acquire().await?.forget();
    worker.tell_to_stop();
    gate.open.add_permits(1);
    worker.ended().await?;
    assert_eq!(db.jobs_in("completed").await?, 1);
    assert_eq!(db.number("SELECT count(*) FROM paid").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_completion_that_is_being_committed_is_waited_for_before_the_attempt_counts_as_failed() -> Result<()> {
    // In a lease of one job and in one of two; committed and rolled back.
    for (jobs, end, told) in [(1, "COMMIT", 1), (2, "COMMIT", 1), (1, "ROLLBACK", 0), (2, "ROLLBACK", 0)] {
        let db = Db::new().await?;
        db.howdah.enqueue_many((0..jobs).map(|_| Thank {})).await?;
        let worker = db.worker().await?;
        db.run(&format!("SELECT howdah.claim({worker}, 'default', 2)")).await?;
        let lease = db.number("SELECT id FROM howdah.lease").await?;
        let job = db.number("SELECT min(id) FROM howdah.jobs").await?;
        let (mut handler, mut flusher) = (db.session().await?, db.session().await?);
        handler.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {job})")).await?;
        let sql = format!("SELECT howdah.forget({worker}, {lease}, ARRAY[{job}])");
        let forget = tokio::spawn(async move { flusher.list(&sql).await });
        db.wait_for(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%howdah.forget%'",
            "1",
        )
        .await?;
        handler.run(end).await?;
        assert_eq!(in_time("the answer", forget).await???.len(), told, "{jobs} {end}");
        assert_eq!(db.number("SELECT count(*) FROM howdah.settled").await?, 0);
        assert_eq!(db.jobs_in("running").await?, jobs - i64::try_from(told)?);
    }
    Ok(())
}
