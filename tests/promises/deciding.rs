//! Finding jobs in a transaction and deciding: what is found stays as it is, nobody else waits, and nobody spins.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use howdah::{Change, Ctx, Error, Filter, Job, JobError, JobId, JobState, Jobs, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Errand {
    n: i32,
}

async fn ran(_: Errand, cx: Ctx<()>) -> Result<(), JobError> {
    howdah_tests::note(&cx, "ran").await?;
    Ok(())
}

/// A worker that writes down what it runs.
async fn working(db: &Db) -> Result<howdah_tests::Running> {
    db.run(howdah_tests::HELD_TABLES).await?;
    // A lease that outlasts the travels of the clock.
    Ok(start(Worker::new(&db.howdah).handle(ran).heartbeat(Duration::from_millis(50)).lease(Duration::from_secs(600))))
}

async fn wait_for_state(db: &Db, id: JobId, state: &str) -> Result<()> {
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {id}"), state).await
}

#[tokio::test]
async fn a_job_is_enqueued_found_and_deleted_in_one_transaction() -> Result<()> {
    let db = Db::new().await?;
    let worker = working(&db).await?;
    let before = db.text("SELECT count(*) FROM howdah.job").await?;
    let mut tx = db.pool().begin().await?;
    let ready = db.howdah.enqueue(Errand { n: 1 }).on(&mut tx).await?;
    let later = db.howdah.enqueue(Errand { n: 2 }).delay(Duration::from_secs(60)).on(&mut tx).await?;
    let many = db.howdah.enqueue_many((3..10).map(|n| Errand { n })).on(&mut tx).await?;
    let found = db.howdah.find(Jobs::kind("errand")).for_update(&mut tx).await?;
    assert_eq!(found.len(), 9);
    assert_eq!((found[0].id, found[0].state, found[0].decode::<Errand>()?.n), (ready, JobState::Ready, 1));
    assert_eq!((found[1].id, found[1].state), (later, JobState::Scheduled));
    for id in [ready, later].into_iter().chain(many.iter()) {
        assert!(db.howdah.delete(id).on(&mut tx).await?.is_some());
        assert_eq!(db.howdah.delete(id).on(&mut tx).await?, None, "it is gone");
    }
    tx.commit().await?;
    let after = db.howdah.enqueue(Errand { n: 10 }).await?;
    wait_for_state(&db, after, "completed").await?;
    worker.stop().await?;
    assert_eq!(db.text("SELECT count(*) - 1 FROM howdah.job").await?, before);
    assert_eq!(db.number("SELECT count(*) FROM seen").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_held_past_its_due_time_is_not_claimed_and_can_be_deleted() -> Result<()> {
    let db = Db::new().await?;
    let worker = working(&db).await?;
    let minute = Duration::from_secs(60);
    let id = db.howdah.enqueue(Errand { n: 1 }).delay(minute).await?;
    let mut tx = db.pool().begin().await?;
    let found = db.howdah.find(Jobs::ids([id])).for_update(&mut tx).await?;
    assert_eq!((found.len(), found[0].state), (1, JobState::Scheduled));
    // Others that are due at that time, and later, are promoted and run.
    let same = db.howdah.enqueue(Errand { n: 2 }).delay(minute).await?;
    let later = db.howdah.enqueue(Errand { n: 2 }).delay(minute * 2).await?;
    db.travel("61 seconds").await?;
    wait_for_state(&db, same, "completed").await?;
    db.travel("121 seconds").await?;
    wait_for_state(&db, later, "completed").await?;
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Scheduled));
    assert_eq!(db.howdah.delete(id).on(&mut tx).await?, Some(JobState::Scheduled));
    tx.commit().await?;
    worker.stop().await?;
    assert_eq!(db.number(&format!("SELECT count(*) FROM seen WHERE job = {id}")).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_ready_job_that_is_held_is_not_claimed_until_it_is_let_go() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Errand { n: 1 }).await?;
    let mut tx = db.pool().begin().await?;
    assert_eq!(db.howdah.find(Jobs::ids([id])).for_update(&mut tx).await?.len(), 1);
    let worker = working(&db).await?;
    let other = db.howdah.enqueue(Errand { n: 2 }).await?;
    wait_for_state(&db, other, "completed").await?;
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Ready));
    tx.rollback().await?;
    wait_for_state(&db, id, "completed").await?;
    worker.stop().await
}

#[tokio::test]
async fn nobody_spins_while_a_due_job_is_held() -> Result<()> {
    let db = Db::new().await?;
    // Counts the statements of each tick of the keeper and of each heartbeat, outside of any transaction.
    db.run(
        "CREATE SEQUENCE ticks; CREATE SEQUENCE beats;
         CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval(TG_ARGV[0]); RETURN NULL; END $$;
         CREATE TRIGGER ticks AFTER DELETE ON howdah.deferred FOR EACH STATEMENT EXECUTE FUNCTION counts('public.ticks');
         CREATE TRIGGER beats AFTER UPDATE ON howdah.worker FOR EACH STATEMENT EXECUTE FUNCTION counts('public.beats')",
    )
    .await?;
    let id = db.howdah.enqueue(Errand { n: 1 }).delay(Duration::from_millis(300)).await?;
    let mut tx = db.pool().begin().await?;
    assert_eq!(db.howdah.find(Jobs::ids([id])).for_update(&mut tx).await?.len(), 1);
    let worker = working(&db).await?;
    // From when it is due, for as long as thirty heartbeats of 50 ms last.
    db.wait_for(&format!("SELECT due_at < howdah.now() FROM howdah.jobs WHERE id = {id}"), "true").await?;
    let since = Instant::now();
    let (ticks, beats) =
        (db.number("SELECT last_value FROM ticks").await?, db.number("SELECT last_value FROM beats").await?);
    db.wait_for(&format!("SELECT last_value > {beats} + 30 FROM beats"), "true").await?;
    let ticks = u64::try_from(db.number("SELECT last_value FROM ticks").await? - ticks)?;
    // In three seconds two of its own, and some for the job that it cannot have.
    let most = 5 + 3 * since.elapsed().as_secs();
    assert!(ticks < most, "{ticks} ticks of the keeper, {most} at most");
    // Let go, it runs.
    tx.rollback().await?;
    wait_for_state(&db, id, "completed").await?;
    worker.stop().await
}

#[tokio::test]
async fn the_siblings_of_a_job_that_is_held_do_not_wait() -> Result<()> {
    let db = Db::new().await?;
    let (mut other, worker) = (db.session().await?, db.worker().await?);
    for later in [false, true] {
        let many = db.howdah.enqueue_many((0..100).map(|n| Errand { n }));
        let ids = if later { many.delay(Duration::from_secs(3600)) } else { many }.await?;
        let held = ids.iter().nth(40);
        let mut tx = db.pool().begin().await?;
        assert_eq!(db.howdah.find(Jobs::ids(held)).for_update(&mut tx).await?.len(), 1);
        if later {
            db.travel("2 hours").await?;
            other.run("SET lock_timeout = '2s'; SELECT howdah.promote()").await?;
        }
        let claimed = other.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 500)")).await?;
        let wanted: Vec<String> = ids.iter().filter(|id| Some(*id) != held).map(|id| id.to_string()).collect();
        assert_eq!(claimed, wanted, "later: {later}");
        tx.rollback().await?;
        if later {
            other.run("SELECT howdah.promote()").await?;
        }
        assert_eq!(other.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 500)")).await?.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn isolating_waits_for_nobody_and_a_held_run_waits_as_a_whole_without_it() -> Result<()> {
    let db = Db::new().await?;
    let (mut one, mut two, worker) = (db.session().await?, db.session().await?, db.worker().await?);
    let first = one.number("SELECT first_id FROM howdah.enqueue_many('k', '{1,2,3}')").await?;
    one.run("BEGIN").await?;
    assert_eq!(one.list(&format!("SELECT id FROM howdah.find_for_update('{{{first}}}')")).await?, [first.to_string()]);
    two.run("SET lock_timeout = '2s'").await?;
    assert_eq!(two.number(&format!("SELECT howdah.isolate('{{{first}}}')")).await?, 0, "it is locked");
    assert_eq!(two.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 10)")).await?.len(), 0);
    one.run("ROLLBACK").await?;
    assert_eq!(two.list(&format!("SELECT howdah.crowded('{{{first}}}')")).await?, [first.to_string()]);
    assert_eq!(two.number(&format!("SELECT howdah.isolate('{{{first}}}')")).await?, 1);
    assert_eq!(two.list(&format!("SELECT howdah.crowded('{{{first}}}')")).await?, Vec::<String>::new());
    one.run(&format!("BEGIN; SELECT howdah.find_for_update('{{{first}}}')")).await?;
    assert_eq!(two.list(&format!("SELECT id FROM howdah.claim({worker}, jobs => 10)")).await?.len(), 2);
    one.run("COMMIT").await?;
    // What runs or does not exist is not found.
    let none = format!("SELECT id FROM howdah.find_for_update('{{{},7}}')", first + 1);
    assert_eq!(one.list(&none).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_pool_of_one_connection_can_find_for_update() -> Result<()> {
    let db = Db::new().await?;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(20))
        .connect(db.url())
        .await?;
    let howdah = howdah::Howdah::from_pool(pool);
    howdah.enqueue_many((0..10).map(|n| Errand { n })).await?;
    let mut tx = howdah.pool().begin().await?;
    let found = howdah.find(Jobs::kind("errand")).limit(2).for_update(&mut tx).await?;
    assert_eq!(found.len(), 2);
    // Again, for what is locked already by ourselves.
    assert_eq!(howdah.find(Jobs::kind("errand")).for_update(&mut tx).await?.len(), 10);
    tx.commit().await?;
    Ok(())
}

#[tokio::test]
async fn a_job_is_deleted_without_a_trace_wherever_it_is_unless_it_runs() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    let ready = "SELECT first_id + 1 FROM howdah.enqueue_many('k', '{1,2,3}', priority => 9)";
    let scheduled = "SELECT first_id + 1 FROM howdah.enqueue_many('k', '{1,2,3}', delay => '1 hour')";
    let ended = |how: &str| {
        format!("SELECT howdah.enqueue('k', max_attempts => 1); SELECT {how} FROM howdah.claim({worker}) c")
    };
    for (state, make) in [
        ("ready", ready.to_owned()),
        ("scheduled", scheduled.to_owned()),
        ("dead", ended("howdah.fail(c.lease_id, ARRAY[c.id], messages => '{broke}')")),
        ("completed", ended("howdah.complete(c.lease_id)")),
        ("cancelled", ended("howdah.fail(c.lease_id, ARRAY[c.id], '{cancel}')")),
    ] {
        let id = match make.split_once("; ") {
            None => session.number(&make).await?,
            Some((enqueue, end)) => {
                let id = session.number(enqueue).await?;
                session.run(end).await?;
                id
            }
        };
        let others = session.number("SELECT count(*) FROM howdah.jobs").await? - 1;
        assert_eq!(session.text(&format!("SELECT howdah.state({id})")).await?, state);
        session.run("BEGIN").await?;
        assert_eq!(session.text(&format!("SELECT howdah.delete({id})")).await?, state);
        session.run("ROLLBACK").await?;
        assert_eq!(session.text(&format!("SELECT howdah.state({id})")).await?, state, "rolled back");
        assert_eq!(session.text(&format!("SELECT howdah.delete({id})")).await?, state);
        let traces = format!(
            "SELECT count(*) FROM (SELECT id FROM howdah.job UNION ALL SELECT job_id FROM howdah.failure UNION ALL SELECT job_id FROM howdah.dead) x WHERE id = {id}"
        );
        assert_eq!(session.number(&traces).await?, 0, "{state}");
        assert_eq!(session.number("SELECT count(*) FROM howdah.jobs").await?, others, "{state}");
        assert_eq!(session.text(&format!("SELECT howdah.delete({id}) IS NULL")).await?, "true");
        session
            .run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker}, jobs => 500) LIMIT 1"))
            .await?;
    }
    let running = session.number("SELECT howdah.enqueue('k')").await?;
    session.run(&format!("SELECT howdah.claim({worker})")).await?;
    for call in ["delete({})", "reschedule({}, delay => '1 s')", "change({}, '1')"] {
        let call = call.replace("{}", &running.to_string());
        assert_eq!(session.refusal(&format!("SELECT howdah.{call}")).await?, "HD007 job_id", "{call}");
    }
    assert!(matches!(db.howdah.delete(JobId(running)).await, Err(Error::WrongState { .. })));
    assert_eq!(session.text(&format!("SELECT howdah.state({running})")).await?, "running");
    Ok(())
}

#[tokio::test]
async fn of_several_who_delete_a_job_one_has_deleted_it_and_the_others_hear_that_there_is_none() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    for begin in [
        "",
        "SELECT howdah.cancel(128)",
        "SELECT howdah.fail(c.lease_id, ARRAY[c.id], ARRAY['discard']) FROM howdah.claim(WORKER) c",
        "SELECT howdah.complete(c.lease_id, ARRAY[c.id]) FROM howdah.claim(WORKER) c",
    ] {
        let id = db.number("SELECT howdah.enqueue('a')").await?;
        db.run(&begin.replace("128", &id.to_string()).replace("WORKER", &worker.to_string())).await?;
        let delete = format!("SELECT howdah.delete({id})");
        let (mut first, mut second) = (db.session().await?, db.session().await?);
        first.run("BEGIN").await?;
        let state = first.text(&delete).await?;
        let other = tokio::spawn(async move { second.text(&delete).await });
        db.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%howdah.delete%' AND datname = current_database()", "1").await?;
        first.run("COMMIT").await?;
        assert_eq!((other.await??.as_str(), state.is_empty()), ("", false), "{begin}: {state}");
    }
    Ok(())
}

#[tokio::test]
async fn a_running_job_deletes_itself_and_is_not_retried_whatever_it_returns() -> Result<()> {
    async fn deletes_itself(_: Errand, cx: Ctx<()>) -> Result<(), JobError> {
        howdah_tests::note(&cx, "ran").await?;
        let mut tx = cx.howdah().pool().begin().await?;
        cx.complete_in(&mut tx).await?;
        cx.howdah().delete(cx.id()).on(&mut tx).await?;
        tx.commit().await?;
        Err(JobError::retry("and still it is gone"))
    }
    let db = Db::new().await?;
    db.run(howdah_tests::HELD_TABLES).await?;
    db.howdah.enqueue_many((0..50).map(|n| Errand { n })).await?;
    db.howdah.enqueue(Errand { n: 50 }).await?;
    let worker = start(Worker::new(&db.howdah).handle(deletes_itself));
    db.wait_for("SELECT count(*) FROM howdah.jobs", "0").await?;
    worker.stop().await?;
    assert_eq!(db.text("SELECT count(*) || ' ' || count(DISTINCT job) FROM seen").await?, "51 51");
    assert_eq!(db.text("SELECT (SELECT count(*) FROM howdah.job) + (SELECT count(*) FROM howdah.deferred) + (SELECT count(*) FROM howdah.ticket)").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_change_is_followed_by_everything_that_knows_the_job() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    db.howdah.create_queue("other").await?;
    let ids: Vec<JobId> = db.howdah.enqueue_many((0..5).map(|n| Errand { n })).await?.iter().collect();
    let mut tx = db.pool().begin().await?;
    let change = Change::new().payload(&Errand { n: 77 }).priority(1).max_attempts(3);
    assert_eq!(db.howdah.change(ids[3], change).on(&mut tx).await?, Some(JobState::Ready));
    assert_eq!(db.howdah.change(ids[1], Change::new().queue("other")).on(&mut tx).await?, Some(JobState::Ready));
    tx.commit().await?;
    let claim = |queue: &str| {
        format!(
            "SELECT payload::text || ' ' || priority || ' ' || max_attempts FROM howdah.claim({worker}, '{queue}', 10)"
        )
    };
    let errand = |n: i32, rest: &str| format!("{{\"n\": {n}}} {rest}");
    assert_eq!(session.list(&claim("other")).await?, [errand(1, "5 20")]);
    let wanted = [errand(77, "1 3"), errand(0, "5 20"), errand(2, "5 20"), errand(4, "5 20")];
    assert_eq!(session.list(&claim("default")).await?, wanted);
    // One that is due later goes where it was sent when it is due; a dead one when it is sent again.
    let later = db.howdah.enqueue(Errand { n: 8 }).delay(Duration::from_secs(60)).await?;
    assert_eq!(db.howdah.change(later, Change::new().queue("other").priority(0)).await?, Some(JobState::Scheduled));
    assert_eq!(db.howdah.retry(later).await?, Some(JobState::Ready));
    assert_eq!(session.list(&claim("other")).await?, [errand(8, "0 20")]);
    let dies = db.howdah.enqueue(Errand { n: 9 }).max_attempts(1).await?;
    session.run(&format!("SELECT howdah.fail(c.lease_id, ARRAY[c.id]) FROM howdah.claim({worker}) c")).await?;
    let mended = Change::new().payload(&Errand { n: 10 }).queue("other");
    assert_eq!(db.howdah.change(dies, mended).await?, Some(JobState::Dead));
    assert_eq!(db.howdah.retry_all(Jobs::queue("other")).await?.done, 1);
    assert_eq!(session.list(&claim("other")).await?, [errand(10, "5 1")]);
    Ok(())
}

#[tokio::test]
async fn a_change_refuses_what_no_job_may_have() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let id = session.number("SELECT howdah.enqueue('k')").await?;
    session.run("UPDATE howdah.queue SET max_payload_bytes = 100").await?;
    let before = db.content().await?;
    for (call, refusal) in [
        ("change({}, priority => 10)", "HD002 priority"),
        ("change({}, max_attempts => 0)", "HD002 max_attempts"),
        ("change({}, queue => 'nope')", "HD001 queue"),
        ("change({}, to_jsonb(repeat('x', 1000)))", "HD002 payload"),
        ("reschedule({})", "HD002 run_at"),
        ("reschedule({}, now(), '1 s')", "HD002 delay"),
        ("reschedule({}, delay => '-1 s')", "HD002 delay"),
        ("reschedule({}, '10000-01-01')", "HD002 run_at"),
    ] {
        let call = call.replace("{}", &id.to_string());
        assert_eq!(session.refusal(&format!("SELECT howdah.{call}")).await?, refusal, "{call}");
    }
    assert_eq!(db.content().await?, before);
    for call in ["delete(7)", "change(7, '1')", "reschedule(7, delay => '1 s')"] {
        assert_eq!(
            session.text(&format!("SELECT howdah.{call} IS NULL")).await?,
            "true",
            "there is no such job: {call}"
        );
    }
    for call in ["delete", "isolate", "find_for_update", "change", "reschedule"] {
        let arguments = match call {
            "isolate" | "find_for_update" => format!("'{{{id}}}'"),
            "reschedule" => format!("{id}, delay => '1 s'"),
            _ => id.to_string(),
        };
        let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT howdah.{call}({arguments})");
        assert_eq!(session.refusal(&sql).await?, "HD012", "{call}");
        session.run("ROLLBACK").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_job_is_rescheduled_with_the_transaction() -> Result<()> {
    let db = Db::new().await?;
    let worker = working(&db).await?;
    let id = db.howdah.enqueue(Errand { n: 1 }).delay(Duration::from_secs(3600)).await?;
    let mut tx = db.pool().begin().await?;
    assert_eq!(db.howdah.delay(id, Duration::from_secs(1800)).on(&mut tx).await?, Some(JobState::Scheduled));
    assert_eq!(db.howdah.reschedule(id, SystemTime::UNIX_EPOCH).on(&mut tx).await?, Some(JobState::Ready));
    assert_eq!(db.howdah.state(id).await?, Some(JobState::Scheduled), "not before the commit");
    tx.commit().await?;
    wait_for_state(&db, id, "completed").await?;
    // A due time that comes nearer wakes the keeper.
    let soon = db.howdah.enqueue(Errand { n: 2 }).delay(Duration::from_secs(3600)).await?;
    assert_eq!(db.howdah.delay(soon, Duration::from_millis(1)).await?, Some(JobState::Scheduled));
    wait_for_state(&db, soon, "completed").await?;
    assert!(matches!(db.howdah.delay(soon, Duration::ZERO).await, Err(Error::WrongState { .. })));
    worker.stop().await
}

#[tokio::test]
async fn a_changed_job_is_not_forgotten_by_the_rotation_of_jobs() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Errand { n: 1 }).delay(Duration::from_secs(30 * 86_400)).await?;
    let mut session = db.session().await?;
    // Copied to where the long-lived ones are kept, as it was before the change.
    session.run(&format!("INSERT INTO howdah.job_kept SELECT * FROM howdah.job WHERE id = {id}")).await?;
    db.howdah.change(id, Change::new().payload(&Errand { n: 2 })).await?;
    assert_eq!(db.text(&format!("SELECT payload ->> 'n' FROM howdah.job_kept WHERE id = {id}")).await?, "2");
    // While a change is open, nothing is copied.
    session.run(&format!("BEGIN; SELECT howdah.change({id}, '{{\"n\": 3}}')")).await?;
    assert_eq!(db.text("SELECT howdah.rotate_jobs() IS NULL").await?, "true");
    let locked = "SELECT count(*) FROM (SELECT FROM howdah.ring WHERE name = 'job' FOR UPDATE SKIP LOCKED) r";
    assert_eq!(db.number(locked).await?, 0);
    session.run("COMMIT").await?;
    assert_eq!(db.number(locked).await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_is_found_is_what_was_asked_for() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT count(howdah.enqueue('errand', '{\"n\": 1}', options => jsonb_build_object('attributes', jsonb_build_object('t', g % 3)), priority => g % 2)) FROM generate_series(1, 30) g").await?;
    let found = db
        .howdah
        .find(Jobs::queue("default").filter(Filter::attr("t").eq(1)).in_state(JobState::Ready))
        .limit(4)
        .await?;
    assert_eq!(found.len(), 4);
    assert!(found.windows(2).all(|pair| pair[0].id > pair[1].id), "newest first");
    assert!(found.iter().all(|job| job.attributes["t"] == 1 && job.kind == "errand" && job.due_at.is_none()));
    let mut tx = db.pool().begin().await?;
    let wrong = db.howdah.find(Jobs::all().in_state(JobState::Running)).for_update(&mut tx).await;
    assert!(matches!(wrong, Err(Error::Invalid { field, .. }) if field == "states"));
    Ok(())
}
