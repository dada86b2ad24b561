//! As many jobs start in a time as their rate says, over all workers, and those that wait start when their token is there.

use std::time::Duration;

use anyhow::Result;
use howdah::{Job, Limit, Worker};
use howdah_tests::{Db, WATCHED_TABLE, Watched, start, watched};

#[tokio::test]
async fn tokens_are_counted_exactly_by_the_clock() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    db.run("SELECT howdah.set_limit('key', 'k', '{\"rate\": 10, \"rate_period_ms\": 1000, \"rate_burst\": 3}')")
        .await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{100}'), options => '{\"limit_key\": \"k\"}')")
        .await?;
    let mut at = async |seconds: &str| -> Result<usize> {
        db.stop_clock(&format!("{seconds} seconds")).await?;
        session.run("SELECT howdah.open_gates(false)").await?;
        Ok(session.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 100)")).await?.len())
    };
    // When, and how many start then.
    for (seconds, jobs) in [
        ("0", 3),
        ("0", 0),
        ("0.099", 0),
        ("0.1", 1),
        ("0.199", 0),
        ("0.2", 1),
        ("0.35", 1),
        ("0.4", 1),
        ("2", 3),
        ("2.09", 0),
        ("2.1", 1),
    ] {
        assert_eq!(at(seconds).await?, jobs, "after {seconds} s");
    }
    Ok(())
}

#[tokio::test]
async fn rates_of_queues_and_kinds_and_weights_are_counted_alike() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.create_queue('q'); SELECT howdah.set_limit('queue', 'q', '{\"rate\": 5}');
             SELECT howdah.set_limit('kind', 'heavy', '{\"rate\": 6}');
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{20}'), queue => 'q');
             SELECT howdah.enqueue_many('heavy', array_fill('1'::jsonb, '{20}'), options => '{\"weight\": 2}')",
        )
        .await?;
    let mut claim = async |queue: &str| -> Result<usize> {
        session.run("SELECT howdah.open_gates(false)").await?;
        Ok(session.list(&format!("SELECT id FROM howdah.claim({worker}, '{queue}', 100)")).await?.len())
    };
    assert_eq!((claim("q").await?, claim("q").await?), (5, 0));
    assert_eq!((claim("default").await?, claim("default").await?), (3, 0), "two tokens each");
    db.stop_clock("0.4 seconds").await?;
    assert_eq!((claim("q").await?, claim("q").await?), (2, 0));
    assert_eq!((claim("default").await?, claim("default").await?), (1, 0));
    // More than can be saved up: once all is there; and the debt is paid before the next.
    db.run("SELECT howdah.enqueue('heavy', priority => 0, options => '{\"weight\": 12}')").await?;
    db.stop_clock("10 seconds").await?;
    assert_eq!(db.text(&format!("SELECT max(options ->> 'weight') FROM howdah.claim({worker})")).await?, "12");
    db.stop_clock("11 seconds").await?;
    assert_eq!(claim("default").await?, 0);
    db.stop_clock("11.34 seconds").await?;
    assert_eq!(claim("default").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_rate_holds_over_workers_and_is_used_up() -> Result<()> {
    let db = Db::new().await?;
    db.run(WATCHED_TABLE).await?;
    db.howdah.set_limit(Limit::kind(Watched::KIND).rate(40, Duration::from_secs(1)).burst(4)).await?;
    db.howdah.enqueue_many((0..60).map(|_| Watched { key: "k".into(), fails: 0 })).await?;
    let workers: Vec<_> = (0..3).map(|_| start(Worker::new(&db.howdah).handle(watched))).collect();
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "60").await?;
    // A job takes its token between the beginning of its claim and its own. Of what did so between any two times: no more than
    // the burst and what came meanwhile.
    let over = "WITH took AS (SELECT j.claimed_at AS since, w.began AS until FROM howdah.jobs j JOIN watched w ON w.job = j.id)
        SELECT max(n - 4 - seconds * 40) FROM (
          SELECT extract(epoch FROM b.until - a.since) AS seconds,
                 (SELECT count(*) FROM took c WHERE c.since >= a.since AND c.until <= b.until) AS n
            FROM took a, took b WHERE a.since <= b.until) w";
    assert!(db.text(over).await?.parse::<f64>()? <= 0.01, "{}", db.text(over).await?);
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_asks_while_no_token_is_there() -> Result<()> {
    let db = Db::new().await?;
    db.run(WATCHED_TABLE).await?;
    // The second token comes in an hour.
    db.howdah.set_limit(Limit::queue("default").rate(1, Duration::from_secs(3600))).await?;
    db.howdah.enqueue_many((0..5).map(|_| Watched { key: "k".into(), fails: 0 })).await?;
    let worker = start(Worker::new(&db.howdah).handle(watched).poll(Duration::from_secs(600)));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1").await?;
    db.wait_for("SELECT asleep FROM howdah.workers", "true").await?;
    // The time comes: the keeper wakes who sleeps.
    db.travel("1 hour").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "2").await?;
    worker.stop().await
}
