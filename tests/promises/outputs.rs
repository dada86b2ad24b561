//! What handlers return, and how others hear that a job has ended.

use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Ended, Error, Howdah, Job, JobError, JobId, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(output = Length, attempts = 1)]
struct Measure {
    text: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Length {
    bytes: usize,
}

async fn measure(job: Measure, cx: Ctx) -> Result<Length, JobError> {
    match job.text.as_str() {
        "fail" => Err(JobError::retry("too hard").kind("hard")),
        "cancel" => Err(JobError::cancel("not wanted")),
        "in" => {
            let mut tx = cx.howdah().pool().begin().await?;
            cx.complete_in_with(&mut tx, &Length { bytes: 77 }).await?;
            tx.commit().await?;
            Ok(Length { bytes: 0 })
        }
        text => Ok(Length { bytes: text.len() }),
    }
}

fn job(text: &str) -> Measure {
    Measure { text: text.to_owned() }
}

#[tokio::test]
async fn an_enqueuer_hears_the_end_of_its_job_with_what_the_handler_returned() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle(measure));
    for (text, end) in [
        ("four", Ended::Completed(Length { bytes: 4 })),
        ("in", Ended::Completed(Length { bytes: 77 })),
        ("cancel", Ended::Cancelled),
        ("fail", Ended::Dead { reason: "hard: too hard".to_owned() }),
    ] {
        assert_eq!(in_time(text, db.howdah.enqueue(job(text)).wait()).await??, end);
    }
    db.wait_for("SELECT count(*) FROM howdah.waiter", "0").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE result IS NOT NULL").await?, 2);
    worker.stop().await
}

#[tokio::test]
async fn the_end_is_heard_from_another_process_whichever_comes_first() -> Result<()> {
    let db = Db::new().await?;
    let other = Howdah::connect(db.url()).await?;
    let before = db.howdah.enqueue(job("ended before")).await?;
    let worker = start(Worker::new(&db.howdah).handle(measure));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await?;
    assert_eq!(in_time("the end", other.wait::<Measure>(before)).await??.completed(), Some(Length { bytes: 12 }));
    // And the other way round: somebody waits, and then a worker comes.
    let after = db.howdah.enqueue(job("after")).await?;
    let (a, b) = (other.clone(), db.howdah.clone());
    let waits = [
        tokio::spawn(async move { a.wait::<Measure>(after).await }),
        tokio::spawn(async move { b.wait::<Measure>(after).await }),
    ];
    db.wait_for("SELECT count(*) FROM howdah.waiter", "1").await?;
    let worker = start(Worker::new(&db.howdah).handle(measure));
    for wait in waits {
        assert_eq!(in_time("the end", wait).await???, Ended::Completed(Length { bytes: 5 }));
    }
    worker.stop().await
}

#[tokio::test]
async fn no_end_is_missed_by_those_who_begin_to_wait_while_the_jobs_end() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle(measure).concurrency(50));
    let mut all = Vec::new();
    for _ in 0..10 {
        let ids = db.howdah.enqueue_many((0..50).map(|_| job("x"))).await?;
        let howdah = db.howdah.clone();
        all.push(tokio::spawn(async move { howdah.wait_all::<Measure>(ids.iter()).await }));
    }
    for wait in all {
        let ends = in_time("fifty ends", wait).await???;
        assert!(ends.len() == 50 && ends.iter().all(|end| *end == Ended::Completed(Length { bytes: 1 })));
    }
    worker.stop().await
}

#[tokio::test]
async fn a_completion_that_commits_long_after_somebody_began_to_wait_is_heard() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(job("x")).await?;
    let worker = db.worker().await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let mut session = db.session().await?;
    session.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {id}, 1, '{{\"bytes\": 3}}')")).await?;
    let howdah = db.howdah.clone();
    let wait = tokio::spawn(async move { howdah.wait::<Measure>(id).await });
    db.wait_for("SELECT count(*) FROM howdah.waiter", "1").await?;
    session.run("COMMIT").await?;
    assert_eq!(in_time("the end", wait).await???, Ended::Completed(Length { bytes: 3 }));
    Ok(())
}

#[tokio::test]
async fn who_waits_in_vain_is_told_so() -> Result<()> {
    let db = Db::new().await?;
    let short = Duration::from_millis(50);
    let late = db.howdah.enqueue(job("x")).wait().timeout(short).await.unwrap_err();
    assert!(matches!(late, Error::WaitedTooLong { timeout, .. } if timeout == short), "{late}");
    let none = in_time("an answer", db.howdah.wait::<Measure>(JobId(12_800_000))).await?.unwrap_err();
    assert!(matches!(none, Error::UnknownJob { job: JobId(12_800_000) }), "{none}");
    let mut tx = db.pool().begin().await?;
    let open = db.howdah.enqueue(job("x")).on(&mut tx).wait().await.unwrap_err();
    assert!(open.to_string().starts_with("on: a job of a transaction that is open cannot end"), "{open}");
    let expired = db.howdah.enqueue(job("x")).ttl(Duration::ZERO).wait();
    let worker = start(Worker::new(&db.howdah).handle(measure));
    assert_eq!(in_time("the end", expired).await??, Ended::Expired);
    let wrong = db.howdah.enqueue_raw("measure", &job("x")).await?;
    #[derive(Job, Serialize, Deserialize)]
    #[job(kind = "measure", output = String)]
    struct Other {}
    let wrong = in_time("the end", db.howdah.wait::<Other>(wrong)).await?.unwrap_err();
    assert!(matches!(wrong, Error::Output { .. }) && !wrong.to_string().contains("bytes"), "{wrong}");
    worker.stop().await
}

#[tokio::test]
async fn an_output_that_cannot_be_kept_ends_the_job_as_dead_and_does_not_run_it_again() -> Result<()> {
    #[derive(Job, Serialize, Deserialize)]
    #[job(output = String)]
    struct Big {
        nul: bool,
    }
    async fn big(job: Big) -> Result<String, JobError> {
        Ok(if job.nul { "a\0b".to_owned() } else { "x".repeat(2 << 20) })
    }
    let db = Db::new().await?;
    db.howdah.enqueue_many([Big { nul: true }, Big { nul: false }]).await?;
    let worker = start(Worker::new(&db.howdah).handle(big));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'dead' AND reason LIKE 'output: the job was done, but its output %'", "2").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures WHERE attempt = 1").await?, 2);
    worker.stop().await
}

#[tokio::test]
async fn jobs_that_nobody_waits_for_notify_nobody() -> Result<()> {
    let db = Db::new().await?;
    let mut listener = sqlx::postgres::PgListener::connect(db.url()).await?;
    listener.listen("howdah.ended").await?;
    let worker = start(Worker::new(&db.howdah).handle(measure));
    db.howdah.enqueue_many((0..100).map(|_| job("x"))).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "100").await?;
    // Notifications come in the order of the commits: if the jobs before had sent any, it would be heard first.
    let waited = db.howdah.enqueue(job("x")).parked().await?;
    db.run(&format!("SELECT howdah.wait_for(ARRAY[{waited}::bigint])")).await?;
    db.howdah.retry(waited).await?;
    assert_eq!(in_time("a notification", listener.recv()).await??.payload(), waited.to_string());
    worker.stop().await
}

#[tokio::test]
async fn a_stale_worker_cannot_leave_an_output() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(job("x")).await?;
    let worker = db.worker().await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    db.run(&format!("SELECT howdah.release({lease})")).await?;
    let told = format!(
        "SELECT count(*) FROM howdah.complete_leases(ARRAY[{lease}::bigint], '{{1}}', '{{1}}', ARRAY[{lease}::bigint], ARRAY[{id}::bigint], '{{\"1\"}}')"
    );
    assert_eq!(db.number(&told).await?, 0);
    let told = format!(
        "SELECT count(*) FROM howdah.complete({lease}, ARRAY[{id}::bigint], '{{1}}', ARRAY[{id}::bigint], '{{\"1\"}}')"
    );
    assert_eq!(db.number(&told).await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.result").await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_output_of_an_attempt_that_was_lost_is_not_kept_for_the_next_one() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let claim = format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 2)");
    let (lost, other) =
        (db.number("SELECT howdah.enqueue('k')").await?, db.number("SELECT howdah.enqueue('k')").await?);
    let first = db.number(&claim).await?;
    db.run(&format!("SELECT howdah.rescue_lease({first}, {worker}, 'worker_lost', 'x', '{{{lost}}}')")).await?;
    let last = db.number("SELECT howdah.enqueue('k')").await?;
    let second = db.number(&claim).await?;
    db.run(&format!("SELECT howdah.complete_in({second}, {last})")).await?;
    db.run(&format!(
        r#"SELECT howdah.complete_leases(ARRAY[{first}, {second}], '{{2,2}}', '{{1,2,3,4}}', ARRAY[{first}, {first}, {second}],
             ARRAY[{lost}, {other}, {lost}], ARRAY['"lost"', '"other"', '"new"']::jsonb[])"#
    ))
    .await?;
    let results = "SELECT string_agg(result::text, ' ' ORDER BY job_id, result::text) FROM howdah.result";
    assert_eq!(db.text(results).await?, r#""new" "other""#);
    Ok(())
}
