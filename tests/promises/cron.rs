//! Schedules: what is due is enqueued once, what was missed goes by its policy, and nobody's mistake is another's.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use howdah::{Ctx, Error, Job, JobError, Missed, Schedule, Worker};
use howdah_tests::{Db, Running, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "reports", attempts = 3, priority = 2, version = 4)]
struct Report {
    pages: u32,
}

async fn report(_: Report, _: Ctx) -> Result<(), JobError> {
    Ok(())
}

/// A worker that serves a queue of its own: what schedules enqueue stays where it is.
fn keeper(db: &Db) -> Running {
    start(Worker::new(&db.howdah).handle(report))
}

/// Stops the queue's clock at this time.
async fn clock(db: &Db, at: &str) -> Result<()> {
    db.run(&format!(
        "CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
         RETURN timestamptz '{at}'"
    ))
    .await
}

/// What a schedule has fired, in order: `12:00:00 due`.
fn fired(schedule: &str) -> String {
    format!(
        "SELECT coalesce(string_agg(to_char(due_at AT TIME ZONE 'UTC', 'HH24:MI:SS') || ' ' || how, ', ' ORDER BY due_at), '')
           FROM howdah.firings WHERE schedule = '{schedule}'"
    )
}

fn next_at(schedule: &str) -> String {
    format!(
        "SELECT to_char(next_at AT TIME ZONE 'UTC', 'DD HH24:MI:SS') FROM howdah.schedules WHERE name = '{schedule}'"
    )
}

fn minutely(name: &str) -> Schedule {
    Schedule::new(name, "* * * * *").raw("k", &())
}

#[tokio::test]
async fn a_schedule_that_is_set_in_sql_fires_when_it_is_due() -> Result<()> {
    let db = Db::new().await?;
    let worker = keeper(&db);
    db.wait_for("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
    db.run(
        "SELECT howdah.set_schedule('s', '{\"expression\": \"@every 1s\", \"kind\": \"k\", \"payload\": {\"a\": 1}}')",
    )
    .await?;
    db.wait_for("SELECT count(*) >= 3 FROM howdah.firings WHERE how = 'due' AND state = 'ready'", "true").await?;
    let grid = "SELECT bool_and(mod(extract(epoch FROM due_at - every_from), 1) = 0 AND due_at > every_from AND fired_at >= due_at)
                  FROM howdah.firings, howdah.schedules";
    assert_eq!(db.text(grid).await?, "true");
    assert_eq!(db.text("SELECT DISTINCT payload FROM howdah.jobs").await?, "{\"a\": 1}");
    worker.stop().await
}

#[tokio::test]
async fn what_was_missed_is_left_out_or_fired_once_or_all_of_it() -> Result<()> {
    let db = Db::new().await?;
    clock(&db, "2030-01-01 00:00:30Z").await?;
    for (name, missed) in [("skip", Missed::Skip), ("one", Missed::One), ("all", Missed::All)] {
        db.howdah.set_schedule(&minutely(name).missed(missed).max_missed(3)).await?;
    }
    let worker = keeper(&db);
    db.wait_for("SELECT count(next_at) FROM howdah.schedules", "3").await?;
    worker.stop().await?;
    clock(&db, "2030-01-01 00:10:30Z").await?;
    let worker = keeper(&db);
    db.wait_for(
        "SELECT string_agg(DISTINCT to_char(next_at AT TIME ZONE 'UTC', 'HH24:MI'), ',') FROM howdah.schedules",
        "00:11",
    )
    .await?;
    assert_eq!(db.text(&fired("skip")).await?, "00:10:00 due");
    assert_eq!(db.text(&fired("one")).await?, "00:09:00 missed, 00:10:00 due");
    assert_eq!(db.text(&fired("all")).await?, "00:07:00 missed, 00:08:00 missed, 00:09:00 missed, 00:10:00 due");
    assert_eq!(db.jobs_in("ready").await?, 7);
    worker.stop().await
}

#[tokio::test]
async fn a_change_of_the_clocks_loses_no_run_and_doubles_none() -> Result<()> {
    let db = Db::new().await?;
    for (zone, expression, before, slot, next) in [
        ("Europe/Berlin", "30 2 * * *", "2026-03-29 00:59:59Z", "01:00:00 due", "30 00:30:00"),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25 00:29:59Z", "00:30:00 due", "26 01:30:00"),
        ("America/New_York", "30 2 * * *", "2026-03-08 06:59:59Z", "07:00:00 due", "09 06:30:00"),
        ("America/New_York", "30 1 * * *", "2026-11-01 05:29:59Z", "05:30:00 due", "02 06:30:00"),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03 15:29:59Z", "15:30:00 due", "04 15:15:00"),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04 14:44:59Z", "14:45:00 due", "05 15:15:00"),
    ] {
        clock(&db, before).await?;
        db.howdah.set_schedule(&Schedule::new("s", expression).timezone(zone).raw("k", &())).await?;
        let worker = keeper(&db);
        db.wait_for("SELECT count(next_at) FROM howdah.schedules", "1").await?;
        worker.stop().await?;
        // Two seconds, or through all of the hour that is there twice.
        clock(&db, &before.replace(":59Z", ":59Z'::timestamptz + interval '50 minutes")).await?;
        db.run("UPDATE howdah.schedule SET grace_ms = 86400000").await?;
        let worker = keeper(&db);
        db.wait_for(&next_at("s"), next).await?;
        assert_eq!(db.text(&fired("s")).await?, slot, "{expression} in {zone} after {before}");
        worker.stop().await?;
        assert!(db.howdah.delete_schedule("s").await?);
    }
    Ok(())
}

#[tokio::test]
async fn slots_that_pass_while_a_schedule_is_paused_are_left_out() -> Result<()> {
    let db = Db::new().await?;
    clock(&db, "2030-01-01 00:00:30Z").await?;
    db.howdah.set_schedule(&minutely("s").missed(Missed::All)).await?;
    assert!(db.howdah.pause_schedule("s", Some("ann"), Some("lunch")).await?);
    assert!(!db.howdah.pause_schedule("s", Some("bob"), None).await?);
    // Whatever is set meanwhile.
    db.howdah.set_schedule(&minutely("s").missed(Missed::All).timezone("Europe/Berlin")).await?;
    let info = db.howdah.schedule("s").await?.context("gone")?;
    assert_eq!((info.paused_by.as_deref(), info.next_at), (Some("bob"), None));
    clock(&db, "2030-01-01 00:10:30Z").await?;
    let worker = keeper(&db);
    db.howdah.set_schedule(&minutely("other")).await?;
    db.wait_for(&next_at("other"), "01 00:11:00").await?;
    assert!(db.howdah.resume_schedule("s").await?);
    assert!(!db.howdah.resume_schedule("s").await?);
    db.wait_for(&next_at("s"), "01 00:11:00").await?;
    assert_eq!(db.text(&fired("s")).await?, "");
    worker.stop().await
}

#[tokio::test]
async fn a_run_by_hand_changes_nothing_about_when_it_is_due() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_schedule(&minutely("s")).await?;
    db.howdah.pause_schedule("s", None, None).await?;
    let row = "SELECT s FROM howdah.schedule s";
    let before = db.text(row).await?;
    let first = db.howdah.run_schedule("s").await?;
    let second = db.howdah.run_schedule("s").await?;
    assert!(!first.hit && !second.hit && first.id != second.id);
    assert_eq!(db.text(row).await?, before);
    let firings = db.howdah.firings("s", 10).await?;
    assert_eq!(firings.len(), 2);
    assert!(firings.iter().all(|f| f.how == "by hand" && f.state.as_deref() == Some("ready")));
    assert_eq!((firings[0].job, firings[1].job), (second.id, first.id));
    Ok(())
}

#[tokio::test]
async fn all_that_a_schedule_says_arrives_with_its_job() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE seen (schedule text, lag float8, version integer, tenant text, attempts integer)").await?;
    async fn look(_: Report, cx: Ctx) -> Result<(), JobError> {
        let slot = cx.scheduled_for().ok_or(std::fmt::Error)?;
        sqlx::query("INSERT INTO seen VALUES ($1, $2, $3, $4, $5)")
            .bind(cx.schedule())
            .bind(SystemTime::now().duration_since(slot)?.as_secs_f64())
            .bind(i32::from(cx.version()))
            .bind(cx.attribute("tenant").and_then(|t| t.as_str()))
            .bind(i32::from(cx.max_attempts()))
            .execute(cx.howdah().pool())
            .await?;
        Ok(())
    }
    let schedule = Schedule::new("s", "@every 1s").job(Report { pages: 7 }).attribute("tenant", "a").max_attempts(9);
    let schedule = schedule.timeout(Duration::from_secs(5)).ttl(Duration::from_secs(600)).option("traceparent", TRACE);
    db.howdah.set_schedule(&schedule).await?;
    let worker = start(Worker::new(&db.howdah).handle(look));
    db.wait_for("SELECT count(*) > 1 FROM seen", "true").await?;
    worker.stop().await?;
    let seen = "SELECT DISTINCT concat_ws(' ', schedule, version, tenant, attempts, lag BETWEEN 0 AND 60) FROM seen";
    assert_eq!(db.text(seen).await?, "s 4 a 9 t");
    let job =
        "SELECT DISTINCT concat_ws(' ', queue, kind, priority, payload, options - '{schedule,expires_at}'::text[],
                 expires_at - enqueued_at BETWEEN interval '9 minutes' AND interval '10 minutes') FROM howdah.jobs";
    let options = r#"{"version": 4, "attributes": {"tenant": "a"}, "timeout_ms": 5000, "traceparent": "$T"}"#
        .replace("$T", TRACE);
    assert_eq!(db.text(job).await?, format!("reports report 2 {{\"pages\": 7}} {options} t"));
    Ok(())
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn while_a_job_has_the_key_of_its_schedule_no_other_is_enqueued() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.set_schedule(&Schedule::new("s", "@every 1s").raw("k", &()).unique("one at a time")).await?;
    let worker = keeper(&db);
    db.wait_for("SELECT count(*) >= 3 FROM howdah.firings WHERE schedule = 's'", "true").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 1);
    assert_eq!(db.number("SELECT count(*) FROM howdah.firings WHERE NOT hit").await?, 1);
    assert!(db.howdah.run_schedule("s").await?.hit);
    db.run("SELECT howdah.cancel(id) FROM howdah.jobs").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs", "2").await?;
    worker.stop().await
}

#[tokio::test]
async fn a_bad_expression_is_shown_and_disturbs_no_other() -> Result<()> {
    let db = Db::new().await?;
    for (name, expression, zone) in [
        ("never", "0 0 31 2 *", "UTC"),
        ("range", "0 0 5-1 * *", "UTC"),
        ("step", "*/90 * * * *", "UTC"),
        ("zone", "@daily", "CEST"),
    ] {
        db.run(&format!(
            "SELECT howdah.set_schedule('{name}', '{{\"expression\": \"{expression}\", \"timezone\": \"{zone}\", \"kind\": \"k\"}}')"
        ))
        .await?;
    }
    db.howdah.set_schedule(&Schedule::new("zzz", "* * * * * *").raw("k", &())).await?;
    let worker = keeper(&db);
    db.wait_for("SELECT count(*) >= 2 FROM howdah.firings WHERE schedule = 'zzz'", "true").await?;
    for (name, part) in [("never", "never comes"), ("range", "ange"), ("step", "@every"), ("zone", "timezone")] {
        db.wait_for(&format!("SELECT count(error) FROM howdah.schedules WHERE name = '{name}'"), "1").await?;
        let info = db.howdah.schedule(name).await?.context("gone")?;
        assert!(info.error.as_ref().is_some_and(|e| e.contains(part)) && info.next_at.is_none(), "{info:?}");
    }
    // Mended, it is in order at once.
    db.run("SELECT howdah.set_schedule('never', '{\"expression\": \"0 0 28 2 *\"}')").await?;
    db.wait_for(
        "SELECT count(*) FROM howdah.schedules WHERE name = 'never' AND next_at > howdah.now() AND error IS NULL",
        "1",
    )
    .await?;
    worker.stop().await
}

#[tokio::test]
async fn a_new_expression_holds_at_once_and_fires_no_old_slot() -> Result<()> {
    let db = Db::new().await?;
    clock(&db, "2030-01-01 00:00:30Z").await?;
    let worker = keeper(&db);
    db.howdah.set_schedule(&minutely("s").missed(Missed::All)).await?;
    db.wait_for(&next_at("s"), "01 00:01:00").await?;
    worker.stop().await?;
    clock(&db, "2030-01-01 00:05:30Z").await?;
    db.run("SELECT howdah.set_schedule('s', '{\"expression\": \"0 */2 * * *\"}')").await?;
    let worker = keeper(&db);
    db.wait_for(&next_at("s"), "01 02:00:00").await?;
    assert_eq!(db.text(&fired("s")).await?, "");
    // What is not about the time leaves the time alone.
    db.run("SELECT howdah.set_schedule('s', '{\"priority\": 1}')").await?;
    db.wait_for(&next_at("s"), "01 02:00:00").await?;
    assert_eq!(
        db.text("SELECT to_char(after_at AT TIME ZONE 'UTC', 'HH24:MI:SS') FROM howdah.schedule").await?,
        "00:05:30"
    );
    worker.stop().await
}

#[tokio::test]
async fn a_program_that_starts_again_changes_nothing_that_somebody_has_set() -> Result<()> {
    let db = Db::new().await?;
    let declare = async |schedule: Schedule| -> Result<()> {
        let worker = start(Worker::new(&db.howdah).handle(report).cron(schedule));
        db.wait_for("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
        worker.stop().await
    };
    let nightly = || Schedule::new("s", "0 3 * * *").job(Report { pages: 1 });
    let row = "SELECT concat_ws(' ', expression, priority, payload, paused_by) FROM howdah.schedule";
    declare(nightly()).await?;
    assert_eq!(db.text(row).await?, "0 3 * * * 2 {\"pages\": 1}");
    db.run("SELECT howdah.set_schedule('s', '{\"priority\": 7}'), howdah.pause_schedule('s', 'ann')").await?;
    let version = db.text("SELECT xmin FROM howdah.schedule").await?;
    declare(nightly()).await?;
    assert_eq!(db.text("SELECT xmin FROM howdah.schedule").await?, version, "nothing is written");
    // Another release: what it declares otherwise, and nothing else.
    declare(nightly().timezone("Europe/Berlin").job(Report { pages: 2 })).await?;
    assert_eq!(db.text(row).await?, "0 3 * * * 7 {\"pages\": 2} ann");
    declare(Schedule::new("s", "0 4 * * *").job(Report { pages: 3 }).revision(1)).await?;
    declare(nightly()).await?;
    assert_eq!(db.text(row).await?, "0 4 * * * 7 {\"pages\": 3} ann", "an old release is not heard");
    Ok(())
}

#[tokio::test]
async fn a_worker_with_a_schedule_that_makes_no_sense_does_not_start() -> Result<()> {
    let db = Db::new().await?;
    let refused = async |schedule: Schedule| match Worker::new(&db.howdah).handle(report).cron(schedule).run().await {
        Err(Error::Invalid { field, .. }) => Ok(field),
        Err(Error::UnknownQueue { .. }) => Ok("queue".to_owned()),
        other => anyhow::bail!("{other:?}"),
    };
    assert_eq!(refused(Schedule::new("s", "0 0 30 2 *").raw("k", &())).await?, "expression");
    assert_eq!(refused(minutely("s").timezone("Berlin")).await?, "timezone");
    assert_eq!(refused(minutely("s").queue("nope")).await?, "queue");
    assert_eq!(refused(minutely("s").option("ttl_ms", -1)).await?, "ttl_ms");
    assert_eq!(refused(minutely("")).await?, "name");
    let twice = Worker::new(&db.howdah).handle(report).cron(minutely("s")).cron(minutely("s")).run().await;
    assert!(matches!(twice, Err(Error::Worker(_))), "{twice:?}");
    assert_eq!(
        db.text("SELECT concat_ws(' ', (SELECT count(*) FROM howdah.schedule), (SELECT count(*) FROM howdah.worker))")
            .await?,
        "0 0"
    );
    Ok(())
}

#[tokio::test]
async fn the_next_runs_are_told() -> Result<()> {
    let db = Db::new().await?;
    clock(&db, "2026-03-28 12:00:00Z").await?;
    db.howdah.set_schedule(&Schedule::new("s", "30 2 * * *").timezone("Europe/Berlin").raw("k", &())).await?;
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let runs = [at(1_774_746_000), at(1_774_830_600)];
    assert_eq!(db.howdah.next_runs("s", 2).await?, runs);
    db.howdah.pause_schedule("s", None, None).await?;
    assert_eq!(db.howdah.next_runs("s", 2).await?, runs, "when it would, were it not paused");
    assert!(matches!(db.howdah.next_runs("t", 2).await, Err(Error::Invalid { field, .. }) if field == "schedule"));
    let all = db.howdah.schedules().await?;
    assert_eq!((all.len(), all[0].name.as_str(), all[0].timezone.as_str()), (1, "s", "Europe/Berlin"));
    assert_eq!(db.howdah.schedule("t").await?.map(|s| s.name), None);
    Ok(())
}

#[tokio::test]
async fn what_no_schedule_may_have_is_refused() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    session.run("SELECT howdah.set_schedule('s', '{\"expression\": \"@daily\", \"kind\": \"k\"}')").await?;
    let before = db.content().await?;
    let million = "x".repeat(2 << 20);
    for (settings, refusal) in [
        (r#"{"expression": "* * * *"}"#, "HD002 expression"),
        (r#"{"expression": "0 0 1--100000000"}"#, "HD002 expression"),
        (r#"{"expression": "@reboot"}"#, "HD002 expression"),
        (r#"{"expression": ""}"#, "HD002 expression"),
        (r#"{"expression": null}"#, "HD002 expression"),
        (&format!("{{\"expression\": \"{million}\"}}"), "HD002 expression"),
        (r#"{"kind": ""}"#, "HD002 kind"),
        (r#"{"kind": null}"#, "HD002 kind"),
        (r#"{"timezone": "Europe/Nowhere"}"#, "HD002 timezone"),
        (r#"{"timezone": "FOO+3"}"#, "HD002 timezone"),
        (r#"{"timezone": ""}"#, "HD002 timezone"),
        (r#"{"priority": 10}"#, "HD002 priority"),
        (r#"{"priority": "high"}"#, "HD002 priority"),
        (r#"{"max_attempts": 0}"#, "HD002 max_attempts"),
        (r#"{"missed": "some"}"#, "HD002 missed"),
        (r#"{"max_missed": 1001}"#, "HD002 max_missed"),
        (r#"{"grace_ms": 0}"#, "HD002 grace_ms"),
        (r#"{"unique_key": ""}"#, "HD002 unique_key"),
        (r#"{"options": {"ttl_ms": -1}}"#, "HD002 ttl_ms"),
        (r#"{"options": {"id": 128}}"#, "HD002 options"),
        (r#"{"queue": "nope"}"#, "HD001 queue"),
        (&format!("{{\"payload\": \"{million}\"}}"), "HD002 payload"),
        (r#"{"turn": 7}"#, "HD002 turn"),
        (r#"[]"#, "HD002 settings"),
    ] {
        let said = session
            .refusal(&format!("SELECT howdah.set_schedule('s', '{settings}')"))
            .await
            .map_err(|_| anyhow::anyhow!("{settings:.100} was not refused"))?;
        assert_eq!(said, refusal, "{settings:.100}");
    }
    for (sql, refusal) in [
        ("set_schedule('t', '{\"kind\": \"k\"}')", "HD002 expression"),
        ("set_schedule('t', '{\"expression\": \"@daily\"}')", "HD002 kind"),
        ("set_schedule(E'\\n', '{}')", "HD002 name"),
        ("declare_schedule('s', '{}', -1)", "HD002 revision"),
        ("pause_schedule('t')", "HD002 schedule"),
        ("resume_schedule('t')", "HD002 schedule"),
        ("run_schedule('t')", "HD002 schedule"),
        ("run_schedule(NULL)", "HD002 schedule"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT howdah.{sql}")).await?, refusal, "{sql}");
    }
    assert_eq!(db.content().await?, before);
    Ok(())
}
