//! Nothing is lost when a process, a session or the server ends, and nobody speaks for another.

use std::time::{Duration, Instant};

use anyhow::Result;
use howdah::{Ctx, Howdah, Job, JobError, Worker};
use howdah_devdb::{Server, StopMode};
use howdah_tests::{Db, HELD_TABLES, Held, crash, note, server_to_crash, start};
use nix::sys::signal::Signal;

use crate::process::Process;

async fn held(_: Held, cx: Ctx<()>) -> Result<(), JobError> {
    note(&cx, "started").await?;
    while !sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM go)").fetch_one(cx.howdah().pool()).await? {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// A database, a process that runs four jobs, and a worker of the test that may take them over.
async fn four_held_jobs(lease_ms: u32, heartbeat_ms: u32) -> Result<(Db, Process)> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    db.howdah.enqueue_many((0..4).map(|_| Held {})).await?;
    let process = Process::start(db.url(), lease_ms, heartbeat_ms)?;
    db.wait_for("SELECT count(*) FROM seen", "4").await?;
    Ok((db, process))
}

#[tokio::test]
async fn a_killed_workers_jobs_run_elsewhere_within_seconds() -> Result<()> {
    // Its lease outlasts the test's patience; that its session has ended is seen after a missed heartbeat.
    let (db, process) = four_held_jobs(600_000, 2_000).await?;
    let other = start(Worker::new(&db.howdah).handle(held));
    db.wait_for("SELECT count(*) FROM howdah.workers", "2").await?;
    process.signal(Signal::SIGKILL)?;
    let killed = Instant::now();
    db.wait_for("SELECT count(*) FROM seen WHERE attempt = 2", "4").await?;
    println!("four jobs of a killed worker ran elsewhere after {} ms", killed.elapsed().as_millis());
    db.run("INSERT INTO go VALUES (1)").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed' AND attempt = 2", "4").await?;
    other.stop().await?;
    let failures = db.text("SELECT string_agg(DISTINCT error_kind, ',') || count(*) FROM howdah.failures").await?;
    assert_eq!(failures, "worker_lost4");
    Ok(())
}

#[tokio::test]
async fn a_stale_worker_cannot_finish_a_rescued_job_and_its_handler_hears_of_it() -> Result<()> {
    let (db, process) = four_held_jobs(5_000, 200).await?;
    process.signal(Signal::SIGSTOP)?;
    let other = start(Worker::new(&db.howdah).handle(held).heartbeat(Duration::from_millis(200)));
    // The session of a stopped process is still there: only its lease ends.
    db.wait_for("SELECT count(*) FROM seen WHERE attempt = 2", "4").await?;
    process.signal(Signal::SIGCONT)?;
    db.wait_for("SELECT count(*) FROM seen WHERE what = 'lease lost'", "4").await?;
    db.wait_for(
        "SELECT count(*) FROM seen WHERE what LIKE 'refused: job % is not held by this attempt any more%'",
        "4",
    )
    .await?;
    assert_eq!(db.jobs_in("running").await?, 4, "they are still the other's");
    assert_eq!(db.number("SELECT count(*) FROM howdah.receipt").await?, 0);
    db.run("INSERT INTO go VALUES (1)").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed' AND attempt = 2", "4").await?;
    other.stop().await?;
    assert_eq!(
        db.number("SELECT count(*) FROM howdah.failures").await?,
        4,
        "the rescue, and nothing of the stale worker"
    );
    Ok(())
}

#[tokio::test]
async fn the_keepers_office_moves_when_its_holder_is_killed() -> Result<()> {
    let (db, process) = four_held_jobs(600_000, 500).await?;
    db.wait_for("SELECT keeper FROM howdah.workers", "true").await?;
    let former = db.number("SELECT worker_id FROM howdah.keeper").await?;
    let term = db.number("SELECT term FROM howdah.keeper").await?;
    let other = start(Worker::new(&db.howdah).handle(held).heartbeat(Duration::from_millis(500)));
    db.wait_for("SELECT count(*) FROM howdah.workers", "2").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.workers WHERE keeper").await?, 1);
    process.signal(Signal::SIGKILL)?;
    db.run("INSERT INTO go VALUES (1)").await?;
    let late = db.howdah.enqueue(Held {}).delay(Duration::from_millis(50)).await?;
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {late}"), "completed").await?;
    // More than one term may have passed: one that a slow machine does not renew in time runs out.
    let moved = format!("SELECT worker_id <> {former} AND term > {term} FROM howdah.keeper");
    assert_eq!(db.text(&moved).await?, "true");
    other.stop().await
}

#[derive(Job, serde::Serialize, serde::Deserialize)]
struct Short {
    n: i32,
}

async fn short(job: Short, cx: Ctx<()>) -> Result<(), JobError> {
    let mut tx = cx.howdah().pool().begin().await?;
    sqlx::query("INSERT INTO did (n) VALUES ($1)").bind(job.n).execute(&mut *tx).await?;
    cx.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Every job's effect is there exactly once.
const EXACTLY_ONCE: &str = "SELECT count(*) || ' ' || count(DISTINCT n) FROM did";

#[tokio::test]
async fn a_worker_survives_the_loss_of_all_its_sessions() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE did (n integer); UPDATE howdah.queue SET retry_base_ms = 1").await?;
    let worker = start(Worker::new(&db.howdah).handle(short));
    for round in 0..10 {
        db.howdah.enqueue_many((0..50).map(|n| Short { n: round * 50 + n })).await?;
        db.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name LIKE 'howdah %'",
        )
        .await?;
    }
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "500").await?;
    worker.stop().await?;
    assert_eq!(db.text(EXACTLY_ONCE).await?, "500 500");
    Ok(())
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_back() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE did (n integer)").await?;
    let worker = start(Worker::new(&db.howdah).handle(short));
    db.wait_for("SELECT asleep FROM howdah.workers", "true").await?;
    // A lease that the worker does not know of, as if its session had ended before the answer came.
    db.run(
        "SELECT howdah.enqueue('short', '{\"n\": 1}');
         SELECT count(*) FROM howdah.claim((SELECT id FROM howdah.worker), 'default', 1)",
    )
    .await?;
    assert_eq!(db.jobs_in("running").await?, 1);
    // It may be the answer of another statement that is lost with the session: again, until it was that of a claim.
    let claimer = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'howdah claimer'";
    while db.text("SELECT state || attempt FROM howdah.jobs").await? != "completed1" {
        db.run(&format!("SELECT pg_terminate_backend(pid) {claimer}")).await?;
        let back = format!("SELECT EXISTS (SELECT {claimer}) OR (SELECT state FROM howdah.jobs) = 'completed'");
        db.wait_for(&back, "true").await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    worker.stop().await
}

#[tokio::test]
async fn a_worker_survives_a_crash_of_the_server_and_nothing_is_lost() -> Result<()> {
    let server = Server::builder().private().start().await?;
    let database = server.create_database().await?;
    let howdah = Howdah::connect(database.url()).await?;
    howdah.migrate().await?;
    sqlx::raw_sql("CREATE TABLE did (n integer); UPDATE howdah.queue SET retry_base_ms = 1")
        .execute(howdah.pool())
        .await?;
    let worker = start(Worker::new(&howdah).handle(short));
    for round in 0..3 {
        howdah.enqueue_many((0..500).map(|n| Short { n: round * 500 + n })).await?;
        server.stop_postmaster(StopMode::Kill).await?;
        server.start_postmaster().await?;
        wait_for_server(&howdah).await;
    }
    let left = "SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'";
    let patience = Instant::now() + Duration::from_secs(60);
    while sqlx::query_scalar::<_, i64>(left).fetch_one(howdah.pool()).await? > 0 {
        assert!(Instant::now() < patience, "jobs are left over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await?;
    let did: String = sqlx::query_scalar(EXACTLY_ONCE).fetch_one(howdah.pool()).await?;
    assert_eq!(did, "1500 1500");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_lease_of_a_claim_that_a_crash_undid_is_never_anothers() -> Result<()> {
    // What does not wait for the disk is not on it for ten seconds.
    let server = server_to_crash().setting("wal_writer_delay", "10s").setting("autovacuum", "off").start().await?;
    let db = Db::on(&server).await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue('k') FROM generate_series(1, 40)").await?;
    let claim = format!("SELECT c.lease_id FROM generate_series(1, 40) n, LATERAL howdah.claim({worker} + n * 0) c");
    // As workers do it.
    let mut session = db.session().await?;
    session.run("SET synchronous_commit = off").await?;
    let before = session.list(&claim).await?;
    assert_eq!(before.len(), 40);
    crash(&server, StopMode::Kill).await?;
    let mut session = db.session().await?;
    let lost = session.number("SELECT count(*) FROM howdah.jobs WHERE state = 'ready'").await?;
    assert!(lost > 0, "the crash undid nothing");
    let after = session.list(&claim).await?;
    assert_eq!(i64::try_from(after.len())?, lost);
    assert!(after.iter().all(|lease| !before.contains(lease)), "{before:?} and then {after:?}");
    server.stop().await?;
    Ok(())
}

/// Until the pool has thrown away all of its connections that are gone.
async fn wait_for_server(howdah: &Howdah) {
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let works = sqlx::query("SELECT 1").execute(howdah.pool()).await.is_ok();
        in_a_row = if works { in_a_row + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(if works { 0 } else { 20 })).await;
    }
}

#[tokio::test]
async fn a_worker_that_cannot_listen_polls() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE did (n integer)").await?;
    let worker = Worker::new(&db.howdah).handle(short).listen(false).poll(Duration::from_millis(20));
    let worker = start(worker);
    db.wait_for("SELECT asleep FROM howdah.workers", "true").await?;
    db.howdah.enqueue(Short { n: 1 }).await?;
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await
}
