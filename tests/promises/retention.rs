//! What has ended is kept for as long as was said.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use howdah::{Config, Error, JobState, Retention};
use howdah_tests::{Db, Session};

/// Calls rotate, each time in a transaction of its own, until there is nothing to do. What it did.
pub(super) async fn rotate(db: &Db) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for _ in 0..200 {
        let did = db.text("SELECT howdah.rotate()").await?;
        if did.is_empty() {
            return Ok(done);
        }
        done.push(did);
    }
    bail!("rotate finds no end: {done:?}")
}

/// A queue with these settings, as in an UPDATE.
pub(super) async fn queue(db: &Db, name: &str, settings: &str) -> Result<()> {
    db.run(&format!("SELECT howdah.create_queue('{name}'); UPDATE howdah.queue SET {settings} WHERE name = '{name}'"))
        .await
}

/// Enqueues a job and completes it. Its id.
pub(super) async fn complete(db: &Db, queue: &str) -> Result<i64> {
    end(db, queue, "howdah.complete(c.lease_id)").await
}

/// Enqueues a job and lets it fail. Its id.
pub(super) async fn fail(db: &Db, queue: &str, verdict: &str) -> Result<i64> {
    end(db, queue, &format!("howdah.fail(c.lease_id, ARRAY[c.id], '{{{verdict}}}', '{{broke}}', '{{no luck}}')")).await
}

async fn end(db: &Db, queue: &str, how: &str) -> Result<i64> {
    let id = db.number(&format!("SELECT howdah.enqueue('k', jsonb_build_object('of', '{queue}'), '{queue}')")).await?;
    let worker = db.number("SELECT max(id) FROM howdah.worker").await?;
    let ended = db.number(&format!("SELECT c.id FROM howdah.claim({worker}, '{queue}') c, LATERAL {how} e")).await?;
    ensure!(id == ended, "another job was claimed");
    Ok(id)
}

/// Whether anything is left of jobs: `receipts jobs failures`.
pub(super) async fn left(db: &Db, ids: &[i64]) -> Result<String> {
    db.text(&format!(
        "SELECT concat_ws(' ', (SELECT count(*) FROM howdah.receipt r, unnest(ARRAY{ids:?}::bigint[]) i WHERE r.span @> i),
                               (SELECT count(*) FROM howdah.all_jobs WHERE id = ANY (ARRAY{ids:?}::bigint[])),
                               (SELECT count(*) FROM howdah.failure WHERE job_id = ANY (ARRAY{ids:?}::bigint[])))"
    ))
    .await
}

async fn refused(session: &mut Session, sql: &str, field: &str) -> Result<()> {
    assert_eq!(session.refusal(sql).await?, format!("HD002 {field}"), "{sql}");
    Ok(())
}

#[tokio::test]
async fn a_queue_with_a_short_retention_forgets_first() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "short", "completed_retention = '1 hour', dead_retention = '2 hours'").await?;
    db.howdah.set_config(Retention::new().cancelled(Duration::from_secs(3 * 3600))).await?;
    let (short, long) = (complete(&db, "short").await?, complete(&db, "default").await?);
    let (cancelled, dead) = (fail(&db, "short", "cancel").await?, fail(&db, "short", "discard").await?);
    db.travel("59 minutes").await?;
    let young = complete(&db, "short").await?;
    assert_eq!(rotate(&db).await?, Vec::<String>::new());
    let all = [short, long, cancelled, dead, young];
    assert_eq!(left(&db, &all).await?, "4 5 2");

    db.travel("70 minutes").await?;
    assert_eq!(rotate(&db).await?, ["pruned 1 jobs"]);
    assert_eq!((left(&db, &[short]).await?, left(&db, &all).await?), ("0 0 0".to_owned(), "3 4 2".to_owned()));
    db.travel("125 minutes").await?;
    assert_eq!(rotate(&db).await?, ["pruned 1 dead and 0 kept jobs", "pruned 1 jobs"]);
    assert_eq!((left(&db, &[dead, young]).await?, left(&db, &all).await?), ("0 0 0".to_owned(), "2 2 1".to_owned()));
    db.travel("200 minutes").await?;
    assert_eq!(rotate(&db).await?, ["pruned 1 jobs"]);
    assert_eq!((left(&db, &[cancelled]).await?, left(&db, &[long]).await?), ("0 0 0".to_owned(), "1 1 0".to_owned()));
    Ok(())
}

/// Deleting rows is dear: what can go by truncation must.
#[tokio::test]
async fn what_no_retention_distinguishes_goes_by_truncation_only() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "other", "completed_retention = '60 minutes', expired_retention = '1 hour'").await?;
    db.run(
        "UPDATE howdah.config SET history_retention = '1 hour';
         CREATE FUNCTION public.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a row of % was deleted', TG_TABLE_NAME; END $$;
         CREATE TRIGGER trap BEFORE DELETE ON howdah.receipt FOR EACH ROW EXECUTE FUNCTION public.trap();
         CREATE TRIGGER trap BEFORE DELETE ON howdah.failure FOR EACH ROW EXECUTE FUNCTION public.trap();
         CREATE TRIGGER trap BEFORE DELETE ON howdah.job FOR EACH ROW EXECUTE FUNCTION public.trap();",
    )
    .await?;
    let (mut did, mut ids) = (Vec::new(), Vec::new());
    for quarters in 0..24 {
        db.travel(&format!("{} minutes", quarters * 16)).await?;
        ids.push([complete(&db, "default").await?, complete(&db, "other").await?, fail(&db, "other", "cancel").await?]);
        did.extend(rotate(&db).await?);
        let kept = ids.iter().rev().take(4).flatten().copied().collect::<Vec<_>>();
        assert!(left(&db, &kept).await?.starts_with(&format!("{0} {0} ", kept.len())), "after {quarters} quarters");
    }
    assert_eq!(left(&db, &ids[0..12].concat()).await?, "0 0 0", "{did:?}");
    assert!(did.iter().filter(|d| d.starts_with("truncated history")).count() > 4, "{did:?}");
    assert!(did.iter().filter(|d| d.starts_with("truncated job")).count() > 4, "{did:?}");
    Ok(())
}

/// Counted from when it was enqueued, it would be over before it began.
#[tokio::test]
async fn a_job_scheduled_a_month_ahead_is_kept_its_full_retention_after_it_is_done() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    queue(&db, "short", "completed_retention = '1 hour'").await?;
    db.run("UPDATE howdah.config SET history_retention = '4 hours'").await?;
    let mut ids = Vec::new();
    for queue in ["default", "short"] {
        ids.push(db.number(&format!("SELECT howdah.enqueue('k', '{{}}', '{queue}', delay => '30 days')")).await?);
    }
    for day in 0..30 {
        db.travel(&format!("{day} days 1 hour")).await?;
        complete(&db, "default").await?;
        rotate(&db).await?;
    }
    db.travel("30 days 1 minute").await?;
    db.run(&format!("SELECT howdah.promote(); SELECT e.* FROM unnest('{{default,short}}'::text[]) q, LATERAL howdah.claim({worker}, q) c, LATERAL howdah.complete(c.lease_id) e")).await?;
    let seen = format!(
        "SELECT string_agg(state || ' ' || queue, ', ' ORDER BY id) FROM howdah.jobs WHERE id = ANY (ARRAY{ids:?})"
    );
    for (after, then) in [
        ("59 minutes", "completed default, completed short"),
        ("70 minutes", "completed default"),
        ("4 hours", "completed default"),
        ("6 hours 5 minutes", ""),
    ] {
        db.travel(&format!("30 days {after}")).await?;
        rotate(&db).await?;
        assert_eq!(db.text(&seen).await?, then, "after {after}");
        complete(&db, "default").await?;
    }
    for after in ["30 days 12 hours", "30 days 18 hours", "31 days"] {
        db.travel(after).await?;
        rotate(&db).await?;
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.job_kept").await?, 0);
    Ok(())
}

#[tokio::test]
async fn nothing_live_is_ever_removed() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    queue(&db, "q", "completed_retention = '0', on_removal = 'archive'").await?;
    db.run("UPDATE howdah.config SET history_retention = '0'").await?;
    let enqueue = |more: &str| format!("SELECT howdah.enqueue('k', '{{}}', 'q'{more})");
    let waits_again = db.number(&enqueue("")).await?;
    db.run(&format!("SELECT f.* FROM howdah.claim({worker}, 'q') c, LATERAL howdah.fail(c.lease_id, ARRAY[c.id], delay_ms => '{{999999999}}') f")).await?;
    let dead = fail(&db, "q", "discard").await?;
    let runs = db.number(&enqueue("")).await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker}, 'q')")).await?;
    let live =
        [waits_again, dead, runs, db.number(&enqueue(", delay => '9 days'")).await?, db.number(&enqueue("")).await?];
    let seen = format!("SELECT string_agg(state, ' ' ORDER BY id) FROM howdah.jobs WHERE id = ANY (ARRAY{live:?})");
    for quarters in 0..30 {
        db.travel(&format!("{} minutes", quarters * 16)).await?;
        complete(&db, "default").await?;
        db.run("SELECT howdah.purge(s, '0') FROM unnest('{completed,cancelled,expired}'::text[]) s").await?;
        rotate(&db).await?;
        assert_eq!(db.text(&seen).await?, "scheduled dead running scheduled ready", "after {quarters} quarters");
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 2, "the failures of jobs that are not over");
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.complete({lease})")).await?, 1);
    db.travel("481 minutes").await?;
    rotate(&db).await?;
    assert_eq!(db.text("SELECT string_agg(id::text, ' ') FROM howdah.archive").await?, runs.to_string());
    Ok(())
}

/// What a worker and a waiting client still look at is not gone between two looks.
#[tokio::test]
async fn a_retention_of_nothing_leaves_ten_seconds() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "q", "completed_retention = '0'").await?;
    db.stop_clock("0").await?;
    let id = complete(&db, "q").await?;
    db.stop_clock("9 seconds").await?;
    rotate(&db).await?;
    assert_eq!(left(&db, &[id]).await?, "1 1 0");
    db.stop_clock("25 seconds").await?;
    assert_eq!(rotate(&db).await?, ["pruned 1 jobs"]);
    assert_eq!(left(&db, &[id]).await?, "0 0 0");
    Ok(())
}

/// A job may be dead for a month: why it is must not be forgotten after a day.
#[tokio::test]
async fn the_failures_of_a_dead_job_are_kept_as_long_as_it_is() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '1 hour', dead_retention = '2 days'").await?;
    let dead = fail(&db, "default", "discard").await?;
    let mut over = Vec::new();
    for hours in 0..48 {
        db.travel(&format!("{hours} hours")).await?;
        over.push(fail(&db, "default", "cancel").await?);
        rotate(&db).await?;
        let kept =
            db.text(&format!("SELECT string_agg(message, ' ') FROM howdah.failures WHERE job_id = {dead}")).await?;
        assert_eq!(kept, "no luck", "after {hours} hours");
    }
    assert_eq!(left(&db, &over[..40]).await?, "0 0 0");
    db.travel("48 hours 1 minute").await?;
    rotate(&db).await?;
    assert_eq!(left(&db, &[dead]).await?, "0 0 0");
    Ok(())
}

#[tokio::test]
async fn purge_takes_what_has_ended_and_is_old_enough_and_no_more_than_it_may() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    queue(&db, "other", "on_removal = 'archive'").await?;
    let old: Vec<i64> =
        [complete(&db, "default").await?, complete(&db, "other").await?, complete(&db, "other").await?].into();
    let (cancelled, dead) = (fail(&db, "default", "cancel").await?, fail(&db, "default", "discard").await?);
    db.travel("2 hours").await?;
    let young = complete(&db, "default").await?;
    let ready = db.number("SELECT howdah.enqueue('k')").await?;
    let purge = async |state, hours: u64, queue| db.howdah.purge(state, Duration::from_secs(hours * 3600), queue).await;
    assert_eq!(purge(JobState::Completed, 3, None).await?, 0);
    assert_eq!(db.number("SELECT howdah.purge('completed', '1 hour', 'other', 1)").await?, 1);
    assert_eq!(purge(JobState::Completed, 1, Some("other")).await?, 1);
    assert_eq!(db.number("SELECT count(*) FROM howdah.archive").await?, 2);
    assert_eq!(purge(JobState::Completed, 1, None).await?, 1);
    assert_eq!(left(&db, &old).await?, "0 0 0");
    assert_eq!(left(&db, &[cancelled, dead, young, ready]).await?, "2 4 2");
    assert_eq!(purge(JobState::Dead, 0, None).await? + purge(JobState::Cancelled, 0, None).await?, 2);
    assert_eq!(left(&db, &[cancelled, dead, young, ready]).await?, "1 2 0");
    assert!(matches!(purge(JobState::Dead, 0, Some("nope")).await, Err(Error::UnknownQueue { .. })));
    assert!(matches!(purge(JobState::Ready, 0, None).await, Err(Error::Invalid { field, .. }) if field == "state"));
    let mut session = db.session().await?;
    for (arguments, field) in [
        ("'running', '0'", "state"),
        ("NULL, '0'", "state"),
        ("'dead', '-1 hour'", "older_than"),
        ("'dead', NULL", "older_than"),
        ("'dead', '0', NULL, 0", "most"),
        ("'dead', '0', NULL, NULL", "most"),
    ] {
        refused(&mut session, &format!("SELECT howdah.purge({arguments})"), field).await?;
    }
    Ok(())
}

#[tokio::test]
async fn settings_are_changed_all_or_none_and_refused_by_their_names() -> Result<()> {
    let db = Db::new().await?;
    let hours = |n: u64| Duration::from_secs(n * 3600);
    db.howdah.set_config(Retention::new().history(hours(48)).completed(hours(1)).dead(hours(24 * 400))).await?;
    db.howdah.set_config(Retention::new().expired(Duration::from_millis(1500)).archive(hours(24))).await?;
    let Config { history, completed, cancelled, expired, dead, archive, .. } = db.howdah.config().await?;
    assert_eq!((history, completed, cancelled), (hours(48), Some(hours(1)), None));
    assert_eq!((expired, dead, archive), (Some(Duration::from_millis(1500)), hours(24 * 400), Some(hours(24))));
    db.howdah.set_config(Retention::new().completed(None).archive(None)).await?;
    assert_eq!((db.howdah.config().await?.completed, db.howdah.config().await?.archive), (None, None));
    let refusal = db.howdah.set_config(Retention::new().history(hours(24 * 366 * 1001))).await.expect_err("1001 years");
    assert!(matches!(refusal, Error::Invalid { field, .. } if field == "history_retention"));
    let mut session = db.session().await?;
    let before = session.text("SELECT howdah.set_config('{}')").await?;
    for (settings, field) in [
        ("NULL", "settings"),
        ("'[1]'", "settings"),
        (r#"'{"completed_retention": "1 hour", "nonsense": 1}'"#, "nonsense"),
        (r#"'{"cancelled_retention": "1 hour", "one": false}'"#, "one"),
        (r#"'{"completed_retention": "1 hour", "dead_retention": "-1 hour"}'"#, "dead_retention"),
        (r#"'{"history_retention": null}'"#, "history_retention"),
        (r#"'{"history_retention": "soon"}'"#, "history_retention"),
        (r#"'{"archive_retention": 7}'"#, "archive_retention"),
        (r#"'{"archive_retention": "2000 years"}'"#, "archive_retention"),
    ] {
        refused(&mut session, &format!("SELECT howdah.set_config({settings})"), field).await?;
    }
    assert_eq!(session.text("SELECT howdah.set_config('{}')").await?, before);
    Ok(())
}

#[tokio::test]
async fn a_change_of_settings_holds_at_once_and_for_what_had_ended_before() -> Result<()> {
    let db = Db::new().await?;
    db.worker().await?;
    db.run("UPDATE howdah.config SET history_retention = '4 hours'").await?;
    queue(&db, "mail", "completed_retention = '90 minutes'").await?;
    queue(&db, "bills", "on_removal = 'archive', completed_retention = '1 hour'").await?;
    complete(&db, "default").await?;
    complete(&db, "bills").await?;
    // The slot is left, walked over and found clean.
    for minutes in [121, 122, 200] {
        db.travel(&format!("{minutes} minutes")).await?;
        rotate(&db).await?;
    }
    assert_eq!(
        db.number("SELECT count(*) FROM howdah.history_slot WHERE slot = 0 AND clean_for IS NOT NULL").await?,
        1
    );
    let mail = complete(&db, "mail").await?;
    db.travel("285 minutes").await?;
    rotate(&db).await?;
    assert_eq!(left(&db, &[mail]).await?, "1 1 0");
    // Everything is archived from now on, and what mail has is too old by now.
    db.run("UPDATE howdah.queue SET on_removal = 'archive', completed_retention = '80 minutes'").await?;
    rotate(&db).await?;
    assert_eq!(left(&db, &[mail]).await?, "0 0 0");
    db.travel("400 minutes").await?;
    rotate(&db).await?;
    let archived = "SELECT string_agg(queue, ' ' ORDER BY queue) FROM howdah.archive";
    assert_eq!(db.text(archived).await?, "bills default mail");
    Ok(())
}
