//! A database and a role that are set against the queue: the worker goes by its own settings, and what an application calls
//! works, or says what stands in its way.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use howdah::{Ctx, Howdah, Job, JobError, Jobs, Limit, Unique, Worker};
use howdah_tests::{Db, Session, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Job, Serialize, Deserialize)]
struct Works {
    n: u64,
}

/// Each way to end, and everything that is written down meanwhile.
async fn works(job: Works, cx: Ctx<()>) -> Result<(), JobError> {
    let read: u64 = cx.step("read", || async { Ok::<_, JobError>(job.n) }).await?;
    match read % 4 {
        0 => {
            let mut tx = cx.howdah().pool().begin().await?;
            sqlx::query("INSERT INTO public.effect VALUES ($1)").bind(cx.id().0).execute(&mut *tx).await?;
            cx.complete_in(&mut tx).await?;
            Ok(tx.commit().await?)
        }
        1 if cx.attempt() == 1 => Err(JobError::retry("not yet")),
        2 => Err(JobError::discard("never")),
        _ => Ok(()),
    }
}

/// What a call came to: nothing, or the SQLSTATE with which the server refused.
fn outcome<T>(result: howdah::Result<T>) -> Result<String> {
    match result {
        Ok(_) => Ok(String::new()),
        Err(howdah::Error::Database(sqlx::Error::Database(e))) => Ok(e.code().unwrap_or_default().into_owned()),
        Err(error) => Err(error.into()),
    }
}

/// A database with settings of its own, a client that came after them, and a session that came before.
async fn with_settings(settings: &str) -> Result<(Db, Howdah, Session)> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    session.run("CREATE TABLE effect (job bigint)").await?;
    session.run(r#"SELECT howdah.set_queue('default', '{"retry_base_ms": 1, "retry_policy": "constant"}')"#).await?;
    let name = session.text("SELECT current_database()").await?;
    for setting in settings.split(';') {
        session.run(&format!("ALTER DATABASE \"{name}\" SET {setting}")).await?;
    }
    let howdah = Howdah::connect(db.url()).await?;
    Ok((db, howdah, session))
}

async fn wait_for(session: &mut Session, sql: &str, wanted: &str) -> Result<()> {
    let waiting = async {
        while session.text(sql).await? != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    in_time(sql, waiting).await?
}

#[tokio::test]
async fn a_worker_runs_all_jobs_whatever_the_database_is_set_to() -> Result<()> {
    let (_db, howdah, mut session) = with_settings(
        "lock_timeout = '200ms'; default_transaction_deferrable = on;
         statement_timeout = '5s'; idle_in_transaction_session_timeout = '5s'; idle_session_timeout = '1500ms';
         search_path = 'nowhere'; DateStyle = 'German'; IntervalStyle = 'sql_standard';
         TimeZone = 'Pacific/Chatham'; standard_conforming_strings = off; bytea_output = 'escape'",
    )
    .await?;
    let enqueue = |from: u64, to: u64| {
        format!(
            "SELECT howdah.enqueue_many('works', ARRAY(SELECT jsonb_build_object('n', n) FROM generate_series({from}, {to}) n))"
        )
    };
    let worker = start(Worker::new(&howdah).handle(works).heartbeat(Duration::from_millis(100)).concurrency(20));
    session.run(&enqueue(0, 99)).await?;
    let over = "SELECT count(*) FROM howdah.jobs WHERE state IN ('completed', 'dead')";
    wait_for(&mut session, over, "100").await?;
    // The server ends what was idle for long; whoever has something to say comes back.
    let flusher = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'howdah flusher'";
    wait_for(&mut session, flusher, "0").await?;
    session.run(&enqueue(100, 119)).await?;
    wait_for(&mut session, over, "120").await?;
    worker.stop().await?;
    let why = "SELECT string_agg(DISTINCT error_kind || ': ' || left(message, 200), E'\\n') FROM howdah.failures";
    let why = session.text(why).await?;
    assert_eq!(session.number("SELECT count(*) FROM howdah.jobs WHERE state = 'dead'").await?, 30, "{why}");
    assert_eq!(session.text("SELECT count(*) || ' ' || count(DISTINCT job) FROM effect").await?, "30 30");
    assert_eq!(session.number("SELECT count(*) FROM howdah.failures WHERE error_kind = 'worker_lost'").await?, 0);
    Ok(())
}

#[tokio::test]
async fn where_transactions_are_serializable_calls_work_or_say_so() -> Result<()> {
    let (db, howdah, _) = with_settings("default_transaction_isolation = 'serializable'").await?;
    let first = howdah.enqueue(Works { n: 0 }).await?;
    let mut said: Vec<(&str, String)> = vec![
        ("enqueue with options", outcome(howdah.enqueue(Works { n: 1 }).limit_key("a").order_key("b").await)?),
        ("enqueue_many", outcome(howdah.enqueue_many((0..300).map(|n| Works { n })).await)?),
        ("unique", outcome(howdah.enqueue(Works { n: 2 }).unique(Unique::key("a")).await)?),
        ("unique again", outcome(howdah.enqueue(Works { n: 2 }).unique(Unique::key("a")).await)?),
        ("after", outcome(howdah.enqueue(Works { n: 3 }).after([first]).await)?),
        ("delay", outcome(howdah.enqueue(Works { n: 3 }).delay(Duration::from_secs(3600)).await)?),
        ("signal", outcome(howdah.signal("s", &1).await)?),
        ("set_limit", outcome(howdah.set_limit(Limit::key("a").max_running(1)).await)?),
        ("why", outcome(howdah.why(first).await)?),
        ("find", outcome(howdah.find(Jobs::kind("works")).await)?),
        ("cancel", outcome(howdah.cancel(first).await)?),
        ("cancel_all", outcome(howdah.cancel_all(Jobs::kind("works")).await)?),
        ("retry_all", outcome(howdah.retry_all(Jobs::kind("works")).await)?),
        ("pause", outcome(howdah.pause_queue("default", None, None).await)?),
        ("resume", outcome(howdah.resume_queue("default").await)?),
        ("migrate", outcome(howdah.migrate().await)?),
    ];
    println!("{said:?}");
    said.retain(|(_, state)| !state.is_empty() && state != "HD012");
    assert!(said.is_empty(), "these say something else: {said:?}");
    ensure!(db.number("SELECT count(*) FROM howdah.jobs").await? > 300, "enqueueing works");
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Crosses {}

#[derive(Clone, Default)]
struct Crossing {
    met: std::sync::Arc<Notify>,
}

/// Has its job completed and one row locked, and asks for the other.
async fn crosses(_: Crosses, cx: Ctx<Crossing>) -> Result<(), JobError> {
    let mut tx = cx.howdah().pool().begin().await?;
    cx.complete_in(&mut tx).await?;
    sqlx::query("UPDATE account SET balance = balance + 1 WHERE id = 1").execute(&mut *tx).await?;
    cx.met.notify_one();
    sqlx::query("UPDATE account SET balance = balance + 1 WHERE id = 2").execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

#[tokio::test]
async fn a_deadlock_between_a_completion_and_an_application_ends_and_both_are_done_once() -> Result<()> {
    let db = Db::new().await?;
    db.run(r#"CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL); INSERT INTO account VALUES (1, 0), (2, 0);
        SELECT howdah.set_queue('default', '{"retry_base_ms": 1, "retry_policy": "constant"}')"#)
    .await?;
    let crossing = Crossing::default();
    let mut app = db.session().await?;
    app.run("SET deadlock_timeout = '100ms'; BEGIN; UPDATE account SET balance = balance + 10 WHERE id = 2").await?;
    let id = db.howdah.enqueue(Crosses {}).await?;
    let worker = start(Worker::new(&db.howdah).state(crossing.clone()).handle(crosses));
    in_time("the handler to hold its row", crossing.met.notified()).await?;
    // Either of the two is chosen as the victim.
    let update = "UPDATE account SET balance = balance + 10 WHERE id = 1";
    let won = app.run(update).await.is_ok();
    if won {
        app.run("COMMIT").await?;
    } else {
        app.run("ROLLBACK").await?;
    }
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {id}"), "completed").await?;
    worker.stop().await?;
    let balances = db.text("SELECT string_agg(balance::text, ' ' ORDER BY id) FROM account").await?;
    let failures = db.text("SELECT coalesce(string_agg(message, ';'), '') FROM howdah.failures").await?;
    if won {
        assert_eq!(balances, "11 11");
        ensure!(failures.contains("deadlock detected"), "the attempt says why it failed: {failures}");
    } else {
        assert_eq!(balances, "1 1");
        assert_eq!(failures, "");
    }
    let receipts = db.number("SELECT count(*) FROM howdah.receipt").await.context("receipts")?;
    assert_eq!(receipts, 1);
    Ok(())
}
