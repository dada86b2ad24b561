//! Jobs of an ordering key run one at a time and in their order, whatever fails or dies.

use std::time::Duration;

use anyhow::Result;
use howdah::Worker;
use howdah_tests::{Db, WATCHED_TABLE, Watched, start, watched};
use nix::sys::signal::Signal;

use crate::process::Process;

const COMPLETED: &str = "SELECT count(*) FROM howdah.jobs WHERE state = 'completed'";

/// Attempts that began before an earlier job of their key had ended for the last time.
const BROKEN: &str =
    "SELECT count(*) FROM watched late JOIN watched early ON early.key = late.key AND early.job < late.job
  AND late.began < coalesce(early.ended, early.began)";

async fn watched_db() -> Result<Db> {
    let db = Db::new().await?;
    db.run(WATCHED_TABLE).await?;
    db.run("SELECT howdah.set_queue('default', '{\"retry_base_ms\": 1, \"retry_policy\": \"constant\"}')").await?;
    Ok(db)
}

#[tokio::test]
async fn an_order_holds_over_processes_failures_and_a_kill() -> Result<()> {
    let db = watched_db().await?;
    for n in 0..120_i16 {
        let key = format!("order {}", n % 4);
        let fails = i16::from(n % 7 == 0) * 2;
        db.howdah.enqueue(Watched { key: key.clone(), fails }).order_key(key).priority(u8::try_from(n % 3)?).await?;
    }
    let key = "order 0".to_owned();
    db.howdah.enqueue_many((0..30).map(|_| Watched { key: key.clone(), fails: 0 })).order_key(&key).await?;
    let first = Process::start(db.url(), 20_000, 500)?;
    let _second = Process::start(db.url(), 20_000, 500)?;
    db.wait_for("SELECT count(DISTINCT pid) > 1 AND count(*) > 40 FROM watched", "true").await?;
    first.signal(Signal::SIGKILL)?;
    db.wait_for(COMPLETED, "150").await?;
    assert_eq!(db.number(BROKEN).await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.ordered").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_lets_others_pass_comes_in_its_turn_when_it_is_due() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let enqueue = "howdah.enqueue('k', options => '{\"order_key\": \"a\", \"order_on_failure\": \"pass\"}')";
    let ids = session.list(&format!("SELECT {enqueue} FROM generate_series(1, 4)")).await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    let done = "SELECT howdah.complete(id) FROM howdah.lease";
    assert_eq!(session.list(&claim).await?, ids[..1]);
    session
        .run(&format!("SELECT howdah.fail(id, ARRAY[{}], delay_ms => '{{3600000}}') FROM howdah.lease", ids[0]))
        .await?;
    assert_eq!(session.list(&claim).await?, ids[1..2], "the next goes first");
    assert_eq!(session.text(&format!("SELECT howdah.retry({})", ids[0])).await?, "ready");
    assert_eq!(session.list(&claim).await?.len(), 0, "one at a time");
    session.run(done).await?;
    assert_eq!(session.list(&claim).await?, ids[..1], "it is due, and it was there first");
    session.run(done).await?;
    assert_eq!(session.list(&claim).await?, ids[2..3]);
    Ok(())
}

#[tokio::test]
async fn a_job_holds_its_order_until_it_has_succeeded_or_is_dead() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let ids = session
        .list("SELECT howdah.enqueue('k', max_attempts => 2, options => '{\"order_key\": \"a\"}') FROM generate_series(1, 3)")
        .await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    let fail = format!("SELECT howdah.fail(id, ARRAY[{}], delay_ms => '{{0}}') FROM howdah.lease", ids[0]);
    assert_eq!(session.list(&claim).await?, ids[..1]);
    session.run(&fail).await?;
    assert_eq!(session.list(&claim).await?.len(), 0, "it has failed once and holds the others");
    session.run("SELECT howdah.promote()").await?;
    assert_eq!(session.list(&claim).await?, ids[..1]);
    session.run(&fail).await?;
    assert_eq!(session.list(&claim).await?, ids[1..2], "it is dead");
    // Sent again, it has its old place, behind what runs.
    session.run(&format!("SELECT howdah.retry({})", ids[0])).await?;
    assert_eq!(session.list(&claim).await?.len(), 0);
    session.run(&format!("SELECT howdah.complete(id) FROM howdah.lease; SELECT howdah.cancel({})", ids[0])).await?;
    assert_eq!(session.list(&claim).await?, ids[2..]);
    Ok(())
}

#[tokio::test]
async fn what_is_not_committed_holds_up_nobody_and_takes_its_turn_later() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    let enqueue = "SELECT howdah.enqueue('k', options => '{\"order_key\": \"a\"}')";
    open.run("BEGIN").await?;
    let late = open.text(enqueue).await?;
    let early = session.text(enqueue).await?;
    let next = session.text(enqueue).await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    assert_eq!(session.list(&claim).await?, [early]);
    open.run("COMMIT").await?;
    assert_eq!(session.list(&claim).await?.len(), 0, "one at a time");
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    let then = session.list(&claim).await?;
    assert_eq!(then, [late], "in the order of their ids among those that are there");
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(session.list(&claim).await?, [next]);
    Ok(())
}

#[tokio::test]
async fn a_completion_in_an_open_transaction_lets_the_next_through_when_it_commits() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    let ids = session
        .list("SELECT howdah.enqueue('k', options => '{\"order_key\": \"a\"}') FROM generate_series(1, 2)")
        .await?;
    let other = session.text("SELECT howdah.enqueue('k', options => '{\"order_key\": \"b\"}')").await?;
    let claim = format!("SELECT id FROM howdah.claim({worker})");
    assert_eq!(session.list(&claim).await?, ids[..1]);
    open.run(&format!("BEGIN; SELECT howdah.complete_in(id, {}) FROM howdah.lease", ids[0])).await?;
    assert_eq!(session.list(&claim).await?, [other], "nobody waits for the open transaction");
    open.run("COMMIT").await?;
    // The next one came to the gate meanwhile: the keeper was told to look when it is committed.
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim).await?, ids[1..]);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_replaced_by_one_of_another_order_lets_those_of_the_old_one_go() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for (order, left) in [("'{\"order_key\": \"b\"}'", "a"), ("'{}'", "b")] {
        let of = format!("options => '{{\"order_key\": \"{left}\"}}'");
        let unique = "SELECT id FROM howdah.enqueue_unique('k', key => 'u', delay => '1 hour', on_hit => 'replace',";
        session.run(&format!("{unique} {of})")).await?;
        let next = session.text(&format!("SELECT howdah.enqueue('k', {of})")).await?;
        let claim = format!("SELECT id FROM howdah.claim({worker})");
        assert_eq!(session.list(&claim).await?.len(), 0, "the first of its order is not due");
        session.run("SELECT howdah.open_gates(false)").await?;
        session.run(&format!("{unique} options => {order})")).await?;
        // Of that the keeper is told, and does not come upon it.
        session.run("SELECT howdah.open_gates(false)").await?;
        assert_eq!(session.list(&claim).await?, [next]);
        session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    }
    Ok(())
}

#[tokio::test]
async fn other_keys_go_on_beside_a_key_that_is_held() -> Result<()> {
    let db = watched_db().await?;
    db.run("SELECT howdah.set_kind('watched', '{\"retry_base_ms\": 3600000}')").await?;
    db.howdah.enqueue(Watched { key: "held".into(), fails: 1 }).order_key("held").await?;
    db.howdah.enqueue_many((0..20).map(|_| Watched { key: "held".into(), fails: 0 })).order_key("held").await?;
    db.howdah.enqueue_many((0..20).map(|_| Watched { key: "free".into(), fails: 0 })).order_key("free").await?;
    let worker = start(Worker::new(&db.howdah).handle(watched).poll(Duration::from_millis(200)));
    db.wait_for(COMPLETED, "20").await?;
    assert_eq!(db.number("SELECT count(*) FROM watched WHERE key = 'held'").await?, 1);
    assert_eq!(db.number(BROKEN).await?, 0);
    worker.stop().await
}

#[tokio::test]
async fn jobs_of_an_order_that_waited_for_another_job_go_one_after_another() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let parent = session.text("SELECT howdah.enqueue('p')").await?;
    let options = format!("'{{\"order_key\": \"a\", \"depends_on\": [{parent}]}}'");
    session.run(&format!("SELECT howdah.enqueue_many('c', '{{1,2,3}}', options => {options})")).await?;
    let next = session.text("SELECT howdah.enqueue('c', options => '{\"order_key\": \"a\"}')").await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    assert_eq!(session.list(&claim).await?, [parent, next], "what waits for another holds up nobody");
    for left in [3, 2, 1] {
        session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
        assert_eq!(session.list(&claim).await?.len(), 1, "{left} are left");
    }
    assert_eq!(session.number("SELECT blocked::bigint FROM howdah.queues").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_for_one_behind_it_in_its_order_does_not_hold_it_up() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let enqueue = r#"SELECT howdah.enqueue('k', options => '{"order_key": "o"}')"#;
    let (first, second) = (db.number(enqueue).await?, db.number(enqueue).await?);
    db.run(&format!("SELECT howdah.add_dependency({first}, {second})")).await?;
    for job in [second, first] {
        db.wait_for(&format!("SELECT id FROM howdah.claim({worker}, jobs => 5)"), &job.to_string()).await?;
        db.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    }
    Ok(())
}
