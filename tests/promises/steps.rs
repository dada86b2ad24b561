//! Steps whose results are kept: what was done is not done again, and what waits for a time holds nothing.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Answer, Ctx, Error, Job, JobError, JobId, JobState, Retry, Statement, Worker, testing};
use howdah_tests::{Db, HELD_TABLES, Session, Stepped, in_time, note, start, stepped};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// A worker process that is killed at the latest with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A job that its test's worker has a closure for.
#[derive(Debug, Job, Serialize, Deserialize)]
#[job(attempts = 3, retry = Retry::constant(Duration::from_millis(1)))]
struct Do {}

/// A job that has nothing to do.
#[derive(Debug, Job, Serialize, Deserialize)]
struct Quick {}

/// A worker that was registered by SQL, and the lease and job that it has claimed.
async fn claimed(db: &Db) -> Result<(i64, i64, JobId)> {
    let (worker, job) = (db.worker().await?, db.howdah.enqueue_raw("k", &()).await?);
    Ok((worker, claim(db, worker).await?, job))
}

async fn claim(db: &Db, worker: i64) -> Result<i64> {
    db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await
}

/// The steps of all jobs that are kept or were: name, state and attempt.
const STEPS: &str =
    "SELECT string_agg(name || ' ' || state || ' ' || attempt, ', ' ORDER BY job_id, n) FROM howdah.steps";

#[tokio::test]
async fn a_job_of_a_killed_worker_goes_on_elsewhere_after_its_last_finished_step() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    db.howdah.enqueue(Stepped {}).await?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker-process"));
    let mut process = Process(command.args([db.url(), "20000", "500"]).stdin(Stdio::null()).spawn()?);
    db.wait_for("SELECT count(*) FROM seen WHERE what = 'step 3'", "1").await?;
    let other = start(Worker::new(&db.howdah).handle(stepped).heartbeat(Duration::from_millis(500)));
    process.0.kill()?;
    db.wait_for("SELECT count(*) FROM seen WHERE what = 'step 3'", "2").await?;
    db.run("INSERT INTO go VALUES (1)").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed' AND attempt = 2", "1").await?;
    other.stop().await?;
    let seen = "SELECT string_agg(what || ' x' || n, ', ' ORDER BY what) FROM (SELECT what, count(*) n FROM seen GROUP BY 1) s";
    assert_eq!(db.text(seen).await?, "step 1 x1, step 2 x1, step 3 x2, step 4 x1, sum 100 x1");
    assert_eq!(db.text(STEPS).await?, "step 1 done 1, step 2 done 1, step 3 done 2, step 4 done 2");
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_has_lost_its_job_cannot_keep_a_step_and_its_handler_hears_of_it() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    let (inside, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, wait) = (Arc::clone(&inside), Arc::clone(&go));
    let running = start(Worker::new(&db.howdah).handle(move |_: Do, cx: Ctx<()>| {
        let (told, wait) = (Arc::clone(&told), Arc::clone(&wait));
        async move {
            let work = || async {
                told.notify_one();
                if cx.attempt() == 1 {
                    wait.notified().await;
                }
                Ok::<_, JobError>(cx.attempt())
            };
            let kept = cx.step("one", work).await.inspect_err(|_| assert!(!cx.lease_held()))?;
            note(&cx, &format!("kept {kept}")).await?;
            Ok::<_, JobError>(())
        }
    }));
    db.howdah.enqueue(Do {}).await?;
    in_time("the step", inside.notified()).await?;
    db.run("SELECT howdah.rescue_lease(id, worker_id, 'worker_lost', 'by the test') FROM howdah.lease").await?;
    db.wait_for("SELECT count(*) FROM seen WHERE what = 'kept 2'", "1").await?;
    go.notify_one();
    db.wait_for("SELECT string_agg(state || attempt, ' ') FROM howdah.jobs", "completed2").await?;
    running.stop().await?;
    assert_eq!(db.text(STEPS).await?, "one done 2");
    assert_eq!(db.number("SELECT count(*) FROM seen").await?, 1, "the stale attempt went no further");
    Ok(())
}

/// What the steps had given is gone with the job: to a stale attempt it would look as if nothing was done.
#[tokio::test]
async fn an_attempt_whose_job_has_ended_elsewhere_does_not_begin_its_steps_again() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    let (inside, go, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, wait, ended) = (Arc::clone(&inside), Arc::clone(&go), Arc::clone(&over));
    let running = start(Worker::new(&db.howdah).handle(move |_: Do, cx: Ctx<()>| {
        let (told, wait, ended) = (Arc::clone(&told), Arc::clone(&wait), Arc::clone(&ended));
        async move {
            if cx.attempt() == 1 {
                told.notify_one();
                wait.notified().await;
            }
            let work = || async { note(&cx, &format!("charged {}", cx.attempt())).await.map_err(JobError::retry) };
            let done = cx.step("charge", work).await;
            if cx.attempt() == 1 {
                assert!(done.is_err() && !cx.lease_held(), "{done:?}");
                ended.notify_one();
            }
            done
        }
    }));
    db.howdah.enqueue(Do {}).await?;
    in_time("the first attempt", inside.notified()).await?;
    db.run("SELECT howdah.rescue_lease(id, worker_id, 'worker_lost', 'by the test') FROM howdah.lease").await?;
    db.wait_for("SELECT string_agg(state || attempt, ' ') FROM howdah.jobs", "completed2").await?;
    go.notify_one();
    in_time("the stale attempt", over.notified()).await?;
    running.stop().await?;
    assert_eq!(db.text("SELECT string_agg(what, ' ') FROM seen").await?, "charged 2");
    Ok(())
}

#[tokio::test]
async fn whoever_has_lost_the_lease_can_keep_nothing_and_wait_for_nothing() -> Result<()> {
    let db = Db::new().await?;
    let (worker, lease, job) = claimed(&db).await?;
    let mut session = db.session().await?;
    let calls = ["keep_step({}, 'a')", "begin_sleep({}, 'b', 1000)", "await_signal({}, 'c')"];
    let on = |call: &str, lease: i64| format!("SELECT howdah.{}", call.replace("{}", &format!("{lease}, {job}")));
    db.run("SELECT howdah.rescue_lease(id, worker_id, 'worker_lost', 'by the test') FROM howdah.lease").await?;
    let newer = claim(&db, worker).await?;
    for call in calls {
        assert_eq!(session.refusal(&on(call, lease)).await?, "HD010", "{call}");
    }
    assert_eq!(session.refusal(&format!("SELECT howdah.get_steps({job}, {lease})")).await?, "HD010");
    session.run(&format!("SELECT howdah.get_steps({job}, {newer}), howdah.get_steps({job})")).await?;
    assert_eq!(session.number("SELECT count(*) FROM howdah.step").await?, 0);
    for call in calls {
        session.run(&on(call, newer)).await?;
    }
    let kept = "SELECT string_agg(kind || ' ' || name || ' ' || attempt, ', ' ORDER BY n) FROM howdah.step";
    assert_eq!(session.text(kept).await?, "step a 2, sleep b 2, signal c 2");
    // While a transaction that keeps a step is open, nobody gives the job to others.
    session.run(&format!("BEGIN; SELECT howdah.keep_step({newer}, {job}, 'd')")).await?;
    db.run(&format!("SELECT howdah.rescue_worker({worker}, 'worker_lost', 'by the test')")).await?;
    assert_eq!(db.text(&format!("SELECT howdah.state({job})")).await?, "running");
    session.run("COMMIT").await?;
    db.run("SELECT howdah.rescue()").await?;
    assert_eq!(db.text(&format!("SELECT howdah.state({job})")).await?, "ready");
    Ok(())
}

#[tokio::test]
async fn a_step_in_a_transaction_has_its_effect_exactly_once() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE paid (n integer)").await?;
    let running = start(Worker::new(&db.howdah).handle(async |_: Do, cx: Ctx<()>| {
        let pay = |fails: bool| {
            let cx = &cx;
            cx.step_in_tx("pay", move |mut tx| async move {
                sqlx::query("INSERT INTO paid VALUES (1)").execute(&mut *tx).await?;
                if fails { Err(sqlx::Error::RowNotFound) } else { Ok(7) }
            })
        };
        // It failed, and may be tried again in the same attempt.
        if cx.attempt() == 1 {
            assert!(pay(true).await.is_err());
        }
        let paid: i32 = pay(false).await?;
        let before: Option<i32> = cx.kept_step("by hand").await?;
        if before.is_none() {
            let mut tx = cx.howdah().pool().begin().await?;
            sqlx::query("INSERT INTO paid VALUES ($1)").bind(paid).execute(&mut *tx).await?;
            cx.step_in(&mut tx, "by hand", &8).await?;
            // The first is dropped, and rolled back.
            if cx.attempt() == 2 {
                tx.commit().await?;
            }
        }
        if cx.attempt() < 3 { Err(JobError::retry("once more")) } else { Ok(()) }
    }));
    let job = db.howdah.enqueue(Do {}).await?;
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {job}"), "completed").await?;
    running.stop().await?;
    assert_eq!(db.text("SELECT string_agg(n::text, ' ' ORDER BY n) FROM paid").await?, "1 7");
    assert_eq!(db.text(STEPS).await?, "pay done 1, by hand done 2");
    Ok(())
}

#[tokio::test]
async fn steps_are_read_once_in_an_attempt_and_a_name_is_used_once() -> Result<()> {
    let db = Db::new().await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let howdah = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        counter.fetch_add(usize::from(statement.operation == "get_steps"), Ordering::Relaxed);
    });
    let running = start(Worker::new(&howdah).handle(async |_: Do, cx: Ctx<()>| {
        for n in 0..5 {
            cx.step(format!("page {n}"), || async { Ok::<_, JobError>(n) }).await?;
        }
        if cx.attempt() == 2 {
            return Ok(());
        }
        cx.step("page 3", || async { Ok::<_, JobError>(3) }).await.map(|_| ())
    }));
    db.howdah.enqueue(Do {}).await?;
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    running.stop().await?;
    assert_eq!(asked.load(Ordering::Relaxed), 2, "once for each attempt");
    let failure = db.text("SELECT error_kind || ': ' || message FROM howdah.failures").await?;
    assert!(failure.starts_with("step: the step \"page 3\" was used before in this attempt"), "{failure}");
    Ok(())
}

#[tokio::test]
async fn a_dead_job_goes_on_after_its_last_step_or_from_one_or_from_the_start() -> Result<()> {
    let db = Db::new().await?;
    let (ran, misfit) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (log, asks) = (Arc::clone(&ran), Arc::clone(&misfit));
    let running = start(Worker::new(&db.howdah).handle(move |_: Do, cx: Ctx<()>| {
        let (log, asks) = (Arc::clone(&log), Arc::clone(&asks));
        async move {
            for name in ["a", "b", "c"] {
                let work =
                    || async { log.lock().map(|mut log| log.push(name)).map_err(|_| JobError::retry("poisoned")) };
                cx.step(name, work).await?;
            }
            if asks.load(Ordering::Relaxed) == 1 {
                let _: Option<u32> = cx.kept_step("b").await?;
            }
            Err::<(), _>(JobError::discard("dead"))
        }
    }));
    let job = db.howdah.enqueue(Do {}).await?;
    let dies = async || -> Result<String> {
        db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {job}"), "dead").await?;
        Ok(ran.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.drain(..).collect())
    };
    assert_eq!(dies().await?, "abc");
    assert_eq!(db.howdah.retry(job).await?, Some(JobState::Ready));
    assert_eq!(dies().await?, "", "all was done");
    assert_eq!(db.howdah.retry_from(job, Some("b")).await?, Some(JobState::Ready));
    assert_eq!(dies().await?, "bc");
    assert_eq!(db.howdah.retry_from(job, None).await?, Some(JobState::Ready));
    assert_eq!(dies().await?, "abc");
    let error = db.howdah.retry_from(job, Some("z")).await;
    assert!(
        matches!(&error, Err(Error::Invalid { field, hint, .. }) if field == "from_step" && hint.contains("a, b, c")),
        "{error:?}"
    );
    // What is kept does not fit the type that is asked for.
    misfit.store(1, Ordering::Relaxed);
    db.howdah.retry(job).await?;
    db.wait_for("SELECT count(*) FROM howdah.failures WHERE error_kind = 'step'", "3").await?;
    let message = db.text("SELECT max(message) FROM howdah.failures WHERE error_kind = 'step'").await?;
    assert!(message.contains("what is kept of the step \"b\" does not fit"), "{message}");
    running.stop().await
}

#[tokio::test]
async fn a_sleeping_job_holds_no_slot_and_wakes_in_another_process_when_its_time_has_come() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    let worker = || {
        let sleeps = async |_: Do, cx: Ctx<()>| {
            note(&cx, "begins").await?;
            cx.step("before", || note(&cx, "before")).await?;
            cx.sleep("a week", Duration::from_secs(7 * 86_400)).await?;
            cx.step("after", || note(&cx, "after")).await
        };
        start(Worker::new(&db.howdah).handle(sleeps).handle(async |_: Quick| {}).queue("default", 1))
    };
    let others = async |n: usize| -> Result<()> {
        db.howdah.enqueue(Quick {}).await?;
        let done = "SELECT count(*) FROM howdah.jobs WHERE kind = 'quick' AND state = 'completed'";
        db.wait_for(done, &n.to_string()).await
    };
    db.stop_clock("0").await?;
    let running = worker();
    let job = db.howdah.enqueue(Do {}).await?;
    let told =
        format!("SELECT state || ' ' || attempt || ' ' || coalesce(reason, '') FROM howdah.jobs WHERE id = {job}");
    let asleep = "scheduled 0 sleeps (a week) until 2100-01-08 00:00:00Z";
    db.wait_for(&told, asleep).await?;
    others(1).await?;
    running.stop().await?;
    // A day before, somebody sends it on: it goes back to sleep, until the same time.
    db.stop_clock("6 days").await?;
    db.howdah.retry(job).await?;
    let running = worker();
    db.wait_for("SELECT count(*) FROM seen WHERE what = 'begins'", "2").await?;
    db.wait_for(&told, asleep).await?;
    others(2).await?;
    running.stop().await?;
    db.stop_clock("7 days").await?;
    let running = worker();
    db.wait_for(&told, "completed 1 ").await?;
    running.stop().await?;
    let seen = "SELECT string_agg(what, ' ' ORDER BY at) FROM seen WHERE what <> 'begins'";
    assert_eq!(db.text(seen).await?, "before after");
    assert_eq!(db.text(STEPS).await?, "before done 1, a week done 1, after done 1");
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_no_step_may_be_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let (_, lease, job) = claimed(&db).await?;
    let mut session = db.session().await?;
    let on = format!("{lease}, {job}");
    session.run(&format!("SELECT howdah.keep_step({on}, 'there'), howdah.begin_sleep({on}, 'nap', 1)")).await?;
    for (call, wanted) in [
        ("keep_step({}, '')", "HD002 name"),
        ("keep_step({}, NULL)", "HD002 name"),
        ("keep_step({}, repeat('ä', 65))", "HD002 name"),
        ("keep_step({}, E'a\\nb')", "HD002 name"),
        ("keep_step({}, 'there')", "HD002 name"),
        ("keep_step({}, 'nap')", "HD002 name"),
        ("keep_step({}, 'big', to_jsonb(repeat('x', 262143)))", "HD002 result"),
        ("begin_sleep({}, 'there', 1)", "HD002 name"),
        ("begin_sleep({}, 'new', -1)", "HD002 delay_ms"),
        ("begin_sleep({}, 'new', NULL)", "HD002 delay_ms"),
        ("await_signal({}, 'nap')", "HD002 name"),
        ("await_signal({}, 'new', -1)", "HD002 timeout_ms"),
    ] {
        let sql = format!("SELECT howdah.{}", call.replace("{}", &on));
        assert_eq!(session.refusal(&sql).await?, wanted, "{sql}");
    }
    assert_eq!(session.refusal(&format!("SELECT howdah.forget_steps({job})")).await?, "HD007 job_id");
    assert_eq!(session.text("SELECT howdah.forget_steps(-1)").await?, "");
    session.run(&format!("SELECT howdah.keep_step({on}, repeat('ä', 64), to_jsonb(repeat('x', 262142)))")).await?;
    session.run("UPDATE howdah.step SET n = 9999, bytes = 67108864 - 6 WHERE name = 'there'").await?;
    assert_eq!(session.refusal(&format!("SELECT howdah.keep_step({on}, 'x', '1234567')")).await?, "HD002 result");
    session.run(&format!("SELECT howdah.keep_step({on}, 'last', '123456')")).await?;
    assert_eq!(session.refusal(&format!("SELECT howdah.keep_step({on}, 'y', '1')")).await?, "HD002 name");
    session.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    assert_eq!(session.refusal(&format!("SELECT howdah.keep_step({on}, 'z')")).await?, "HD012");
    Ok(())
}

#[tokio::test]
async fn the_steps_of_a_job_that_ended_well_are_history_and_go_with_it() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let mut jobs = Vec::new();
    for ends in ["complete({lease})", "fail({lease}, '{{job}}', '{discard}')", "fail({lease}, '{{job}}', '{cancel}')"] {
        let job = db.howdah.enqueue_raw("k", &()).await?;
        let lease = claim(&db, worker).await?;
        db.run(&format!(
            "SELECT howdah.keep_step({lease}, {job}, 'a', '{job}'), howdah.await_signal({lease}, {job}, 'b')"
        ))
        .await?;
        let ends = ends.replace("{lease}", &lease.to_string()).replace("{job}", &job.to_string());
        db.run(&format!("SELECT howdah.{ends}")).await?;
        jobs.push(job);
    }
    assert_eq!(db.text("SELECT string_agg(name, ' ') FROM howdah.step").await?, "a", "of the dead one, what is done");
    assert_eq!(db.text(STEPS).await?, "a done 1, b waiting 1, a done 1, a done 1, b waiting 1");
    let steps = db.howdah.steps(jobs[0]).await?;
    assert_eq!(steps[0].result, Some(jobs[0].0.into()));
    assert_eq!((steps[1].kind.as_str(), steps[1].wakes_at), ("signal", None));
    db.run(&format!("SELECT howdah.delete({})", jobs[0])).await?;
    assert_eq!(db.howdah.steps(jobs[0]).await?, []);
    db.run("SELECT howdah.purge_dead('default')").await?;
    assert_eq!(db.howdah.steps(jobs[1]).await?, []);
    assert_eq!(db.text(STEPS).await?, "a done 1, b waiting 1");
    for days in ["1 day", "2 days", "3 days", "4 days"] {
        db.travel(days).await?;
        while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    }
    assert_eq!(db.text(STEPS).await?, "");
    Ok(())
}

async fn buffers(session: &mut Session, sql: &str) -> Result<i64> {
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
    let plan: serde_json::Value = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut session.0).await?;
    plan[0]["Plan"]["Shared Hit Blocks"].as_i64().context("buffers")
}

#[tokio::test]
async fn jobs_without_steps_pay_one_probe_when_they_end() -> Result<()> {
    let db = Db::new().await?;
    // Whoever analyzes a table makes sessions look it up in the catalog again.
    db.stop_autovacuum().await?;
    // Planned while the tables were empty, as everywhere.
    let mut session = db.session().await?;
    let end = "SELECT howdah.ended(array_agg(b << 7), array_agg(1::smallint)) FROM generate_series(100001, 100500) b";
    for _ in 0..8 {
        session.run(end).await?;
    }
    let empty = buffers(&mut session, end).await?;
    session
        .run(
            "INSERT INTO howdah.step (job_id, n, attempt, kind, state, at, bytes, name)
             SELECT b << 7, 1, 1, 'step', 'done', now(), 0, 'a' FROM generate_series(1, 100000) b",
        )
        .await?;
    session.run(end).await?;
    let beyond = buffers(&mut session, end).await?;
    assert!(beyond <= empty + 5, "{empty} buffers when nobody has steps, {beyond} when others have");
    let some = buffers(&mut session, &end.replace("100001, 100500", "99751, 100250")).await?;
    assert!(some < 8000, "{some} buffers to move the steps of 250 jobs");
    assert_eq!(
        session.text("SELECT (SELECT count(*) FROM howdah.step) || ' ' || count(*) FROM howdah.past_step").await?,
        "99750 250"
    );
    Ok(())
}

#[tokio::test]
async fn handlers_with_steps_are_tested_without_a_database_and_drained_without_waiting() -> Result<()> {
    async fn sleeps(_: Do, cx: Ctx<()>) -> Result<(), JobError> {
        let one = cx.step("one", || async { Ok::<_, JobError>(1) }).await?;
        cx.sleep("a week", Duration::from_secs(7 * 86_400)).await?;
        assert_eq!(one, 1);
        Ok(())
    }
    async fn waits(job: Do, cx: Ctx<()>) -> Result<(), JobError> {
        let heard = cx.wait_for_signal::<u8>("a day", Duration::from_secs(86_400)).await?;
        assert_eq!(heard, None);
        sleeps(job, cx).await
    }
    let nowhere = testing::without_database();
    let outcome = testing::run(&Worker::new(&nowhere).handle(sleeps), Do {}).await;
    assert!(outcome.is_completed(), "{outcome:?}");
    let outcome = testing::run(&Worker::new(&nowhere).handle(waits), Do {}).await;
    assert!(matches!(&outcome, testing::Outcome::Failed { kind, .. } if kind == "step"), "{outcome:?}");
    let db = Db::new().await?;
    db.howdah.enqueue(Do {}).await?;
    let worker = Worker::new(&db.howdah).handle(waits);
    let drained = testing::drain(&worker, "default").scheduled().await?;
    assert_eq!((drained.snoozed.len(), drained.completed.len()), (2, 1), "{drained:?}");
    assert_eq!(db.text(STEPS).await?, "a day timed out 1, one done 1, a week done 1");
    Ok(())
}
