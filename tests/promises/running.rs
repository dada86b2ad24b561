//! Jobs run: from enqueue to their end, whatever their handlers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Cancelled, Ctx, Job, JobError, JobState, OrVerdict, RawJob, Worker};
use howdah_tests::mutations::Mutation;
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Job, Serialize, Deserialize)]
struct Add {
    n: usize,
}

#[derive(Clone, Default)]
struct Sum(Arc<AtomicUsize>);

async fn add(job: Add, cx: Ctx<Sum>) -> Result<(), JobError> {
    cx.0.fetch_add(job.n, Ordering::Relaxed);
    Ok(())
}

#[tokio::test]
async fn every_job_of_a_call_runs_once() -> Result<()> {
    let db = Db::new().await?;
    let ids = db.howdah.enqueue_many((0..1000).map(|n| Add { n })).await?;
    assert_eq!(ids.len(), 1000);
    let sum = Sum::default();
    let worker = start(Worker::new(&db.howdah).state(sum.clone()).handle(add));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1000").await?;
    worker.stop().await?;
    assert_eq!(sum.0.load(Ordering::Relaxed), 499_500);
    assert_eq!(db.number("SELECT count(*) FROM howdah.lease").await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}

#[tokio::test]
async fn jobs_that_are_long_on_their_way_to_the_worker_run_all_the_same() -> Result<()> {
    let db = Db::new().await?;
    // As over a slow network, or with payloads of many megabytes.
    let slow = Mutation {
        name: "a slow claim",
        function: "claim/claim",
        from: "  v_gone     integer;",
        to: "  v_gone     integer;\n  v_slow     text := pg_sleep(0.4)::text;",
    };
    slow.apply(&db).await?;
    let sum = Sum::default();
    let worker = start(Worker::new(&db.howdah).state(sum.clone()).handle(add));
    db.howdah.enqueue_many((0..20).map(|n| Add { n })).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "20").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_transaction_commits() -> Result<()> {
    let db = Db::new().await?;
    let sum = Sum::default();
    let worker = start(Worker::new(&db.howdah).state(sum.clone()).handle(add));
    let mut rolled_back = db.pool().begin().await?;
    let never = db.howdah.enqueue(Add { n: 1000 }).on(&mut rolled_back).await?;
    rolled_back.rollback().await?;
    let mut committed = db.pool().begin().await?;
    let id = db.howdah.enqueue(Add { n: 1 }).on(&mut committed).await?;
    assert_eq!(db.howdah.state(id).await?, None, "nobody sees it before the commit");
    committed.commit().await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1").await?;
    worker.stop().await?;
    assert_eq!(db.howdah.state(never).await?, None);
    assert_eq!(sum.0.load(Ordering::Relaxed), 1);
    Ok(())
}

/// Does as its payload says, and counts its runs.
#[derive(Job, Serialize, Deserialize)]
#[job(timeout = "50ms", attempts = 3)]
struct Ends {
    how: String,
}

async fn ends(job: Ends, cx: Ctx<Sum>) -> Result<(), JobError> {
    cx.0.fetch_add(1, Ordering::Relaxed);
    match job.how.as_str() {
        "discard" => "x".parse::<i32>().map(|_| ()).or_discard(),
        "cancel" => Err(JobError::cancel("not wanted")),
        "panic" => panic!("a panic on purpose"),
        "hang" => std::future::pending().await,
        "snooze once" if cx.0.load(Ordering::Relaxed) == 1 => Err(JobError::snooze(Duration::from_millis(1))),
        "fail twice" if cx.attempt() < 3 => Ok("y".parse::<i32>().map(|_| ())?),
        "fail" => Err(JobError::retry("always").kind("my_kind")),
        _ => Ok(()),
    }
}

/// Runs one job to its end; returns its state, its attempt, how often it ran, and its failures.
async fn end_of(how: &str) -> Result<(String, i64, usize, String)> {
    let db = Db::new().await?;
    db.run("UPDATE howdah.queue SET retry_base_ms = 1, retry_cap_ms = 5").await?;
    let sum = Sum::default();
    let id = db.howdah.enqueue(Ends { how: how.to_owned() }).await?;
    let worker = start(Worker::new(&db.howdah).state(sum.clone()).handle(ends));
    db.wait_for("SELECT state IN ('completed', 'dead', 'cancelled') FROM howdah.jobs", "true").await?;
    worker.stop().await?;
    let state = db.howdah.state(id).await?.map(JobState::as_str).unwrap_or_default();
    let failures = "SELECT string_agg(attempt || ' ' || error_kind || ': ' || message, '; ' ORDER BY attempt) FROM howdah.failures";
    Ok((
        state.to_owned(),
        db.number("SELECT attempt FROM howdah.jobs").await?,
        sum.0.load(Ordering::Relaxed),
        db.text(failures).await?,
    ))
}

#[tokio::test]
async fn a_failed_job_is_tried_again_until_it_succeeds() -> Result<()> {
    let (state, attempt, runs, failures) = end_of("fail twice").await?;
    assert_eq!((state.as_str(), attempt, runs), ("completed", 3, 3));
    let text = "ParseIntError: invalid digit found in string";
    assert_eq!(failures, format!("1 {text}; 2 {text}"));
    Ok(())
}

#[tokio::test]
async fn a_job_is_dead_after_its_last_attempt() -> Result<()> {
    let (state, attempt, runs, failures) = end_of("fail").await?;
    assert_eq!((state.as_str(), attempt, runs), ("dead", 3, 3));
    assert_eq!(failures, "1 my_kind: always; 2 my_kind: always; 3 my_kind: always");
    Ok(())
}

#[tokio::test]
async fn a_discarded_job_is_dead_at_once_and_a_cancelled_one_is_cancelled() -> Result<()> {
    let (state, attempt, runs, _) = end_of("discard").await?;
    assert_eq!((state.as_str(), attempt, runs), ("dead", 1, 1));
    let (state, attempt, runs, _) = end_of("cancel").await?;
    assert_eq!((state.as_str(), attempt, runs), ("cancelled", 1, 1));
    Ok(())
}

#[tokio::test]
async fn a_snoozed_attempt_does_not_count() -> Result<()> {
    let (state, attempt, runs, failures) = end_of("snooze once").await?;
    assert_eq!((state.as_str(), attempt, runs, failures.as_str()), ("completed", 1, 2, ""));
    Ok(())
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_the_worker_goes_on() -> Result<()> {
    let (state, _, runs, failures) = end_of("panic").await?;
    assert_eq!((state.as_str(), runs), ("dead", 3));
    assert!(failures.starts_with("1 panic: a panic on purpose"), "{failures}");
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_takes_longer_than_its_timeout_has_failed() -> Result<()> {
    let (state, _, runs, failures) = end_of("hang").await?;
    assert_eq!((state.as_str(), runs), ("dead", 3));
    assert!(failures.starts_with("1 timeout: the attempt took longer than its timeout of 50ms"), "{failures}");
    Ok(())
}

#[tokio::test]
async fn a_payload_that_does_not_fit_names_its_field_and_not_its_value() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue_raw("add", &serde_json::json!({"n": "a secret"})).max_attempts(1).await?;
    let worker = start(Worker::new(&db.howdah).state(Sum::default()).handle(add));
    db.wait_for("SELECT state FROM howdah.jobs", "dead").await?;
    worker.stop().await?;
    let failure = db.text("SELECT error_kind || ' ' || message FROM howdah.failures").await?;
    assert!(failure.starts_with("payload payload.n does not fit the type of kind add"), "{failure}");
    Ok(())
}

#[tokio::test]
async fn a_worker_claims_only_kinds_that_it_has_a_handler_for() -> Result<()> {
    let db = Db::new().await?;
    let other = db.howdah.enqueue_raw("other", &()).await?;
    let mine = db.howdah.enqueue(Add { n: 1 }).await?;
    let worker = start(Worker::new(&db.howdah).state(Sum::default()).handle(add));
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {mine}"), "completed").await?;
    worker.stop().await?;
    assert_eq!(db.howdah.state(other).await?, Some(JobState::Ready));
    assert_eq!(db.number(&format!("SELECT attempt FROM howdah.jobs WHERE id = {other}")).await?, 0);
    // And one that takes any kind takes this one.
    async fn any(job: RawJob, _: Ctx<()>) -> Result<(), JobError> {
        if job.kind == "other" && job.payload.get() == "null" { Ok(()) } else { Err(JobError::discard("what is this")) }
    }
    let worker = start(Worker::new(&db.howdah).handle_any(any));
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {other}"), "completed").await?;
    worker.stop().await
}

/// How many run now, and how many ran at most, by queue.
#[derive(Clone, Default)]
struct Gauge(Arc<[(AtomicUsize, AtomicUsize); 2]>);

#[derive(Job, Serialize, Deserialize)]
struct Busy {
    queue: usize,
}

async fn busy(job: Busy, cx: Ctx<Gauge>) {
    let (now, most) = &cx.0[job.queue];
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(5)).await;
    now.fetch_sub(1, Ordering::SeqCst);
}

#[tokio::test]
async fn each_queue_has_its_own_concurrency() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.create_queue("narrow").await?;
    db.howdah.enqueue_many((0..40).map(|_| Busy { queue: 0 })).queue("narrow").await?;
    db.howdah.enqueue_many((0..200).map(|_| Busy { queue: 1 })).await?;
    let gauge = Gauge::default();
    let worker = Worker::new(&db.howdah).state(gauge.clone()).handle(busy).queue("narrow", 2).queue("default", 7);
    let worker = start(worker);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "240").await?;
    worker.stop().await?;
    let most: Vec<usize> = gauge.0.iter().map(|(_, most)| most.load(Ordering::SeqCst)).collect();
    assert_eq!(most, [2, 7]);
    Ok(())
}

#[tokio::test]
async fn a_delayed_job_starts_when_it_is_due_and_not_before() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).state(Sum::default()).handle(add));
    db.wait_for("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
    let mut late = Vec::new();
    for _ in 0..5 {
        let id = db.howdah.enqueue(Add { n: 1 }).delay(Duration::from_millis(300)).await?;
        db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {id}"), "completed").await?;
        let ms = "SELECT (extract(epoch FROM claimed_at - enqueued_at) * 1000)::bigint - 300 FROM howdah.jobs";
        late.push(db.number(&format!("{ms} WHERE id = {id}")).await?);
    }
    worker.stop().await?;
    // Without a timer for the due time, the keeper's next tick would be more than a second late for each but the first;
    // a busy machine may be late for some.
    let (soonest, latest) = (late.iter().min().context("five")?, late[1..].iter().min().context("four")?);
    assert!(*soonest >= 0 && *latest < 1000, "started so many ms after they were due: {late:?}");
    Ok(())
}

#[tokio::test]
async fn a_running_job_hears_that_it_is_cancelled() -> Result<()> {
    #[derive(Job, Serialize, Deserialize)]
    struct Waits {}
    async fn waits(_: Waits, cx: Ctx<Arc<Notify>>) -> Result<(), JobError> {
        cx.notify_one();
        cx.cancelled().cancelled().await;
        Err(JobError::retry("as I was told to stop"))
    }
    let db = Db::new().await?;
    let started = Arc::new(Notify::new());
    // With a heartbeat this long only the notification can bring it.
    let worker = Worker::new(&db.howdah).state(Arc::clone(&started)).handle(waits);
    let worker = start(worker.lease(Duration::from_secs(600)).heartbeat(Duration::from_secs(300)));
    let id = db.howdah.enqueue(Waits {}).await?;
    started.notified().await;
    assert_eq!(db.howdah.cancel(id).await?, Some(Cancelled::Asked));
    db.wait_for("SELECT state FROM howdah.jobs", "cancelled").await?;
    worker.stop().await?;
    assert_eq!(db.howdah.cancel(id).await?, Some(Cancelled::TooLate(JobState::Cancelled)), "not a second time");
    Ok(())
}
