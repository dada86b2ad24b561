//! Many at once: nobody waits for anybody else's transaction, no job has two owners, and a lost lease is worth nothing.

use std::collections::HashSet;

use anyhow::{Context, Result};
use howdah_tests::{Db, Session, in_time};
use tokio::task::JoinSet;

/// The lease of a claim of so many jobs from `default`, and their ids.
async fn claim(session: &mut Session, worker: i64, jobs: usize) -> Result<(i64, Vec<i64>)> {
    let rows =
        session.list(&format!("SELECT (lease_id, id)::text FROM howdah.claim({worker}, jobs => {jobs})")).await?;
    let pair = |row: &String| -> Result<(i64, i64)> {
        let (lease, id) = row.trim_matches(['(', ')']).split_once(',').context("a pair")?;
        Ok((lease.parse()?, id.parse()?))
    };
    let pairs = rows.iter().map(pair).collect::<Result<Vec<_>>>()?;
    Ok((pairs.first().map_or(0, |p| p.0), pairs.iter().map(|p| p.1).collect()))
}

async fn ids(session: &mut Session, sql: &str) -> Result<Vec<i64>> {
    session.list(sql).await?.iter().map(|id| Ok(id.parse()?)).collect()
}

#[tokio::test]
async fn an_open_transaction_blocks_nobody_elses_enqueue() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(&format!("SELECT howdah.fall_asleep({worker}, '{{1}}')")).await?;
    let mut open = Vec::new();
    for n in 0..16 {
        let mut session = db.session().await?;
        session.run("SET lock_timeout = '2s'; SET statement_timeout = '10s'; BEGIN").await?;
        // Everyone meets all that were here before, holding all that an enqueue of any kind leaves locked.
        session.run("SELECT howdah.enqueue('k'), howdah.enqueue('k', delay => '1 hour')").await?;
        session.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{300}'))").await?;
        session.run("INSERT INTO howdah.new_job (kind) VALUES ('k')").await?;
        assert_eq!(
            session.number("SELECT count(*) FROM howdah.jobs").await?,
            303,
            "session {n} sees other jobs than its own"
        );
        open.push(session);
    }
    let mut free = db.session().await?;
    let id = free.number("SELECT howdah.enqueue('free')").await?;
    let (lease, claimed) = claim(&mut free, worker, 500).await?;
    assert_eq!(claimed, [id], "a claim sees the one committed job, and waits for nobody");
    free.run(&format!("SELECT howdah.complete({lease})")).await?;
    for (n, session) in open.iter_mut().enumerate() {
        session.run(if n % 2 == 0 { "COMMIT" } else { "ROLLBACK" }).await?;
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 8 * 303 + 1);
    Ok(())
}

#[tokio::test]
async fn an_enqueue_that_is_rolled_back_leaves_nothing() -> Result<()> {
    let db = Db::new().await?;
    let before = db.content().await?;
    let mut session = db.session().await?;
    session.run("BEGIN; SELECT howdah.enqueue('k'), howdah.enqueue('k', delay => '1 s'); SAVEPOINT s").await?;
    session.run("SELECT howdah.enqueue_many('k', '{1,2}'); ROLLBACK TO s").await?;
    assert_eq!(session.number("SELECT count(*) FROM howdah.jobs").await?, 2);
    session.run("ROLLBACK").await?;
    // All or none: the one bad payload is the last of 1000.
    let bad = "SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{999}') || to_jsonb(repeat('x', 2000000)))";
    assert_eq!(session.refusal(bad).await?, "HD002 payload");
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn no_job_is_claimed_twice_and_none_is_left() -> Result<()> {
    let db = Db::new().await?;
    let jobs = "SELECT first_id + g FROM howdah.enqueue_many('k', array_fill('1'::jsonb, '{6000}')) e, generate_series(0, e.jobs - 1) g";
    let mut expected: Vec<i64> = ids(&mut db.session().await?, jobs).await?;
    expected.extend(ids(&mut db.session().await?, "SELECT howdah.enqueue('k') FROM generate_series(1, 2000)").await?);
    let mut claimers = JoinSet::new();
    for n in 0..8 {
        let (mut session, worker) = (db.session().await?, db.worker().await?);
        claimers.spawn(async move {
            let (mut mine, mut gave_back) = (Vec::new(), HashSet::new());
            // An empty answer is no empty queue: others may have had the tickets locked.
            while session.number("SELECT count(*) FROM howdah.ticket").await? > 0 {
                let (lease, mut claimed) = claim(&mut session, worker, 1 + n * 7).await?;
                // Some go back, once each, and are claimed anew: only what is kept counts.
                if let Some(back) = claimed.pop_if(|id| *id % 5 == 0 && gave_back.insert(*id)) {
                    session.run(&format!("SELECT howdah.release({lease}, '{{{back}}}')")).await?;
                }
                mine.extend(claimed);
            }
            Ok::<_, anyhow::Error>(mine)
        });
    }
    let mut found = Vec::new();
    while let Some(mine) = in_time("the claimers", claimers.join_next()).await? {
        found.extend(mine??);
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(db.jobs_in("running").await?, 8000);
    Ok(())
}

#[tokio::test]
async fn a_claim_waits_for_no_other_claim() -> Result<()> {
    let db = Db::new().await?;
    let (mut first, mut second, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    first.run("SELECT howdah.enqueue('new') FROM generate_series(1, 10)").await?;
    let (lease, _) = claim(&mut first, worker, 5).await?;
    first.run(&format!("SELECT howdah.release({lease})")).await?;
    first.run("BEGIN").await?;
    let (_, mine) = claim(&mut first, worker, 2).await?;
    second.run("SET statement_timeout = '5s'").await?;
    let (_, others) = claim(&mut second, worker, 10).await?;
    // What the first looked at ahead, of the new and of the returned jobs, is its own until it commits.
    assert!(others.len() >= 6 && mine.iter().all(|id| !others.contains(id)), "{mine:?} and {others:?}");
    first.run("COMMIT").await?;
    assert_eq!(claim(&mut second, worker, 10).await?.1.len(), 10 - mine.len() - others.len());
    Ok(())
}

#[tokio::test]
async fn jobs_come_in_order_of_priority_and_then_of_enqueueing_also_when_they_come_back() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for n in 0..40 {
        session.run(&format!("SELECT howdah.enqueue('k', priority => {})", (n * 7) % 10)).await?;
        session.run(&format!("SELECT howdah.enqueue_many('k', '{{1,2,3}}', priority => {})", (n * 3) % 10)).await?;
    }
    let right = ids(&mut session, "SELECT id FROM howdah.jobs ORDER BY priority, id").await?;
    let (lease, first) = claim(&mut session, worker, 90).await?;
    assert_eq!(first, right[..90]);
    let (other, second) = claim(&mut session, worker, 70).await?;
    assert_eq!(second, right[90..]);
    // Released, failed and rescued: all at their old places, among what never left.
    session.run(&format!("SELECT howdah.release({lease}, '{{{},{},{}}}')", first[0], first[40], first[89])).await?;
    session
        .run(&format!("SELECT howdah.fail({other}, '{{{},{}}}', delay_ms => '{{0,0}}')", second[9], second[3]))
        .await?;
    assert_eq!(session.number("SELECT promoted FROM howdah.promote()").await?, 2);
    session.run("SELECT howdah.enqueue('k', priority => 0), howdah.enqueue('k', priority => 9)").await?;
    let right = ids(&mut session, "SELECT id FROM howdah.jobs WHERE state = 'ready' ORDER BY priority, id").await?;
    let mut found = Vec::new();
    while found.len() < 7 {
        found.extend(claim(&mut session, worker, 2).await?.1);
    }
    assert_eq!((found, right.len()), (right, 7));
    Ok(())
}

#[tokio::test]
async fn a_claim_never_takes_more_than_it_asked_for_whatever_the_plan() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    // Statistics of an empty table, then rows: the state in which planners run a subquery again for each row.
    session.run("ALTER TABLE howdah.ticket_0 SET (autovacuum_enabled = off); ANALYZE howdah.ticket, howdah.job, howdah.deferred").await?;
    session.run("SELECT howdah.enqueue('k') FROM generate_series(1, 400)").await?;
    session.run("SELECT howdah.enqueue('k', delay => '1 hour') FROM generate_series(1, 100)").await?;
    let plans = [
        "enable_nestloop",
        "enable_hashjoin",
        "enable_mergejoin",
        "enable_indexscan",
        "enable_material",
        "enable_hashagg",
        "enable_tidscan",
    ];
    let mut claimed = 0;
    for (n, off) in plans.iter().enumerate() {
        for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
            session.run(&format!("DISCARD PLANS; SET {off} = off; SET plan_cache_mode = {mode}")).await?;
            assert_eq!(claim(&mut session, worker, n + 1).await?.1.len(), n + 1, "{off} off, {mode}");
            claimed += n + 1;
        }
        session.run(&format!("RESET {off}")).await?;
    }
    session
        .run("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_hashagg = off; SET enable_material = off; DISCARD PLANS")
        .await?;
    db.travel("2 hours").await?;
    for limit in [1, 2, 7] {
        assert_eq!(session.number(&format!("SELECT promoted FROM howdah.promote({limit})")).await?, limit);
        claimed -= usize::try_from(limit)?;
    }
    assert_eq!(session.number("SELECT sum(jobs) FROM howdah.ticket").await?, 400 - i64::try_from(claimed)?);
    assert_eq!(session.number("SELECT count(*) FROM howdah.deferred").await?, 90);
    Ok(())
}

#[tokio::test]
async fn after_a_rescue_the_old_lease_is_worth_nothing() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue_many('k', '{1,2,3,4}'); CREATE TABLE howdah.effect (job bigint)").await?;
    let (old, jobs) = claim(&mut session, worker, 4).await?;
    db.travel("61 seconds").await?;
    assert_eq!(session.text("SELECT howdah.rescue()").await?, "(w,4)");
    // Two are with another worker, two wait.
    let other = db.worker().await?;
    let (new, again) = claim(&mut session, other, 2).await?;
    assert_eq!(again, jobs[..2]);
    let before = db.content().await?;
    for job in &jobs {
        let settles = [
            format!("SELECT howdah.complete({old}, '{{{job}}}', '{{1}}')"),
            format!("SELECT howdah.fail({old}, '{{{job}}}')"),
            format!("SELECT howdah.fail({old}, '{{{job}}}', '{{cancel}}')"),
            format!("SELECT howdah.release({old}, '{{{job}}}')"),
            format!("SELECT howdah.forget({worker}, {old}, '{{{job}}}')"),
            format!("SELECT howdah.complete({old})"),
            format!("SELECT howdah.release({old})"),
            format!("SELECT howdah.complete_leases('{{{old}}}', '{{4}}', '{{1,1,1,1}}')"),
        ];
        for settle in settles {
            assert!(session.list(&settle).await?.is_empty(), "accepted: {settle}");
        }
        assert_eq!(session.text(&format!("SELECT howdah.holds({old}, {job})")).await?, "false");
        let with_effect =
            format!("BEGIN; INSERT INTO howdah.effect VALUES ({job}); SELECT howdah.complete_in({old}, {job}); COMMIT");
        assert_eq!(session.refusal(&with_effect).await?, "HD010");
        session.run("ROLLBACK").await?;
    }
    assert_eq!(session.refusal(&format!("SELECT howdah.claim({worker})")).await?, "HD004 worker_id");
    assert_eq!(session.text(&format!("SELECT alive FROM howdah.heartbeat({worker})")).await?, "false");
    assert_eq!(db.content().await?, before);
    assert_eq!(session.list(&format!("SELECT howdah.complete({new})")).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_lease_settles_only_its_own_jobs_and_each_once() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue_many('k', '{1,2,3,4}')").await?;
    let ((mine, a), (_, b)) = (claim(&mut session, worker, 2).await?, claim(&mut session, worker, 2).await?);
    let before = db.content().await?;
    for settle in ["complete", "fail", "release"] {
        assert!(session.list(&format!("SELECT howdah.{settle}({mine}, '{{{}}}')", b[0])).await?.is_empty());
    }
    assert_eq!(session.refusal(&format!("SELECT howdah.complete_in({mine}, {})", b[0])).await?, "HD010");
    assert_eq!(db.content().await?, before);
    let both = format!("SELECT howdah.complete({mine}, '{{{},{}}}')", a[0], b[1]);
    assert_eq!(ids(&mut session, &both).await?, [a[0]]);
    assert!(session.list(&both).await?.is_empty());
    assert_eq!(db.jobs_in("running").await?, 3);
    Ok(())
}

/// What the isolation of the caller must not change: a settlement sees what a complete_in has committed.
#[tokio::test]
async fn a_job_completed_in_is_given_to_nobody_by_a_transaction_that_began_before() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for settle in ["SELECT howdah.stop_worker($w)", "SELECT howdah.release($l)", "SELECT howdah.fail($l, '{$j}')"] {
        let worker = db.worker().await?;
        session.run("SELECT howdah.enqueue_many('k', '{1,2}')").await?;
        let (lease, jobs) = claim(&mut session, worker, 2).await?;
        let mut old = db.session().await?;
        old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.settled").await?;
        session.run(&format!("SELECT howdah.complete_in({lease}, {})", jobs[0])).await?;
        let names = [("$w", worker), ("$l", lease), ("$j", jobs[0])];
        let settle = names.iter().fold(settle.to_owned(), |sql, (name, is)| sql.replace(name, &is.to_string()));
        // It may be refused, and then changes nothing; or it may do it right.
        if old.run(&settle).await.is_ok() {
            old.run("COMMIT").await?;
        }
        let states = session.list(&format!("SELECT state FROM howdah.jobs WHERE id = {}", jobs[0])).await?;
        assert_eq!(states, ["completed"], "after {settle}");
        session.run(&format!("SELECT howdah.stop_worker({worker}); SELECT howdah.cancel({})", jobs[1])).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_heartbeats_is_not_rescued_and_who_does_not_is() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let mut session = db.session().await?;
    let (alive, silent) = (db.worker().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue_many('k', '{1,2}')").await?;
    let ((_, kept), (_, lost)) = (claim(&mut session, alive, 1).await?, claim(&mut session, silent, 1).await?);
    db.stop_clock("59.9 seconds").await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty());
    session.run(&format!("SELECT howdah.heartbeat({alive})")).await?;
    db.stop_clock("60.1 seconds").await?;
    assert_eq!(session.list("SELECT howdah.rescue()").await?, ["(w,1)"]);
    let states =
        format!("SELECT id || state || attempt FROM howdah.jobs WHERE id IN ({}, {}) ORDER BY id", kept[0], lost[0]);
    assert_eq!(session.list(&states).await?, [format!("{}running1", kept[0]), format!("{}ready1", lost[0])]);
    assert_eq!(ids(&mut session, "SELECT id FROM howdah.workers").await?, [alive]);
    // A heartbeat under way holds off the rescue that would otherwise be right.
    db.stop_clock("200 seconds").await?;
    let mut beating = db.session().await?;
    beating.run(&format!("BEGIN; SELECT howdah.heartbeat({alive})")).await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty());
    beating.run("COMMIT").await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_session_ended_is_rescued_after_a_missed_heartbeat() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let mut session = db.session().await?;
    let (mut held, mut ended) = (db.session().await?, db.session().await?);
    let (live, dead, pooled) = (db.worker().await?, db.worker().await?, db.worker().await?);
    assert_eq!(held.text(&format!("SELECT howdah.attach_session({live})")).await?, "true");
    ended.run(&format!("SELECT howdah.attach_session({dead})")).await?;
    let pid = ended.number("SELECT pg_backend_pid()").await?;
    ended.run("SELECT 1").await?;
    drop(ended);
    db.wait_for(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"), "0").await?;
    db.stop_clock("2.49 seconds").await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty(), "no heartbeat was missed yet");
    db.stop_clock("2.51 seconds").await?;
    assert_eq!(session.list("SELECT jobs FROM howdah.rescue()").await?, ["0"]);
    assert_eq!(ids(&mut session, "SELECT id FROM howdah.workers ORDER BY id").await?, [live, pooled]);
    db.stop_clock("59.9 seconds").await?;
    assert!(session.list("SELECT howdah.rescue()").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_session_that_the_keeper_may_not_look_into_is_not_taken_for_ended() -> Result<()> {
    let db = Db::new().await?;
    let role = format!("keeper_{}", db.text("SELECT current_database()").await?);
    db.run(&format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA howdah TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA howdah TO {role};"
    ))
    .await?;
    let mut held = db.session().await?;
    let worker = db.worker().await?;
    held.run(&format!("SELECT howdah.attach_session({worker})")).await?;
    db.travel("10 seconds").await?;
    let mut keeper = db.session().await?;
    keeper.run(&format!("SET ROLE {role}")).await?;
    let rescued = keeper.list("SELECT howdah.rescue()").await;
    db.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await?;
    assert_eq!(rescued?, Vec::<String>::new(), "a worker of another role was given up, and its session is open");
    Ok(())
}

#[tokio::test]
async fn there_is_one_keeper_and_a_former_one_can_do_nothing() -> Result<()> {
    let db = Db::new().await?;
    let (a, b) = (db.worker().await?, db.worker().await?);
    let (mut one, mut two) = (db.session().await?, db.session().await?);
    // Both stand at once: the second waits for the first, and then finds the office taken.
    one.run(&format!("BEGIN; SELECT howdah.elect_keeper({a})")).await?;
    let pid = two.number("SELECT pg_backend_pid()").await?;
    let second = tokio::spawn(async move {
        let elected = two.text(&format!("SELECT howdah.elect_keeper({b})")).await;
        (two, elected)
    });
    db.wait_for(&format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}"), "Lock").await?;
    one.run("COMMIT").await?;
    let (mut two, elected) = in_time("the second election", second).await??;
    assert_eq!(elected?, "");
    assert_eq!(one.text(&format!("SELECT howdah.elect_keeper({a})")).await?, "1", "the holder keeps its term");
    db.run("SELECT howdah.enqueue('k', delay => '1 minute')").await?;
    db.travel("1 hour").await?;
    assert_eq!(two.text(&format!("SELECT howdah.elect_keeper({b}, 3600000)")).await?, "2");
    let before = db.content().await?;
    for (worker, term) in [(a, 1), (a, 2), (b, 1), (b, 3)] {
        assert_eq!(one.refusal(&format!("SELECT howdah.keep({worker}, {term}, true, true, 100)")).await?, "HD011");
    }
    assert_eq!(db.content().await?, before);
    assert_eq!(two.text(&format!("SELECT promoted FROM howdah.keep({b}, 2, true, false, 100)")).await?, "1");
    db.travel("3 hours").await?;
    assert_eq!(
        two.refusal(&format!("SELECT howdah.keep({b}, 2, true, true, 100)")).await?,
        "HD011",
        "its term has run out"
    );
    Ok(())
}

#[tokio::test]
async fn a_job_runs_when_it_is_due_and_not_before() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for delay in [30, 10, 20] {
        session.run(&format!("SELECT howdah.enqueue_many('k', '{{1,2}}', delay => '{delay} minutes')")).await?;
    }
    let order = ids(&mut session, "SELECT id FROM howdah.jobs ORDER BY due_at, id").await?;
    for (minutes, due) in [("9 minutes 59 seconds", 0), ("10 minutes", 1), ("25 minutes", 1), ("31 minutes", 1)] {
        db.stop_clock(minutes).await?;
        assert_eq!(session.number("SELECT promoted FROM howdah.promote()").await?, due, "at {minutes}");
        assert_eq!(claim(&mut session, worker, 10).await?.1.len(), usize::try_from(due * 2)?);
    }
    let ran = ids(&mut session, "SELECT id FROM howdah.jobs WHERE state = 'running' ORDER BY claimed_at, id").await?;
    assert_eq!(ran, order);
    Ok(())
}

#[tokio::test]
async fn a_job_is_cancelled_or_claimed_and_never_both() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let (mut one, mut two) = (db.session().await?, db.session().await?);
    let mut outcomes = HashSet::new();
    for round in 0..300 {
        let jobs =
            ids(&mut one, "SELECT first_id + g FROM howdah.enqueue_many('k', '{1,2,3}'), generate_series(0, 2) g")
                .await?;
        let target = jobs[round % 3];
        let cancel = format!("SELECT howdah.cancel({target})");
        // In turn, either is sent first.
        let (claimed, said) = if round % 2 == 0 {
            tokio::join!(claim(&mut one, worker, 3), two.text(&cancel))
        } else {
            let (said, claimed) = tokio::join!(two.text(&cancel), claim(&mut one, worker, 3));
            (claimed, said)
        };
        let ((lease, mut claimed), said) = (claimed?, said?);
        // A ticket that the cancel had locked was skipped: claim the rest.
        let (rest, more) = claim(&mut one, worker, 3).await?;
        claimed.extend(more);
        let wanted: Vec<i64> = jobs.iter().copied().filter(|id| said == "cancelling" || *id != target).collect();
        claimed.sort_unstable();
        assert_eq!(claimed, wanted, "round {round}: {said}");
        let state = format!("SELECT state FROM howdah.jobs WHERE id = {target}");
        assert_eq!(two.list(&state).await?, [if said == "cancelling" { "running" } else { "cancelled" }]);
        one.run(&format!("SELECT howdah.complete({lease}); SELECT howdah.complete({rest})")).await?;
        outcomes.insert(said);
    }
    assert_eq!(outcomes, ["cancelled", "cancelling"].map(str::to_owned).into(), "the race was not one");
    Ok(())
}

#[tokio::test]
async fn to_wait_costs_the_same_however_many_jobs_there_are() -> Result<()> {
    let db = Db::new().await?;
    // As in a crowd that fails: much has come at once, and the planner knows of none of it.
    db.stop_autovacuum().await?;
    let mut session = db.session().await?;
    let job = session.number("SELECT howdah.enqueue('k', priority => 0)").await?;
    let cost = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM howdah.wait_for('{{{job}}}')");
    let mut read = Vec::new();
    for jobs in [0, 6000] {
        session.run(&format!("SELECT howdah.enqueue('k', delay => '1 hour') FROM generate_series(1, {jobs})")).await?;
        session.run(&format!("SELECT howdah.enqueue('k') FROM generate_series(1, {jobs})")).await?;
        let plan: serde_json::Value =
            sqlx::query_scalar(sqlx::AssertSqlSafe(cost.clone())).fetch_one(&mut session.0).await?;
        read.push(plan[0]["Plan"]["Shared Hit Blocks"].as_i64().unwrap_or(i64::MAX));
    }
    assert!(read[1] <= 2 * read[0] + 200, "{} pages with 12,000 jobs, {} with one", read[1], read[0]);
    Ok(())
}
