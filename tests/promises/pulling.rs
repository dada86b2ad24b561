//! Jobs by pulling: whatever becomes of a handle and of its receiver, no job is lost, kept or finished twice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use howdah::{Error, Howdah, Job, JobError, JobHandle, JobState, Receiver};
use howdah_tests::{Db, in_time};
use serde::{Deserialize, Serialize};

#[derive(Debug, Job, Serialize, Deserialize)]
#[job(queue = "mail")]
struct Welcome {
    n: i64,
}

/// A database with so many jobs in its queue `mail`.
async fn with_jobs(jobs: i64) -> Result<Db> {
    let db = Db::new().await?;
    db.howdah.create_queue("mail").await?;
    db.run("UPDATE howdah.queue SET retry_base_ms = 1, retry_cap_ms = 2").await?;
    db.howdah.enqueue_many((0..jobs).map(|n| Welcome { n })).await?;
    Ok(db)
}

async fn open(howdah: &Howdah, batch: usize) -> Result<Receiver> {
    Ok(in_time("a receiver to open", howdah.receive("mail").batch(batch).open()).await??)
}

async fn next<P: Send>(jobs: &mut Receiver<P>) -> Result<JobHandle<P>> {
    in_time("a job", jobs.next()).await?.context("the receiver has ended")
}

#[tokio::test]
async fn a_job_is_completed_when_the_call_returns() -> Result<()> {
    let db = with_jobs(1).await?;
    let mut jobs = open(&db.howdah, 1).await?;
    let job = next(&mut jobs).await?;
    assert_eq!((job.kind(), job.queue(), job.attempt(), job.deadline()), ("welcome", "mail", 1, None));
    assert_eq!(job.payload::<Welcome>().map_err(|e| anyhow::anyhow!("{e}"))?.n, 0);
    assert_eq!(job.raw_payload().get(), r#"{"n": 0}"#);
    job.check_lease().await?;
    let id = job.id();
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Running));
    job.complete().await?;
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Completed));
    jobs.close().await;
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.worker) + (SELECT count(*) FROM howdah.lease)").await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_typed_receiver_gives_its_type_and_fails_what_does_not_fit() -> Result<()> {
    let db = with_jobs(0).await?;
    let bad =
        db.howdah.enqueue_raw("welcome", &serde_json::json!({"n": "secret"})).queue("mail").max_attempts(1).await?;
    let other = db.howdah.enqueue_raw("other", &()).queue("mail").await?;
    db.howdah.enqueue(Welcome { n: 7 }).await?;
    let mut jobs = db.howdah.receive_typed::<Welcome>().open().await?;
    let job = next(&mut jobs).await?;
    assert_eq!(job.payload().n, 7);
    job.complete().await?;
    assert_eq!(db.howdah.state(bad).await?, Some(JobState::Dead));
    let failure = db.text("SELECT error_kind || ' ' || message FROM howdah.failures").await?;
    assert!(failure.starts_with("payload payload.n does not fit") && !failure.contains("secret"), "{failure}");
    assert_eq!(db.howdah.state(other).await?, Some(JobState::Ready), "other kinds are left for others");
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn only_the_kinds_that_were_asked_for_are_received() -> Result<()> {
    let db = with_jobs(3).await?;
    let other = db.howdah.enqueue_raw("other", &()).queue("mail").await?;
    let mut jobs = db.howdah.receive("mail").batch(10).kinds(["other"]).open().await?;
    let job = next(&mut jobs).await?;
    assert_eq!(job.id(), other);
    job.complete().await?;
    jobs.close().await;
    assert_eq!(db.number("SELECT sum(attempt) FROM howdah.jobs WHERE kind = 'welcome'").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_handle_that_is_held_for_longer_than_the_lease_is_kept_by_heartbeats() -> Result<()> {
    let db = with_jobs(1).await?;
    let (lease, beat) = (Duration::from_secs(60), Duration::from_millis(50));
    let mut jobs = Some(db.howdah.receive("mail").lease(lease).heartbeat(beat).open().await?);
    let job = next(jobs.as_mut().context("open")?).await?;
    // Four leases pass, in steps of which each is shorter than one; after two of them the receiver itself is gone.
    for seconds in [40, 80, 120, 160, 200, 240] {
        db.travel(&format!("{seconds} seconds")).await?;
        let heard = format!("SELECT max(heartbeat_at) > min(started_at) + interval '{seconds} s' FROM howdah.worker");
        db.wait_for(&heard, "true").await?;
        if seconds == 120 {
            jobs = None;
        }
    }
    drop(jobs);
    db.run("SELECT howdah.rescue()").await?;
    job.complete().await?;
    assert_eq!(db.text("SELECT state || attempt FROM howdah.jobs").await?, "completed1");
    db.wait_for("SELECT count(*) FROM howdah.worker", "0").await
}

#[tokio::test]
async fn a_failed_job_comes_again_by_the_policy_and_then_is_dead() -> Result<()> {
    let db = with_jobs(0).await?;
    let id = db.howdah.enqueue(Welcome { n: 1 }).max_attempts(2).await?;
    let mut jobs = open(&db.howdah, 1).await?;
    next(&mut jobs).await?.fail(JobError::retry("first").kind("mine")).await?;
    let job = next(&mut jobs).await?;
    assert!(job.is_last_attempt());
    job.fail(std::fmt::Error).await?;
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Dead));
    let failures =
        db.text("SELECT string_agg(attempt || ' ' || error_kind, '; ' ORDER BY attempt) FROM howdah.failures");
    assert_eq!(failures.await?, "1 mine; 2 Error");
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn an_error_on_the_way_gives_the_job_back_at_once_and_the_attempt_does_not_count() -> Result<()> {
    async fn works(job: JobHandle) -> Result<()> {
        let n: i64 = "x".parse()?;
        job.complete().await?;
        anyhow::bail!("{n}")
    }
    let db = with_jobs(1).await?;
    let mut jobs = open(&db.howdah, 1).await?;
    assert!(works(next(&mut jobs).await?).await.is_err());
    let again = next(&mut jobs).await?;
    assert_eq!(again.attempt(), 1);
    again.release().await?;
    assert_eq!(next(&mut jobs).await?.attempt(), 1);
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn a_panic_with_a_job_in_hand_is_a_failed_attempt() -> Result<()> {
    let db = with_jobs(1).await?;
    let mut jobs = open(&db.howdah, 1).await?;
    let job = next(&mut jobs).await?;
    let panicked = tokio::spawn(async move {
        assert!(job.attempt() > 1, "a panic on purpose");
    });
    assert!(panicked.await.is_err());
    let again = next(&mut jobs).await?;
    assert_eq!(again.attempt(), 2);
    again.complete().await?;
    assert_eq!(db.text("SELECT attempt || error_kind FROM howdah.failures").await?, "1panic");
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn at_most_a_batch_is_held_at_a_time() -> Result<()> {
    let db = with_jobs(0).await?;
    let mut jobs = open(&db.howdah, 2).await?;
    // Jobs that take no time would make a worker claim ahead.
    for n in 0..50 {
        db.howdah.enqueue(Welcome { n }).await?;
        next(&mut jobs).await?.complete().await?;
    }
    db.howdah.enqueue_many((0..50).map(|n| Welcome { n })).await?;
    let (one, two) = (next(&mut jobs).await?, next(&mut jobs).await?);
    assert!(tokio::time::timeout(Duration::from_millis(300), jobs.next()).await.is_err());
    assert_eq!(db.jobs_in("running").await?, 2);
    one.complete().await?;
    let three = next(&mut jobs).await?;
    assert_eq!(db.jobs_in("running").await?, 2);
    drop((two, three));
    jobs.close().await;
    assert_eq!(db.text("SELECT string_agg(DISTINCT state, ',') FROM howdah.jobs WHERE attempt = 0").await?, "ready");
    Ok(())
}

#[tokio::test]
async fn batches_of_two_yield_all_of_four_and_of_five() -> Result<()> {
    for all in [4, 5] {
        let db = with_jobs(all).await?;
        let mut jobs = open(&db.howdah, 2).await?;
        let mut seen = Vec::new();
        for _ in 0..all {
            let job = next(&mut jobs).await?;
            seen.push(job.payload::<Welcome>().map_err(|e| anyhow::anyhow!("{e}"))?.n);
            job.complete().await?;
        }
        assert_eq!(seen, (0..all).collect::<Vec<_>>());
        assert_eq!(db.jobs_in("completed").await?, all);
        jobs.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn what_an_interrupted_batch_has_not_given_is_received_by_others_at_once() -> Result<()> {
    let db = with_jobs(5).await?;
    let mut first = open(&db.howdah, 5).await?;
    let held = next(&mut first).await?;
    db.wait_for("SELECT running FROM howdah.queues WHERE queue = 'mail'", "5").await?;
    drop(first);
    // The lease is 20 seconds: nothing here waits for it.
    let mut second = open(&db.howdah, 10).await?;
    for n in 1..5 {
        let job = next(&mut second).await?;
        assert_eq!((job.payload::<Welcome>().map_err(|e| anyhow::anyhow!("{e}"))?.n, job.attempt()), (n, 1));
        job.complete().await?;
    }
    // What was taken is still its taker's.
    held.check_lease().await?;
    held.complete().await?;
    assert_eq!(db.jobs_in("completed").await?, 5);
    second.close().await;
    db.wait_for("SELECT count(*) FROM howdah.worker", "0").await
}

#[tokio::test]
async fn closing_returns_when_everything_untaken_is_given_back() -> Result<()> {
    let db = with_jobs(5).await?;
    let mut jobs = open(&db.howdah, 5).await?;
    let held = next(&mut jobs).await?;
    db.wait_for("SELECT running FROM howdah.queues WHERE queue = 'mail'", "5").await?;
    in_time("a close while a handle is out", jobs.close()).await?;
    assert_eq!(db.text("SELECT ready || ' ' || running FROM howdah.queues WHERE queue = 'mail'").await?, "4 1");
    drop(held);
    db.wait_for("SELECT ready || ' ' || running FROM howdah.queues WHERE queue = 'mail'", "5 0").await?;
    db.wait_for("SELECT count(*) FROM howdah.worker", "0").await?;
    assert_eq!(db.number("SELECT sum(attempt) FROM howdah.jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn two_receivers_get_one_job_once() -> Result<()> {
    let db = with_jobs(0).await?;
    let (mut a, mut b) = (open(&db.howdah, 1).await?, open(&db.howdah, 1).await?);
    for n in 0..10 {
        db.howdah.enqueue(Welcome { n }).await?;
        let job = in_time("one of them", async {
            tokio::select! { job = a.next() => job, job = b.next() => job }
        });
        let job = job.await?.context("ended")?;
        assert_eq!(db.jobs_in("running").await?, 1);
        job.complete().await?;
    }
    let both = async {
        tokio::select! { job = a.next() => job, job = b.next() => job }
    };
    assert!(tokio::time::timeout(Duration::from_millis(100), both).await.is_err());
    assert_eq!(
        db.text("SELECT count(*) || ' ' || max(attempt) FROM howdah.jobs WHERE state = 'completed'").await?,
        "10 1"
    );
    a.close().await;
    b.close().await;
    Ok(())
}

#[tokio::test]
async fn fifteen_jobs_at_once_do_not_wait_for_each_other() -> Result<()> {
    // The pool has ten connections.
    let db = with_jobs(15).await?;
    let mut jobs = open(&db.howdah, 15).await?;
    let mut tasks = Vec::new();
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(15));
    for _ in 0..15 {
        let (job, barrier) = (next(&mut jobs).await?, std::sync::Arc::clone(&barrier));
        tasks.push(tokio::spawn(async move {
            barrier.wait().await;
            job.check_lease().await?;
            job.complete().await
        }));
    }
    for task in tasks {
        in_time("fifteen jobs", task).await???;
    }
    assert_eq!(db.jobs_in("completed").await?, 15);
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn a_handle_whose_lease_was_lost_is_refused_and_hears_of_it() -> Result<()> {
    let db = with_jobs(2).await?;
    // Heartbeats that come too late to notice.
    let jobs = db.howdah.receive("mail").batch(2).lease(Duration::from_secs(600)).heartbeat(Duration::from_secs(300));
    let mut jobs = jobs.keeper(false).open().await?;
    let (one, two) = (next(&mut jobs).await?, next(&mut jobs).await?);
    let given_up = "SELECT howdah.rescue_worker(id, 'test', 'given up') FROM howdah.worker";
    db.run(&format!("UPDATE howdah.queue SET paused_at = now(); {given_up}")).await?;
    let id = one.id();
    let refused = one.complete().await;
    assert!(matches!(&refused, Err(Error::LeaseLost { job }) if *job == id), "{refused:?}");
    assert!(matches!(two.check_lease().await, Err(Error::LeaseLost { .. })));
    let tx = db.pool().begin().await?;
    assert!(matches!(two.complete_and_commit(tx).await, Err(Error::LeaseLost { .. })));
    assert_eq!(db.text("SELECT string_agg(state || attempt, ' ') FROM howdah.jobs").await?, "ready1 ready1");
    drop(jobs);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_given_up_tells_its_handles() -> Result<()> {
    let db = with_jobs(1).await?;
    let (lease, beat) = (Duration::from_secs(20), Duration::from_millis(20));
    let mut jobs = db.howdah.receive("mail").lease(lease).heartbeat(beat).open().await?;
    let job = next(&mut jobs).await?;
    db.run("UPDATE howdah.queue SET paused_at = now(); SELECT howdah.rescue_worker(id, 'test', 'given up') FROM howdah.worker").await?;
    in_time("the cancellation", job.cancelled().cancelled()).await?;
    assert!(!job.lease_held());
    assert!(matches!(job.fail(JobError::retry("late")).await, Err(Error::LeaseLost { .. })));
    db.run("UPDATE howdah.queue SET paused_at = NULL").await?;
    // It goes on as another worker.
    let again = next(&mut jobs).await?;
    assert_eq!(again.attempt(), 2);
    again.complete().await?;
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_job_is_not_given_back() -> Result<()> {
    let db = with_jobs(1).await?;
    let mut jobs = open(&db.howdah, 1).await?;
    let job = next(&mut jobs).await?;
    let id = job.id();
    db.howdah.cancel(id).await?;
    in_time("the cancellation", job.cancelled().cancelled()).await?;
    drop(job);
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {id}"), "cancelled").await?;
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn a_job_is_completed_with_the_callers_transaction() -> Result<()> {
    let db = with_jobs(2).await?;
    db.run("CREATE TABLE paid (n integer)").await?;
    let mut jobs = open(&db.howdah, 2).await?;
    for _ in 0..2 {
        let job = next(&mut jobs).await?;
        let mut tx = db.pool().begin().await?;
        sqlx::query("INSERT INTO paid (n) VALUES (1)").execute(&mut *tx).await?;
        job.complete_and_commit(tx).await?;
    }
    assert_eq!(db.jobs_in("completed").await?, 2);
    assert_eq!(db.number("SELECT count(*) FROM paid").await?, 2);
    jobs.close().await;
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.settled)").await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn enqueueing_to_a_queue_that_does_not_exist_is_refused_and_receiving_from_it_is_not() -> Result<()> {
    let db = Db::new().await?;
    let refused = db.howdah.enqueue_raw("welcome", &()).queue("mail").await;
    assert!(matches!(refused, Err(Error::UnknownQueue { .. })), "{refused:?}");
    let mut jobs = open(&db.howdah, 1).await?;
    db.howdah.enqueue_raw("welcome", &()).queue("mail").await?;
    next(&mut jobs).await?.complete().await?;
    jobs.close().await;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_received_is_refused_at_the_opening() -> Result<()> {
    let db = Db::new().await?;
    let refused = db.howdah.receive("mail").batch(0).open().await;
    assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "batch"), "{refused:?}");
    let refused = db.howdah.receive("mail").kinds([""; 0]).open().await;
    assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "kinds"), "{refused:?}");
    let refused = db.howdah.receive("").open().await;
    assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "queue"), "{refused:?}");
    let refused = db.howdah.receive("mail").heartbeat(Duration::from_secs(100)).open().await;
    assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "heartbeat_ms"), "{refused:?}");
    let nothing = Db::empty().await?;
    assert!(matches!(nothing.howdah.receive("mail").open().await, Err(Error::NotInstalled { .. })));
    Ok(())
}

/// Waits until so much time of the server's has passed.
async fn pass(db: &Db, time: &str) -> Result<()> {
    let until = db.text(&format!("SELECT clock_timestamp() + interval '{time}'")).await?;
    db.wait_for(&format!("SELECT clock_timestamp() > '{until}'::timestamptz"), "true").await
}

#[tokio::test]
async fn the_time_of_a_job_begins_when_it_is_taken() -> Result<()> {
    let db = with_jobs(2).await?;
    db.run("SELECT howdah.set_queue('mail', '{\"timeout_ms\": 1000}')").await?;
    let mut jobs = open(&db.howdah, 2).await?;
    let first = next(&mut jobs).await?;
    assert!(first.clear_deadline());
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'running'", "2").await?;
    pass(&db, "1500 ms").await?;
    let before = Instant::now();
    let second = next(&mut jobs).await?;
    assert!(second.deadline().is_some_and(|at| at >= before + Duration::from_secs(1)));
    assert!(second.clear_deadline() && !second.cancelled().is_cancelled());
    second.complete().await?;
    first.complete().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_handle_whose_time_was_over_while_its_thread_was_blocked_is_refused_and_does_not_hang() -> Result<()> {
    let db = with_jobs(1).await?;
    db.run("SELECT howdah.set_queue('mail', '{\"timeout_ms\": 20}')").await?;
    let mut jobs = open(&db.howdah, 1).await?;
    let job = next(&mut jobs).await?;
    // The only thread of this test, and so of the receiver: until the watchdog has seen that its time and its grace
    // are over.
    let since = Instant::now();
    while job.lease_held() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = in_time("an answer", job.complete()).await?;
    assert!(matches!(told, Err(Error::LeaseLost { .. })), "{told:?}");
    db.wait_for("SELECT string_agg(error_kind, ',') FROM howdah.failures", "timeout").await
}
