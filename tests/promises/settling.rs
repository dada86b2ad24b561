//! Two sessions of a worker say at the same moment how one job ended: one of them is believed.

use anyhow::Result;
use howdah_tests::{Db, Session, in_time};
use tokio::task::JoinHandle;

/// A lease of three jobs, and a handler whose transaction has ended one of them and is open.
struct Open {
    db: Db,
    handler: Session,
    lease: i64,
    jobs: [i64; 3],
}

async fn open() -> Result<Open> {
    open_at(0).await
}

/// With the job that comes so much after the first.
async fn open_at(nth: i64) -> Result<Open> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let first = db.number("SELECT first_id FROM howdah.enqueue_many('k', '{1,2,3}')").await?;
    let lease = db.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 3)")).await?;
    let mut handler = db.session().await?;
    handler.run(&format!("BEGIN; SELECT howdah.complete_in({lease}, {})", first + nth)).await?;
    Ok(Open { db, handler, lease, jobs: [first, first + 1, first + 2] })
}

impl Open {
    /// Says something in a session of its own, which is seen to wait for another.
    async fn waits(&self, sql: String) -> Result<JoinHandle<Result<Vec<String>>>> {
        let mut teller = self.db.session().await?;
        let pid = teller.number("SELECT pg_backend_pid()").await?;
        let told = tokio::spawn(async move { teller.list(&sql).await });
        let waits = format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}");
        self.db.wait_for(&waits, "Lock").await?;
        Ok(told)
    }

    fn fail(&self, job: i64) -> String {
        format!("SELECT job_id || ' ' || state FROM howdah.fail({}, '{{{job}}}')", self.lease)
    }

    async fn states(&self) -> Result<String> {
        self.db.text("SELECT string_agg(state, ' ' ORDER BY id, state) FROM howdah.jobs").await
    }
}

#[tokio::test]
async fn a_job_that_is_completed_in_a_transaction_cannot_fail_meanwhile() -> Result<()> {
    let mut open = open().await?;
    let told = open.waits(open.fail(open.jobs[0])).await?;
    // Others of the same lease do not wait.
    let other = format!("SELECT * FROM howdah.complete({}, '{{{}}}')", open.lease, open.jobs[1]);
    assert_eq!(in_time("another job to be completed", open.db.number(&other)).await??, open.jobs[1]);
    open.handler.run("COMMIT").await?;
    assert_eq!(in_time("the word about the job", told).await???, Vec::<String>::new());
    assert_eq!(open.states().await?, "completed completed running");
    assert_eq!(open.db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_whose_transaction_is_rolled_back_fails() -> Result<()> {
    let mut open = open().await?;
    let told = open.waits(open.fail(open.jobs[0])).await?;
    open.handler.run("ROLLBACK").await?;
    assert_eq!(in_time("the word about the job", told).await???, [format!("{} scheduled", open.jobs[0])]);
    assert_eq!(open.states().await?, "scheduled running running");
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_comes_later_cannot_complete_what_has_failed() -> Result<()> {
    let mut open = open().await?;
    let mut teller = open.db.session().await?;
    teller.run("BEGIN").await?;
    assert_eq!(teller.list(&open.fail(open.jobs[1])).await?, [format!("{} scheduled", open.jobs[1])]);
    let late = open.waits(format!("SELECT howdah.complete_in({}, {})", open.lease, open.jobs[1])).await?;
    teller.run("COMMIT").await?;
    let refused = in_time("the transaction that came later", late).await??;
    assert!(format!("{:#}", refused.expect_err("it has failed")).contains("is not held by lease"));
    open.handler.run("COMMIT").await?;
    assert_eq!(open.states().await?, "completed scheduled running");
    Ok(())
}

#[tokio::test]
async fn all_that_is_left_is_what_is_left_when_the_transaction_is_over() -> Result<()> {
    for (end, given_back, states) in [("COMMIT", 2, "completed ready ready"), ("ROLLBACK", 3, "ready ready ready")] {
        let mut open = open().await?;
        let told = open.waits(format!("SELECT howdah.release({})", open.lease)).await?;
        open.handler.run(end).await?;
        assert_eq!(in_time("the word about all", told).await???.len(), given_back, "{end}");
        assert_eq!(open.states().await?, states);
    }
    Ok(())
}

#[tokio::test]
async fn of_two_transactions_that_complete_one_job_one_does_and_the_other_is_told() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let job = db.number("SELECT howdah.enqueue('k')").await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    // Both have begun before the first of them can end: the job is the only one of its lease, which goes with it.
    let mut gate = db.session().await?;
    gate.run("BEGIN; LOCK TABLE howdah.receipt IN SHARE MODE").await?;
    let open = Open { handler: db.session().await?, db, lease, jobs: [job; 3] };
    let complete = format!("SELECT howdah.complete_in({lease}, {job})");
    let (first, second) = (open.waits(complete.clone()).await?, open.waits(complete).await?);
    gate.run("COMMIT").await?;
    in_time("the first", first).await???;
    let refused = in_time("the second", second).await??.expect_err("it has ended");
    assert!(format!("{refused:#}").contains("is not held by lease"), "{refused:#}");
    assert_eq!(open.states().await?, "completed");
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_comes_while_all_that_is_left_is_given_back_is_told() -> Result<()> {
    let mut open = open_at(2).await?;
    let released = open.waits(format!("SELECT howdah.release({})", open.lease)).await?;
    let late = open.waits(format!("SELECT howdah.complete_in({}, {})", open.lease, open.jobs[0])).await?;
    open.handler.run("COMMIT").await?;
    assert_eq!(in_time("the word about all", released).await???.len(), 2);
    let refused = in_time("the transaction that came later", late).await??.expect_err("it was given back");
    assert!(format!("{refused:#}").contains("is not held by lease"), "{refused:#}");
    assert_eq!(open.states().await?, "ready ready completed");
    Ok(())
}

#[tokio::test]
async fn each_of_neighbours_that_took_different_numbers_of_attempts_has_ended() -> Result<()> {
    for all in [true, false] {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let first = db.number("SELECT first_id FROM howdah.enqueue_many('k', '{1,2,3}')").await?;
        let ids = format!("{{{first},{},{}}}", first + 1, first + 2);
        let child = db
            .number(&format!("SELECT howdah.enqueue('child', options => '{{\"depends_on\": [{}]}}')", first + 2))
            .await?;
        let claim = format!("SELECT DISTINCT lease_id FROM howdah.claim({worker}, jobs => 3)");
        let lease = db.number(&claim).await?;
        let outer = format!("SELECT howdah.fail({lease}, '{{{first},{}}}', delay_ms => '{{0,0}}')", first + 2);
        db.run(&format!("{outer}; SELECT howdah.release({lease}); SELECT howdah.promote()")).await?;
        let lease = db.number(&claim).await?;
        let told = if all { String::new() } else { format!(", '{ids}'") };
        let complete = format!("SELECT string_agg(c::text, ',') FROM howdah.complete({lease}{told}) c");
        assert_eq!(format!("{{{}}}", db.text(&complete).await?), ids);
        let seen = "SELECT string_agg(format('%s %s %s', id, state, attempt), ', ' ORDER BY id) FROM howdah.jobs";
        assert_eq!(
            db.text(seen).await?,
            format!("{first} completed 2, {} completed 1, {} completed 2, {child} ready 0", first + 1, first + 2)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_null_among_the_jobs_that_are_told_of_says_nothing_of_the_others() -> Result<()> {
    for tell in ["complete", "release"] {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let first = db.number("SELECT first_id FROM howdah.enqueue_many('k', '{1,2,3}')").await?;
        let lease = db.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 3)")).await?;
        assert_eq!(db.number(&format!("SELECT howdah.{tell}({lease}, ARRAY[{first}, NULL])")).await?, first);
        let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs";
        let state = if tell == "complete" { "completed" } else { "ready" };
        assert_eq!(db.text(states).await?, format!("{state} running running"));
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_was_cancelled_in_a_transaction_and_sent_again_keeps_its_place_when_its_worker_lets_go() -> Result<()>
{
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let graph = r#"[{"name": "a", "kind": "a", "options": {"order_key": "o"}}, {"name": "b", "kind": "b"}]"#;
    let flow = db.number(&format!("SELECT howdah.enqueue_workflow('w', '{graph}')")).await?;
    let lease = db.number(&format!("SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 2)")).await?;
    let job = db.number("SELECT id FROM howdah.jobs WHERE kind = 'a'").await?;
    db.run(&format!("SELECT howdah.cancel_in({lease}, {job}); SELECT howdah.retry_workflow({flow})")).await?;
    assert_eq!(db.number(&format!("SELECT howdah.forget({worker}, {lease}, '{{{job}}}')")).await?, job);
    assert_eq!(db.number("SELECT job_id FROM howdah.ordered").await?, job);
    assert_eq!(db.text("SELECT string_agg(state, ' ' ORDER BY kind) FROM howdah.jobs").await?, "ready running");
    Ok(())
}
