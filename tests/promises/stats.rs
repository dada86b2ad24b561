//! Statistics: what workers report, by minute, by hour and since ever, and what is made of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use howdah::{Answer, Ctx, Job, JobError, Statement, Worker};
use howdah_admin::Admin;
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Job, Serialize, Deserialize)]
struct Letter {
    fate: String,
}

/// Does what its letter says; says that it was there.
async fn letter(job: Letter, cx: Ctx<mpsc::UnboundedSender<()>>) -> Result<(), JobError> {
    let _ = cx.send(());
    match &*job.fate {
        "fail" => Err(JobError::retry_in(Duration::from_secs(3600), "no")),
        "die" => Err(JobError::discard("no")),
        "cancel" => Err(JobError::cancel("no")),
        "snooze" => Err(JobError::snooze(Duration::from_secs(3600))),
        _ => Ok(()),
    }
}

const COUNTS: &str = "SELECT concat_ws(' ', queue, kind, completed, retried, snoozed, dead, cancelled, released, lost) FROM howdah.stats(";

#[tokio::test]
async fn how_attempts_end_is_in_the_statistics_of_the_hour_the_minute_and_since_ever() -> Result<()> {
    let db = Db::new().await?;
    let fates = ["", "", "", "fail", "fail", "die", "cancel", "snooze"];
    db.howdah.enqueue_many(fates.map(|fate| Letter { fate: fate.into() })).await?;
    // An attempt that is the last of its job, and fails.
    db.howdah.enqueue(Letter { fate: "fail".into() }).max_attempts(1).await?;
    let (ran, mut seen) = mpsc::unbounded_channel();
    let worker = start(Worker::new(&db.howdah).state(ran).handle(letter));
    for _ in 0..=fates.len() {
        in_time("a letter", seen.recv()).await?;
    }
    worker.stop().await?;
    // As the keeper does it, who may still be at it: the worker was the keeper.
    while db.number("SELECT count(*) FROM howdah.stat_report").await? > 0 {
        db.run("SELECT howdah.fold_stats()").await?;
    }
    let wanted = "default letter 3 2 1 2 1 0 0";
    assert_eq!(db.text(&format!("{COUNTS}'1 hour')")).await?, wanted);
    assert_eq!(db.text(&format!("{COUNTS}NULL)")).await?, wanted);
    let minute = "SELECT concat_ws(' ', queue, sum(completed), sum(retried), sum(dead), sum(cancelled)) FROM howdah.minutes() GROUP BY queue";
    assert_eq!(db.text(minute).await?, "default 3 2 2 1");
    // How long each of the nine ran and waited is counted, and the library reads the same.
    let lines = Admin::new(db.howdah.clone()).stats(None, Some("default"), Some("letter")).await?;
    assert_eq!((lines[0].attempts(), lines[0].failed(), lines[0].runs.count(), lines[0].waits.count()), (9, 4, 9, 9));
    assert!(lines[0].waits.percentile(0.99) < Some(Duration::from_secs(60)), "{:?}", lines[0].waits);
    Ok(())
}

#[tokio::test]
async fn a_worker_reports_while_it_works_and_asks_nothing_while_it_does_not() -> Result<()> {
    let db = Db::new().await?;
    let sent: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let count = Arc::clone(&sent);
    let howdah = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        count.lock().unwrap_or_else(PoisonError::into_inner).push(statement.operation);
    });
    let reports =
        || sent.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|o| **o == "report_stats").count();
    let (ran, mut seen) = mpsc::unbounded_channel();
    let worker = start(Worker::new(&howdah).state(ran).handle(letter));
    db.wait_for("SELECT count(*) FROM howdah.sleeper", "1").await?;
    db.howdah.enqueue(Letter { fate: String::new() }).await?;
    in_time("a letter", seen.recv()).await?;
    // Ten seconds after its start, or with the next heartbeat after them.
    let told =
        "(SELECT count(*) FROM howdah.stat_report) + (SELECT coalesce(sum(completed), 0) FROM howdah.stat_total)";
    db.wait_for(told, "1").await?;
    worker.stop().await?;
    assert_eq!(reports(), 1, "what was reported once is not reported again");
    Ok(())
}

#[tokio::test]
async fn reports_add_up_and_make_no_sense_elsewhere() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let row = r#"{"queue_id": 1, "kind": "k", "completed": 2, "run_ms": 10, "runs": [1,0,1], "waits": [2]}"#;
    let other = r#"{"queue_id": 1, "kind": "k", "dead": 1, "run_ms": 7, "runs": [0,0,0,5]}"#;
    assert_eq!(session.number(&format!("SELECT howdah.report_stats('[{row}]')")).await?, 1);
    assert_eq!(session.number(&format!("SELECT howdah.report_stats('[{other}]')")).await?, 1);
    session.run("SELECT howdah.fold_stats()").await?;
    let all = "SELECT concat_ws(' ', completed, dead, run_ms, runs, waits) FROM howdah.stats";
    for since in ["'1 hour'", "NULL"] {
        assert_eq!(session.text(&format!("{all}({since}, 'default', 'k')")).await?, "2 1 17 {1,0,1,5} {2,0,0,0}");
    }
    assert!(session.list(&format!("{all}('1 hour', 'default', 'j')")).await?.is_empty());
    // Of a queue that is gone, nothing is kept.
    let gone = r#"[{"queue_id": 4711, "kind": "k", "completed": 1}]"#;
    assert_eq!(session.number(&format!("SELECT howdah.report_stats('{gone}')")).await?, 0);
    for (call, refused) in [
        ("report_stats('{}')", "HD002 rows"),
        ("report_stats(NULL)", "HD002 rows"),
        ("stats('-1 hour')", "HD002 since"),
        ("stats('2000 years')", "HD002 since"),
        ("stats('1 hour', 'nowhere')", "HD001 queue"),
        ("minutes('2 days')", "HD002 since"),
        ("minutes(NULL)", "HD002 since"),
        ("minutes('1 hour', 'nowhere')", "HD001 queue"),
        ("rates('1 second')", "HD002 since"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT * FROM howdah.{call}")).await?, refused, "{call}");
    }
    Ok(())
}

#[tokio::test]
async fn a_percentile_is_within_the_bounds_of_its_place() -> Result<()> {
    let db = Db::new().await?;
    for (counts, fraction, wanted) in [
        ("{0,0,10}", "0.5", "3"),
        ("{5,5}", "1", "2"),
        ("{5,5}", "0", "0"),
        ("{2,0,0,0,8,8}", "0.5", "15"),
        ("{0,0}", "0.5", ""),
        ("{}", "0.5", ""),
    ] {
        let shown = db.text(&format!("SELECT coalesce(howdah.percentile('{counts}', {fraction})::text, '')")).await?;
        assert_eq!(shown, wanted, "{counts} {fraction}");
    }
    Ok(())
}

#[tokio::test]
async fn what_comes_and_what_goes_is_known_by_the_minute() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    db.run("SELECT howdah.note_depths()").await?;
    let rate = "SELECT concat_ws(' ', coalesce(round(in_per_minute::numeric)::text, 'unknown'), round(out_per_minute::numeric)) FROM howdah.rates('5 minutes')";
    assert_eq!(db.text(rate).await?, "unknown 0", "it was looked at once");
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{300}'))").await?;
    db.run(r#"SELECT howdah.report_stats('[{"queue_id": 1, "kind": "k", "completed": 60}]'), howdah.fold_stats()"#)
        .await?;
    // Within the minute nobody looks again.
    db.run("SELECT howdah.note_depths()").await?;
    assert_eq!(db.text("SELECT count(*) FROM howdah.stat_depth").await?, "1");
    db.stop_clock("3 minutes").await?;
    while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    assert_eq!(db.text("SELECT string_agg(unfinished::text, ' ' ORDER BY at) FROM howdah.stat_depth").await?, "0 300");
    // 300 more are there than three minutes ago, and 60 have ended.
    assert_eq!(db.text("SELECT round(in_per_minute::numeric) FROM howdah.rates('5 minutes')").await?, "120");
    let minutes = "SELECT string_agg(concat_ws(' ', completed, coalesce(unfinished::text, '-')), ', ' ORDER BY at) FROM howdah.minutes()";
    assert_eq!(db.text(minutes).await?, "60 0, 0 300");
    Ok(())
}

#[tokio::test]
async fn a_span_of_days_is_the_sum_of_its_hours() -> Result<()> {
    let db = Db::new().await?;
    for n in 0..16 {
        db.stop_clock(&format!("{} hours", n * 5)).await?;
        let report = format!(
            r#"SELECT howdah.report_stats('[{{"queue_id": 1, "kind": "k", "completed": {n}, "run_ms": 7, "runs": [0, {n}, 1], "waits": [1]}}]')"#
        );
        db.run(&report).await?;
        db.run("SELECT howdah.fold_stats()").await?;
    }
    for hours in 0..80 {
        let by_days =
            format!("SELECT concat_ws(' ', completed, run_ms, runs, waits) FROM howdah.stats('{hours} hours')");
        let by_hours = format!(
            "SELECT concat_ws(' ', sum(completed), sum(run_ms), ARRAY[0, sum(runs[2]), sum(runs[3])], ARRAY[sum(waits[1]), 0, 0]) FROM howdah.stat_hour
              WHERE at >= date_bin('1 hour', howdah.now() - interval '{hours} hours', '2000-01-01 00:00:00Z')"
        );
        assert_eq!(db.text(&by_days).await?, db.text(&by_hours).await?, "{hours}");
    }
    assert_eq!(db.text("SELECT count(*) FROM howdah.stat_day").await?, "4");
    Ok(())
}

#[tokio::test]
async fn old_statistics_go_and_totals_stay_with_their_queue() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('mail')").await?;
    let report = r#"SELECT howdah.report_stats(jsonb_build_array(jsonb_build_object('queue_id', (SELECT id FROM howdah.queue WHERE name = 'mail'), 'kind', 'k', 'completed', 1)))"#;
    db.run(report).await?;
    db.run("SELECT howdah.fold_stats()").await?;
    db.run("SELECT howdah.note_depths()").await?;
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM howdah.stat_minute), (SELECT count(*) FROM howdah.stat_depth WHERE at < howdah.now() - interval '1 day'),
                       (SELECT count(*) FROM howdah.stat_hour), (SELECT count(*) FROM howdah.stat_day), (SELECT count(*) FROM howdah.stat_total))";
    for (passed, wanted) in [("23 hours", "1 0 1 1 1"), ("25 hours", "0 0 1 1 1"), ("92 days", "0 0 0 0 1")] {
        db.travel(passed).await?;
        db.run("SELECT howdah.prune_stats(10000)").await?;
        assert_eq!(db.text(left).await?, wanted, "{passed}");
    }
    assert_eq!(db.text("SELECT completed FROM howdah.stats(NULL)").await?, "1");
    db.run("SELECT howdah.delete_queue('mail')").await?;
    assert_eq!(db.text("SELECT count(*) FROM howdah.stat_total").await?, "0");
    Ok(())
}

#[tokio::test]
async fn many_reports_leave_a_row_of_each_hour_and_a_partition_that_is_truncated() -> Result<()> {
    let db = Db::new().await?;
    let report = r#"SELECT howdah.report_stats('[{"queue_id": 1, "kind": "k", "completed": 1, "runs": [1]}]') FROM generate_series(1, 40)"#;
    db.stop_clock("0").await?;
    db.run(report).await?;
    db.stop_clock("2 hours").await?;
    db.run(report).await?;
    // A piece at a time, an hour at a time.
    for left in [65, 50, 40, 25, 10, 0] {
        db.run("SELECT howdah.fold_stats(15)").await?;
        assert_eq!(db.number("SELECT count(*) FROM howdah.stat_report").await?, left);
    }
    let hours = "SELECT string_agg(concat_ws(' ', completed, runs), ', ') FROM howdah.stat_hour";
    assert_eq!(db.text(hours).await?, "40 {40}, 40 {40}");
    assert_eq!(db.text("SELECT completed FROM howdah.stats(NULL)").await?, "80");
    assert_eq!(db.text("SELECT count(*) FROM howdah.stat_minute").await?, "2");
    // While somebody holds a snapshot, what was taken away is not vacuumed; but the ring turns.
    let mut old = db.session().await?;
    old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.job").await?;
    let wide = r#"SELECT howdah.report_stats((SELECT jsonb_agg(jsonb_build_object('queue_id', 1, 'kind', 'kind ' || n, 'completed', 1)) FROM generate_series(1, 1000) n))
                    FROM generate_series(1, 20)"#;
    for _ in 0..4 {
        db.run(wide).await?;
        while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    }
    let size =
        db.number("SELECT sum(pg_relation_size(c.oid)) FROM pg_class c WHERE relname ~ '^stat_report_[01]$'").await?;
    assert!(size < 8 << 20, "{size} bytes of reports");
    old.run("ROLLBACK").await
}
