//! What attempts say of themselves: their progress, and where the next one goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use howdah::{Answer, Ctx, Error, Job, JobError, Statement, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 3)]
struct Import {}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Cursor {
    row: u32,
}

/// Where a handler goes on, and what it found there.
type Found = Arc<Mutex<Vec<Option<Cursor>>>>;

#[tokio::test]
async fn the_next_attempt_goes_on_from_the_checkpoint_of_the_failed_one() -> Result<()> {
    async fn import(_: Import, cx: Ctx<Found>) -> Result<(), JobError> {
        let last = cx.last_checkpoint::<Cursor>().await?;
        cx.lock().map_err(|_| JobError::discard("poisoned"))?.push(last);
        match cx.attempt() {
            1 => cx.checkpoint(&Cursor { row: 17 }).await?,
            2 => cx.checkpoint(&()).await?,
            _ => return Ok(()),
        }
        Err(JobError::retry("broke off"))
    }
    let db = Db::new().await?;
    db.run("UPDATE howdah.queue SET retry_base_ms = 1, retry_cap_ms = 5").await?;
    let found = Found::default();
    db.howdah.enqueue(Import {}).await?;
    let worker = start(Worker::new(&db.howdah).state(Arc::clone(&found)).handle(import));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await?;
    let found = found.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
    assert_eq!(*found, [None, Some(Cursor { row: 17 }), None], "JSON null clears it");
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_in_a_transaction_is_kept_if_and_only_if_that_commits() -> Result<()> {
    async fn import(_: Import, cx: Ctx<()>) -> Result<(), JobError> {
        for (row, commit) in [(1, true), (2, false)] {
            let mut tx = cx.howdah().pool().begin().await?;
            cx.checkpoint_in(&mut tx, &Cursor { row }).await?;
            if commit { tx.commit().await? } else { tx.rollback().await? }
        }
        Err(JobError::discard("done here"))
    }
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Import {}).await?;
    let worker = start(Worker::new(&db.howdah).handle(import));
    db.wait_for("SELECT state FROM howdah.jobs", "dead").await?;
    worker.stop().await?;
    assert_eq!(db.text(&format!("SELECT checkpoint FROM howdah.get_progress({id})")).await?, r#"{"row": 1}"#);
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_kept_is_refused_by_its_name() -> Result<()> {
    async fn import(_: Import, cx: Ctx<mpsc::UnboundedSender<Vec<String>>>) -> Result<(), JobError> {
        cx.checkpoint(&Cursor { row: 1 }).await?;
        let mut wrong = vec![cx.last_checkpoint::<String>().await.err()];
        wrong.push(cx.checkpoint("a\0b").await.err());
        wrong.push(cx.checkpoint(&"x".repeat(65_536)).await.err());
        let fields = wrong.into_iter().map(|e| match e {
            Some(Error::Invalid { field, .. }) => field,
            other => format!("{other:?}"),
        });
        cx.send(fields.collect()).map_err(JobError::from)
    }
    let db = Db::new().await?;
    let (told, mut fields) = mpsc::unbounded_channel();
    db.howdah.enqueue(Import {}).await?;
    let worker = start(Worker::new(&db.howdah).state(told).handle(import));
    let fields = in_time("the refusals", fields.recv()).await?.context("the handler ended")?;
    assert_eq!(fields, ["checkpoint", "checkpoint", "checkpoint"]);
    worker.stop().await
}

#[tokio::test]
async fn the_last_progress_is_written_however_often_it_is_said() -> Result<()> {
    async fn import(_: Import, cx: Ctx<Arc<Notify>>) {
        for n in 0..=1000_i32 {
            cx.progress(f64::from(n) / 10.0, format!("row {n}"));
            if n % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        cx.progress(f64::NAN, format!("\0{}", "x".repeat(2000)));
        cx.notified().await;
    }
    let db = Db::new().await?;
    let (finish, writes) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&writes);
    let howdah = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        count.fetch_add(usize::from(statement.operation == "note_progress"), Ordering::Relaxed);
    });
    db.howdah.enqueue(Import {}).await?;
    let since = Instant::now();
    let worker = start(Worker::new(&howdah).state(Arc::clone(&finish)).handle(import));
    let seen = "SELECT percent || ' ' || left(message, 2) || length(message) || ' ' || attempt FROM howdah.progress";
    db.wait_for(seen, "100 \u{fffd}x1000 1").await?;
    finish.notify_one();
    worker.stop().await?;
    let (writes, most) = (writes.load(Ordering::Relaxed), 2 + since.elapsed().as_millis() / 500);
    assert!((1..=most).contains(&(writes as u128)), "{writes} writes for 1002 reports");
    Ok(())
}

#[tokio::test]
async fn a_handler_that_lost_its_job_can_say_nothing_of_it_and_hears_so() -> Result<()> {
    /// The test has taken the job away.
    type Stage = (Arc<Notify>, mpsc::UnboundedSender<bool>);
    async fn import(_: Import, cx: Ctx<Stage>) -> Result<(), JobError> {
        cx.checkpoint(&Cursor { row: 1 }).await?;
        cx.0.notified().await;
        cx.progress(50, "still here");
        cx.cancelled().cancelled().await;
        let refused = cx.checkpoint(&Cursor { row: 2 }).await;
        let _ = cx.1.send(matches!(refused, Err(Error::LeaseLost { .. })) && !cx.lease_held());
        Ok(())
    }
    let db = Db::new().await?;
    let (taken, (told, mut refused)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let id = db.howdah.enqueue(Import {}).max_attempts(1).await?;
    let worker = Worker::new(&db.howdah).state((Arc::clone(&taken), told)).handle(import);
    // Nobody else tells it: neither a heartbeat, nor a keeper, nor a claim, for which it has no hand free.
    let worker = start(
        worker
            .concurrency(1)
            .listen(false)
            .lease(Duration::from_secs(600))
            .heartbeat(Duration::from_secs(300))
            .keeper(false),
    );
    db.wait_for("SELECT count(*) FROM howdah.progress", "1").await?;
    db.run("SELECT howdah.rescue_worker(id, 'test', 'taken away') FROM howdah.worker").await?;
    taken.notify_one();
    assert_eq!(in_time("the refusal", refused.recv()).await?, Some(true));
    worker.stop().await?;
    let kept = format!("SELECT p::text FROM (SELECT percent, checkpoint FROM howdah.get_progress({id})) p");
    assert_eq!(db.text(&kept).await?, r#"(,"{""row"": 1}")"#);
    Ok(())
}

/// A worker of SQL's with two jobs in one lease: the lease and the ids.
async fn two_held(db: &Db) -> Result<(i64, i64, i64)> {
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('k', '{1,2}')").await?;
    let lease = db.number(&format!("SELECT min(lease_id) FROM howdah.claim({worker}, 'default', 2)")).await?;
    let first = db.number("SELECT first_ids[1] FROM howdah.lease").await?;
    Ok((lease, first, first + 1))
}

#[tokio::test]
async fn a_stale_worker_cannot_report_progress() -> Result<()> {
    let db = Db::new().await?;
    let (stale, job, _) = two_held(&db).await?;
    db.run("SELECT howdah.rescue_worker(id, 'test', 'gone') FROM howdah.worker").await?;
    let worker = db.worker().await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker}, 'default', 1)")).await?;
    db.run(&format!("SELECT howdah.report_progress({lease}, {job}, 10, 'mine', '[1]')")).await?;
    let before = db.content().await?;
    let mut session = db.session().await?;
    let refused = session.refusal(&format!("SELECT howdah.report_progress({stale}, {job}, 90, 'stale')")).await?;
    assert_eq!(refused, "HD010");
    let noted = format!(
        "SELECT lease_id, written FROM howdah.note_progress('{{{stale},{lease}}}', '{{{job},{job}}}', '{{90,20}}', '{{a,NULL}}')"
    );
    assert_eq!(session.list(&format!("SELECT n::text FROM ({noted}) n")).await?, [format!("({lease},t)")]);
    let now = format!("SELECT concat_ws(' ', attempt, percent, message, checkpoint) FROM howdah.get_progress({job})");
    assert_eq!(session.text(&now).await?, "2 20 mine [1]");
    db.run("UPDATE howdah.progress SET percent = 10").await?;
    assert_eq!(db.content().await?.lines().count(), before.lines().count());
    Ok(())
}

#[tokio::test]
async fn noting_progress_waits_for_nobody() -> Result<()> {
    let db = Db::new().await?;
    let (lease, one, other) = two_held(&db).await?;
    let (mut holder, mut worker) = (db.session().await?, db.session().await?);
    let note = format!(
        "SELECT string_agg(job_id - {one} || ':' || written, ' ' ORDER BY job_id)
           FROM howdah.note_progress('{{{lease},{lease}}}', '{{{one},{other}}}', '{{1,2}}', '{{a,b}}')"
    );
    assert_eq!(worker.text(&note).await?, "0:true 1:true");
    // A handler's own transaction that has completed a job of the lease, or kept a checkpoint: the others go on.
    holder.run(&format!("BEGIN; SELECT howdah.report_progress({lease}, {one}, 5)")).await?;
    worker.run("SET statement_timeout = '10s'").await?;
    assert_eq!(worker.text(&note).await?, "0:false 1:true");
    holder.run("ROLLBACK").await?;
    // Somebody settles jobs of the lease.
    holder.run(&format!("BEGIN; SELECT howdah.complete({lease}, '{{{other}}}')")).await?;
    assert_eq!(worker.text(&note).await?, "0:false 1:false");
    holder.run("COMMIT").await?;
    assert_eq!(worker.text(&note).await?, "0:true");
    Ok(())
}

#[tokio::test]
async fn a_job_cannot_end_while_its_progress_is_written() -> Result<()> {
    let db = Db::new().await?;
    let (lease, job, _) = two_held(&db).await?;
    let (mut writer, mut settler) = (db.session().await?, db.session().await?);
    writer.run("BEGIN").await?;
    writer.run(&format!("SELECT howdah.note_progress('{{{lease}}}', '{{{job}}}', '{{1}}', '{{a}}')")).await?;
    let pid = settler.number("SELECT pg_backend_pid()").await?;
    let complete =
        tokio::spawn(async move { settler.list(&format!("SELECT howdah.complete({lease}, '{{{job}}}')")).await });
    // Else it would look for progress to forget before there is any.
    db.wait_for(&format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}"), "Lock").await?;
    writer.run("COMMIT").await?;
    assert_eq!(in_time("the completion", complete).await???, [job.to_string()]);
    Ok(())
}

#[tokio::test]
async fn progress_goes_with_its_job_and_stays_with_a_dead_one() -> Result<()> {
    let db = Db::new().await?;
    db.run("INSERT INTO howdah.progress (job_id, attempt, at) SELECT 128 * b + p, 1, now() FROM generate_series(1, 4) b, generate_series(0, 3) p").await?;
    db.run("SELECT howdah.ended('{129, 256, 640}', '{2, 128, 5}')").await?;
    let left = "SELECT string_agg(job_id::text, ' ' ORDER BY job_id) FROM howdah.progress";
    assert_eq!(db.text(left).await?, "128 131 384 385 386 387 512 513 514 515");
    db.run("TRUNCATE howdah.progress; SELECT howdah.ended('{129}', '{1}'), howdah.ended('{}', '{}')").await?;
    let (lease, dies, _) = two_held(&db).await?;
    db.run(&format!(
        "SELECT howdah.report_progress({lease}, {dies}, 30); SELECT howdah.fail({lease}, '{{{dies}}}', '{{discard}}')"
    ))
    .await?;
    db.travel("29 days").await?;
    db.run("SELECT howdah.prune()").await?;
    assert_eq!(db.text("SELECT percent FROM howdah.progress").await?, "30");
    db.travel("31 days").await?;
    db.run("SELECT howdah.prune()").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.progress").await?, 0);
    Ok(())
}

#[tokio::test]
async fn whoever_ends_well_leaves_no_progress_behind() -> Result<()> {
    async fn import(_: Import, cx: Ctx<()>) -> Result<(), JobError> {
        cx.checkpoint(&1).await?;
        if cx.id().0 % 2 == 0 {
            return Ok(());
        }
        let mut tx = cx.howdah().pool().begin().await?;
        cx.complete_in(&mut tx).await?;
        Ok(tx.commit().await?)
    }
    let db = Db::new().await?;
    db.howdah.enqueue_many((0..20).map(|_| Import {})).await?;
    db.howdah.enqueue(Import {}).await?;
    let worker = start(Worker::new(&db.howdah).handle(import));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "21").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.progress").await?, 0);
    let (lease, one, other) = two_held(&db).await?;
    db.run(&format!("SELECT howdah.report_progress({lease}, j, 1) FROM unnest('{{{one},{other}}}'::bigint[]) j"))
        .await?;
    db.run(&format!("SELECT howdah.fail({lease}, '{{{one}}}', '{{cancel}}')")).await?;
    assert_eq!(db.text("SELECT string_agg(job_id::text, ' ') FROM howdah.progress").await?, other.to_string());
    Ok(())
}

#[tokio::test]
async fn forgetting_looks_only_where_there_may_be_something() -> Result<()> {
    let db = Db::new().await?;
    // Whoever analyzes a table makes sessions look it up in the catalog again.
    db.stop_autovacuum().await?;
    // Planned while the table was empty, as everywhere.
    let mut session = db.session().await?;
    let forget =
        "SELECT howdah.ended(array_agg(b << 7), array_agg(1::smallint)) FROM generate_series(100001, 100500) b";
    for _ in 0..8 {
        session.run(forget).await?;
    }
    session.run("INSERT INTO howdah.progress (job_id, attempt, at) SELECT b << 7, 1, now() FROM generate_series(1, 100000) b").await?;
    let explain = |sql: &str| format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
    let buffers = |text: String| -> Result<i64> {
        let plan: serde_json::Value = serde_json::from_str(&text)?;
        plan[0]["Plan"]["Shared Hit Blocks"].as_i64().context("buffers")
    };
    let read = |text: Vec<String>| text.into_iter().next().context("a plan");
    let rows = sqlx::query_scalar::<_, serde_json::Value>(sqlx::AssertSqlSafe(explain(forget)));
    let beyond = buffers(read(vec![rows.fetch_one(&mut session.0).await?.to_string()])?)?;
    assert!(beyond < 50, "{beyond} buffers to find that 500 jobs have no progress");
    let near = forget.replace("100001, 100500", "99751, 100250");
    let rows = sqlx::query_scalar::<_, serde_json::Value>(sqlx::AssertSqlSafe(explain(&near)));
    let some = buffers(read(vec![rows.fetch_one(&mut session.0).await?.to_string()])?)?;
    assert!(some < 5000, "{some} buffers to delete the progress of 250 jobs");
    assert_eq!(session.number("SELECT count(*) FROM howdah.progress").await?, 99_750);
    Ok(())
}

#[tokio::test]
async fn what_no_progress_may_be_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let (lease, job, _) = two_held(&db).await?;
    let mut session = db.session().await?;
    for (arguments, wanted) in [
        ("100.1", "HD002 percent"),
        ("-1", "HD002 percent"),
        ("'NaN'", "HD002 percent"),
        ("NULL, NULL, to_jsonb(repeat('x', 65535))", "HD002 checkpoint"),
    ] {
        let sql = format!("SELECT howdah.report_progress({lease}, {job}, {arguments})");
        assert_eq!(session.refusal(&sql).await?, wanted, "{sql}");
    }
    let sql = format!("SELECT howdah.note_progress('{{{lease}}}', '{{{job}}}', '{{101}}', '{{a}}')");
    assert_eq!(session.refusal(&sql).await?, "HD002 percent");
    assert_eq!(session.number("SELECT count(*) FROM howdah.progress").await?, 0);
    session
        .run(&format!(
            "SELECT howdah.report_progress({lease}, {job}, 0, repeat('ä', 2000), to_jsonb(repeat('x', 65534)))"
        ))
        .await?;
    assert_eq!(session.text("SELECT length(message) FROM howdah.progress").await?, "1000");
    session.run(&format!("SELECT howdah.report_progress({lease}, {job}, 7)")).await?;
    let kept = "SELECT percent || ' ' || length(message) || ' ' || length(checkpoint::text) FROM howdah.progress";
    assert_eq!(session.text(kept).await?, "7 1000 65536", "NULL leaves what was said before");
    Ok(())
}

#[tokio::test]
async fn progress_goes_on_after_a_completion_that_was_refused() -> Result<()> {
    #[derive(Job, Serialize, Deserialize)]
    struct Says {}
    async fn says(_: Says, cx: Ctx<Arc<Notify>>) -> Result<(), JobError> {
        cx.progress(1, "one");
        cx.notified().await;
        cx.progress(2, "two");
        let mut tx = cx.howdah().pool().begin().await?;
        // Longer than what is said waits to be written.
        sqlx::query("SET LOCAL statement_timeout = '1200ms'").execute(&mut *tx).await?;
        assert!(cx.complete_in(&mut tx).await.is_err(), "somebody has the lease");
        tx.rollback().await?;
        cx.progress(3, "three");
        cx.notified().await;
        Ok(())
    }
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Says {}).await?;
    let go = Arc::new(Notify::new());
    let worker = start(Worker::new(&db.howdah).state(Arc::clone(&go)).handle(says));
    let message = format!("SELECT message FROM howdah.get_progress({id})");
    db.wait_for(&message, "one").await?;
    let mut other = db.session().await?;
    other.run("BEGIN; SELECT FROM howdah.lease FOR UPDATE").await?;
    go.notify_one();
    // It has tried for so long.
    db.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%complete_in%' AND pid <> pg_backend_pid() AND datname = current_database()", "1").await?;
    db.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%complete_in%' AND pid <> pg_backend_pid() AND datname = current_database()", "0").await?;
    other.run("ROLLBACK").await?;
    db.wait_for(&message, "three").await?;
    go.notify_one();
    worker.stop().await
}
