//! A queue with a bound never holds more, however many enqueue at once, and whoever waits for room gets in.

use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Ctx, Error, Howdah, Job, JobError, QueueSettings, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

#[derive(Job, Serialize, Deserialize)]
struct Load {}

async fn bounded(max_jobs: u32) -> Result<Db> {
    let db = Db::new().await?;
    db.howdah.set_queue("default", &QueueSettings::new().max_jobs(max_jobs)).await?;
    Ok(db)
}

const UNFINISHED: &str = "SELECT count(*) FROM howdah.jobs WHERE state IN ('scheduled', 'ready', 'running')";

#[tokio::test]
async fn a_bound_of_one_holds_under_eight_producers() -> Result<()> {
    let db = bounded(1).await?;
    let mut producers = JoinSet::new();
    for _ in 0..8 {
        let howdah = Howdah::connect(db.url()).await?;
        producers.spawn(async move {
            let mut taken = 0;
            for _ in 0..20 {
                match howdah.enqueue(Load {}).await {
                    Ok(_) => taken += 1,
                    Err(Error::QueueFull { queue, .. }) if queue == "default" => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(taken)
        });
    }
    let mut taken = 0;
    while let Some(done) = in_time("the producers", producers.join_next()).await? {
        taken += done??;
    }
    assert_eq!((taken, db.number(UNFINISHED).await?), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_bound_counts_what_has_not_ended_and_nothing_else() -> Result<()> {
    let db = bounded(5).await?;
    let worker = db.worker().await?;
    let mut session = db.session().await?;
    session.run("SELECT howdah.create_queue('other'); SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{300}'), 'other')").await?;
    session.run("SELECT howdah.enqueue_many('k', '{1,2,3}'); SELECT howdah.enqueue('k', delay => '1 hour')").await?;
    session.run(&format!("SELECT howdah.claim({worker})")).await?;
    let one_more = "SELECT howdah.enqueue('k')";
    session.run(one_more).await?;
    assert_eq!(session.refusal(one_more).await?, "HD005 queue", "two ready, two running or scheduled, one more");
    session.run("SELECT howdah.fail(id, first_ids, delay_ms => '{3600000}') FROM howdah.lease").await?;
    assert_eq!(session.refusal(one_more).await?, "HD005 queue", "a retry is still to come");
    session.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    session.run(one_more).await?;
    session.run(&format!("SELECT howdah.fail(lease_id, ARRAY[id], '{{discard}}') FROM howdah.claim({worker})")).await?;
    session.run(one_more).await?;
    session.run(&format!("SELECT howdah.complete_in(lease_id, id) FROM howdah.claim({worker})")).await?;
    session.run(one_more).await?;
    assert_eq!(session.refusal(one_more).await?, "HD005 queue");
    session.run("SELECT howdah.cancel(id) FROM howdah.jobs WHERE state = 'scheduled' AND queue = 'default'").await?;
    session.run("SELECT howdah.enqueue_many('k', '{1,2}')").await?;
    // Completed inside a transaction while the lease holds another: that one counts, this one does not.
    session.run(&format!("SELECT howdah.complete_in(l, i) FROM (SELECT min(lease_id), min(id) FROM howdah.claim({worker}, jobs => 2)) c(l, i)")).await?;
    session.run(one_more).await?;
    assert_eq!(session.refusal(one_more).await?, "HD005 queue");
    assert_eq!(db.number(&format!("{UNFINISHED} AND queue = 'default'")).await?, 5);
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_is_refused_whole_whichever_way_it_comes() -> Result<()> {
    let db = bounded(3).await?;
    let mut session = db.session().await?;
    session.run("SELECT howdah.enqueue_many('k', '{1,2}')").await?;
    let before = db.content().await?;
    for call in [
        "SELECT howdah.enqueue_many('k', '{1,2}')",
        "SELECT howdah.enqueue('k'), howdah.enqueue('k')",
        "SELECT howdah.enqueue('k', delay => '1 hour'), howdah.enqueue('k', delay => '1 hour')",
        "SELECT howdah.enqueue_unique('a'), howdah.enqueue_unique('b')",
        "INSERT INTO howdah.new_job (kind) VALUES ('a'), ('b')",
    ] {
        assert_eq!(session.refusal(call).await?, "HD005 queue", "{call}");
    }
    assert_eq!(
        session.refusal("SELECT howdah.enqueue_many('k', '{1,2,3,4}')").await?,
        "HD002 payloads",
        "it never fits"
    );
    let old = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT howdah.enqueue('k')";
    assert_eq!(session.refusal(old).await?, "HD012", "it could not see what others have enqueued");
    session.run("ROLLBACK").await?;
    let refused = db.howdah.enqueue_many([Load {}, Load {}]).await.expect_err("enqueued");
    assert!(matches!(&refused, Error::QueueFull { queue, .. } if queue == "default"), "{refused}");
    assert!(refused.to_string().contains("2 of max_jobs 3"), "{refused}");
    assert_eq!(db.content().await?, before);
    session.run("SELECT howdah.enqueue('k')").await
}

#[tokio::test]
async fn an_open_enqueue_holds_up_its_bounded_queue_and_no_other() -> Result<()> {
    let db = bounded(1).await?;
    db.run("SELECT howdah.create_queue('free'), howdah.create_queue('also_bounded', '{\"max_jobs\": 1}')").await?;
    let (mut open, mut other) = (db.session().await?, db.session().await?);
    open.run("BEGIN; SELECT howdah.enqueue('k')").await?;
    other.run("SET lock_timeout = '100ms'").await?;
    assert_eq!(other.refusal("SELECT howdah.enqueue('k')").await?, "55P03", "nobody knows yet whether it is full");
    other.run("SELECT howdah.enqueue('k', queue => 'free'), howdah.enqueue('k', queue => 'also_bounded')").await?;
    let worker = db.worker().await?;
    other.run(&format!("SELECT howdah.claim({worker}, 'also_bounded')")).await?;
    open.run("ROLLBACK").await?;
    other.run("SELECT howdah.enqueue('k')").await?;
    assert_eq!(other.refusal("SELECT howdah.enqueue('k')").await?, "HD005 queue");
    Ok(())
}

#[tokio::test]
async fn who_waits_for_room_gets_in_when_a_job_ends() -> Result<()> {
    let db = bounded(1).await?;
    let worker = db.worker().await?;
    let first = db.howdah.enqueue(Load {}).await?;
    let refused = db.howdah.enqueue(Load {}).wait_if_full(Duration::from_millis(20)).await;
    assert!(matches!(refused, Err(Error::QueueFull { .. })), "its time is up");
    let howdah = db.howdah.clone();
    let waiting = tokio::spawn(async move { howdah.enqueue(Load {}).wait_if_full(Duration::from_secs(60)).await });
    let claim = format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})");
    assert_eq!(db.number(&claim).await?, first.0);
    let second = in_time("the waiting enqueue", waiting).await???;
    assert_eq!(db.number(&claim).await?, second.0, "it waits until the job has ended, and then is a job like any");
    let both = db.howdah.enqueue_many([Load {}]).wait_if_full(Duration::from_secs(60)).await?;
    assert_eq!(both.len(), 1);
    Ok(())
}

async fn load(_: Load, cx: Ctx<()>) -> Result<(), JobError> {
    sqlx::query("INSERT INTO seen SELECT count(*) FROM howdah.jobs WHERE state IN ('ready', 'running', 'scheduled')")
        .execute(cx.howdah().pool())
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_of_producers_that_wait_is_throttled_and_loses_nothing() -> Result<()> {
    let db = bounded(3).await?;
    db.run("CREATE TABLE seen (unfinished bigint)").await?;
    let worker = start(Worker::new(&db.howdah).handle(load));
    let mut producers = JoinSet::new();
    for _ in 0..6 {
        let howdah = db.howdah.clone();
        producers.spawn(async move {
            for _ in 0..10 {
                howdah.enqueue(Load {}).wait_if_full(Duration::from_secs(60)).await?;
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(done) = tokio::time::timeout(Duration::from_secs(60), producers.join_next()).await? {
        done??;
    }
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "60").await?;
    worker.stop().await?;
    let most = db.number("SELECT max(unfinished) FROM seen").await?;
    assert!((1..=3).contains(&most), "{most} unfinished jobs at once");
    Ok(())
}

#[tokio::test]
async fn nobody_waits_for_room_inside_a_transaction() -> Result<()> {
    let db = bounded(1).await?;
    let wait = Duration::from_secs(60);
    let mut tx = db.pool().begin().await?;
    let one = db.howdah.enqueue(Load {}).wait_if_full(wait).on(&mut tx).await.expect_err("waited");
    let many = db.howdah.enqueue_many([Load {}]).on(&mut tx).wait_if_full(wait).await.expect_err("waited");
    for refused in [one, many] {
        assert!(matches!(&refused, Error::Invalid { field, .. } if field == "wait_if_full"), "{refused}");
    }
    db.howdah.enqueue(Load {}).on(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

#[tokio::test]
async fn psql_can_wait_for_room_too() -> Result<()> {
    let db = bounded(1).await?;
    let worker = db.worker().await?;
    let wait = |timeout: &str| format!("SELECT howdah.wait_for_space('default', '{timeout}')");
    assert_eq!(db.text(&wait("0")).await?, "true");
    db.run("SELECT howdah.enqueue('k')").await?;
    assert_eq!(db.text(&wait("20 ms")).await?, "false");
    let mut session = db.session().await?;
    let waiting =
        tokio::spawn(async move { session.text("SELECT howdah.wait_for_space('default', '1 minute')").await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    db.wait_for(waits, "1").await?;
    db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    assert_eq!(in_time("the wait to end", waiting).await???, "true");
    let mut session = db.session().await?;
    for (call, wanted) in [
        ("SELECT howdah.wait_for_space('nowhere')", "HD001 queue"),
        ("SELECT howdah.wait_for_space('default', NULL)", "HD002 timeout"),
        ("SELECT howdah.wait_for_space('default', '2 hours')", "HD002 timeout"),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT howdah.wait_for_space('default')", "HD012"),
    ] {
        assert_eq!(session.refusal(call).await?, wanted, "{call}");
        session.run("ROLLBACK").await?;
    }
    Ok(())
}

#[tokio::test]
async fn counting_to_a_bound_does_not_read_what_lies_beyond_it_or_in_other_queues() -> Result<()> {
    let db = bounded(1000).await?;
    db.run("SELECT howdah.create_queue('other')").await?;
    // Vacuum between the two measurements would let one of them read the index alone.
    db.stop_autovacuum().await?;
    let mut session = db.session().await?;
    // The plan is made while the tables are empty, and stays.
    session.run("SELECT howdah.unfinished(1, 1000) FROM generate_series(1, 8)").await?;
    let pages = async |session: &mut howdah_tests::Session| -> Result<i64> {
        let plan: serde_json::Value =
            sqlx::query_scalar("EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT howdah.unfinished(1, 1000)")
                .persistent(false)
                .fetch_one(&mut session.0)
                .await?;
        plan[0]["Plan"]["Shared Hit Blocks"].as_i64().context("pages")
    };
    session.run("SELECT howdah.enqueue('k') FROM generate_series(1, 1000)").await?;
    let full = pages(&mut session).await?;
    session
        .run("SELECT howdah.enqueue('k', queue => 'other', delay => '1 hour') FROM generate_series(1, 30000)")
        .await?;
    session.run("SELECT howdah.enqueue('k', queue => 'other') FROM generate_series(1, 30000)").await?;
    session.run("SELECT howdah.set_queue('default', '{\"max_jobs\": null}'); SELECT howdah.enqueue('k') FROM generate_series(1, 30000)").await?;
    let among_others = pages(&mut session).await?;
    assert!(among_others <= full + full / 2 + 20, "{full} pages alone, {among_others} among others");
    assert_eq!(session.number("SELECT howdah.unfinished(1, 1000)").await?, 1000);
    Ok(())
}
