//! Jobs that are held because a parent has failed: until that is made good, or somebody lets them go.

use anyhow::Result;
use howdah::JobId;
use howdah_tests::{Db, Session};

/// A dead job, and one that is held by it.
async fn held(session: &mut Session, worker: i64) -> Result<(i64, i64)> {
    let parent = session.number("SELECT howdah.enqueue('parent')").await?;
    let options = format!(r#"{{"depends_on": [{parent}], "on_parent_failure": "hold"}}"#);
    let child = session.number(&format!("SELECT howdah.enqueue('child', options => '{options}')")).await?;
    let claim = format!("howdah.claim({worker}, jobs => 1)");
    session
        .run(&format!("SELECT count((SELECT howdah.fail(lease_id, ARRAY[id], '{{discard}}'))) FROM {claim}"))
        .await?;
    Ok((parent, child))
}

async fn state(session: &mut Session, job: i64) -> Result<String> {
    session.text(&format!("SELECT howdah.state({job})")).await
}

async fn why(session: &mut Session, job: i64) -> Result<String> {
    session.text(&format!("SELECT string_agg(code || ': ' || reason, E'\\n') FROM howdah.why({job})")).await
}

#[tokio::test]
async fn a_dead_parent_is_kept_for_as_long_as_a_job_is_held_by_it() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (parent, child) = held(&mut session, worker).await?;
    let other = session.number("SELECT howdah.enqueue('other')").await?;
    session.run(&format!("SELECT howdah.fail(lease_id, ARRAY[id], '{{discard}}') FROM howdah.claim({worker})")).await?;
    db.travel("100 days").await?;
    // However its retention comes to an end: by the keeper, by a purge, or by an application that removes its own.
    assert_eq!(session.text("SELECT howdah.prune()").await?, "pruned 1 dead and 0 kept jobs");
    assert_eq!(session.number("SELECT howdah.purge('dead', '0')").await?, 0);
    session.run("UPDATE howdah.queue SET on_removal = 'hold'").await?;
    assert_eq!(session.number("SELECT count(*) FROM howdah.remove_held()").await?, 0);
    session.run("UPDATE howdah.queue SET on_removal = 'delete'").await?;
    assert_eq!(state(&mut session, other).await?, "", "another one that is as old is not kept");
    assert_eq!(session.text("SELECT howdah.prune()").await?, "", "and it is not looked at for ever");
    // So it can be made good.
    session.run(&format!("SELECT howdah.retry({parent})")).await?;
    session.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    assert_eq!(state(&mut session, child).await?, "ready");
    Ok(())
}

#[tokio::test]
async fn a_job_that_nobody_holds_any_more_lets_its_parent_be_pruned() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (_, child) = held(&mut session, worker).await?;
    db.travel("100 days").await?;
    session.run(&format!("SELECT howdah.cancel({child})")).await?;
    assert_eq!(session.text("SELECT howdah.prune()").await?, "pruned 1 dead and 0 kept jobs");
    Ok(())
}

#[tokio::test]
async fn what_is_held_says_by_whom_and_whether_that_can_be_made_good() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (parent, child) = held(&mut session, worker).await?;
    let dead = why(&mut session, child).await?;
    assert!(dead.starts_with(&format!("held: job {parent}, which it waits for, is dead: ")), "{dead}");
    assert!(dead.contains(&format!("howdah.retry({parent})")), "{dead}");
    session.run(&format!("SELECT howdah.delete({parent})")).await?;
    let gone = why(&mut session, child).await?;
    assert!(gone.starts_with(&format!("held: job {parent}, which it waits for, is gone: ")), "{gone}");
    assert!(gone.contains(&format!("howdah.unhold({child})")) && !gone.contains("howdah.retry("), "{gone}");
    // Among many parents, those that hold it come first.
    let many = session.number("SELECT first_id FROM howdah.enqueue_many('k', array_fill('1'::jsonb, '{100}'))").await?;
    let last = many + 99;
    let options = format!(
        "jsonb_build_object('on_parent_failure', 'hold', 'depends_on', (SELECT jsonb_agg({many} + g) FROM generate_series(0, 99) g))"
    );
    let child = session.number(&format!("SELECT howdah.enqueue('child', options => {options})")).await?;
    session.run(&format!("SELECT howdah.cancel({last})")).await?;
    let first = why(&mut session, child).await?;
    assert!(first.starts_with(&format!("held: job {last}, which it waits for, is cancelled: ")), "{first}");
    assert_eq!(first.lines().count(), 20);
    assert!(first.ends_with("it waits for 81 more"), "{first}");
    Ok(())
}

#[tokio::test]
async fn a_held_job_is_let_go_by_hand_once_what_has_not_failed_has_ended_too() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (parent, child) = held(&mut session, worker).await?;
    let live = session.number("SELECT howdah.enqueue('parent')").await?;
    session.run(&format!("SELECT howdah.add_dependency({child}, {live})")).await?;
    // Nothing happens to jobs that are not held.
    for (job, wanted) in [(live, Some(0)), (parent, Some(0)), (999_999, None)] {
        assert_eq!(db.howdah.unhold(JobId(job)).await?, wanted, "{job}");
    }
    assert_eq!(db.howdah.unhold(JobId(child)).await?, Some(1));
    assert_eq!(state(&mut session, child).await?, "blocked", "of a parent that has not ended");
    session.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    assert_eq!(state(&mut session, child).await?, "ready");
    // Its handler can see what failed.
    let parents = format!("SELECT string_agg(state, ' ' ORDER BY parent_id) FROM howdah.parent_results({child})");
    assert_eq!(session.text(&parents).await?, "dead completed");
    // One of whose parent nothing is left is let go too.
    let (parent, child) = held(&mut session, worker).await?;
    session.run(&format!("SELECT howdah.delete({parent})")).await?;
    assert_eq!(db.howdah.unhold(JobId(child)).await?, Some(1));
    assert_eq!(state(&mut session, child).await?, "ready");
    assert_eq!(session.number("SELECT count(*) FROM howdah.dependency").await?, 0);
    Ok(())
}
