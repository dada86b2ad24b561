//! The server ends and comes back: in the middle of a migration, whose next run goes on; and while workers hold jobs, which
//! they keep.

use anyhow::{Context, Result, ensure};
use howdah::{Job, Worker};
use howdah_devdb::StopMode;
use howdah_tests::{Db, crash, in_time, server_to_crash, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Old {}

async fn old(_: Old) {}

/// What the schema is made of: other than before as soon as anything is changed.
const MADE_OF: &str = "SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM (
    SELECT concat_ws(' ', p.oid, p.xmin) AS x FROM pg_proc p WHERE pronamespace = 'howdah'::regnamespace
    UNION ALL SELECT concat_ws(' ', c.oid, c.relname, c.relnatts) FROM pg_class c WHERE relnamespace = 'howdah'::regnamespace
    UNION ALL SELECT concat_ws(' ', version, name) FROM howdah.migration) y";

#[tokio::test]
async fn a_server_that_crashes_in_a_migration_has_the_old_schema_and_the_next_run_goes_on() -> Result<()> {
    let server = server_to_crash().start().await?;
    let db = Db::bare(&server).await?;
    db.run(include_str!("../fixtures/schema_1.sql")).await?;
    db.run("SELECT howdah.enqueue('old')").await?;
    let before = db.text(MADE_OF).await?;
    for mode in [StopMode::Immediate, StopMode::Kill] {
        // Somebody reads settings of queues: a later step of the migration has to wait for that, and is half-way then.
        let mut reader = db.session().await?;
        reader.run("BEGIN; LOCK TABLE howdah.queue IN ACCESS SHARE MODE").await?;
        let howdah = db.howdah.clone();
        let migration = tokio::spawn(async move { howdah.migrate().await });
        let half_way = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'howdah.queue'::regclass";
        db.wait_for(half_way, "1").await?;
        crash(&server, mode).await?;
        let ended = in_time("the migration to end", migration).await??;
        ensure!(ended.is_err_and(|error| error.is_transient()), "it says that the server has gone");
        db.wait_through(MADE_OF, &before).await.context("half of a migration is there")?;
    }
    db.howdah.migrate().await?;
    assert!(db.howdah.migration_status().await?.is_current());
    let worker = start(Worker::new(&db.howdah).handle(old));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await?;
    drop(db);
    Ok(server.stop().await?)
}

#[tokio::test]
async fn a_session_that_ended_with_the_server_says_nothing_of_its_worker() -> Result<()> {
    let server = server_to_crash().start().await?;
    let db = Db::on(&server).await?;
    db.stop_clock("0").await?;
    let worker = db.worker().await?;
    let mut session = db.session().await?;
    session.run(&format!("SELECT howdah.attach_session({worker}); SELECT howdah.enqueue('k')")).await?;
    assert_eq!(session.list(&format!("SELECT id FROM howdah.claim({worker})")).await?.len(), 1);
    for mode in [StopMode::Immediate, StopMode::Kill] {
        crash(&server, mode).await?;
        db.wait_through("SELECT 1", "1").await?;
        // It has missed heartbeats, and its session is gone, as is everybody's. Its lease is a minute.
        db.stop_clock("10 seconds").await?;
        assert_eq!(db.session().await?.list("SELECT howdah.rescue()").await?, Vec::<String>::new());
    }
    // One that begins afterwards, and ends by itself, is another matter.
    let mut session = db.session().await?;
    session.run(&format!("SELECT howdah.attach_session({worker})")).await?;
    let pid = session.number("SELECT pg_backend_pid()").await?;
    drop(session);
    db.wait_for(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"), "0").await?;
    assert_eq!(db.session().await?.list("SELECT howdah.rescue()").await?, ["(w,1)"]);
    drop(db);
    Ok(server.stop().await?)
}
