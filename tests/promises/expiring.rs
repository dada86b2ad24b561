//! Jobs that are of no use after a time, and jobs that wait for nobody's time.

use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, JobError, JobState, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Code {}

async fn send(_: Code, _: Ctx) -> Result<(), JobError> {
    Ok(())
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_job_that_expired_while_nobody_worked_does_not_run_when_somebody_does() -> Result<()> {
    let db = Db::new().await?;
    let old = db.howdah.enqueue_many((0..200).map(|_| Code {})).ttl(MINUTE).await?;
    db.travel("61 seconds").await?;
    let fresh = db.howdah.enqueue(Code {}).ttl(MINUTE).await?;
    let worker = db.worker().await?;
    // Without a keeper: the claim itself must see it.
    let claimed: Vec<i64> = loop {
        let ids = sqlx::query_scalar("SELECT id FROM howdah.claim($1, jobs => 150)")
            .bind(worker)
            .fetch_all(db.pool())
            .await?;
        if !ids.is_empty() {
            break ids;
        }
    };
    assert_eq!(claimed, [fresh.0]);
    assert_eq!(
        db.number("SELECT count(*) FROM howdah.jobs WHERE state = 'expired' AND attempt = 0").await?,
        i64::try_from(old.len())?
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.expiry").await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_keeper_ends_what_expires_when_it_expires_and_the_queue_says_as_what() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('strict'); UPDATE howdah.queue SET on_expiry = 'dead' WHERE name = 'strict'")
        .await?;
    // A worker for another queue: it is the keeper all the same.
    let worker = start(Worker::new(&db.howdah).handle(send).queue("other", 1));
    let soon = Duration::from_millis(50);
    let ready = db.howdah.enqueue(Code {}).ttl(soon).await?;
    let scheduled = db.howdah.enqueue(Code {}).delay(MINUTE).ttl(soon).await?;
    let dead = db.howdah.enqueue(Code {}).queue("strict").ttl(soon).await?;
    for (id, state) in [(ready, "expired"), (scheduled, "expired"), (dead, "dead")] {
        db.wait_for(&format!("SELECT howdah.state({id})"), state).await?;
    }
    assert!(
        db.text("SELECT reason FROM howdah.jobs WHERE state = 'dead'")
            .await?
            .starts_with("expired: it was not started before")
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.expiry").await?, 0);
    worker.stop().await
}

#[tokio::test]
async fn a_job_that_runs_may_finish_after_it_has_expired_but_does_not_start_again() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let ids: Vec<_> = db.howdah.enqueue_many([Code {}, Code {}]).ttl(MINUTE).await?.iter().collect();
    let lease = db.number(&format!("SELECT DISTINCT lease_id FROM howdah.claim({worker}, jobs => 2)")).await?;
    db.travel("2 minutes").await?;
    db.run("SELECT howdah.expire()").await?;
    db.run(&format!("SELECT howdah.complete({lease}, ARRAY[{}::bigint]); SELECT howdah.fail({lease}, ARRAY[{}::bigint], delay_ms => '{{0}}')", ids[0], ids[1])).await?;
    db.run("SELECT howdah.promote()").await?;
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 2)")).await?, 0);
    assert_eq!(db.howdah.state(ids[0]).await?, Some(JobState::Completed));
    assert_eq!(db.howdah.state(ids[1]).await?, Some(JobState::Expired));
    Ok(())
}

#[tokio::test]
async fn the_keeper_does_not_wait_for_a_job_that_somebody_has_locked() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue(Code {}).ttl(MINUTE).await?;
    let free = db.howdah.enqueue(Code {}).delay(MINUTE * 9).ttl(MINUTE).await?;
    let mut session = db.session().await?;
    session.run("BEGIN; SELECT FROM howdah.ticket FOR UPDATE").await?;
    db.travel("2 minutes").await?;
    db.run("SET lock_timeout = '1s'; SELECT howdah.expire()").await?;
    assert_eq!(db.howdah.state(free).await?, Some(JobState::Expired));
    assert_eq!(db.jobs_in("ready").await?, 1);
    session.run("COMMIT").await?;
    db.run("SELECT howdah.expire()").await?;
    assert_eq!(db.jobs_in("expired").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_parked_job_waits_until_somebody_retries_it() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle(send));
    let parked = db.howdah.enqueue(Code {}).parked().await?;
    let marker = db.howdah.enqueue(Code {}).delay(Duration::from_millis(20)).await?;
    db.wait_for(&format!("SELECT howdah.state({marker})"), "completed").await?;
    assert_eq!(db.howdah.state(parked).await?, Some(JobState::Scheduled));
    db.howdah.retry(parked).await?;
    db.wait_for(&format!("SELECT howdah.state({parked})"), "completed").await?;
    worker.stop().await
}
