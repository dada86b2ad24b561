//! A handler's own writes and the completion of its job commit together, or not at all.

use anyhow::Result;
use howdah::{Ctx, Job, JobError, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Pay {
    n: i32,
    /// What goes wrong in the first attempt.
    first: String,
}

#[derive(Job, Serialize, Deserialize)]
struct Thank {}

async fn pay(job: Pay, cx: Ctx<()>) -> Result<(), JobError> {
    let mut tx = cx.howdah().pool().begin().await?;
    sqlx::query("INSERT INTO paid (n) VALUES ($1)").bind(job.n).execute(&mut *tx).await?;
    cx.howdah().enqueue(Thank {}).on(&mut tx).await?;
    cx.complete_in(&mut tx).await?;
    match (cx.attempt(), job.first.as_str()) {
        (1, "rolls back") => {
            tx.rollback().await?;
            return Err(JobError::retry("not this time"));
        }
        (1, "forgets to commit") => return Ok(()),
        _ => tx.commit().await?,
    }
    if job.first == "fails after the commit" {
        return Err(JobError::retry("too late to matter"));
    }
    Ok(())
}

/// Pays 20 times, ten at a time; what the first attempts do is the same for all.
async fn paid(first: &str) -> Result<Db> {
    let db = Db::new().await?;
    db.run("CREATE TABLE paid (n integer); UPDATE howdah.queue SET retry_base_ms = 1").await?;
    db.howdah.enqueue_many((0..20).map(|n| Pay { n, first: first.to_owned() })).await?;
    let worker = start(Worker::new(&db.howdah).handle(pay));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE kind = 'pay' AND state = 'completed'", "20").await?;
    worker.stop().await?;
    assert_eq!(db.text("SELECT count(*) || ' ' || count(DISTINCT n) FROM paid").await?, "20 20", "{first}");
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE kind = 'thank'").await?, 20, "{first}");
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.settled)").await?,
        0
    );
    Ok(db)
}

#[tokio::test]
async fn a_completion_commits_with_the_handlers_writes() -> Result<()> {
    let db = paid("succeeds").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_completion_that_is_rolled_back_has_not_happened() -> Result<()> {
    let db = paid("rolls back").await?;
    assert_eq!(db.text("SELECT string_agg(DISTINCT message, ',') FROM howdah.failures").await?, "not this time");
    Ok(())
}

#[tokio::test]
async fn a_completion_that_was_never_committed_is_a_failed_attempt() -> Result<()> {
    let db = paid("forgets to commit").await?;
    assert_eq!(db.text("SELECT string_agg(DISTINCT error_kind, ',') FROM howdah.failures").await?, "not_committed");
    Ok(())
}

#[tokio::test]
async fn an_error_after_the_commit_changes_nothing() -> Result<()> {
    let db = paid("fails after the commit").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    assert_eq!(db.number("SELECT max(attempt) FROM howdah.jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_completion_that_was_rolled_back_is_not_mistaken_for_that_of_a_neighbour() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{20}'))").await?;
    // The receipt of the first ten says from where to where they lie, generously.
    db.run(&format!(
        "SELECT howdah.complete_leases(ARRAY[max(lease_id)], '{{10}}', NULL) FROM howdah.claim({worker}, jobs => 10)"
    ))
    .await?;
    let mut session = db.session().await?;
    let claimed = session.text(&format!("SELECT lease_id || ' ' || id FROM howdah.claim({worker})")).await?;
    let (lease, job) = claimed.split_once(' ').unwrap_or_default();
    db.run(&format!("INSERT INTO howdah.unique_key VALUES ('k', 'key', {job}, 'live')")).await?;
    session.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {job}); ROLLBACK")).await?;
    assert_eq!(
        db.number(&format!("SELECT count(*) FROM howdah.forget({worker}, {lease}, ARRAY[{job}::bigint])")).await?,
        0
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.unique_key").await?, 1);
    Ok(())
}
