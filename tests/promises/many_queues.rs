//! A worker of many queues looks into them together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use howdah::{Answer, Ctx, Job, Statement, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use tokio::sync::mpsc;

const QUEUES: usize = 300;

#[derive(Job, Serialize, Deserialize)]
struct Letter {
    to: usize,
}

async fn letter(job: Letter, cx: Ctx<mpsc::UnboundedSender<usize>>) {
    let _ = cx.send(job.to);
}

async fn db_with_queues() -> Result<Db> {
    let db = Db::new().await?;
    db.run(&format!("SELECT howdah.create_queue('queue ' || n) FROM generate_series(0, {}) n", QUEUES - 1)).await?;
    Ok(db)
}

#[tokio::test]
async fn a_worker_of_300_queues_takes_from_all_of_them_with_few_statements() -> Result<()> {
    let db = db_with_queues().await?;
    for n in 0..QUEUES {
        db.howdah.enqueue_many([Letter { to: n }, Letter { to: n }]).queue(format!("queue {n}")).await?;
    }
    let sent: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let count = Arc::clone(&sent);
    let howdah = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        count.lock().unwrap_or_else(PoisonError::into_inner).push(statement.operation);
    });
    let (ran, mut seen) = mpsc::unbounded_channel();
    let worker = Worker::new(&howdah).state(ran).handle(letter);
    let worker = start((0..QUEUES).fold(worker, |worker, n| worker.queue(format!("queue {n}"), 3)));
    let mut times = [0; QUEUES];
    for _ in 0..QUEUES * 2 {
        if let Some(to) = in_time("a letter", seen.recv()).await? {
            times[to] += 1;
        }
    }
    assert!(times.iter().all(|n| *n == 2), "{times:?}");
    // All of them sleep now, and each is woken by its own jobs.
    db.wait_for("SELECT count(*) FROM howdah.sleeper", &QUEUES.to_string()).await?;
    let sent = std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner));
    let of = |operation: &str| sent.iter().filter(|o| **o == operation).count();
    // Each for itself would be two claims, one with jobs and one in vain, and an announcement. How many they are together
    // depends on how busy the machine is: some ten, or some fifty.
    let (several, one, asleep) = (of("claim_queues"), of("claim"), of("fall_asleep"));
    assert!(several > 0, "{one} claims of one queue and none of several");
    assert!(several + one + asleep < QUEUES, "{several} claims of several, {one} of one, {asleep} announcements");
    db.howdah.enqueue(Letter { to: 7 }).queue("queue 299").await?;
    assert_eq!(in_time("the last letter", seen.recv()).await?, Some(7));
    worker.stop().await
}

#[tokio::test]
async fn a_claim_of_several_queues_takes_from_each_what_was_wanted_of_it() -> Result<()> {
    let db = db_with_queues().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for (queue, jobs) in [("queue 1", 5), ("queue 2", 5), ("queue 4", 1), ("queue 5", 9)] {
        session
            .run(&format!("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{{{jobs}}}'), queue => '{queue}')"))
            .await?;
    }
    db.howdah.pause_queue("queue 5", None, None).await?;
    session.run("SELECT howdah.enqueue('k', options => '{\"fair_key\": \"a\"}', queue => 'queue 6')").await?;
    let queues = "ARRAY['queue 2', 'queue 3', 'queue 1', 'there is none', 'queue 4', 'queue 5', 'queue 6']";
    let claim = format!(
        "SELECT n, count(*), count(DISTINCT lease_id) FROM howdah.claim_queues({worker}, {queues}, '{{3,3,9,3,3,3,3}}') GROUP BY n ORDER BY n"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(claim)).fetch_all(&mut session.0).await?;
    let taken: Vec<(i32, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(taken, [(1, 3, 1), (3, 5, 1), (5, 1, 1), (7, 1, 1)]);
    assert_eq!(db.jobs_in("running").await?, 10);
    assert_eq!(session.number("SELECT count(*) FROM howdah.lease").await?, 4);
    Ok(())
}

#[tokio::test]
async fn fronts_are_those_of_each_queue() -> Result<()> {
    let db = db_with_queues().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for queue in ["queue 1", "queue 2"] {
        session
            .run(&format!("SELECT howdah.enqueue('k', queue => '{queue}'), howdah.enqueue('k', queue => '{queue}')"))
            .await?;
    }
    let first = session
        .number("SELECT max(first_id) FROM howdah.ticket JOIN howdah.queue q ON q.id = queue_id WHERE name = 'queue 1'")
        .await?;
    let claim = format!(
        "SELECT n || ' ' || count(*) FROM howdah.claim_queues({worker}, '{{queue 1,queue 2}}', '{{9,9}}',
           fronts => array_fill({first}::bigint, '{{10}}') || array_fill(0::bigint, '{{10}}')) GROUP BY n ORDER BY n"
    );
    assert_eq!(session.list(&claim).await?, ["1 1", "2 2"], "one of the first queue's is before its front");
    Ok(())
}

#[tokio::test]
async fn a_claim_of_several_queues_that_makes_no_sense_is_refused() -> Result<()> {
    let db = db_with_queues().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    for (arguments, refused) in [
        (format!("{worker}, '{{queue 1,queue 2}}', '{{1}}'"), "HD002 jobs"),
        (format!("{worker}, '{{queue 1}}', NULL"), "HD002 jobs"),
        (format!("{worker}, '{{queue 1}}', '{{1}}', fronts => '{{1}}'"), "HD002 fronts"),
    ] {
        let refusal = session.refusal(&format!("SELECT howdah.claim_queues({arguments})")).await?;
        assert_eq!(refusal, refused, "{arguments}");
    }
    let unknown =
        session.refusal(&format!("SELECT howdah.claim_queues({}, '{{queue 1}}', '{{1}}')", worker + 1)).await?;
    assert!(unknown.starts_with("HD004"), "{unknown}");
    Ok(())
}

#[tokio::test]
async fn a_worker_of_many_queues_goes_on_after_its_session_was_terminated() -> Result<()> {
    let db = db_with_queues().await?;
    let (ran, mut seen) = mpsc::unbounded_channel();
    let worker = Worker::new(&db.howdah).state(ran).handle(letter).poll(Duration::from_secs(3600));
    let worker = start((0..QUEUES).fold(worker, |worker, n| worker.queue(format!("queue {n}"), 3)));
    db.wait_for("SELECT count(*) FROM howdah.sleeper", &QUEUES.to_string()).await?;
    db.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'howdah claimer'",
    )
    .await?;
    for n in 0..QUEUES {
        db.howdah.enqueue(Letter { to: n }).queue(format!("queue {n}")).await?;
    }
    let mut all = Vec::new();
    for _ in 0..QUEUES {
        all.extend(in_time("a letter", seen.recv()).await?);
    }
    all.sort_unstable();
    assert_eq!(all, (0..QUEUES).collect::<Vec<_>>());
    worker.stop().await
}
