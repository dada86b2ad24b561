//! The server ends and comes back: in the middle of a migration, whose next run goes on; and while workers hold jobs, which
//! they keep. And workers go on while the next release is installed under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use howdah::{Ctx, Error, Howdah, Job, JobError, Worker};
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
async fn a_migration_that_has_to_wait_for_somebody_does_not_hold_up_the_others() -> Result<()> {
    let db = Db::empty().await?;
    db.run(include_str!("../fixtures/schema_1.sql")).await?;
    let mut reader = db.session().await?;
    reader.run("BEGIN; LOCK TABLE howdah.queue IN ACCESS SHARE MODE").await?;
    let howdah = db.howdah.clone();
    let migration = tokio::spawn(async move { howdah.migrate().await });
    for _ in 0..2 {
        db.wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'howdah.queue'::regclass", "1")
            .await?;
        // It would wait behind the migration, which waits for the reader.
        db.run("SELECT howdah.enqueue('old')").await?;
    }
    assert_eq!(db.number("SELECT max(version) FROM howdah.migration").await?, 1);
    reader.run("COMMIT").await?;
    in_time("the migration to end", migration).await???;
    assert!(db.howdah.migration_status().await?.is_current());
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE state = 'ready'").await?, 2);
    Ok(())
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

/// As the next release may be installed: tables with more columns, every function anew, one of them with another answer, a version
/// that this release does not know.
const NEXT_RELEASE: &str = "
    DO $$
    DECLARE
      t text;
      f oid;
    BEGIN
      FOR t IN SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind IN ('r', 'p')
                  AND NOT c.relispartition ORDER BY 1 LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS next_release integer', t);
      END LOOP;
      FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'howdah'::regnamespace AND p.prokind = 'f' LOOP
        EXECUTE pg_get_functiondef(f);
      END LOOP;
      EXECUTE (SELECT format('DROP FUNCTION %s; ', p.oid::regprocedure)
                        || replace(pg_get_functiondef(p.oid), 'OUT alive', 'OUT next_release integer, OUT alive')
                 FROM pg_proc p WHERE p.oid = 'howdah.heartbeat'::regproc);
      INSERT INTO howdah.migration (version, name) VALUES (9999, 'next release');
    END $$";

async fn seen(_: Seen, cx: Ctx<()>) -> Result<(), JobError> {
    sqlx::query("INSERT INTO seen VALUES ($1)").bind(cx.id().0).execute(cx.howdah().pool()).await?;
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Seen {}

#[tokio::test]
async fn workers_and_producers_go_on_while_the_next_release_is_installed_under_them() -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE seen (id bigint)").await?;
    let workers: Vec<_> = (0..2).map(|_| start(Worker::new(&db.howdah).handle(seen).concurrency(8))).collect();
    let (enough, howdah) = (Arc::new(AtomicBool::new(false)), db.howdah.clone());
    let producer = tokio::spawn({
        let enough = enough.clone();
        async move {
            let mut made = 0;
            while !enough.load(Ordering::Relaxed) {
                howdah.enqueue(Seen {}).await?;
                made += 1;
            }
            Ok::<i64, Error>(made)
        }
    });
    db.wait_for("SELECT count(*) > 50 FROM seen", "true").await?;
    // Somebody may be in the way, who has tables in another order: then it is tried again, as `migrate` does, and nobody else has to.
    let mut session = db.session().await?;
    session.run("SET lock_timeout = '500ms'").await?;
    while let Err(error) = session.run(NEXT_RELEASE).await {
        ensure!(format!("{error:#}").contains("lock timeout"), "{error:#}");
    }
    let then = db.number("SELECT count(*) FROM seen").await?;
    ensure!(!producer.is_finished(), "{:?}", producer.await);
    db.wait_for(&format!("SELECT count(*) > {then} + 50 FROM seen"), "true").await?;
    // They have also said since that they live.
    db.wait_for(
        "SELECT bool_and(w.heartbeat_at > m.applied_at) FROM howdah.worker w, howdah.migration m WHERE m.version = 9999",
        "true",
    )
    .await?;
    enough.store(true, Ordering::Relaxed);
    let made = in_time("the producer to end", producer).await???;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'", "0").await?;
    assert_eq!(db.number("SELECT count(DISTINCT id) FROM seen").await?, made);
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    for worker in workers {
        worker.stop().await?;
    }
    // One that starts now is of a release that came before.
    let late = Howdah::from_pool(db.pool().clone());
    let refused = start(Worker::new(&late).handle(seen)).ended().await;
    let refused = refused.expect_err("its schema is of another release").to_string();
    ensure!(refused.contains("9999"), "{refused}");
    Ok(())
}
