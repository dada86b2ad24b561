//! What happens at a gate when several come to it at once, and what is told to whom.

use std::time::Duration;

use anyhow::Result;
use howdah::Limit;
use howdah_tests::{Db, Session};

fn claim(worker: i64, queue: &str) -> String {
    format!("SELECT id FROM howdah.claim({worker}, '{queue}', 9)")
}

/// The jobs that a claim gives, or none if it has waited for long.
async fn claimed(session: &mut Session, claim: &str) -> Result<usize> {
    session.run("SET statement_timeout = '3s'").await?;
    let claimed = session.list(claim).await;
    match claimed {
        Err(error) if format!("{error:?}").contains("statement timeout") => Ok(0),
        claimed => Ok(claimed?.len()),
    }
}

#[tokio::test]
async fn what_an_open_claim_has_taken_is_taken() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    db.howdah.set_limit(Limit::kind("kind").max_running(1)).await?;
    db.howdah.set_limit(Limit::key("slow").rate(1, Duration::from_secs(3600))).await?;
    db.run("SELECT howdah.create_queue(q) FROM unnest('{key,order,kind,queue,rate,slow,share}'::text[]) q").await?;
    db.howdah.set_limit(Limit::queue("queue").max_running(1)).await?;
    db.howdah.set_limit(Limit::queue("slow").rate(1, Duration::from_secs(3600))).await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    for (queue, options) in [
        ("key", "{\"limit_key\": \"k\"}"),
        ("order", "{\"order_key\": \"k\"}"),
        ("kind", "{}"),
        ("queue", "{}"),
        ("rate", "{\"limit_key\": \"slow\"}"),
        ("slow", "{}"),
        ("share", "{\"fair_key\": \"f\", \"order_key\": \"of a share\"}"),
    ] {
        session
            .run(&format!("SELECT howdah.enqueue('{queue}', queue => '{queue}', options => '{options}') FROM generate_series(1, 3)"))
            .await?;
        open.run("BEGIN").await?;
        assert_eq!(open.list(&claim(worker, queue)).await?.len(), 1, "{queue}");
        assert_eq!(claimed(&mut session, &claim(worker, queue)).await?, 0, "{queue}: beside the open claim");
        open.run("COMMIT").await?;
        assert_eq!(claimed(&mut session, &claim(worker, queue)).await?, 0, "{queue}: after it");
    }
    Ok(())
}

#[tokio::test]
async fn the_keeper_comes_again_to_a_gate_at_which_somebody_is() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"k\"}') FROM generate_series(1, 2)").await?;
    assert_eq!(session.list(&format!("SELECT id FROM howdah.claim({worker})")).await?.len(), 1);
    // The second job goes aside, and nobody sees it until that is committed.
    open.run("BEGIN").await?;
    assert_eq!(open.list(&claim(worker, "default")).await?.len(), 0);
    session.run("SELECT howdah.complete(id) FROM howdah.lease; SELECT howdah.open_gates(false)").await?;
    open.run("COMMIT").await?;
    db.wait_for("SELECT howdah.open_gates(false) IS NULL AND howdah.state(max(id)) = 'ready' FROM howdah.job", "true")
        .await
}

#[tokio::test]
async fn the_keeper_lets_no_more_through_than_there_is_room_for() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(3)).await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{50}'), options => '{\"limit_key\": \"k\"}')")
        .await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 3);
    session.run("SELECT howdah.open_gates(true)").await?;
    assert_eq!(session.text("SELECT ready || ' ' || blocked FROM howdah.queues").await?, "0 47");
    session.run("SELECT howdah.complete(id, first_ids[1:1]) FROM howdah.lease").await?;
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.text("SELECT ready || ' ' || blocked FROM howdah.queues").await?, "1 46");
    // A sweep does not know that somebody is on the way; claims do.
    session.run("SELECT howdah.open_gates(true)").await?;
    assert_eq!(session.text("SELECT ready || ' ' || blocked FROM howdah.queues").await?, "2 45");
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 1);
    assert_eq!(session.text("SELECT running || ' ' || blocked FROM howdah.queues").await?, "3 46");
    Ok(())
}

#[tokio::test]
async fn a_sweep_goes_past_a_gate_that_is_due_anyhow() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.set_limit('key', k, '{\"max_running\": 1}') FROM unnest('{a,b,c}'::text[]) k;
             SELECT howdah.enqueue('k', options => jsonb_build_object('limit_key', k)) FROM unnest('{a,b,c}'::text[]) k, generate_series(1, 2)",
        )
        .await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 3);
    // Whatever has missed two of them, and the keeper was told to look at the first one, which is full.
    session
        .run(
            "DELETE FROM howdah.gate_look; DELETE FROM howdah.slot WHERE gate IN ('limit:b', 'limit:c');
             INSERT INTO howdah.gate_look (gate, look_at) VALUES ('limit:a', '-infinity'), ('limit:b', '-infinity');
             SELECT howdah.open_gates(true)",
        )
        .await?;
    assert_eq!(session.text("SELECT ready || ' ' || blocked FROM howdah.queues").await?, "2 1");
    Ok(())
}

#[tokio::test]
async fn a_job_that_goes_on_to_wait_elsewhere_lets_the_next_one_come() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.set_limit('key', k, '{\"max_running\": 1}') FROM unnest('{a,b}'::text[]) k;
             SELECT howdah.enqueue('k', options => '{\"limit_key\": \"a\"}'), howdah.enqueue('k', options => '{\"limit_key\": \"b\"}');
             SELECT howdah.enqueue('k', options => '{\"limit_key\": [\"a\", \"b\"]}')",
        )
        .await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 2);
    let last = session.text("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"a\"}')").await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 0);
    // The looks that the new rules have asked for are over.
    session.run("SELECT howdah.open_gates(false)").await?;
    // The slot of a is free, and the one who has waited for it longest needs b too.
    session.run("SELECT howdah.complete(lease_id, ARRAY[job_id]) FROM howdah.slot WHERE gate = 'limit:a'").await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 0);
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim(worker, "default")).await?, [last]);
    Ok(())
}

#[tokio::test]
async fn what_one_rate_has_used_up_is_not_owed_to_another() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.set_limit('key', 'k', '{\"rate\": 1, \"rate_period_ms\": 3600000}');
             SELECT howdah.enqueue('k', options => '{\"limit_key\": \"k\"}') FROM generate_series(1, 9)",
        )
        .await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 1);
    session.run("SELECT howdah.set_limit('key', 'k', '{\"rate\": 4, \"rate_period_ms\": 1000}')").await?;
    db.stop_clock("1 second").await?;
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn of_several_rules_that_of_the_key_counts_and_else_the_longest() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for (key, limit) in [("*", 1), ("a:*", 2), ("a:b*", 3), ("a:b", 4)] {
        db.howdah.set_limit(Limit::key(key).max_running(limit)).await?;
    }
    for (key, limit) in [("x", 1), ("a:x", 2), ("a:bx", 3), ("a:b", 4)] {
        session
            .run(&format!(
                "SELECT howdah.enqueue('k', options => '{{\"limit_key\": \"{key}\"}}') FROM generate_series(1, 6)"
            ))
            .await?;
        assert_eq!(session.list(&claim(worker, "default")).await?.len(), limit, "{key}");
    }
    for (share, weight) in [("*", 2), ("g:*", 3), ("g:1", 5)] {
        db.howdah.set_limit(Limit::share(share).weight(weight)).await?;
    }
    assert_eq!(
        session.text("SELECT string_agg(howdah.weight_of(k)::text, ' ') FROM unnest('{x,g:2,g:1}'::text[]) k").await?,
        "2 3 5"
    );
    Ok(())
}

#[tokio::test]
async fn who_sleeps_is_told_when_a_queue_or_a_gate_has_room() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('q')").await?;
    db.howdah.set_limit(Limit::queue("q").max_running(1)).await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let asleep = format!(
        "SELECT count(*) FROM howdah.sleeper s WHERE s.worker_id = {worker} AND s.queue_id = howdah.queue_id('q')"
    );
    let ends = [
        "SELECT howdah.complete({lease})",
        "SELECT howdah.complete_leases(ARRAY[{lease}], '{1}', '{1}')",
        "SELECT howdah.complete_in({lease}, {job})",
        "SELECT howdah.fail({lease}, ARRAY[{job}], '{discard}')",
        "SELECT howdah.set_limit('queue', 'q', '{\"max_running\": 2}'); SELECT howdah.open_gates(false)",
    ];
    session.run("SELECT howdah.enqueue('k', queue => 'q') FROM generate_series(1, 9)").await?;
    let mut listener = sqlx::postgres::PgListener::connect(db.url()).await?;
    listener.listen("howdah.wake").await?;
    for end in ends {
        let row = session.list(&format!("SELECT lease_id || ' ' || id FROM howdah.claim({worker}, 'q')")).await?;
        let (lease, job) = row[0].split_once(' ').unwrap_or_default();
        session.run(&format!("SELECT howdah.fall_asleep({worker}, ARRAY[howdah.queue_id('q')])")).await?;
        assert_eq!(session.number(&asleep).await?, 1);
        session.run(&end.replace("{lease}", lease).replace("{job}", job)).await?;
        howdah_tests::in_time(&format!("a word after {end}"), listener.recv()).await??;
        session.run(&format!("SELECT howdah.stay_awake({worker}, ARRAY[howdah.queue_id('q')])")).await?;
        while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(20), listener.recv()).await {}
    }
    Ok(())
}

#[tokio::test]
async fn a_keeper_that_sleeps_is_told_of_a_gate_to_look_at() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let term = db.number(&format!("SELECT howdah.elect_keeper({worker}, 60000)")).await?;
    session.run("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"k\"}') FROM generate_series(1, 2)").await?;
    let job = session.text(&format!("SELECT id FROM howdah.claim({worker})")).await?;
    session.run(&format!("SELECT howdah.keep({worker}, {term}, false, false, 60000)")).await?;
    let mut listener = sqlx::postgres::PgListener::connect(db.url()).await?;
    listener.listen("howdah.due").await?;
    // It may have been in an open transaction, beside which others came to the gate.
    session.run(&format!("SELECT howdah.complete_in(id, {job}) FROM howdah.lease")).await?;
    howdah_tests::in_time("the keeper to be told", listener.recv()).await??;
    Ok(())
}

#[tokio::test]
async fn a_new_job_of_an_order_waits_behind_one_that_has_failed() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let enqueue = "SELECT howdah.enqueue('k', options => '{\"order_key\": \"a\"}')";
    let first = session.text(enqueue).await?;
    assert_eq!(session.list(&claim(worker, "default")).await?, [first.as_str()]);
    session
        .run(&format!("SELECT howdah.fail(id, ARRAY[{first}], delay_ms => '{{3600000}}') FROM howdah.lease"))
        .await?;
    let next = session.text(enqueue).await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 0);
    session.run(&format!("SELECT howdah.cancel({first})")).await?;
    assert_eq!(session.list(&claim(worker, "default")).await?, [next]);
    Ok(())
}

#[tokio::test]
async fn claims_by_a_filter_come_to_the_same_gates() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.create_queue(q) FROM unnest('{narrow,slow}'::text[]) q;
             SELECT howdah.set_limit('kind', 'limited', '{\"max_running\": 2}'), howdah.set_limit('key', 'k', '{\"max_running\": 3}'),
                    howdah.set_limit('queue', 'narrow', '{\"max_running\": 4}'), howdah.set_limit('queue', 'slow', '{\"rate\": 5, \"rate_period_ms\": 3600000}');
             SELECT howdah.enqueue_many('limited', array_fill('1'::jsonb, '{9}'));
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{9}'), options => '{\"limit_key\": \"k\"}');
             SELECT howdah.enqueue('k', options => '{\"order_key\": \"o\"}') FROM generate_series(1, 9);
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{9}'), queue => q) FROM unnest('{narrow,slow}'::text[]) q",
        )
        .await?;
    for (queue, jobs) in [("default", 6), ("narrow", 4), ("slow", 5)] {
        let claim =
            format!("SELECT id FROM howdah.claim_where({worker}, '{queue}', 100, '!exists($.x)') WHERE id IS NOT NULL");
        assert_eq!(session.list(&claim).await?.len(), jobs, "{queue}");
        assert_eq!(session.list(&claim).await?.len(), 0, "{queue}");
    }
    Ok(())
}

#[tokio::test]
async fn a_slot_that_a_new_limit_gave_to_a_job_that_was_ending_is_swept_away() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue('k') FROM generate_series(1, 2)").await?;
    assert_eq!(session.list(&format!("SELECT id FROM howdah.claim({worker})")).await?.len(), 1);
    open.run("BEGIN; SELECT howdah.set_limit('kind', 'k', '{\"max_running\": 1}')").await?;
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    open.run("COMMIT").await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 1, "it counts for nothing");
    session.run("SELECT howdah.prune()").await?;
    assert_eq!(session.number("SELECT count(*) FROM howdah.slot").await?, 1, "that of the job that runs");
    Ok(())
}

#[tokio::test]
async fn who_comes_to_an_order_while_its_first_is_being_cancelled_is_let_through() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    let enqueue = "SELECT howdah.enqueue('k', options => '{\"order_key\": \"a\"}'";
    let first = session.text(&format!("{enqueue}, delay => '1 hour')")).await?;
    open.run(&format!("BEGIN; SELECT howdah.cancel({first})")).await?;
    let next = session.text(&format!("{enqueue})")).await?;
    assert_eq!(session.list(&claim(worker, "default")).await?.len(), 0, "the first one holds its place");
    open.run("COMMIT").await?;
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim(worker, "default")).await?, [next]);
    Ok(())
}
