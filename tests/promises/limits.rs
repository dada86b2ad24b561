//! As many jobs of a queue, a kind or a key run at the same time as their limit says, and no fewer, whatever dies.

use anyhow::Result;
use howdah::{Job, Limit, Worker};
use howdah_tests::{Db, WATCHED_TABLE, Watched, start, watched};
use nix::sys::signal::Signal;

use crate::plans::cost;
use crate::process::Process;

const STATES: &str = "SELECT string_agg(state || jobs, ' ' ORDER BY state) FROM (SELECT state, count(*) AS jobs FROM howdah.jobs GROUP BY 1) j";

/// The most attempts of a key that ever ran at the same time. What a killed process had begun ended when it was killed.
const MOST: &str = "SELECT coalesce(max(beside), 0) FROM (SELECT (
    SELECT count(*) FROM watched o WHERE o.key = w.key AND o.began <= w.began AND coalesce(o.ended, o.killed, 'infinity') > w.began) AS beside
  FROM (TABLE watched) w) b";

async fn watched_db() -> Result<Db> {
    let db = Db::new().await?;
    db.run(WATCHED_TABLE).await?;
    db.run("ALTER TABLE watched ADD killed timestamptz").await?;
    Ok(db)
}

fn job(key: &str) -> Watched {
    Watched { key: key.to_owned(), fails: 0 }
}

#[tokio::test]
async fn a_limit_of_a_key_holds_over_processes_of_which_one_is_killed() -> Result<()> {
    let db = watched_db().await?;
    db.howdah.set_limit(Limit::key("tenant:*").max_running(2)).await?;
    db.howdah.set_limit(Limit::key("tenant:3").max_running(1)).await?;
    for n in 0..150 {
        let key = format!("tenant:{}", n % 3 + 1);
        db.howdah.enqueue(job(&key)).limit_key(&key).await?;
    }
    db.howdah.enqueue_many((0..50).map(|_| job("tenant:1"))).limit_key("tenant:1").await?;
    let first = Process::start(db.url(), 20_000, 500)?;
    let _second = Process::start(db.url(), 20_000, 500)?;
    let _third = Process::start(db.url(), 20_000, 500)?;
    db.wait_for("SELECT count(DISTINCT pid) > 2 AND count(*) > 30 FROM watched", "true").await?;
    first.signal(Signal::SIGKILL)?;
    db.run(&format!("UPDATE watched SET killed = clock_timestamp() WHERE pid = {}", first.id())).await?;
    db.wait_for(STATES, "completed200").await?;
    // What the server was about to do for it when it was killed.
    db.run("UPDATE watched SET killed = began WHERE ended IS NULL AND killed IS NULL").await?;
    assert_eq!(db.number(&format!("{MOST} WHERE false")).await?, 0, "the question can be asked");
    let most = |key: &str| MOST.replace("(TABLE watched)", &format!("(SELECT * FROM watched WHERE key = '{key}')"));
    // That no slot is left unused is seen where claims are made by hand: here it depends on who is fast.
    assert!((1..=2).contains(&db.number(&most("tenant:1")).await?));
    assert!((1..=2).contains(&db.number(&most("tenant:2")).await?));
    assert_eq!(db.number(&most("tenant:3")).await?, 1);
    assert_eq!(db.number("SELECT count(*) FROM howdah.slot").await?, 0);
    Ok(())
}

#[tokio::test]
async fn limits_of_queue_kind_and_key_hold_together() -> Result<()> {
    let db = watched_db().await?;
    db.howdah.create_queue("wide").await?;
    db.howdah.set_limit(Limit::queue("wide").max_running(3)).await?;
    db.howdah.set_limit(Limit::kind(Watched::KIND).max_running(4)).await?;
    db.howdah.set_limit(Limit::key("k").max_running(2)).await?;
    for n in 0..60 {
        let key = if n % 2 == 0 { "k" } else { "other" };
        let queue = if n % 3 == 0 { "wide" } else { "default" };
        db.howdah.enqueue(Watched { key: format!("{key} {queue}"), fails: 0 }).queue(queue).limit_key(key).await?;
    }
    let workers: Vec<_> =
        (0..3).map(|_| start(Worker::new(&db.howdah).handle(watched).queue("wide", 5).queue("default", 5))).collect();
    db.wait_for(STATES, "completed60").await?;
    let most = |key: &str| {
        let together = format!("(SELECT began, ended, killed, '' AS key FROM watched WHERE key LIKE '{key}')");
        MOST.replace("(TABLE watched)", &together).replace("FROM watched o", &format!("FROM {together} o"))
    };
    for (key, limit) in [("k %", 2), ("% wide", 3), ("%", 4)] {
        assert!((1..=limit).contains(&db.number(&most(key)).await?), "{key}");
    }
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_slot_goes_with_its_lease_whatever_becomes_of_that() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.set_limit('key', 'k', '{\"max_running\": 1}')").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let claim = format!("SELECT lease_id || ' ' || id FROM howdah.claim({worker}, jobs => 9)");
    let ends = [
        "SELECT howdah.complete({lease})",
        "SELECT howdah.complete_leases(ARRAY[{lease}], '{1}', '{1}')",
        "SELECT howdah.complete_in({lease}, {job})",
        "SELECT howdah.fail({lease}, ARRAY[{job}], '{discard}')",
        "SELECT howdah.fail({lease}, ARRAY[{job}], '{cancel}')",
        "SELECT howdah.fail({lease}, ARRAY[{job}])",
        "SELECT howdah.release({lease}, ARRAY[{job}]); SELECT howdah.delete({job})",
        "SELECT howdah.rescue_lease({lease}, 1, 'worker_lost', 'gone')",
        // Nothing does that; and if something did, no slot would be lost for it.
        "DELETE FROM howdah.lease WHERE id = {lease}; SELECT howdah.open_gates(true)",
    ];
    session
        .run(&format!(
            "SELECT howdah.enqueue('k', options => '{{\"limit_key\": \"k\"}}') FROM generate_series(0, {})",
            ends.len()
        ))
        .await?;
    for end in ends {
        let claimed = session.list(&claim).await?;
        assert_eq!(claimed.len(), 1, "before {end}");
        assert_eq!(session.list(&claim).await?.len(), 0, "the slot is taken: {end}");
        let (lease, job) = claimed[0].split_once(' ').unwrap_or_default();
        session.run(&end.replace("{lease}", lease).replace("{job}", job)).await?;
    }
    assert_eq!(session.list(&claim).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_slot_that_is_freed_while_another_comes_to_the_gate_is_not_lost() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.set_limit('key', 'k', '{\"max_running\": 1}')").await?;
    db.run("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"k\"}') FROM generate_series(1, 2)").await?;
    let (mut freer, mut claimer, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    let claim = format!("SELECT id FROM howdah.claim({worker})");
    assert_eq!(freer.list(&claim).await?.len(), 1);
    // The one sees that the slot is taken and blocks the second job; the other frees it and does not see that one.
    claimer.run("BEGIN").await?;
    assert_eq!(claimer.list(&claim).await?.len(), 0);
    freer.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    claimer.run("COMMIT").await?;
    assert_eq!(db.text("SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs").await?, "completed blocked");
    let term = db.number(&format!("SELECT howdah.elect_keeper({worker}, 60000)")).await;
    let term = term.unwrap_or(1);
    db.run(&format!("SELECT howdah.keep({worker}, {term}, false, false, 1000)")).await?;
    assert_eq!(freer.list(&claim).await?.len(), 1, "the keeper was told, and needs no sweep for it");
    Ok(())
}

#[tokio::test]
async fn a_limit_changes_at_run_time_in_both_directions() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{10}'), options => '{\"limit_key\": \"a:1\"}')")
        .await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 100)");
    let set = |limit: &str| {
        format!("SELECT howdah.set_limit('key', 'a:*', '{{\"max_running\": {limit}}}'), howdah.open_gates(false)")
    };
    session.run(&set("0")).await?;
    assert_eq!(session.list(&claim).await?.len(), 0);
    session.run(&set("3")).await?;
    assert_eq!(session.list(&claim).await?.len(), 3);
    session.run(&set("1")).await?;
    session.run("SELECT howdah.complete(id, ARRAY[first_ids[1], first_ids[1] + 1]) FROM howdah.lease").await?;
    assert_eq!(session.list(&claim).await?.len(), 0, "one still runs");
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(session.list(&claim).await?.len(), 1);
    session.run(&set("null")).await?;
    assert_eq!(session.list(&claim).await?.len(), 6);
    assert_eq!(db.howdah.limits().await?, []);
    Ok(())
}

#[tokio::test]
async fn what_is_blocked_is_seen_counted_cancelled_and_changed_like_all_that_waits() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    session
        .run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{5}'), options => '{\"limit_key\": \"k\"}')")
        .await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 100)");
    let ids = session.list("SELECT id FROM howdah.jobs ORDER BY id").await?;
    session.run(&claim).await?;
    assert_eq!(session.text(STATES).await?, "blocked4 running1");
    assert_eq!(
        session.text("SELECT reason FROM howdah.jobs WHERE state = 'blocked' LIMIT 1").await?,
        "waits for limit:k"
    );
    assert_eq!(
        session.text("SELECT ready || ' ' || running || ' ' || scheduled || ' ' || blocked FROM howdah.queues").await?,
        "0 1 0 4"
    );
    assert_eq!(session.text("SELECT running || ' ' || blocked FROM howdah.limits").await?, "1 4");
    assert_eq!(
        session.text(&format!("SELECT howdah.retry({})", ids[1])).await?,
        "blocked",
        "a limit is not gone round"
    );
    assert_eq!(session.text(&format!("SELECT howdah.cancel({})", ids[1])).await?, "cancelled");
    assert_eq!(session.text(&format!("SELECT howdah.change({}, priority => 0)", ids[4])).await?, "blocked");
    assert_eq!(session.text("SELECT cancelled FROM howdah.cancel_many(states => '{scheduled,ready}')").await?, "0");
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(session.list(&claim).await?, [ids[4].clone()], "the most urgent one goes first");
    assert_eq!(session.text("SELECT cancelled FROM howdah.cancel_many(states => '{blocked}')").await?, "2");
    assert_eq!(session.text(STATES).await?, "cancelled3 completed1 running1");
    Ok(())
}

#[tokio::test]
async fn what_no_limit_may_be_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (sql, refusal) in [
        ("set_limit('tenant', 'k', '{}')", "HD002 scope"),
        ("set_limit('key', '', '{}')", "HD002 name"),
        ("set_limit('queue', 'none', '{}')", "HD001 queue"),
        ("set_limit('key', 'k', '[]')", "HD002 settings"),
        ("set_limit('key', 'k', '{\"max\": 1}')", "HD002 max"),
        ("set_limit('key', 'k', '{\"max_running\": -1}')", "HD002 max_running"),
        ("set_limit('key', 'k', '{\"rate\": 0}')", "HD002 rate"),
        ("set_limit('key', 'k', '{\"weight\": 1}')", "HD002 weight"),
        ("set_limit('share', 'k', '{\"max_running\": 1}')", "HD002 max_running"),
        ("enqueue('k', options => '{\"limit_key\": \"\"}')", "HD002 limit_key"),
        ("enqueue('k', options => '{\"limit_key\": []}')", "HD002 limit_key"),
        ("enqueue('k', options => '{\"limit_key\": [1]}')", "HD002 limit_key"),
        ("enqueue('k', options => '{\"order_key\": [\"a\"]}')", "HD002 order_key"),
        ("enqueue('k', options => '{\"order_on_failure\": \"pass\"}')", "HD002 order_on_failure"),
        ("enqueue('k', options => '{\"order_key\": \"a\", \"order_on_failure\": \"skip\"}')", "HD002 order_on_failure"),
        ("enqueue('k', options => '{\"fair_key\": null}')", "HD002 fair_key"),
        ("enqueue('k', options => '{\"weight\": 0}')", "HD002 weight"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT howdah.{sql}")).await?, refusal, "{sql}");
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn jobs_that_wait_at_a_gate_cost_the_claims_of_others_nothing() -> Result<()> {
    let db = Db::new().await?;
    // Whoever analyzes a table makes sessions look it up in the catalog again.
    db.stop_autovacuum().await?;
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let pages = format!("SELECT howdah.claim({worker})");
    let mut claim = async || -> Result<i64> {
        session.run("SELECT howdah.enqueue('k')").await?;
        Ok(cost(&mut session, &pages).await?.pages)
    };
    for _ in 0..8 {
        claim().await?;
    }
    let before = claim().await?;
    let many = "SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{20000}'), options => '{\"limit_key\": \"k\"}', priority => 0)";
    db.run(many).await?;
    // They come to their gate with the first claims, and stay there.
    db.wait_for(&format!("SELECT count(*) FROM howdah.claim({worker})"), "1").await?;
    for _ in 0..3 {
        db.run(&format!("SELECT howdah.claim({worker})")).await?;
    }
    assert_eq!(db.number("SELECT blocked FROM howdah.queues").await?, 19_999);
    let after = claim().await?;
    assert!(after <= before + 10, "{after} pages beside 19,999 blocked jobs, {before} before");
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_that_has_freed_a_slot_stops_nobody_at_the_gate() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(3)).await?;
    let (mut open, mut session, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"k\"}') FROM generate_series(1, 9)").await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    for _ in 0..2 {
        session.run(&format!("SELECT howdah.claim({worker})")).await?;
    }
    open.run(
        "BEGIN; SELECT howdah.complete_in(id, first_ids[1]) FROM (SELECT * FROM howdah.lease ORDER BY id LIMIT 1) l",
    )
    .await?;
    assert_eq!(session.list(&claim).await?.len(), 1, "the third slot; the first one is free when that is committed");
    session.run("SET statement_timeout = '10s'; SELECT howdah.complete(max(id)) FROM howdah.lease; SELECT howdah.open_gates(true)").await?;
    assert_eq!(session.list(&claim).await?.len(), 1);
    open.run("COMMIT").await?;
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_blocked_job_that_is_replaced_comes_to_its_new_gates() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let enqueue = |options: &str, more: &str| {
        format!("SELECT id FROM howdah.enqueue_unique('k', key => 'u', options => '{options}'{more})")
    };
    session.run("SELECT howdah.enqueue('k', options => '{\"order_key\": \"a\"}')").await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    let job = session.text(&enqueue("{\"order_key\": \"a\"}", "")).await?;
    assert_eq!(session.list(&claim).await?.len(), 1);
    assert_eq!(session.text(&format!("SELECT howdah.state({job})")).await?, "blocked");
    let replaced = enqueue("{\"order_key\": \"a\"}", ", on_hit => 'replace_time', delay => '1 day'");
    assert_eq!(session.text(&replaced).await?, job);
    assert_eq!(session.text(&format!("SELECT howdah.state({job})")).await?, "scheduled", "it is not lost");
    assert_eq!(session.text(&enqueue("{}", ", on_hit => 'replace'")).await?, job);
    assert_eq!(session.list(&claim).await?, [job], "it has no order any more");
    Ok(())
}

#[tokio::test]
async fn the_keepers_round_comes_to_every_gate() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("*").max_running(0)).await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let each = "SELECT howdah.enqueue('k', options => jsonb_build_object('limit_key', 't' || n)) FROM generate_series(1, 250) n";
    session.run(each).await?;
    session.run(&format!("SELECT howdah.claim({worker}, jobs => 9)")).await?;
    assert_eq!(session.number("SELECT blocked::bigint FROM howdah.queues").await?, 250);
    // As if nobody had been told that the rule is gone.
    session.run("DELETE FROM howdah.flow_rule; DELETE FROM howdah.gate_look").await?;
    for _ in 0..4 {
        session.run("SELECT howdah.open_gates(true)").await?;
    }
    assert_eq!(session.number("SELECT blocked::bigint FROM howdah.queues").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_set_counts_what_runs_already() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 100)");
    session
        .run("SELECT howdah.enqueue('k', options => '{\"limit_key\": [\"a:1\", \"b\"]}') FROM generate_series(1, 3)")
        .await?;
    assert_eq!(session.list(&claim).await?.len(), 3);
    session.run("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"a:1\"}') FROM generate_series(1, 9)").await?;
    session.run("SELECT howdah.set_limit('key', 'a:*', '{\"max_running\": 4}')").await?;
    assert_eq!(session.list(&claim).await?.len(), 1, "three of four run");
    session.run("SELECT howdah.set_limit('kind', 'k', '{\"max_running\": 2}')").await?;
    session.run("SELECT howdah.complete(id, ARRAY[first_ids[1]]) FROM howdah.lease ORDER BY id LIMIT 2").await?;
    assert_eq!(session.list(&claim).await?.len(), 0, "two of two run");
    session.run("SELECT howdah.complete(id) FROM howdah.lease; SELECT howdah.open_gates(true)").await?;
    assert_eq!(session.list(&claim).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_paused_queue_does_not_keep_the_slots_of_a_key_from_others() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session
        .run(
            "SELECT howdah.create_queue('q');
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{2000}'), 'q', options => '{\"limit_key\": \"k\"}', priority => 1);
             SELECT howdah.enqueue('k', '1', 'q', options => '{\"limit_key\": \"k\"}', priority => 1) FROM generate_series(1, 300);
             SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{3}'), options => '{\"limit_key\": \"k\"}')",
        )
        .await?;
    // All of them come to the gate, and one gets through.
    session
        .run(&format!(
            "SELECT howdah.claim({worker}, 'q', 1), howdah.claim({worker}, 'q', 500), howdah.claim({worker}, jobs => 9)"
        ))
        .await?;
    assert_eq!(session.number("SELECT sum(blocked)::bigint FROM howdah.queues").await?, 2302);
    session.run("SELECT howdah.pause_queue('q'); SELECT howdah.complete(id) FROM howdah.lease").await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    let mut looks = 0;
    while session.list(&claim).await?.is_empty() {
        looks += 1;
        assert!(looks < 6, "2,299 jobs of a paused queue are in the way");
        session.run("SELECT howdah.open_gates(false)").await?;
    }
    session.run("SELECT howdah.resume_queue('q')").await?;
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert_eq!(
        session.list(&format!("SELECT id FROM howdah.claim({worker}, 'q', 9)")).await?.len(),
        1,
        "they had not lost their place"
    );
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_cancelled_on_its_way_through_makes_room_for_the_next() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_limit(Limit::key("k").max_running(1)).await?;
    db.stop_clock("0").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue('k', options => '{\"limit_key\": \"k\"}') FROM generate_series(1, 5)").await?;
    let claim = format!("SELECT id FROM howdah.claim({worker}, jobs => 9)");
    session.run(&claim).await?;
    session.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    // The second one is ready now, and holds no slot. As if the keeper had come already:
    session.run("DELETE FROM howdah.gate_look WHERE look_at <= howdah.now()").await?;
    session.run("SELECT howdah.cancel(id) FROM howdah.jobs WHERE state = 'ready'").await?;
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim).await?.len(), 0, "not at once: it might have been on its way");
    db.stop_clock("5 seconds").await?;
    session.run("SELECT howdah.open_gates(false)").await?;
    assert_eq!(session.list(&claim).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_that_claimed_from_a_limited_queue_makes_nobody_wait() -> Result<()> {
    let db = Db::new().await?;
    let (mut open, mut other, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    open.run(
        "SELECT howdah.create_queue('a'), howdah.create_queue('b');
         SELECT howdah.set_limit('queue', q, '{\"max_running\": 5}') FROM unnest('{a,b}'::text[]) q;
         SELECT howdah.enqueue('k', '{}', q) FROM unnest('{a,b}'::text[]) q, generate_series(1, 9)",
    )
    .await?;
    let claim = |queue: &str| format!("SELECT id FROM howdah.claim({worker}, '{queue}', 2)");
    open.run("BEGIN").await?;
    other.run("SET statement_timeout = '10s'; BEGIN").await?;
    assert_eq!((open.list(&claim("a")).await?.len(), other.list(&claim("b")).await?.len()), (2, 2));
    // In a circle.
    assert_eq!((open.list(&claim("b")).await?.len(), other.list(&claim("a")).await?.len()), (0, 0));
    other.run("COMMIT; DELETE FROM howdah.sleeper").await?;
    assert_eq!(open.list(&claim("b")).await?.len(), 2);
    open.run("COMMIT").await?;
    assert_eq!(other.list(&claim("a")).await?.len(), 2);
    assert!(
        db.number("SELECT count(*) FROM howdah.gate_look WHERE gate ^@ 'queue:'").await? > 0,
        "the keeper is to wake them"
    );
    Ok(())
}

#[tokio::test]
async fn what_runs_counts_for_a_wider_limit_when_a_narrower_one_goes() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(r#"SELECT howdah.set_limit('key', 'ten:*', '{"max_running": 1}'), howdah.set_limit('key', 'ten:a', '{"rate": 1000}')"#).await?;
    db.run(r#"SELECT howdah.enqueue_many('k', '{1,2,3,4,5}', options => '{"limit_key": "ten:a"}')"#).await?;
    let claim = format!("SELECT count(*) FROM howdah.claim({worker}, jobs => 3)");
    assert_eq!(db.number(&claim).await?, 3);
    db.run("SELECT howdah.set_limit('key', 'ten:a', NULL)").await?;
    assert_eq!(db.number(&claim).await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.slot").await?, 3);
    Ok(())
}
