//! A wish to cancel what runs is for the attempt that runs: it ends with that, and as was wished.

use anyhow::Result;
use howdah_tests::Db;

/// A worker's lease of one job, and the two.
async fn running(db: &Db, worker: i64) -> Result<(i64, i64)> {
    let job = db.number("SELECT howdah.enqueue('k', max_attempts => 2)").await?;
    Ok((claim(db, worker).await?, job))
}

async fn claim(db: &Db, worker: i64) -> Result<i64> {
    db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await
}

/// What the worker hears of wishes, and the state of a job with its attempts.
async fn heard(db: &Db, worker: i64, job: i64) -> Result<String> {
    let state = "SELECT state || ' ' || attempt FROM howdah.jobs WHERE id =";
    db.text(&format!("SELECT (SELECT cancelled FROM howdah.heartbeat({worker}))::text || ' ' || ({state} {job})")).await
}

#[tokio::test]
async fn a_job_that_is_sent_again_is_not_cancelled_by_an_old_wish() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let (lease, job) = running(&db, worker).await?;
    assert_eq!(db.text(&format!("SELECT howdah.cancel({job})")).await?, "cancelling");
    assert_eq!(heard(&db, worker, job).await?, format!("{{{job}}} running 1"));
    db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{discard}}')")).await?;
    assert_eq!(db.text(&format!("SELECT howdah.retry({job})")).await?, "ready");
    // The same worker has it again, and nobody has asked to cancel this attempt.
    claim(&db, worker).await?;
    assert_eq!(heard(&db, worker, job).await?, "{} running 1");
    assert_eq!(db.number(&format!("SELECT howdah.stop_worker({worker})")).await?, 1);
    assert_eq!(heard(&db, worker, job).await?, "{} ready 1");
    Ok(())
}

#[tokio::test]
async fn a_job_that_fails_or_is_given_back_after_the_wish_is_not_run_again() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    for (verdict, attempt) in [("retry", 1), ("snooze", 1), ("wait", 1), ("release", 0)] {
        let (lease, job) = running(&db, worker).await?;
        assert_eq!(db.text(&format!("SELECT howdah.cancel({job})")).await?, "cancelling");
        let end = match verdict {
            "release" => format!("SELECT howdah.release({lease})"),
            _ => format!("SELECT job_id || ' ' || state FROM howdah.fail({lease}, '{{{job}}}', '{{{verdict}}}')"),
        };
        let said = db.text(&end).await?;
        assert!(said == format!("{job} cancelled") || said == job.to_string(), "{verdict}: {said}");
        assert_eq!(heard(&db, worker, job).await?, format!("{{}} cancelled {attempt}"), "{verdict}");
        let failures = format!("SELECT count(*) FROM howdah.failures WHERE job_id = {job}");
        assert_eq!(db.number(&failures).await?, i64::from(verdict == "retry"), "{verdict}");
    }
    assert_eq!(db.text("SELECT ready + running + scheduled FROM howdah.queues").await?, "0");
    Ok(())
}

#[tokio::test]
async fn of_a_batch_that_is_given_back_only_what_is_unwanted_ends() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let first = db.number("SELECT first_id FROM howdah.enqueue_many('k', '{1,2,3}')").await?;
    let lease = db.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 3)")).await?;
    db.run(&format!("SELECT howdah.cancel({})", first + 1)).await?;
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.release({lease})")).await?, 3);
    let states = "SELECT string_agg(state || ' ' || attempt, ', ' ORDER BY id) FROM howdah.jobs";
    assert_eq!(db.text(states).await?, "ready 0, cancelled 0, ready 0");
    Ok(())
}

#[tokio::test]
async fn a_wish_in_the_moment_of_the_failure_is_heard_by_the_keeper() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let mut asker = db.session().await?;
    for (verdict, again, state) in [
        ("retry", None, "cancelled"),
        // Dead is as good as cancelled; unless somebody sends it again, and so wants it to run.
        ("discard", None, "dead"),
        ("discard", Some("retry"), "ready"),
        ("retry", Some("retry"), "ready"),
        ("retry", Some("retry_many"), "ready"),
    ] {
        let (lease, job) = running(&db, worker).await?;
        asker.run("BEGIN").await?;
        assert_eq!(asker.text(&format!("SELECT howdah.cancel({job})")).await?, "cancelling");
        // The worker cannot know of it.
        db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{{verdict}}}')")).await?;
        asker.run("COMMIT").await?;
        if let Some(function) = again {
            let call = match function {
                "retry" => format!("retry({job})"),
                _ => format!("retry_many(states => '{{scheduled}}', ids => '{{{job}}}')"),
            };
            db.run(&format!("SELECT howdah.{call}")).await?;
        }
        db.run("SELECT howdah.prune()").await?;
        assert_eq!(db.text(&format!("SELECT howdah.state({job})")).await?, state, "{verdict} {again:?}");
        assert_eq!(db.number("SELECT count(*) FROM howdah.cancel_request").await?, 0);
        db.run(&format!("SELECT howdah.cancel({job})")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_keeper_does_not_wait_for_who_holds_a_job_that_somebody_wanted_cancelled() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let (mut asker, mut holder) = (db.session().await?, db.session().await?);
    let (lease, job) = running(&db, worker).await?;
    asker.run(&format!("BEGIN; SELECT howdah.cancel({job})")).await?;
    db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}')")).await?;
    asker.run("COMMIT").await?;
    holder.run(&format!("BEGIN; SELECT howdah.find_for_update(ids => '{{{job}}}')")).await?;
    db.run("SELECT howdah.prune()").await?;
    assert_eq!(db.text(&format!("SELECT howdah.state({job})")).await?, "scheduled");
    holder.run("COMMIT").await?;
    db.run("SELECT howdah.prune()").await?;
    assert_eq!(db.text(&format!("SELECT howdah.state({job})")).await?, "cancelled");
    Ok(())
}
