//! What a call costs does not depend on how much waits, on what vacuum has not cleaned, or on when its plan was made.
//!
//! Counted in pages touched and bytes logged, as PostgreSQL counts them for one statement: neither the machine nor
//! what other tests do is in the numbers.

use anyhow::{Context, Result};
use howdah_tests::{Db, Session};
use serde_json::Value;
use sqlx::AssertSqlSafe;

/// What one statement cost, with all that the functions in it did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) pages: i64,
    pub(crate) wal: i64,
}

pub(crate) async fn cost(session: &mut Session, sql: &str) -> Result<Cost> {
    let explain = AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING off, FORMAT json) {sql}"));
    let plan: Value =
        sqlx::query_scalar(explain).persistent(false).fetch_one(&mut session.0).await.context(sql.to_owned())?;
    let top = &plan[0]["Plan"];
    let count = |name: &str| top[name].as_i64().context(name.to_owned());
    Ok(Cost { pages: count("Shared Hit Blocks")? + count("Shared Read Blocks")?, wal: count("WAL Bytes")? })
}

/// How the tables were when the plans were made.
#[derive(Debug, Clone, Copy)]
enum Tables {
    NeverAnalysed,
    VacuumedEmpty,
}

/// A session that has called everything so often, with next to nothing in the tables, that its plans are made for
/// good. From then on nobody vacuums or analyses.
async fn early_session(db: &Db, tables: Tables) -> Result<(Session, i64)> {
    db.stop_autovacuum().await?;
    if let Tables::VacuumedEmpty = tables {
        db.run("VACUUM (ANALYZE)").await?;
    }
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let all = format!(
        "SELECT howdah.enqueue_many('k', '{{1,2,3,4,5}}'); SELECT howdah.enqueue('k'); SELECT howdah.enqueue('k', delay => '10 ms');
         SELECT howdah.release(lease_id) FROM howdah.claim({worker});
         SELECT howdah.complete(lease_id, ARRAY[id]) FROM howdah.claim({worker}, jobs => 1, fronts => '{{0,0,0,0,0,0,0,0,0,0}}');
         SELECT howdah.fail(lease_id, ARRAY[id], delay_ms => '{{0}}') FROM howdah.claim({worker}, jobs => 1);
         SELECT howdah.promote();
         SELECT howdah.complete_in(lease_id, id) FROM howdah.claim({worker}, jobs => 1);
         SELECT howdah.complete_leases(ARRAY[lease_id], '{{1}}', '{{1}}') FROM howdah.claim({worker}, jobs => 1);
         SELECT howdah.cancel(howdah.enqueue('k')); SELECT howdah.cancel(id) FROM howdah.claim({worker}, jobs => 1);
         SELECT howdah.fail(id, ARRAY[first_ids[1]], '{{cancel}}') FROM howdah.lease; SELECT howdah.heartbeat({worker});
         SELECT pg_sleep(0.011); SELECT howdah.promote()"
    );
    for _ in 0..8 {
        for sql in all.split("; ") {
            session.run(sql).await?;
        }
    }
    while session.number(&format!("SELECT count(*) FROM (SELECT howdah.complete(lease_id) FROM (SELECT DISTINCT lease_id FROM howdah.claim({worker}, jobs => 500)) c) d")).await? > 0 {}
    Ok((session, worker))
}

/// Waiting jobs of one ticket each, and of long runs; delayed ones; and leases that others hold.
async fn backlog(db: &Db, singles: usize, leases: usize) -> Result<()> {
    db.run(&format!(
        "SELECT count(howdah.enqueue('k')) FROM generate_series(1, {singles});
         SELECT count(howdah.enqueue('k', delay => '1 hour')) FROM generate_series(1, {singles} / 10);
         SELECT count(howdah.start_worker('busy')) FROM generate_series(1, 10);
         SELECT count(*) FROM (SELECT howdah.claim((SELECT max(id) FROM howdah.worker)) FROM generate_series(1, {leases})) c"
    ))
    .await
}

/// The calls that are made all the time, and what each may cost at most, in pages.
async fn hot_calls(session: &mut Session, worker: i64) -> Result<Vec<(&'static str, Cost)>> {
    let mut costs = Vec::new();
    for fronts in ["NULL", "'{0,0,0,0,0,0,0,0,0,0}'"] {
        let claim = format!("SELECT * FROM howdah.claim({worker}, jobs => 10, fronts => {fronts})");
        costs.push(("claim", cost(session, &claim).await?));
    }
    let leases = session.list(&format!("SELECT id FROM howdah.lease WHERE worker_id = {worker} ORDER BY id")).await?;
    let (one, other) = (&leases[0], &leases[1]);
    let ids = session.list(&format!("SELECT unnest(first_ids) FROM howdah.lease WHERE id = {other}")).await?;
    let complete = format!("SELECT howdah.complete_leases('{{{one}}}', '{{10}}', NULL)");
    costs.push(("complete_leases", cost(session, &complete).await?));
    for (name, call) in [
        ("complete", format!("complete({other}, '{{{}}}')", ids[0])),
        ("fail", format!("fail({other}, '{{{}}}', delay_ms => '{{0}}')", ids[1])),
        ("release", format!("release({other}, '{{{}}}')", ids[2])),
        ("complete_in", format!("complete_in({other}, {})", ids[3])),
        ("promote", "promote(10)".to_owned()),
        ("heartbeat", format!("heartbeat({worker})")),
        ("cancel", format!("cancel({})", ids[2])),
        ("enqueue", "enqueue('k')".to_owned()),
        ("enqueue_many", "enqueue_many('k', '{1,2,3,4,5,6,7,8,9,10}')".to_owned()),
    ] {
        costs.push((name, cost(session, &format!("SELECT * FROM howdah.{call}")).await?));
    }
    session.run(&format!("SELECT howdah.complete({other})")).await?;
    Ok(costs)
}

async fn a_backlog_costs_nothing(tables: Tables) -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = early_session(&db, tables).await?;
    backlog(&db, 100, 20).await?;
    hot_calls(&mut session, worker).await?;
    let few = hot_calls(&mut session, worker).await?;
    backlog(&db, 200_000, 2_000).await?;
    hot_calls(&mut session, worker).await?;
    let many = hot_calls(&mut session, worker).await?;
    // A tree of 200,000 entries is a page or two deeper than one of 100, at each descent.
    let wrong: Vec<_> =
        few.iter().zip(&many).filter(|((_, few), (_, many))| many.pages > few.pages * 5 / 2 + 20).collect();
    assert!(wrong.is_empty(), "{tables:?}: few and many: {wrong:#?}");
    let dear: Vec<_> = many.iter().filter(|(_, cost)| cost.pages > 400).collect();
    assert!(dear.is_empty(), "{tables:?}: {dear:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_called_all_the_time_costs_the_same_before_200_000_jobs_as_before_100() -> Result<()> {
    a_backlog_costs_nothing(Tables::NeverAnalysed).await
}

#[tokio::test]
async fn a_plan_that_was_made_for_empty_tables_does_not_read_full_ones() -> Result<()> {
    a_backlog_costs_nothing(Tables::VacuumedEmpty).await
}

#[tokio::test]
async fn a_claim_from_the_remembered_front_walks_over_nothing_dead() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = early_session(&db, Tables::NeverAnalysed).await?;
    let mut old = db.session().await?;
    old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.config").await?;
    backlog(&db, 51_000, 0).await?;
    let claim = |jobs: usize, fronts: &str| format!("howdah.claim({worker}, jobs => {jobs}, fronts => {fronts})");
    let front = async |session: &mut Session| session.number("SELECT max(first_ids[1]) FROM howdah.lease").await;
    session.run(&format!("SELECT {}", claim(10, "NULL"))).await?;
    let before = cost(&mut session, &format!("SELECT * FROM {}", claim(10, "NULL"))).await?;
    for _ in 0..100 {
        let at = front(&mut session).await?;
        session.run(&format!("SELECT {}", claim(500, &format!("array_fill({at}::bigint, '{{10}}')")))).await?;
    }
    assert_eq!(session.number("SELECT count(*) FROM howdah.ticket").await?, 51_000 - 50_020);
    let at = session.number("SELECT max(f) FROM howdah.lease, unnest(first_ids) f").await?;
    let sql = format!("SELECT * FROM {}", claim(10, &format!("array_fill({at}::bigint, '{{10}}')")));
    let after = cost(&mut session, &sql).await?;
    assert!(after.pages <= before.pages * 2 + 20, "{before:?} before and {after:?} after 50,000 dead tickets");
    let from_the_front = cost(&mut session, &format!("SELECT * FROM {}", claim(10, "NULL"))).await?;
    assert!(from_the_front.pages > after.pages + 300, "there was nothing dead to walk over: {from_the_front:?}");
    Ok(())
}

#[tokio::test]
async fn a_tick_of_the_keeper_walks_over_nothing_dead() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, _) = early_session(&db, Tables::NeverAnalysed).await?;
    let recent = "SELECT * FROM howdah.promote(1000, howdah.now() - interval '5 seconds')";
    let before = cost(&mut session, recent).await?;
    let mut old = db.session().await?;
    old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.config").await?;
    session.run("SELECT count(howdah.enqueue('k', delay => '1 second')) FROM generate_series(1, 20000)").await?;
    db.travel("1 hour").await?;
    while session.number("SELECT promoted FROM howdah.promote()").await? > 0 {}
    session.run(recent).await?;
    let after = cost(&mut session, recent).await?;
    assert!(after.pages <= before.pages * 2 + 20, "{before:?} before and {after:?} after 20,000 promoted jobs");
    Ok(())
}

#[tokio::test]
async fn asking_for_one_job_reads_one_job() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = early_session(&db, Tables::NeverAnalysed).await?;
    backlog(&db, 50_000, 50).await?;
    let scan = format!(
        "SELECT howdah.complete_leases(ARRAY[l], '{{500}}', NULL) FROM (SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 500)) c(l)"
    );
    for _ in 0..20 {
        session.run(&scan).await?;
    }
    // As on any server: somebody has analysed.
    db.run("ANALYZE").await?;
    for state in ["ready", "scheduled", "running", "completed"] {
        let id = session.number(&format!("SELECT max(id) FROM howdah.jobs WHERE state = '{state}'")).await?;
        let ask = format!("SELECT * FROM howdah.jobs WHERE id = {id}");
        let found = cost(&mut session, &ask).await?;
        assert!(found.pages <= 300, "{found:?} for a {state} job");
    }
    Ok(())
}

#[tokio::test]
async fn a_job_logs_little() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let (mut enqueue, mut drain) = (Vec::new(), Vec::new());
    // What a commit adds, and what a page adds when it is first changed after a checkpoint: the best of a few is without.
    for _ in 0..5 {
        let single =
            cost(&mut session, "SELECT howdah.enqueue('send_email', '{\"to\": 42}') FROM generate_series(1, 500)")
                .await?;
        enqueue.push(single.wal / 500);
        session.run(&format!("SELECT howdah.complete(l) FROM (SELECT DISTINCT lease_id FROM howdah.claim({worker}, jobs => 500)) c(l)")).await?;
        session.run("SELECT howdah.enqueue_many('k', array_fill('{}'::jsonb, '{2000}'))").await?;
        let mut bytes = 0;
        for _ in 0..10 {
            bytes += cost(&mut session, &format!("SELECT * FROM howdah.claim({worker}, jobs => 200)")).await?.wal;
            let lease = session.number("SELECT max(id) FROM howdah.lease").await?;
            let run_ms = format!("SELECT howdah.complete_leases('{{{lease}}}', '{{200}}', array_fill(7, '{{200}}'))");
            bytes += cost(&mut session, &run_ms).await?.wal;
        }
        drain.push(bytes / 2000);
    }
    let best = |all: &[i64]| all.iter().copied().min().context("no round");
    assert!((100..600).contains(&best(&enqueue)?), "bytes for each job enqueued alone: {enqueue:?}");
    assert!((1..60).contains(&best(&drain)?), "bytes for each job drained: {drain:?}");
    Ok(())
}
