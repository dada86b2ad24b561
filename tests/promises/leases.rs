//! A job is given to others when its own lease is over: its kind's, its queue's, or its worker's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Ctx, Job, JobError, KindSettings, Worker};
use howdah_tests::{Db, Session, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// Jobs `short` (a lease of 5 s by their kind), `plain` and `long` (100 s by their queue), claimed by a worker that has
/// a lease of 60 s and a heartbeat every 2 s. The clock stands still.
async fn three_leases(db: &Db) -> Result<(Session, i64)> {
    db.stop_clock("0").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.set_kind('short', '{\"lease_ms\": 5000}'), howdah.create_queue('slow', '{\"lease_ms\": 100000}')").await?;
    session.run("SELECT howdah.enqueue('short'), howdah.enqueue('plain'), howdah.enqueue('long', queue => 'slow'), howdah.enqueue('short', queue => 'slow')").await?;
    for queue in ["default", "slow"] {
        session.run(&format!("SELECT howdah.claim({worker}, '{queue}', 10)")).await?;
    }
    Ok((session, worker))
}

const STATES: &str = "SELECT string_agg(kind || ' ' || state, ', ' ORDER BY id) FROM howdah.jobs";

#[tokio::test]
async fn a_job_is_rescued_when_its_own_lease_is_over_and_its_worker_when_it_holds_nothing() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = three_leases(&db).await?;
    db.stop_clock("4.9 seconds").await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty());
    db.stop_clock("5.1 seconds").await?;
    assert_eq!(session.list("SELECT howdah.rescue()").await?, ["(w,2)"]);
    assert_eq!(
        session.text(STATES).await?,
        "short ready, plain running, long running, short ready",
        "a kind goes before its queue"
    );
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty(), "and it is done once");
    db.stop_clock("60.1 seconds").await?;
    assert_eq!(session.list("SELECT howdah.rescue()").await?, ["(w,1)"]);
    assert_eq!(
        session.text(STATES).await?,
        "short ready, plain ready, long running, short ready",
        "a queue goes before its worker"
    );
    assert_eq!(
        session.text("SELECT howdah.holds(id, first_ids[1]) FROM howdah.lease").await?,
        "true",
        "it is still the worker's"
    );
    db.stop_clock("100.1 seconds").await?;
    assert_eq!(session.list("SELECT howdah.rescue()").await?, ["(w,1)"]);
    assert_eq!(session.text(STATES).await?, "short ready, plain ready, long ready, short ready");
    assert_eq!(session.text(&format!("SELECT alive FROM howdah.heartbeat({worker})")).await?, "false");
    assert_eq!(
        session.text("SELECT string_agg(DISTINCT error_kind, ' ') || count(*) FROM howdah.failures").await?,
        "worker_lost4"
    );
    Ok(())
}

#[tokio::test]
async fn a_worker_that_comes_back_hears_what_it_has_lost_and_keeps_the_rest() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = three_leases(&db).await?;
    let robbed = format!("SELECT robbed FROM howdah.heartbeat({worker})");
    assert_eq!(session.number(&robbed).await?, 0);
    db.stop_clock("5.1 seconds").await?;
    session.run("SELECT howdah.rescue()").await?;
    for _ in 0..2 {
        assert_eq!(session.number(&robbed).await?, 1, "also to a worker that has not got the first answer");
    }
    let lost = "SELECT j.kind FROM (SELECT array_agg(l.id), array_agg(i.id) FROM howdah.jobs i, howdah.lease l) a(leases, jobs),
                  howdah.lost(leases, jobs) o, howdah.jobs j, howdah.lease e
                 WHERE j.id = o.job_id AND e.id = o.lease_id AND j.queue = CASE e.queue_id WHEN 1 THEN 'default' ELSE 'slow' END";
    assert_eq!(session.list(lost).await?, ["short", "short"]);
    // Nothing more is lost while it heartbeats.
    for second in ["9", "13", "17"] {
        db.stop_clock(&format!("{second} seconds")).await?;
        session.run(&robbed).await?;
        assert!(session.list("SELECT howdah.rescue()").await?.is_empty());
    }
    let lease = session.number("SELECT id FROM howdah.lease WHERE queue_id = 1").await?;
    let ids = session.text("SELECT array_agg(id ORDER BY id) FROM howdah.jobs WHERE queue = 'default'").await?;
    // The worker's fast path, told of both jobs before it has heard: the one that is lost is not completed.
    let told = format!("SELECT howdah.complete_leases('{{{lease}}}', '{{2}}', '{{1,2}}')");
    assert!(session.list(&told).await?.is_empty(), "the lease does not read as completed");
    let states = format!("SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs WHERE id = ANY ('{ids}')");
    assert_eq!(session.text(&states).await?, "ready completed");
    let run_ms =
        format!("SELECT coalesce(run_ms, -1) FROM howdah.jobs WHERE id = ANY ('{ids}') AND state = 'completed'");
    assert_eq!(session.number(&run_ms).await?, -1, "what it was told of the one is not taken for the other's");
    Ok(())
}

#[tokio::test]
async fn leases_that_a_worker_does_not_know_are_given_back_without_waiting_for_one_that_is_held() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue('a'), howdah.enqueue('b'), howdah.enqueue('c')").await?;
    for _ in 0..3 {
        session.run(&format!("SELECT howdah.claim({worker}, jobs => 1)")).await?;
    }
    let mut holder = db.session().await?;
    holder.run("BEGIN; SELECT howdah.complete_in(id, first_ids[1]) FROM howdah.lease ORDER BY id LIMIT 1").await?;
    // The session that asks is the one that heartbeats: while it waits, the worker is taken for dead.
    session.run("SET lock_timeout = '10s'").await?;
    let known = "SELECT array_agg(id) FROM (SELECT id FROM howdah.lease ORDER BY id DESC LIMIT 1) l";
    let disown = format!("SELECT howdah.disown({worker}, ({known}))");
    assert_eq!(session.number(&disown).await?, 1);
    assert_eq!(session.text(STATES).await?, "a running, b ready, c running");
    holder.run("ROLLBACK").await?;
    assert_eq!(session.number(&disown).await?, 1, "what was held is given back the next time");
    assert_eq!(session.text(STATES).await?, "a ready, b ready, c running");
    Ok(())
}

#[tokio::test]
async fn a_lease_is_never_shorter_than_two_heartbeats() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.set_kind('k', '{\"lease_ms\": 100}'), howdah.set_queue('default', '{\"lease_ms\": 100}')")
        .await?;
    db.stop_clock("0").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run(&format!("SELECT howdah.enqueue('k'); SELECT howdah.claim({worker})")).await?;
    db.stop_clock("3.9 seconds").await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty(), "a heartbeat is a second or two late, no more");
    db.stop_clock("4.1 seconds").await?;
    assert_eq!(session.list("SELECT howdah.rescue()").await?, ["(w,1)"]);
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_session_has_ended_loses_everything_at_once() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = three_leases(&db).await?;
    let mut ended = db.session().await?;
    ended.run(&format!("SELECT howdah.attach_session({worker})")).await?;
    let pid = ended.number("SELECT pg_backend_pid()").await?;
    drop(ended);
    db.wait_for(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"), "0").await?;
    db.stop_clock("2.6 seconds").await?;
    assert_eq!(session.list("SELECT howdah.rescue()").await?, ["(w,4)"]);
    assert_eq!(session.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Brief {}

#[derive(Job, Serialize, Deserialize)]
struct Lasting {}

#[derive(Clone)]
struct Gate(Arc<Semaphore>);

/// Waits for the gate, or until it hears that its job is lost.
async fn wait_at(cx: &Ctx<Gate>, kind: &str) -> Result<(), JobError> {
    let say = async |what: String| {
        sqlx::query("INSERT INTO said VALUES ($1)").bind(what).execute(cx.howdah().pool()).await.map(|_| ())
    };
    say(format!("{kind} {} begins", cx.attempt())).await?;
    tokio::select! {
        permit = cx.0.acquire() => permit?.forget(),
        () = cx.cancelled().cancelled() => {}
    }
    say(format!("{kind} {} {}", cx.attempt(), if cx.lease_held() { "kept" } else { "lost" })).await?;
    Ok(())
}

async fn brief(_: Brief, cx: Ctx<Gate>) -> Result<(), JobError> {
    wait_at(&cx, "brief").await
}

async fn lasting(_: Lasting, cx: Ctx<Gate>) -> Result<(), JobError> {
    wait_at(&cx, "lasting").await
}

#[tokio::test]
async fn a_handler_hears_that_its_job_is_lost_while_others_of_its_worker_go_on() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE said (what text)").await?;
    db.howdah.set_kind("brief", &KindSettings::new().lease(Duration::from_secs(1))).await?;
    // One claim, so one lease.
    db.run("SELECT howdah.pause_queue('default')").await?;
    db.howdah.enqueue(Lasting {}).await?;
    db.howdah.enqueue(Brief {}).await?;
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let worker = Worker::new(&db.howdah).state(gate.clone()).handle(brief).handle(lasting).keeper(false);
    let worker = start(worker.heartbeat(Duration::from_millis(200)));
    db.wait_for("SELECT asleep FROM howdah.workers", "true").await?;
    db.howdah.resume_queue("default").await?;
    let said = |what: &str| format!("SELECT count(*) FROM said WHERE what = '{what}'");
    db.wait_for(&said("brief 1 begins"), "1").await?;
    db.wait_for(&said("lasting 1 begins"), "1").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.lease").await?, 1);
    // Ten seconds pass in which it says nothing: before it can, another worker's keeper has looked. A rescue passes by
    // a worker whose heartbeat is being written, so the keeper may have to look again.
    let mut silence = db.session().await?;
    loop {
        silence
            .run(
                "BEGIN; CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
                 RETURN pg_catalog.clock_timestamp() + interval '10 seconds'",
            )
            .await?;
        let robbed = silence.list("SELECT howdah.rescue()").await?.len();
        silence.run(if robbed == 1 { "COMMIT" } else { "ROLLBACK" }).await?;
        if robbed == 1 {
            break;
        }
    }
    db.wait_for(&said("brief 1 lost"), "1").await?;
    db.wait_for(&said("brief 2 begins"), "1").await?;
    assert_eq!(
        db.number("SELECT count(*) FROM said WHERE what LIKE 'lasting 1 %' AND what <> 'lasting 1 begins'").await?,
        0
    );
    gate.0.add_permits(2);
    db.wait_for(&said("lasting 1 kept"), "1").await?;
    db.wait_for(
        "SELECT string_agg(kind || attempt || state, ' ' ORDER BY kind) FROM howdah.jobs",
        "brief2completed lasting1completed",
    )
    .await?;
    let id = db.number("SELECT max(id) FROM howdah.workers").await.context("it is registered")?;
    assert_eq!(db.number("SELECT min(id) FROM howdah.workers").await?, id, "as the worker that it was");
    worker.stop().await
}

#[tokio::test]
async fn a_lease_of_which_a_job_was_lost_does_not_read_as_completed() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{3}'))").await?;
    let lease = db.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 3)")).await?;
    let lost = db.number("SELECT min(id) FROM howdah.jobs").await?;
    db.run(&format!("SELECT howdah.rescue_lease({lease}, {worker}, 'worker_lost', 'silent', ARRAY[{lost}::bigint])"))
        .await?;
    let told = format!("SELECT count(*) FROM howdah.complete_leases(ARRAY[{lease}::bigint], '{{3}}', '{{1,1,1}}')");
    assert_eq!(db.number(&told).await?, 0);
    assert_eq!(
        db.text("SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs").await?,
        "ready completed completed"
    );
    Ok(())
}
