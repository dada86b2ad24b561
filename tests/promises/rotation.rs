//! Nothing grows without bound, whatever else the database does; and nothing that lives is thrown away.

use anyhow::{Context, Result, bail};
use howdah_tests::{Db, Session};

/// Calls rotate, each time in a transaction of its own, until there is nothing to do. What it did.
async fn rotate(db: &Db) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for _ in 0..100 {
        let did = db.text("SELECT howdah.rotate()").await?;
        if did.is_empty() {
            return Ok(done);
        }
        done.push(did);
    }
    bail!("rotate finds no end: {done:?}")
}

async fn megabytes(db: &Db, partitions: &str) -> Result<i64> {
    let sizes = format!(
        "SELECT sum(pg_total_relation_size(oid))::bigint >> 20 FROM pg_class
          WHERE relnamespace = 'howdah'::regnamespace AND relkind = 'r' AND relname ~ '^{partitions}_[0-9]$'"
    );
    db.number(&sizes).await
}

/// A session with a snapshot that is as old as it will get, so that no vacuum cleans anything younger.
async fn old_snapshot(db: &Db) -> Result<Session> {
    let mut session = db.session().await?;
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.config").await?;
    Ok(session)
}

/// Enqueues jobs with long kinds, whose tickets take some 10 MB, and claims and completes all of them.
const FILL_AND_DRAIN: &str = "
    SELECT count(howdah.enqueue(repeat('k', 128))) FROM generate_series(1, 50000);
    DO $$ DECLARE w bigint := (SELECT max(id) FROM howdah.worker); l bigint; front bigint := 0;
    BEGIN
      LOOP
        SELECT max(c.lease_id), max(c.id) INTO l, front FROM howdah.claim(w, jobs => 500, fronts => array_fill(front, '{10}')) c;
        EXIT WHEN l IS NULL;
        PERFORM howdah.complete_leases(ARRAY[l], '{500}', NULL);
      END LOOP;
    END $$;";

#[tokio::test]
async fn tickets_stay_small_while_an_old_snapshot_keeps_vacuum_from_them() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    let _old = old_snapshot(&db).await?;
    let mut did = Vec::new();
    for round in 0..4 {
        db.run(FILL_AND_DRAIN).await?;
        did.extend(rotate(&db).await?);
        let size = megabytes(&db, "ticket").await?;
        assert!(size <= 32, "{size} MB of tickets after round {round} of {did:?}");
        assert_eq!(db.number("SELECT count(*) FROM howdah.ticket").await?, 0);
    }
    let turns = did.iter().filter(|d| d.starts_with("turned ticket")).count();
    let truncations = did.iter().filter(|d| d.starts_with("truncated ticket")).count();
    assert!(turns >= 3 && truncations >= 3, "{did:?}");
    Ok(())
}

#[tokio::test]
async fn leases_stay_small_while_an_old_snapshot_keeps_vacuum_from_them() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let _old = old_snapshot(&db).await?;
    // Every job that is settled by itself writes its lease anew: a lease of 500 runs is 6 kB.
    let settle = format!(
        "SELECT count(howdah.enqueue('k')) FROM generate_series(1, 5000);
         DO $$ DECLARE l bigint; ids bigint[];
         BEGIN
           FOR n IN 1..10 LOOP
             SELECT max(c.lease_id), array_agg(c.id) INTO l, ids FROM howdah.claim({worker}, jobs => 500) c;
             FOR i IN 1..120 LOOP PERFORM howdah.complete(l, ARRAY[ids[i]]); END LOOP;
             PERFORM howdah.complete(l);
           END LOOP;
         END $$"
    );
    let mut did = Vec::new();
    for round in 0..5 {
        db.run(&settle).await?;
        did.extend(rotate(&db).await?);
        let size = megabytes(&db, "lease").await?;
        assert!(size <= 24, "{size} MB of leases after round {round} of {did:?}");
    }
    assert!(did.iter().filter(|d| d.starts_with("truncated lease")).count() >= 2, "{did:?}");
    assert_eq!(db.jobs_in("completed").await?, 25_000);
    Ok(())
}

#[tokio::test]
async fn what_comes_back_again_and_again_takes_no_more_room_than_once() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let back = format!(
        "DO $$ DECLARE l bigint;
         BEGIN
           FOR n IN 1..100 LOOP
             SELECT max(c.lease_id) INTO l FROM howdah.claim({worker}, jobs => 500) c;
             PERFORM howdah.release(l);
           END LOOP;
         END $$"
    );
    db.run("SELECT count(howdah.enqueue(repeat('k', 128))) FROM generate_series(1, 500)").await?;
    let mut did = Vec::new();
    for _ in 0..3 {
        db.run(&back).await?;
        // The jobs live in the slot that was left, until they move on.
        did.extend(rotate(&db).await?);
        db.run(&back.replace("1..100", "1..1")).await?;
        did.extend(rotate(&db).await?);
    }
    assert!(did.iter().filter(|d| d.starts_with("truncated ticket_")).count() >= 2, "{did:?}");
    assert!(megabytes(&db, "ticket").await? <= 32, "{did:?}");
    assert_eq!(db.jobs_in("ready").await?, 500);
    Ok(())
}

/// Makes ticket_0 a slot that was left: rows in it were written, and none is live.
async fn leave_ticket_0(db: &Db) -> Result<i64> {
    let worker = db.worker().await?;
    db.run(&format!(
        "SELECT howdah.enqueue('k'); SELECT howdah.complete(lease_id) FROM howdah.claim({worker});
         UPDATE howdah.ring SET slot = 1 WHERE name = 'ticket'"
    ))
    .await?;
    Ok(worker)
}

#[tokio::test]
async fn rotate_passes_by_what_somebody_reads() -> Result<()> {
    let db = Db::new().await?;
    leave_ticket_0(&db).await?;
    let (mut reader, mut keeper) = (db.session().await?, db.session().await?);
    keeper.run("SET statement_timeout = '5s'").await?;
    reader.run("BEGIN; SELECT count(*) FROM howdah.ticket_0").await?;
    assert_eq!(keeper.text("SELECT howdah.rotate()").await?, "");
    assert!(db.number("SELECT pg_relation_size('howdah.ticket_0')").await? > 0);
    reader.run("COMMIT").await?;
    assert_eq!(keeper.text("SELECT howdah.rotate()").await?, "truncated ticket_0");
    Ok(())
}

/// pg_dump has its snapshot before it has its locks. What its snapshot shows must still be there when it reads.
#[tokio::test]
async fn rotate_takes_nothing_away_from_a_dump_that_has_no_locks_yet() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let id = db.number("SELECT howdah.enqueue('k')").await?;
    let (mut dump, mut keeper) = (db.session().await?, db.session().await?);
    dump.run("SET application_name = 'pg_dump'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class").await?;
    db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    db.run("UPDATE howdah.ring SET slot = 1 WHERE name = 'ticket'").await?;
    assert_eq!(keeper.text("SELECT howdah.rotate()").await?, "");
    assert_eq!(dump.number("SELECT first_id FROM howdah.ticket_0").await?, id, "its ticket is not in the dump");
    dump.run("COMMIT").await?;
    assert_eq!(keeper.text("SELECT howdah.rotate()").await?, "truncated ticket_0");
    Ok(())
}

#[tokio::test]
async fn rotate_does_not_wait_for_who_changes_a_queue() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('other')").await?;
    leave_ticket_0(&db).await?;
    let (mut person, mut keeper) = (db.session().await?, db.session().await?);
    keeper.run("SET statement_timeout = '5s'").await?;
    person.run("BEGIN; SELECT howdah.pause_queue('default')").await?;
    for _ in 0..3 {
        keeper.text("SELECT howdah.rotate()").await.context("rotate waited for the row of a queue")?;
    }
    person.run("COMMIT").await?;
    keeper.run("SELECT howdah.rotate(); SELECT howdah.rotate()").await?;
    assert_eq!(db.text("SELECT string_agg(fresh_slot::text, ' ') FROM howdah.queue").await?, "1 1");
    Ok(())
}

#[tokio::test]
async fn rotate_truncates_nothing_that_an_open_enqueue_has_written() -> Result<()> {
    let db = Db::new().await?;
    let worker = leave_ticket_0(&db).await?;
    let mut enqueuer = db.session().await?;
    // This one looked at its queue before the ring turned.
    enqueuer.run("BEGIN; SELECT howdah.enqueue('late')").await?;
    assert_eq!(enqueuer.number("SELECT count(*) FROM howdah.ticket_0").await?, 1);
    rotate(&db).await?;
    enqueuer.run("COMMIT").await?;
    rotate(&db).await?;
    assert_eq!(db.text(&format!("SELECT kind FROM howdah.claim({worker})")).await?, "late");
    assert_eq!(rotate(&db).await?, ["truncated ticket_0"]);
    Ok(())
}

/// A role or a session may have another isolation as its default. Truncating goes by no snapshot, so neither may
/// the decision to do it.
#[tokio::test]
async fn rotate_loses_no_job_under_any_isolation() -> Result<()> {
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let db = Db::new().await?;
        let worker = leave_ticket_0(&db).await?;
        let mut keeper = db.session().await?;
        keeper.run(&format!("BEGIN ISOLATION LEVEL {isolation}; SELECT count(*) FROM howdah.config")).await?;
        db.run("SELECT howdah.enqueue('late')").await?;
        // It may refuse.
        if keeper.run("SELECT howdah.rotate()").await.is_ok() {
            keeper.run("COMMIT").await?;
        }
        drop(keeper);
        let claimed = db.text(&format!("SELECT max(kind) FROM howdah.claim({worker})")).await?;
        assert_eq!(claimed, "late", "a committed job was truncated, under {isolation}");
    }
    Ok(())
}

#[tokio::test]
async fn history_is_kept_for_its_retention_and_not_much_longer() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '1 hour'").await?;
    let mut ended = Vec::new();
    for half_hours in 0..6 {
        db.travel(&format!("{} minutes", half_hours * 31)).await?;
        let did = rotate(&db).await?;
        assert_eq!(
            did.iter().filter(|d| d.starts_with("turned history")).count(),
            usize::from(half_hours > 0),
            "{did:?}"
        );
        let jobs =
            "SELECT array_agg(id ORDER BY id) FROM (SELECT howdah.enqueue('k') AS id FROM generate_series(1, 2)) e";
        db.text(jobs).await?;
        let one = format!("SELECT id FROM howdah.claim({worker}) c, howdah.complete(c.lease_id)");
        let other =
            format!("SELECT id FROM howdah.claim({worker}) c, howdah.fail(c.lease_id, ARRAY[id], '{{cancel}}')");
        ended.push((db.number(&one).await?, db.number(&other).await?));
        for (at, (completed, failed)) in ended.iter().enumerate() {
            let age = (half_hours - at) * 31;
            let state = db.text(&format!("SELECT (SELECT state FROM howdah.jobs WHERE id = {completed})")).await?;
            let failures = db.number(&format!("SELECT count(*) FROM howdah.failures WHERE job_id = {failed}")).await?;
            match age {
                0..=60 => assert_eq!((state.as_str(), failures), ("completed", 1), "after {age} minutes"),
                121.. => assert_eq!((state.as_str(), failures), ("", 0), "after {age} minutes"),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Lets hours pass, with a job in each that runs through; rotates every hour. What was done.
async fn live_on(db: &Db, hours: std::ops::RangeInclusive<u32>) -> Result<Vec<String>> {
    let worker = db.number("SELECT max(id) FROM howdah.worker").await?;
    let mut did = Vec::new();
    for hour in hours {
        db.travel(&format!("{} minutes", hour * 61)).await?;
        db.run(&format!(
            "SELECT howdah.enqueue('passing', priority => 0);
             SELECT howdah.complete(lease_id) FROM howdah.claim({worker}, kinds => '{{passing}}')"
        ))
        .await?;
        did.extend(rotate(db).await?.into_iter().filter(|d| d.contains("job")));
    }
    Ok(did)
}

#[tokio::test]
async fn the_partition_of_a_job_goes_after_the_retention_and_jobs_that_live_stay() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '4 hours'").await?;
    let payload = |is: &str| format!("jsonb_build_object('is', '{is}')");
    let over = db.number(&format!("SELECT howdah.enqueue('k', {})", payload("over"))).await?;
    db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    let dead = db.number(&format!("SELECT howdah.enqueue('k', {}, max_attempts => 1)", payload("dead"))).await?;
    db.run(&format!("SELECT howdah.fail(lease_id, ARRAY[id]) FROM howdah.claim({worker})")).await?;
    let later = db.number(&format!("SELECT howdah.enqueue('k', {}, delay => '30 days')", payload("later"))).await?;
    let ready = db.number(&format!("SELECT howdah.enqueue('k', {}, priority => 9)", payload("ready"))).await?;
    let seen = "SELECT string_agg(state || ' ' || (payload->>'is'), ', ' ORDER BY payload->>'is') FROM howdah.jobs WHERE kind = 'k'";
    let did = live_on(&db, 1..=3).await?;
    assert_eq!(did, ["turned job to job_1", "turned job to job_2", "turned job to job_3"]);
    assert_eq!(db.text(seen).await?, "dead dead, scheduled later, completed over, ready ready");
    let did = live_on(&db, 4..=7).await?;
    assert!(did.contains(&"truncated job_0".to_owned()), "{did:?}");
    assert_eq!(db.number("SELECT count(*) FROM howdah.job_0").await?, 0);
    assert_eq!(db.text(seen).await?, "dead dead, scheduled later, ready ready");
    assert_eq!(db.howdah.state(howdah::JobId(over)).await?, None);
    // All of them can still be run, with what they were given.
    db.run(&format!("SELECT howdah.retry({dead}); SELECT howdah.retry({later})")).await?;
    let mut session = db.session().await?;
    let claimed =
        session.list(&format!("SELECT id || ' ' || (payload->>'is') FROM howdah.claim({worker}, jobs => 9)")).await?;
    assert_eq!(claimed, [format!("{dead} dead"), format!("{later} later"), format!("{ready} ready")]);
    assert_eq!(session.list("SELECT howdah.complete(id) FROM howdah.lease").await?.len(), 3);
    live_on(&db, 8..=20).await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.job_kept").await?, 0, "their kept rows go after them");
    Ok(())
}

#[tokio::test]
async fn jobs_that_were_kept_are_claimed_in_their_order() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '4 hours'; SELECT howdah.enqueue_many('k', '{1,2,3}')")
        .await?;
    let did = live_on(&db, 1..=9).await?;
    assert!(did.contains(&"truncated job_0".to_owned()), "{did:?}");
    db.run("SELECT howdah.enqueue_many('k', '{4,5}')").await?;
    let mut session = db.session().await?;
    let claimed = session.list(&format!("SELECT payload FROM howdah.claim({worker}, jobs => 9)")).await?;
    assert_eq!(claimed, ["1", "2", "3", "4", "5"]);
    Ok(())
}

/// A year of waiting is longer than a turn of the ring: the partition is next before it is empty.
#[tokio::test]
async fn a_partition_that_was_full_for_long_does_not_stop_the_ring_for_ever() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '4 hours'").await?;
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{10001}'), run_at => clock_timestamp() + '1 day')")
        .await?;
    let did = live_on(&db, 1..=12).await?;
    let last = did.iter().rfind(|d| d.starts_with("turned")).context("no turn")?;
    assert_eq!(last, "turned job to job_7", "{did:?}");
    db.travel("25 hours").await?;
    db.run(&format!(
        "SELECT howdah.promote();
         DO $$ BEGIN FOR n IN 1..21 LOOP PERFORM howdah.complete(l) FROM (SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 500)) c(l); END LOOP; END $$"
    ))
    .await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'").await?, 0);
    let did = live_on(&db, 26..=34).await?;
    assert!(did.contains(&"truncated job_0".to_owned()), "it is never truncated: {did:?}");
    assert!(did.contains(&"turned job to job_0".to_owned()), "{did:?}");
    Ok(())
}

#[tokio::test]
async fn dead_jobs_are_pruned_after_their_retention() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("UPDATE howdah.config SET dead_retention = '1 hour'").await?;
    let die = format!(
        "SELECT howdah.enqueue('k'); SELECT howdah.fail(lease_id, ARRAY[id], '{{discard}}') FROM howdah.claim({worker})"
    );
    db.run(&die).await?;
    db.travel("40 minutes").await?;
    db.run(&die).await?;
    rotate(&db).await?;
    assert_eq!(db.jobs_in("dead").await?, 2);
    db.travel("61 minutes").await?;
    assert_eq!(rotate(&db).await?, ["pruned 1 dead and 0 kept jobs"]);
    assert_eq!(db.jobs_in("dead").await?, 1);
    db.travel("102 minutes").await?;
    rotate(&db).await?;
    assert_eq!(db.jobs_in("dead").await?, 0);
    Ok(())
}
