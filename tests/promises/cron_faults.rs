//! Schedules through kills of workers, keepers and the server, and through what others hold: each slot is fired once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use howdah::{Ctx, Howdah, Job, JobError, Schedule, Worker};
use howdah_devdb::{Server, StopMode};
use howdah_tests::{Db, HELD_TABLES, Session, start};
use nix::sys::signal::Signal;

use crate::process::Process;

#[derive(Job, serde::Serialize, serde::Deserialize)]
struct Nothing {}

async fn nothing(_: Nothing, _: Ctx) -> Result<(), JobError> {
    Ok(())
}

/// What is wrong: a schedule that has lost a slot between its first and its last, or fired one twice, or a slot whose
/// job is not there or is another's.
const WRONG: &str = "SELECT coalesce(string_agg(x, '; '), '') FROM (
    SELECT format('%s has %s firings of %s slots', schedule, count(*), extract(epoch FROM max(due_at) - min(due_at)) + 1)
      FROM howdah.firing GROUP BY schedule HAVING count(*) <> extract(epoch FROM max(due_at) - min(due_at)) + 1
    UNION ALL
    SELECT format('%s began with %s', s.name, min(f.due_at)) FROM howdah.schedule s LEFT JOIN howdah.firing f ON f.schedule = s.name
     GROUP BY s.name, s.created_at HAVING min(f.due_at) IS DISTINCT FROM date_trunc('second', s.created_at) + interval '1 second'
    UNION ALL
    SELECT format('job %s of %s at %s', f.job_id, f.schedule, f.due_at)
      FROM howdah.firing f FULL JOIN howdah.jobs j ON j.id = f.job_id AND j.options #>> '{schedule,name}' = f.schedule
       AND (j.options #>> '{schedule,due_at}')::timestamptz = f.due_at
     WHERE f.job_id IS NULL OR j.id IS NULL OR f.how <> 'due') w(x)";

async fn every_second(howdah: &Howdah, schedules: usize, kind: &str) -> Result<()> {
    for n in 0..schedules {
        howdah.set_schedule(&each_second(format!("s{n}")).raw(kind, &serde_json::json!({}))).await?;
    }
    Ok(())
}

/// However long this machine takes, nothing counts as missed.
fn each_second(name: impl Into<String>) -> Schedule {
    Schedule::new(name, "* * * * * *").grace(Duration::from_secs(86_400))
}

#[tokio::test]
async fn four_processes_fire_each_slot_once_while_one_keeper_after_another_is_killed() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    db.run("INSERT INTO go VALUES (1)").await?;
    every_second(&db.howdah, 10, "held").await?;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(Process::start(db.url(), 2_000, 200)?);
    }
    for round in 0..4 {
        let so_far = db.number("SELECT count(*) FROM howdah.firing").await?;
        db.wait_for(&format!("SELECT count(*) > {} FROM howdah.firing", so_far + 15), "true").await?;
        db.wait_for("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
        let keeper = db.number("SELECT split_part(name, '/', 2) FROM howdah.workers WHERE keeper").await?;
        let at = processes.iter().position(|p| i64::from(p.id()) == keeper).context("a keeper of ours")?;
        // Killed, or stopped until another has its office, and let go on with what it had in mind.
        let mut process = processes.swap_remove(at);
        if round % 2 == 0 {
            process.signal(Signal::SIGKILL)?;
        } else {
            process.signal(Signal::SIGSTOP)?;
            db.wait_for(
                &format!("SELECT count(*) FROM howdah.workers WHERE keeper AND split_part(name, '/', 2) <> '{keeper}'"),
                "1",
            )
            .await?;
            process.signal(Signal::SIGCONT)?;
            processes.push(process);
            process = Process::start(db.url(), 2_000, 200)?;
        }
        processes.push(process);
    }
    db.run("SELECT howdah.pause_schedule(name) FROM howdah.schedule").await?;
    assert_eq!(db.text(WRONG).await?, "");
    // And each of the jobs is run.
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'", "0").await?;
    let firings = db.number("SELECT count(*) FROM howdah.firing").await?;
    assert_eq!(db.number("SELECT count(DISTINCT job) FROM seen WHERE what = 'started'").await?, firings);
    Ok(())
}

#[tokio::test]
async fn a_crash_of_the_server_loses_no_slot_and_doubles_none() -> Result<()> {
    let server = Server::builder().private().start().await?;
    let database = server.create_database().await?;
    let howdah = Howdah::connect(database.url()).await?;
    howdah.migrate().await?;
    every_second(&howdah, 5, "k").await?;
    let worker = start(Worker::new(&howdah).handle(nothing));
    let patience = Instant::now() + Duration::from_secs(180);
    for crashes in 1..=3 {
        // Until something was fired since the last time.
        loop {
            let fired = sqlx::query_scalar::<_, bool>("SELECT count(*) >= 10 * $1 FROM howdah.firing").bind(crashes);
            if fired.fetch_one(howdah.pool()).await.unwrap_or(false) {
                break;
            }
            assert!(Instant::now() < patience, "nothing is fired");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if crashes < 3 {
            server.stop_postmaster(StopMode::Kill).await?;
            server.start_postmaster().await?;
        }
    }
    worker.stop().await?;
    let wrong: String = sqlx::query_scalar(WRONG).fetch_one(howdah.pool()).await?;
    assert_eq!(wrong, "");
    server.stop().await?;
    Ok(())
}

/// A keeper by SQL, and a schedule of which a slot is due.
async fn by_hand(db: &Db) -> Result<(i64, String)> {
    let worker = db.worker().await?;
    let term = db.number(&format!("SELECT howdah.elect_keeper({worker}, 60000)")).await?;
    db.run("SELECT howdah.set_schedule('s', '{\"expression\": \"* * * * * *\", \"kind\": \"k\"}')").await?;
    db.wait_for("SELECT howdah.now() > after_at + interval '2 ms' FROM howdah.schedule", "true").await?;
    let turn = db.number("SELECT turn FROM howdah.schedule").await?;
    let fire = format!(
        "SELECT coalesce(howdah.fire_schedule({worker}, {term}, 's', {turn}, ARRAY[s.after_at + interval '1 ms'], 0, s.after_at + interval '1 ms',
            s.after_at + interval '1 hour')::text, '') FROM howdah.schedule s"
    );
    Ok((turn, fire))
}

#[tokio::test]
async fn of_two_keepers_with_the_same_plan_one_fires() -> Result<()> {
    let db = Db::new().await?;
    let (_, fire) = by_hand(&db).await?;
    let (mut one, mut two): (Session, Session) = (db.session().await?, db.session().await?);
    one.run(&format!("BEGIN; {fire}")).await?;
    assert_eq!(two.list(&fire).await?, [""], "it does not wait either");
    one.run("ROLLBACK").await?;
    assert_eq!(db.number("SELECT (SELECT count(*) FROM howdah.firing) + (SELECT count(*) FROM howdah.jobs)").await?, 0);
    assert!(two.list(&fire).await?[0].starts_with('{'), "what was rolled back was not fired");
    assert_eq!(one.list(&fire).await?, [""]);
    assert_eq!(
        db.text("SELECT concat_ws(' ', (SELECT count(*) FROM howdah.firing), (SELECT count(*) FROM howdah.jobs))")
            .await?,
        "1 1"
    );
    Ok(())
}

#[tokio::test]
async fn what_was_planned_before_a_change_or_in_an_old_term_is_not_fired() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for change in [
        "pause_schedule('s')",
        "set_schedule('s', '{\"expression\": \"@daily\"}')",
        "set_schedule('s', '{\"kind\": \"other\"}')",
        "delete_schedule('s')",
    ] {
        db.run("DELETE FROM howdah.schedule; UPDATE howdah.keeper SET expires_at = '-infinity'").await?;
        let (_, fire) = by_hand(&db).await?;
        db.run(&format!("SELECT howdah.{change}")).await?;
        assert!(session.list(&fire).await?.iter().all(String::is_empty), "{change}");
    }
    db.run("DELETE FROM howdah.schedule; UPDATE howdah.keeper SET expires_at = '-infinity'").await?;
    let (turn, fire) = by_hand(&db).await?;
    db.run("UPDATE howdah.keeper SET term = term + 1").await?;
    assert_eq!(session.refusal(&fire).await?, "HD011");
    let failed = format!("SELECT howdah.schedule_failed(worker_id, term - 1, 's', {turn}, 'x') FROM howdah.keeper");
    assert_eq!(session.refusal(&failed).await?, "HD011");
    assert_eq!(session.refusal("SELECT howdah.due_schedules(worker_id, term - 1) FROM howdah.keeper").await?, "HD011");
    db.run("UPDATE howdah.keeper SET term = term - 1").await?;
    // A plan that makes no sense.
    for (right, wrong) in [
        ("ARRAY[s.after_at + interval '1 ms']", "ARRAY[s.after_at]"),
        ("interval '1 hour'", "interval '0'"),
        ("0, s.after_at + interval '1 ms'", "0, s.after_at + interval '1 minute'"),
    ] {
        let refusal = session.refusal(&fire.replacen(right, wrong, 1)).await?;
        assert!(refusal == "HD002 due" || refusal == "HD002 next_at", "{wrong}: {refusal}");
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.firing").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_slot_whose_queue_is_full_is_fired_when_there_is_room() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('small', '{\"max_jobs\": 1}'); SELECT howdah.enqueue('k', '{}', 'small')")
        .await?;
    db.howdah.set_schedule(&each_second("full").queue("small").raw("k", &())).await?;
    every_second(&db.howdah, 1, "k").await?;
    let worker = start(Worker::new(&db.howdah).handle(nothing));
    db.wait_for("SELECT error LIKE 'queue small is full%' FROM howdah.schedules WHERE name = 'full'", "true").await?;
    // The other one goes on.
    let so_far = db.number("SELECT count(*) FROM howdah.firing").await?;
    db.wait_for(&format!("SELECT count(*) > {} FROM howdah.firing", so_far + 1), "true").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.firing WHERE schedule = 'full'").await?, 0);
    db.run("SELECT howdah.set_queue('small', '{\"max_jobs\": null}')").await?;
    db.wait_for("SELECT count(*) >= 3 FROM howdah.firing WHERE schedule = 'full'", "true").await?;
    assert_eq!(db.text("SELECT error FROM howdah.schedules WHERE name = 'full'").await?, "");
    worker.stop().await?;
    db.run("DELETE FROM howdah.ticket WHERE first_id = (SELECT min(id) FROM howdah.jobs)").await?;
    assert_eq!(db.text(WRONG).await?, "");
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_over_one_schedule_holds_up_no_other() -> Result<()> {
    let db = Db::new().await?;
    every_second(&db.howdah, 3, "k").await?;
    db.howdah.set_schedule(&each_second("key").raw("k", &()).unique("k")).await?;
    db.howdah.pause_schedule("key", None, None).await?;
    let worker = start(Worker::new(&db.howdah).handle(nothing));
    db.wait_for("SELECT count(DISTINCT schedule) FROM howdah.firing", "3").await?;
    let mut open = db.session().await?;
    // One that is being changed; one that is being run by hand; one whose unique key another transaction has.
    open.run("BEGIN; SELECT howdah.set_schedule('s0', '{\"priority\": 1}'); SELECT howdah.run_schedule('s1')").await?;
    open.run("SELECT howdah.enqueue_unique('k', '{}', 'k')").await?;
    assert!(db.howdah.resume_schedule("key").await?);
    let so_far =
        "SELECT min(n) FROM (SELECT count(*) n FROM howdah.firing WHERE schedule IN ('s1', 's2') GROUP BY schedule) c";
    let before = db.number(so_far).await?;
    db.wait_for(&format!("SELECT ({so_far}) > {}", before + 3), "true").await?;
    db.wait_for("SELECT error IS NOT NULL FROM howdah.schedules WHERE name = 'key'", "true").await?;
    open.run("COMMIT").await?;
    db.wait_for("SELECT count(*) FROM howdah.schedules WHERE next_at < howdah.now() - interval '2 seconds' OR error IS NOT NULL", "0").await?;
    worker.stop().await?;
    let lost = "SELECT count(*) FROM (SELECT FROM howdah.firing WHERE how = 'due' GROUP BY schedule HAVING count(*) <> extract(epoch FROM max(due_at) - min(due_at)) + 1) x";
    assert_eq!(db.number(lost).await?, 0, "what waited was fired");
    Ok(())
}

#[tokio::test]
async fn the_history_of_a_schedule_is_bounded() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.set_schedule('s', '{\"expression\": \"@daily\", \"kind\": \"k\"}')").await?;
    db.run("INSERT INTO howdah.firing SELECT n, howdah.now() - i * interval '1 second', howdah.now() - i * interval '1 second', 'due', 128 * i, false
              FROM generate_series(1, 1500) i, unnest('{s,t}'::text[]) n").await?;
    db.howdah.run_schedule("s").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.firing WHERE schedule = 's'").await?, 1000);
    assert_eq!(
        db.text("SELECT how FROM howdah.firing WHERE schedule = 's' ORDER BY fired_at DESC LIMIT 1").await?,
        "by hand"
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.firing WHERE schedule = 't'").await?, 1500);
    assert!(db.howdah.delete_schedule("s").await? && !db.howdah.delete_schedule("s").await?);
    assert_eq!(db.number("SELECT count(*) FROM howdah.firing WHERE schedule = 's'").await?, 0);
    Ok(())
}
