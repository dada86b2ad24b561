//! Jobs that wait, die, or stay.

use anyhow::Result;
use howdah::{Ctx, RawJob, Worker};
use howdah_tests::{Db, start};

use super::{NOTICE, OK, PROBLEM, WARNING, found, look, mend, prove, states};

async fn serve(db: &Db, queue: &str, kinds: &str) -> Result<i64> {
    db.number(&format!("SELECT howdah.start_worker('ann', 60000, 2000, '{{{queue}}}', {kinds})")).await
}

#[tokio::test]
async fn a_queue_without_a_worker_is_a_problem_after_a_minute() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('mail')").await?;
    assert_eq!(found(&db, "unserved", &[]).await?.0, OK);
    db.run("SELECT howdah.enqueue('k', queue => 'mail')").await?;
    let (state, words) = found(&db, "unserved", &[]).await?;
    assert!(state == NOTICE && words.starts_with("no worker serves queue mail, in which jobs wait for "), "{words}");
    db.travel("2 minutes").await?;
    let (state, words) = found(&db, "unserved", &[]).await?;
    assert!(state == PROBLEM && words.ends_with("for 2 min"), "{words}");
    assert_eq!(found(&db, "unserved", &[("unserved_ms", 600_000)]).await?.0, NOTICE);
    let fix = look(&db.howdah, "unserved", &[]).await?.remove(0).fix.unwrap_or_default();
    assert!(fix.contains("`howdah work --exec PROGRAM --queue 'mail'`"), "{fix}");
    serve(&db, "mail", "NULL").await?;
    assert_eq!(found(&db, "unserved", &[]).await?.0, OK);
    // One that is not heard of any more serves nothing.
    db.travel("10 minutes").await?;
    assert_eq!(found(&db, "unserved", &[]).await?.0, PROBLEM);
    db.run("SELECT howdah.pause_queue('mail', NULL, NULL)").await?;
    assert_eq!(found(&db, "unserved", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn a_kind_without_a_handler_is_named_though_others_wait_before_it() -> Result<()> {
    let db = Db::new().await?;
    serve(&db, "default", "'{known,other}'").await?;
    db.run("SELECT howdah.enqueue('known'); SELECT howdah.enqueue('lost'); SELECT howdah.enqueue_many('lost', '{1,2,3}', priority => 7)").await?;
    let (state, words) = found(&db, "kinds", &[]).await?;
    assert!(state == NOTICE && words.contains("has a handler for kind lost, of which 4 jobs wait in front"), "{words}");
    assert_eq!(found(&db, "kinds", &[("unserved_ms", 0)]).await?.0, PROBLEM);
    mend(&db, "kinds", &[]).await?;
    assert_eq!(found(&db, "kinds", &[]).await?.0, OK);
    assert_eq!((db.jobs_in("ready").await?, db.jobs_in("cancelled").await?), (1, 4));
    // A worker that takes every kind takes this one.
    db.run("SELECT howdah.enqueue('lost')").await?;
    serve(&db, "default", "NULL").await?;
    assert_eq!(found(&db, "kinds", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_for_long_is_named_whatever_its_priority() -> Result<()> {
    let db = Db::new().await?;
    let id = db.number("SELECT howdah.enqueue('slow', priority => 9)").await?;
    db.travel("6 minutes").await?;
    db.run("SELECT howdah.enqueue('k', priority => 0)").await?;
    assert_eq!(found(&db, "waiting", &[]).await?.0, OK, "that nobody serves it is said by another check");
    let worker = serve(&db, "default", "NULL").await?;
    let (state, words) = found(&db, "waiting", &[]).await?;
    assert_eq!(
        (state, words),
        (WARNING, format!("a job of queue default has been ready for 6 min (job {id}, kind slow, priority 9)"))
    );
    assert_eq!(found(&db, "waiting", &[("waiting_ms", 30_000)]).await?.0, PROBLEM, "more than ten times the limit");
    prove(&mut db.session().await?, &look(&db.howdah, "waiting", &[]).await?[0]).await?;
    db.run(&format!("SELECT howdah.complete_leases(ARRAY[l], '{{2}}', NULL) FROM (SELECT min(lease_id) l FROM howdah.claim({worker}, jobs => 2)) c")).await?;
    assert_eq!(found(&db, "waiting", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn jobs_of_a_share_that_wait_for_their_turn_count_as_waiting() -> Result<()> {
    let db = Db::new().await?;
    let worker = serve(&db, "default", "NULL").await?;
    db.run("SELECT howdah.enqueue_many('k', '{1,2,3,4}', options => '{\"fair_key\": \"t\"}')").await?;
    // The first claim puts the rest into the lane.
    db.run(&format!("SELECT howdah.claim({worker}, jobs => 1)")).await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.ticket").await?, 0);
    db.travel("10 minutes").await?;
    assert_eq!(found(&db, "unserved", &[]).await?.0, PROBLEM, "its worker has not been heard of for ten minutes");
    serve(&db, "default", "NULL").await?;
    assert_eq!(found(&db, "waiting", &[]).await?.0, WARNING);
    Ok(())
}

#[tokio::test]
async fn a_pause_is_named_with_its_reason_and_a_long_one_is_a_warning() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.pause_queue('default', 'ann', 'lunch')").await?;
    assert_eq!(found(&db, "paused", &[]).await?.0, OK, "nothing waits");
    db.run("SELECT howdah.enqueue('k')").await?;
    let (state, words) = found(&db, "paused", &[]).await?;
    assert!(state == NOTICE && words.ends_with(" ago by ann (lunch), and jobs wait in it"), "{words}");
    db.travel("2 hours").await?;
    let (state, words) = found(&db, "paused", &[]).await?;
    assert!(state == WARNING && words.contains("was paused 2 h ago"), "{words}");
    mend(&db, "paused", &[]).await?;
    assert_eq!(found(&db, "paused", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn many_deaths_in_an_hour_are_a_warning_with_the_last_reason() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('k', '{1,2,3}', max_attempts => 1)").await?;
    db.run(&format!("SELECT f.* FROM howdah.claim({worker}, jobs => 3) c, LATERAL howdah.fail(c.lease_id, ARRAY[c.id], messages => '{{no disk}}') f")).await?;
    assert_eq!(db.jobs_in("dead").await?, 3);
    assert_eq!(found(&db, "dead", &[("dead_per_hour", 3)]).await?.0, OK);
    let few = [("dead_per_hour", 2)];
    let (state, words) = found(&db, "dead", &few).await?;
    assert!(
        state == WARNING
            && words.starts_with("3 jobs of queue default died in the last hour")
            && words.contains("no disk"),
        "{words}"
    );
    assert_eq!(found(&db, "dead", &[("dead_per_hour", 0)]).await?.0, PROBLEM);
    mend(&db, "dead", &few).await?;
    assert_eq!((found(&db, "dead", &few).await?.0, db.jobs_in("ready").await?), (OK, 3));
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_cannot_be_worked_out_is_a_problem_until_it_is_paused() -> Result<()> {
    let db = Db::new().await?;
    let worker = start(Worker::new(&db.howdah).handle_any(async |_: RawJob, _: Ctx| {}));
    let set = "SELECT howdah.set_schedule('nightly', '{\"expression\": \"61 * * * *\", \"kind\": \"k\"}')";
    db.run(set).await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{schedules}')", "problem").await?;
    let (_, words) = found(&db, "schedules", &[]).await?;
    assert!(words.starts_with("schedule nightly fails, for the "), "{words}");
    mend(&db, "schedules", &[]).await?;
    assert_eq!(found(&db, "schedules", &[]).await?.0, OK);
    worker.stop().await?;
    // And one that nobody fires, since there is no keeper.
    db.run("SELECT howdah.set_schedule('hourly', '{\"expression\": \"@hourly\", \"kind\": \"k\"}');
            UPDATE howdah.schedule SET next_at = howdah.now() - interval '1 minute', look_at = howdah.now() WHERE name = 'hourly'").await?;
    let (state, words) = found(&db, "schedules", &[]).await?;
    assert!(state == WARNING && words.starts_with("schedule hourly should have fired 6"), "{words}");
    Ok(())
}

#[tokio::test]
async fn jobs_that_cannot_be_removed_are_named_with_what_hinders_them() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(
        "CREATE FUNCTION public.refuses(jobs jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
         SELECT howdah.set_queue('default', '{\"before_removal\": \"public.refuses\", \"completed_retention\": \"1 hour\"}')",
    )
    .await?;
    db.run(&format!("SELECT howdah.enqueue('k'); SELECT howdah.complete(lease_id) FROM howdah.claim({worker})"))
        .await?;
    db.travel("2 hours").await?;
    rotate(&db).await?;
    let (state, words) = found(&db, "removal", &[]).await?;
    assert!(state == WARNING && words.contains("queue default") && words.contains("not today"), "{words}");
    mend(&db, "removal", &[]).await?;
    db.travel("4 hours").await?;
    rotate(&db).await?;
    assert_eq!(states(&db, "removal", &[]).await?, "ok");
    Ok(())
}

async fn rotate(db: &Db) -> Result<()> {
    while !db.text("SELECT coalesce(howdah.rotate(), '')").await?.is_empty() {}
    Ok(())
}

#[tokio::test]
async fn what_was_left_behind_is_counted_and_can_be_removed() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(&format!(
        "SELECT howdah.enqueue_unique('k', key => 'held'); SELECT howdah.set_limit('kind', 'j', '{{\"max_running\": 5}}');
         SELECT howdah.enqueue('j'); SELECT howdah.claim({worker}, kinds => '{{j}}')"
    ))
    .await?;
    assert_eq!(states(&db, "orphans", &[]).await?, "ok", "a lease and a job have theirs");
    db.run(
        "INSERT INTO howdah.slot VALUES (4, 1, 'limit:a'), (8, 2, 'limit:a'); INSERT INTO howdah.settled VALUES (4, 1);
         INSERT INTO howdah.unique_key VALUES ('k', 'left', 1, 'live')",
    )
    .await?;
    let words: Vec<_> = look(&db.howdah, "orphans", &[]).await?.into_iter().map(|f| f.found).collect();
    assert_eq!(
        words,
        [
            "2 slots of limits have no lease",
            "1 settled jobs have no lease",
            "1 of the oldest unique keys belong to jobs that have ended"
        ]
    );
    mend(&db, "orphans", &[]).await?;
    assert_eq!(states(&db, "orphans", &[]).await?, "ok");
    assert_eq!(db.text("SELECT string_agg(key, ' ') FROM howdah.unique_key").await?, "held");
    assert_eq!(db.number("SELECT count(*) FROM howdah.slot").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_payload_near_the_limit_is_named_before_one_is_refused() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.set_queue('default', '{\"max_payload_bytes\": 1000}'); SELECT howdah.enqueue('small')")
        .await?;
    assert_eq!(found(&db, "payloads", &[]).await?.0, OK);
    let id = db.number("SELECT howdah.enqueue('big', to_jsonb((SELECT string_agg(md5(g::text), '') FROM generate_series(1, 28) g)))").await?;
    let (state, words) = found(&db, "payloads", &[]).await?;
    assert!(state == WARNING && words.starts_with(&format!("job {id} of queue default (kind big) has ")), "{words}");
    mend(&db, "payloads", &[]).await?;
    assert_eq!(found(&db, "payloads", &[]).await?.0, OK);
    assert_eq!(db.number("SELECT max_payload_bytes FROM howdah.queue").await?, 2000);
    Ok(())
}
