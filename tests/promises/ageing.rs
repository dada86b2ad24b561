//! In a queue with ageing a job that waits rises by a priority for each span of it, so that none starves.

use std::time::Duration;

use anyhow::Result;
use howdah::QueueSettings;
use howdah_tests::{Db, Session};

/// A queue where a job rises each minute, and the clock stands.
async fn ageing() -> Result<(Db, Session, i64)> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    db.howdah.set_queue("default", &QueueSettings::new().aging(Duration::from_secs(60))).await?;
    let (session, worker) = (db.session().await?, db.worker().await?);
    Ok((db, session, worker))
}

/// The kinds of the next jobs, one claim each.
async fn next(session: &mut Session, worker: i64, claims: usize) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    for _ in 0..claims {
        kinds.push(session.text(&format!("SELECT kind FROM howdah.claim({worker})")).await?);
    }
    Ok(kinds)
}

#[tokio::test]
async fn jobs_go_by_the_priority_that_they_have_risen_to_and_then_by_age() -> Result<()> {
    let (db, mut session, worker) = ageing().await?;
    session.run("SELECT howdah.enqueue('nine', priority => 9), howdah.enqueue('six', priority => 6)").await?;
    db.stop_clock("150 seconds").await?;
    session.run("SELECT howdah.enqueue('three', priority => 3), howdah.enqueue('four', priority => 4)").await?;
    // six has come to 4 and is older than four; nine is at 7.
    assert_eq!(next(&mut session, worker, 3).await?, ["three", "six", "four"]);
    db.stop_clock("541 seconds").await?;
    session.run("SELECT howdah.enqueue('zero', priority => 0), howdah.enqueue('one', priority => 1)").await?;
    // nine has come to 0, and is older.
    assert_eq!(next(&mut session, worker, 3).await?, ["nine", "zero", "one"]);
    Ok(())
}

#[tokio::test]
async fn none_starves_beside_a_stream_of_more_urgent_jobs() -> Result<()> {
    let (db, mut session, worker) = ageing().await?;
    session.run("SELECT howdah.enqueue('last', priority => 9)").await?;
    let mut minutes = 0;
    // Each minute ten more come than are claimed.
    loop {
        db.stop_clock(&format!("{minutes} minutes")).await?;
        session.run("SELECT howdah.enqueue_many('first', array_fill('1'::jsonb, '{20}'), priority => 0)").await?;
        let claimed = session.list(&format!("SELECT kind FROM howdah.claim({worker}, jobs => 10)")).await?;
        assert_eq!(claimed.len(), 10);
        if claimed.contains(&"last".to_owned()) {
            break;
        }
        minutes += 1;
        assert!(minutes < 60, "it starves");
    }
    assert_eq!(minutes, 9, "then it is as urgent as they are, and the oldest");
    Ok(())
}

#[tokio::test]
async fn a_job_that_comes_back_is_as_old_as_its_return() -> Result<()> {
    let (db, mut session, worker) = ageing().await?;
    session
        .run("SELECT howdah.enqueue('due', priority => 5, delay => '1 hour'); SELECT howdah.enqueue('failed', priority => 5)")
        .await?;
    assert_eq!(next(&mut session, worker, 1).await?, ["failed"]);
    db.stop_clock("61 minutes").await?;
    session.run("SELECT howdah.promote(), howdah.release(id, first_ids) FROM howdah.lease").await?;
    session.run("SELECT howdah.enqueue('new', priority => 4)").await?;
    assert_eq!(next(&mut session, worker, 1).await?, ["new"], "they have waited no minute yet");
    db.stop_clock("63 minutes").await?;
    session.run("SELECT howdah.enqueue('new', priority => 4)").await?;
    assert_eq!(next(&mut session, worker, 3).await?, ["due", "failed", "new"]);
    Ok(())
}

#[tokio::test]
async fn a_claim_of_many_takes_each_job_once_and_its_workers_kinds_only() -> Result<()> {
    let (db, mut session, worker) = ageing().await?;
    for (kind, priority) in [("a", 9), ("b", 0), ("a", 4)] {
        session
            .run(&format!(
                "SELECT howdah.enqueue('{kind}', to_jsonb(n), priority => {priority}) FROM generate_series(1, 300) n"
            ))
            .await?;
    }
    session.run("SELECT howdah.enqueue_many('b', array_fill('1'::jsonb, '{300}'), priority => 2)").await?;
    db.stop_clock("5 minutes").await?;
    let mut ids = Vec::new();
    for kind in ["a", "b"] {
        for jobs in [7, 250, 500, 1] {
            let claim =
                format!("SELECT id || ' ' || kind FROM howdah.claim({worker}, jobs => {jobs}, kinds => '{{{kind}}}')");
            let claimed = session.list(&claim).await?;
            assert!(claimed.iter().all(|job| job.ends_with(kind)), "{claimed:?}");
            ids.extend(claimed);
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), session.number("SELECT ready FROM howdah.queues").await?), (1200, 0));
    Ok(())
}

#[tokio::test]
async fn without_it_priorities_stay_as_they_are() -> Result<()> {
    let (db, mut session, worker) = ageing().await?;
    session.run("SELECT howdah.enqueue('nine', priority => 9)").await?;
    db.stop_clock("1 day").await?;
    session.run("SELECT howdah.enqueue('eight', priority => 8)").await?;
    db.howdah.set_queue("default", &QueueSettings::new().reset("aging_ms")).await?;
    assert_eq!(next(&mut session, worker, 2).await?, ["eight", "nine"]);
    let refused = session.refusal("SELECT howdah.set_queue('default', '{\"aging_ms\": 0}')").await?;
    assert!(refused.starts_with("HD002 aging_ms"), "{refused}");
    Ok(())
}
