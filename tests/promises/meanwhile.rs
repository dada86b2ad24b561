//! What one session does to jobs while another does something to the same ones: neither undoes the other, and no job is in two rooms
//! or in none.

use anyhow::Result;
use howdah_tests::{Db, Session, in_time};

use crate::changing::waiting;
use crate::dependencies::keeper_looks;

const STATES: &str = "SELECT string_agg(kind || ' ' || state, ', ' ORDER BY id, state) FROM howdah.jobs";

/// An open transaction that has done this.
async fn open(db: &Db, sql: &str) -> Result<Session> {
    let mut session = db.session().await?;
    session.run(&format!("BEGIN; {sql}")).await?;
    Ok(session)
}

/// Claims what there is, and discards jobs of these kinds.
async fn discard(db: &Db, kinds: &str) -> Result<()> {
    let worker = db.worker().await?;
    db.run(&format!(
        "SELECT howdah.fail(c.lease_id, ARRAY[c.id], '{{discard}}') FROM howdah.claim({worker}, jobs => 100, kinds => '{kinds}') c"
    ))
    .await
}

async fn id(db: &Db, kind: &str) -> Result<i64> {
    db.number(&format!("SELECT id FROM howdah.jobs WHERE kind = '{kind}'")).await
}

async fn workflow(db: &Db, jobs: &str) -> Result<i64> {
    db.number(&format!("SELECT howdah.enqueue_workflow('w', '{jobs}')")).await
}

#[tokio::test]
async fn two_workflows_whose_jobs_were_cancelled_together_run_again_at_once() -> Result<()> {
    let db = Db::new().await?;
    let one = workflow(&db, r#"[{"name": "a", "kind": "one"}]"#).await?;
    let two = workflow(&db, r#"[{"name": "a", "kind": "two"}]"#).await?;
    db.run("SELECT howdah.cancel_many('default')").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.receipt").await?, 1, "or this shows nothing");
    let mut first = open(&db, &format!("SELECT howdah.retry_workflow({one})")).await?;
    let second = waiting(&db, &format!("SELECT howdah.retry_workflow({two})")).await?;
    first.run("COMMIT").await?;
    assert_eq!(in_time("the second", second).await???, "1");
    assert_eq!(db.text(STATES).await?, "one ready, two ready");
    Ok(())
}

#[tokio::test]
async fn who_begins_to_wait_for_a_dead_job_hears_of_its_second_life() -> Result<()> {
    for on_failure in ["hold", "run", "cancel"] {
        let db = Db::new().await?;
        db.run("SELECT howdah.enqueue('parent')").await?;
        discard(&db, "{parent}").await?;
        let parent = id(&db, "parent").await?;
        let options = format!(r#"{{"depends_on": [{parent}], "on_parent_failure": "{on_failure}"}}"#);
        let mut child = open(&db, &format!("SELECT howdah.enqueue('child', options => '{options}')")).await?;
        let worker = db.worker().await?;
        db.run(&format!("SELECT howdah.retry({parent})")).await?;
        db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
        child.run("COMMIT").await?;
        keeper_looks(&mut db.session().await?).await?;
        // What was asked for is done at once, if the parent was dead then.
        let state = if on_failure == "cancel" { "cancelled" } else { "ready" };
        assert_eq!(db.text(STATES).await?, format!("parent completed, child {state}"));
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_made_to_wait_while_somebody_sends_it_on_waits() -> Result<()> {
    let db = Db::new().await?;
    let job = db.number("SELECT howdah.enqueue('job', delay => '1 hour')").await?;
    let parent = db.number("SELECT howdah.enqueue('parent')").await?;
    let mut first = open(&db, &format!("SELECT howdah.add_dependency({job}, {parent})")).await?;
    let retried = waiting(&db, &format!("SELECT howdah.retry({job})")).await?;
    first.run("COMMIT").await?;
    assert_eq!(in_time("the retry", retried).await???, "blocked");
    assert_eq!(db.text(STATES).await?, "job blocked, parent ready");
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_workflow_waits_for_what_is_sent_again_while_it_is_made() -> Result<()> {
    let db = Db::new().await?;
    let flow = workflow(&db, r#"[{"name": "a", "kind": "a"}, {"name": "b", "kind": "b"}]"#).await?;
    discard(&db, "{a}").await?;
    let mut end = open(&db, &format!("SELECT howdah.workflow_end({flow})")).await?;
    let dead = id(&db, "a").await?;
    db.run(&format!("SELECT howdah.retry({dead})")).await?;
    end.run("COMMIT").await?;
    let worker = db.worker().await?;
    let complete =
        |kind: &str| format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker}, kinds => '{{{kind}}}')");
    let mut keeper = db.session().await?;
    db.run(&complete("b")).await?;
    keeper_looks(&mut keeper).await?;
    assert_eq!(db.text(STATES).await?, "a ready, b completed, howdah.workflow blocked");
    db.run(&complete("a")).await?;
    keeper_looks(&mut keeper).await?;
    assert_eq!(db.text(STATES).await?, "a completed, b completed, howdah.workflow completed");
    Ok(())
}

#[tokio::test]
async fn a_dead_job_that_is_moved_to_another_queue_meanwhile_is_not_purged_with_the_first() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('kept'), howdah.enqueue('job')").await?;
    discard(&db, "{job}").await?;
    let job = id(&db, "job").await?;
    let mut first = open(&db, &format!("SELECT howdah.change({job}, queue => 'kept')")).await?;
    let purged = waiting(&db, "SELECT purged FROM howdah.purge_dead('default')").await?;
    first.run("COMMIT").await?;
    assert_eq!(in_time("the purge", purged).await???, "0");
    assert_eq!(db.text(STATES).await?, "job dead");
    Ok(())
}

#[tokio::test]
async fn all_of_a_run_that_somebody_splits_meanwhile_is_sent_on() -> Result<()> {
    let db = Db::new().await?;
    let first = db
        .number("SELECT first_id FROM howdah.enqueue_many('k', array_fill('1'::jsonb, '{128}'), delay => '1 hour')")
        .await?;
    let mut other = open(&db, &format!("SELECT FROM howdah.find_for_update(ARRAY[{}]::bigint[])", first + 5)).await?;
    let retried = waiting(&db, "SELECT retried FROM howdah.retry_many(states => '{scheduled}')").await?;
    other.run("COMMIT").await?;
    assert_eq!(in_time("the retry", retried).await???, "128");
    assert_eq!(db.number("SELECT ready FROM howdah.queues").await?, 128);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_to_be_cancelled_while_its_worker_is_given_up_is_cancelled_and_not_lost() -> Result<()> {
    // In the lease that is being given up, and in one that was just before.
    for leases in [1, 2] {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let claim = format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 10)");
        let job = db.number("SELECT howdah.enqueue('job')").await?;
        if leases == 2 {
            db.run(&claim).await?;
        }
        let last =
            db.number(r#"SELECT howdah.enqueue('last', max_attempts => 1, options => '{"ttl_ms": 100000}')"#).await?;
        db.run(&claim).await?;
        // Who gives the worker up stops where it buries the other job.
        let mut gate = open(&db, &format!("SELECT FROM howdah.expiry WHERE job_id = {last} FOR UPDATE")).await?;
        let stopped = waiting(&db, &format!("SELECT howdah.stop_worker({worker})")).await?;
        assert_eq!(db.text(&format!("SELECT howdah.cancel({job})")).await?, "cancelling");
        gate.run("COMMIT").await?;
        assert_eq!(in_time("the end of the worker", stopped).await???, "2");
        db.run("SELECT howdah.prune()").await?;
        let states = "SELECT string_agg(kind || ' ' || state, ', ' ORDER BY kind) FROM howdah.jobs";
        assert_eq!(db.text(states).await?, "job cancelled, last dead", "{leases} leases");
        assert_eq!(db.number("SELECT count(*) FROM howdah.cancel_request").await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn who_mends_a_dead_job_and_sends_it_again_is_no_victim_of_another_who_sends_it() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.enqueue_unique('job', key => 'u')").await?;
    discard(&db, "{job}").await?;
    let retry = format!("SELECT howdah.retry({})", id(&db, "job").await?);
    let mut first = open(&db, &format!("SELECT howdah.change({}, payload => '1')", id(&db, "job").await?)).await?;
    let other = waiting(&db, &retry).await?;
    assert_eq!(in_time("the one who mends it", first.text(&retry)).await??, "ready");
    first.run("COMMIT").await?;
    assert_eq!(in_time("the other", other).await???, "ready");
    assert_eq!(db.text(STATES).await?, "job ready");
    Ok(())
}

#[tokio::test]
async fn who_sends_all_dead_jobs_of_a_workflow_again_is_no_victim_of_another_who_sends_one() -> Result<()> {
    let db = Db::new().await?;
    let flow = db
        .number(
            r#"SELECT howdah.enqueue_workflow('w', '[{"name": "a", "kind": "a"}, {"name": "z", "kind": "z"}]', NULL, '{"kind": "callback"}')"#,
        )
        .await?;
    for name in ["m", "b"] {
        db.run(&format!(r#"SELECT howdah.add_to_workflow({flow}, '[{{"name": "{name}", "kind": "{name}"}}]')"#))
            .await?;
    }
    discard(&db, "{a,m,b}").await?;
    let (a, m, b) = (id(&db, "a").await?, id(&db, "m").await?, id(&db, "b").await?);
    let mut gate = open(&db, &format!("SELECT howdah.change({m}, priority => 1)")).await?;
    let all = waiting(&db, &format!("SELECT howdah.act('retry', ARRAY[{a}, {m}, {b}])")).await?;
    let mut other = db.session().await?;
    let one = tokio::spawn(async move { other.text(&format!("SELECT howdah.retry({b})")).await });
    db.wait_for("SELECT count(*) > 0 FROM howdah.jobs WHERE kind = 'b' AND state = 'ready'", "true").await?;
    gate.run("COMMIT").await?;
    in_time("all", all).await???;
    assert_eq!(in_time("the one", one).await???, "ready");
    let states = "SELECT string_agg(kind || ' ' || state, ', ' ORDER BY kind) FROM howdah.jobs";
    assert_eq!(db.text(states).await?, "a ready, b ready, callback blocked, m ready, z ready");
    Ok(())
}

#[tokio::test]
async fn who_cancels_a_queue_is_no_victim_of_another_who_reschedules_some_of_it() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let first = db.number("SELECT first_id FROM howdah.enqueue_many('k', array_fill('1'::jsonb, '{10}'))").await?;
    db.run(&format!(
        "SELECT howdah.fail(c.lease_id, ARRAY[c.id], '{{retry}}', delay_ms => '{{3600000}}') FROM howdah.claim({worker}) c"
    ))
    .await?;
    let urgent = db.number("SELECT howdah.enqueue('k', priority => 1)").await?;
    let mut gate = open(&db, &format!("SELECT FROM howdah.find_for_update(ARRAY[{}]::bigint[])", first + 3)).await?;
    let act = format!(
        r#"SELECT howdah.act('reschedule', ARRAY[{first}, {}, {urgent}], '{{"delay": "2 hours"}}')"#,
        first + 3
    );
    let rescheduled = waiting(&db, &act).await?;
    let cancelled = waiting(&db, "SELECT cancelled FROM howdah.cancel_many('default')").await?;
    gate.run("COMMIT").await?;
    in_time("who reschedules", rescheduled).await???;
    assert_eq!(in_time("who cancels", cancelled).await???, "11");
    Ok(())
}

#[tokio::test]
async fn of_two_releases_that_declare_a_new_schedule_at_once_the_later_is_heard() -> Result<()> {
    let db = Db::new().await?;
    let declare = |kind: &str, revision: i32| {
        format!(r#"SELECT howdah.declare_schedule('s', '{{"expression": "0 3 * * *", "kind": "{kind}"}}', {revision})"#)
    };
    let mut later = open(&db, &declare("later", 2)).await?;
    let earlier = waiting(&db, &declare("earlier", 1)).await?;
    later.run("COMMIT").await?;
    assert_eq!(in_time("the earlier", earlier).await???, "false");
    assert_eq!(db.text("SELECT kind FROM howdah.schedules").await?, "later");
    Ok(())
}

#[tokio::test]
async fn steps_that_are_kept_at_the_same_moment_are_forgotten_one_without_the_other() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let job = db.number("SELECT howdah.enqueue('job')").await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let keep = |name: &str| format!("SELECT howdah.keep_step({lease}, {job}, '{name}', '1')");
    let mut first = open(&db, &keep("charge")).await?;
    db.run(&keep("mail")).await?;
    first.run("COMMIT").await?;
    db.run(&keep("archive")).await?;
    db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{discard}}')")).await?;
    assert_eq!(db.number(&format!("SELECT howdah.forget_steps({job}, 'mail')")).await?, 2);
    assert_eq!(db.text("SELECT string_agg(name, ',') FROM howdah.step").await?, "charge");
    Ok(())
}

#[tokio::test]
async fn who_is_told_which_job_has_a_key_after_its_attempt_has_failed_is_told_the_truth() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let job = db.number("SELECT id FROM howdah.enqueue_unique('job', key => 'k')").await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    // Whoever looks what state a job is in knows it, and goes on when the first session lets it.
    db.run(
        "CREATE OR REPLACE FUNCTION howdah.state(job_id bigint) RETURNS text LANGUAGE plpgsql AS $$
         DECLARE v_state text := (SELECT j.state FROM howdah.jobs j WHERE j.id = state.job_id);
         BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN v_state; END $$",
    )
    .await?;
    let mut first = open(&db, "SELECT pg_advisory_xact_lock(7)").await?;
    let replace = "SELECT id || ' ' || hit FROM howdah.enqueue_unique('job', '{\"n\": 1}', key => 'k', on_hit => 'replace_payload')";
    let replaced = waiting(&db, replace).await?;
    let fails = format!("SELECT state FROM howdah.fail({lease}, '{{{job}}}', '{{retry}}')");
    assert_eq!(db.text(&fails).await?, "scheduled");
    assert_eq!(db.number("SELECT id FROM howdah.enqueue_unique('job', key => 'k')").await?, job);
    first.run("COMMIT").await?;
    assert_eq!(in_time("the other", replaced).await???, format!("{job} true"));
    assert_eq!(db.text("SELECT string_agg(state || payload, ' ') FROM howdah.jobs").await?, "scheduled{\"n\": 1}");
    assert_eq!(db.number("SELECT job_id FROM howdah.unique_key").await?, job);
    Ok(())
}
