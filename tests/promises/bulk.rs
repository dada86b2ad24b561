//! Operations on many jobs: exactly those that were meant, for certain, and however they move meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use howdah::{Cancelled, Ctx, Error, Filter, Job, JobError, JobId, JobState, Jobs, Worker};
use howdah_tests::{Db, Session, in_time, start};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgListener;
use tokio::sync::Semaphore;

/// Jobs of two kinds in two queues, of every tenant from 0 to 4: 50 singles and a run of 200 each; and as many that are
/// due later.
async fn crowd(db: &Db) -> Result<()> {
    db.run(
        "SELECT howdah.create_queue('other');
         SELECT count(howdah.enqueue(k, queue => q, delay => d::interval, options => jsonb_build_object('attributes', jsonb_build_object('tenant', g % 5))))
           FROM generate_series(1, 50) g, unnest('{a,b}'::text[]) k, unnest('{default,other}'::text[]) q, unnest('{NULL,1 hour}'::text[]) d;
         SELECT count(*) FROM generate_series(0, 4) g, unnest('{a,b}'::text[]) k, unnest('{default,other}'::text[]) q, unnest('{NULL,1 hour}'::text[]) d,
           LATERAL howdah.enqueue_many(k, array_fill('1'::jsonb, '{40}'), q, delay => d::interval,
             options => jsonb_build_object('attributes', jsonb_build_object('tenant', g)))",
    )
    .await
}

/// Cancels with small steps, by SQL. Returns how many were cancelled and asked, and the calls that it took.
async fn cancel(session: &mut Session, which: &str, most: i32) -> Result<(i64, i64, usize)> {
    let (mut after, mut upto) = ("0".to_owned(), "NULL".to_owned());
    let (mut cancelled, mut asked) = (0, 0);
    for calls in 1.. {
        let sql = format!(
            "SELECT cancelled || ' ' || cancelling || ' ' || upto || ' ' || coalesce(next::text, '')
                             FROM howdah.cancel_many({which}, most => {most}, after => {after}, upto => {upto})"
        );
        let row = session.text(&sql).await?;
        let parts: Vec<&str> = row.split(' ').collect();
        cancelled += parts[0].parse::<i64>()?;
        asked += parts[1].parse::<i64>()?;
        if parts[3].is_empty() {
            return Ok((cancelled, asked, calls));
        }
        (upto, after) = (parts[2].to_owned(), parts[3].to_owned());
    }
    Ok((cancelled, asked, 0))
}

const TOTAL: i64 = 400 + 1600;

#[tokio::test]
async fn a_selection_is_cancelled_and_nothing_else() -> Result<()> {
    let db = Db::new().await?;
    crowd(&db).await?;
    let mut session = db.session().await?;
    session
        .run("CREATE TABLE before AS SELECT id, queue, kind, state, (options -> 'attributes' ->> 'tenant')::int AS tenant FROM howdah.jobs;
              CREATE TABLE chosen AS SELECT id FROM before WHERE id % 3 = 0; ANALYZE")
        .await?;
    for (which, is) in [
        ("'default'", "queue = 'default'"),
        ("kind => 'a'", "kind = 'a'"),
        ("states => '{scheduled}'", "state = 'scheduled'"),
        ("'other', 'b', '{ready}'", "queue = 'other' AND kind = 'b' AND state = 'ready'"),
        ("filter => '$.tenant == 3'", "tenant = 3"),
        ("kind => 'b', filter => '$.tenant >= 3'", "kind = 'b' AND tenant >= 3"),
        ("ids => ARRAY(SELECT id FROM public.chosen)", "id IN (SELECT id FROM public.chosen)"),
        (
            "kind => 'a', ids => ARRAY(SELECT id FROM public.chosen)",
            "kind = 'a' AND id IN (SELECT id FROM public.chosen)",
        ),
        ("filter => '$.tenant == 9'", "false"),
    ] {
        session.run("BEGIN").await?;
        let meant = session.number(&format!("SELECT count(*) FROM before WHERE {is}")).await?;
        let (cancelled, asked, _) = cancel(&mut session, which, 100).await?;
        assert_eq!((cancelled, asked), (meant, 0), "{which}");
        // Those are cancelled, and every other job is still in its place, once.
        let wrong = format!(
            "SELECT count(*) FROM before b FULL JOIN howdah.jobs j USING (id)
                              WHERE j.state IS DISTINCT FROM CASE WHEN {} THEN 'cancelled' ELSE b.state END",
            is.replace("state =", "b.state =").replace("queue =", "b.queue =").replace("kind =", "b.kind =")
        );
        assert_eq!(session.number(&wrong).await?, 0, "{which}");
        assert_eq!(session.number("SELECT count(*) FROM howdah.jobs").await?, TOTAL, "{which}");
        let again = cancel(&mut session, which, 1000).await?;
        assert_eq!((again.0, again.1), (0, 0), "{which}");
        session.run("ROLLBACK").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hundred_thousand_waiting_jobs_are_cancelled_as_runs() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{100000}'))").await?;
    let mut session = db.session().await?;
    let (cancelled, _, calls) = cancel(&mut session, "'default'", 1000).await?;
    assert_eq!((cancelled, calls), (100_000, 1));
    assert_eq!(session.number("SELECT count(*) FROM howdah.receipt").await?, 2, "one receipt for 500 runs");
    assert_eq!(db.text("SELECT ready FROM howdah.queues").await?, "0");
    let some = session.number("SELECT id FROM howdah.job OFFSET 70000 LIMIT 1").await?;
    assert_eq!(db.howdah.state(JobId(some)).await?, Some(JobState::Cancelled));
    Ok(())
}

#[tokio::test]
async fn running_jobs_are_asked_with_one_notification_for_each_worker() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let (one, two) = (db.worker().await?, db.worker().await?);
    session.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{130}'))").await?;
    for (worker, jobs) in [(one, 50), (one, 20), (two, 30)] {
        session.run(&format!("SELECT howdah.claim({worker}, jobs => {jobs})")).await?;
    }
    // One of them was completed in a transaction of its own, beside others of its lease.
    session.run("SELECT howdah.complete_in(id, first_ids[1]) FROM howdah.lease ORDER BY id LIMIT 1").await?;
    let mut listener = PgListener::connect(db.url()).await?;
    listener.listen_all(["howdah.cancel", "end"]).await?;
    let sum = db.howdah.cancel_all(Jobs::all()).await?;
    assert_eq!((sum.done, sum.asked), (30, 99));
    session.run("NOTIFY \"end\"").await?;
    let mut heard = Vec::new();
    loop {
        let note = in_time("a notification", listener.recv()).await??;
        if note.channel() == "end" {
            break;
        }
        heard.push(note.payload().parse::<i64>()?);
    }
    heard.sort_unstable();
    assert_eq!(heard, [one, two]);
    for (worker, jobs) in [(one, 69), (two, 30)] {
        assert_eq!(
            session.number(&format!("SELECT cardinality(cancelled) FROM howdah.heartbeat({worker})")).await?,
            jobs
        );
    }
    let again = db.howdah.cancel_all(Jobs::all()).await?;
    assert_eq!((again.done, again.asked), (0, 0), "they were asked before");
    Ok(())
}

#[tokio::test]
async fn jobs_that_move_between_rooms_do_not_slip_through() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{3000}'), max_attempts => 1000)").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut movers = tokio::task::JoinSet::new();
    for n in 0..3 {
        let (mut session, worker, stop) = (db.session().await?, db.worker().await?, Arc::clone(&stop));
        movers.spawn(async move {
            // From ready to running, back to ready or to scheduled, and to ready again.
            while !stop.load(Ordering::Relaxed) {
                let lease = session.list(&format!("SELECT lease_id FROM howdah.claim({worker}, jobs => 20) LIMIT 1")).await?;
                if let Some(lease) = lease.first() {
                    let back = if n == 0 {
                        format!("SELECT count(*) FROM howdah.release({lease})")
                    } else {
                        format!("SELECT count(*) FROM (SELECT array_agg(f + g) AS ids FROM howdah.lease l, unnest(l.first_ids, l.counts) r(f, c), generate_series(0, c - 1) g
                                   WHERE l.id = {lease}) i, LATERAL howdah.fail({lease}, i.ids, array_fill('snooze'::text, ARRAY[cardinality(i.ids)]),
                                   delay_ms => array_fill(0::bigint, ARRAY[cardinality(i.ids)]))")
                    };
                    session.run(&back).await?;
                }
                session.run("SELECT howdah.promote()").await?;
            }
            anyhow::Ok(())
        });
    }
    let mut session = db.session().await?;
    let (cancelled, asked, calls) = cancel(&mut session, "'default'", 1).await?;
    stop.store(true, Ordering::Relaxed);
    while let Some(mover) = movers.join_next().await {
        mover??;
    }
    assert!(calls > 20, "{calls} calls for 24 blocks");
    // What was asked while it ran ends when it is given back, unless that happened in the same moment; nothing else goes on.
    let left = "SELECT count(*) FROM howdah.jobs j WHERE state <> 'cancelled' AND NOT EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = j.id)";
    assert_eq!(db.number(left).await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 3000, "each is in one room");
    let ended = db.jobs_in("cancelled").await?;
    assert!(
        (cancelled..=cancelled + asked).contains(&ended),
        "{ended} are, {cancelled} were waiting, {asked} were asked"
    );
    assert!(cancelled + asked >= 3000);
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Quick {}

#[tokio::test]
async fn a_job_that_was_reported_cancelled_never_runs() -> Result<()> {
    async fn quick(_: Quick, cx: Ctx<Arc<Semaphore>>) -> Result<(), JobError> {
        cx.acquire().await?.forget();
        howdah_tests::note(&cx, "ran").await?;
        Ok(())
    }
    let db = Db::new().await?;
    db.run(howdah_tests::HELD_TABLES).await?;
    db.howdah.enqueue_many((0..4000).map(|_| Quick {})).await?;
    // Half of them may run before all that wait are cancelled: some are left, however long that takes.
    let may_run = Arc::new(Semaphore::new(2000));
    let worker = start(Worker::new(&db.howdah).state(Arc::clone(&may_run)).handle(quick));
    db.wait_for("SELECT count(*) > 100 FROM seen", "true").await?;
    let mut steps = 0;
    let sum = db.howdah.cancel_all(Jobs::kind("quick").in_state(JobState::Ready)).progress(|_| steps += 1).await?;
    may_run.add_permits(4000);
    worker.stop().await?;
    assert!(sum.done > 0 && steps > 0 && sum.asked == 0, "{sum:?}");
    let both = "SELECT count(*) FROM howdah.jobs j WHERE state = 'cancelled' AND EXISTS (SELECT FROM seen s WHERE s.job = j.id)";
    assert_eq!(db.number(both).await?, 0);
    assert_eq!(db.jobs_in("cancelled").await?, i64::try_from(sum.done)?);
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 4000, "what was claimed ahead was given back");
    Ok(())
}

#[tokio::test]
async fn jobs_that_are_enqueued_meanwhile_are_left_alone() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    session.run("SELECT count(howdah.enqueue('k')) FROM generate_series(1, 10)").await?;
    let first = session.text("SELECT next || ' ' || upto FROM howdah.cancel_many('default', most => 3)").await?;
    let (next, upto) = first.split_once(' ').unwrap_or_default();
    let new = session.number("SELECT howdah.enqueue('k')").await?;
    session.run(&format!("SELECT howdah.cancel_many('default', after => {next}, upto => {upto})")).await?;
    assert_eq!((db.jobs_in("cancelled").await?, db.howdah.state(JobId(new)).await?), (10, Some(JobState::Ready)));
    Ok(())
}

/// So many dead jobs of a tenant.
async fn dead(db: &Db, tenant: i32, jobs: i32) -> Result<()> {
    let worker = db.worker().await?;
    db.run(&format!(
        "SELECT count(howdah.enqueue('k', max_attempts => 1, options => '{{\"attributes\": {{\"tenant\": {tenant}}}}}')) FROM generate_series(1, {jobs});
         SELECT howdah.fail(c.lease_id, ARRAY[c.id], messages => '{{broke}}') FROM howdah.claim({worker}, jobs => 500) c"
    ))
    .await
}

#[tokio::test]
async fn dead_jobs_are_sent_again_by_selection() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, 1, 30).await?;
    dead(&db, 2, 20).await?;
    db.run("SELECT count(howdah.enqueue('k', delay => '1 hour')) FROM generate_series(1, 5)").await?;
    let two = Jobs::kind("k").filter(Filter::attr("tenant").eq(2));
    assert_eq!(db.howdah.retry_all(two.clone()).await?.done, 20);
    assert_eq!((db.jobs_in("dead").await?, db.jobs_in("ready").await?, db.jobs_in("scheduled").await?), (30, 20, 5));
    assert_eq!(
        db.text("SELECT string_agg(DISTINCT attempt::text, ' ') FROM howdah.jobs WHERE state = 'ready'").await?,
        "0"
    );
    assert_eq!(db.howdah.retry_all(two).await?.done, 0, "ready jobs are not dead");
    assert_eq!(db.howdah.retry_all(Jobs::all().in_state(JobState::Scheduled)).await?.done, 5);
    assert_eq!(db.howdah.retry_all(Jobs::all()).await?.done, 30);
    assert_eq!(db.jobs_in("ready").await?, 55);
    Ok(())
}

#[tokio::test]
async fn dead_jobs_are_purged_for_good_by_selection() -> Result<()> {
    let db = Db::new().await?;
    dead(&db, 1, 30).await?;
    dead(&db, 2, 20).await?;
    let ready = db.number("SELECT howdah.enqueue('k', options => '{\"attributes\": {\"tenant\": 2}}')").await?;
    let mut sums = Vec::new();
    let purged = db
        .howdah
        .purge_dead(Jobs::all().filter(Filter::attr("tenant").eq(2)))
        .progress(|sum| sums.push(sum.done))
        .await?;
    assert_eq!((purged.done, sums.last()), (20, Some(&20)));
    let traces = "SELECT (SELECT count(*) FROM howdah.job) || ' ' || (SELECT count(*) FROM howdah.failure) || ' ' || (SELECT count(*) FROM howdah.dead)";
    assert_eq!(db.text(traces).await?, "31 30 30");
    assert_eq!(db.howdah.state(JobId(ready)).await?, Some(JobState::Ready), "only the dead");
    Ok(())
}

#[tokio::test]
async fn an_operation_refuses_what_it_is_not_for() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (call, refusal) in [
        ("cancel_many(states => '{dead}')", "HD002 states"),
        ("cancel_many(states => '{NULL}')", "HD002 states"),
        ("retry_many(states => '{ready}')", "HD002 states"),
        ("find(states => '{gone}')", "HD002 states"),
        ("cancel_many(most => 0)", "HD002 most"),
        ("cancel_many(most => 10001)", "HD002 most"),
        ("cancel_many(most => NULL)", "HD002 most"),
        ("retry_many(most => 0)", "HD002 most"),
        ("purge_dead(most => 0)", "HD002 most"),
        ("find(most => 100001)", "HD002 most"),
        ("cancel_many(ids => array_fill(1::bigint, '{10001}'))", "HD002 ids"),
        ("cancel_many('nope')", "HD001 queue"),
        ("retry_many('nope')", "HD001 queue"),
        ("purge_dead('nope')", "HD001 queue"),
        ("find('nope')", "HD001 queue"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT howdah.{call}")).await?, refusal, "{call}");
    }
    let repeatable = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT howdah.cancel_many()";
    assert_eq!(session.refusal(repeatable).await?, "HD012");
    let wrong = db.howdah.purge_dead(Jobs::all().in_state(JobState::Ready)).await;
    assert!(matches!(wrong, Err(Error::Invalid { field, .. }) if field == "states"));
    Ok(())
}

#[tokio::test]
async fn more_ids_than_one_call_takes_are_cancelled_all_the_same() -> Result<()> {
    let db = Db::new().await?;
    let ids = db.howdah.enqueue_many((0..12_000).map(|_| Quick {})).await?;
    let most: Vec<JobId> = ids.iter().skip(1).collect();
    assert_eq!(db.howdah.cancel_all(Jobs::ids(most)).await?.done, 11_999);
    assert_eq!(db.jobs_in("ready").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_cancellation_says_whether_it_was_the_one() -> Result<()> {
    let db = Db::new().await?;
    let id = db.howdah.enqueue(Quick {}).await?;
    assert_eq!(db.howdah.cancel(id).await?, Some(Cancelled::Now));
    assert_eq!(db.howdah.cancel(id).await?, Some(Cancelled::TooLate(JobState::Cancelled)));
    assert_eq!(db.text(&format!("SELECT howdah.cancel({id})")).await?, "already cancelled");
    Ok(())
}
