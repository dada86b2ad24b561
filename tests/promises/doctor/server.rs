//! What concerns a whole server, on one of the test's own: settings, prepared transactions, replication slots, the queue of
//! notifications, old transaction ids.

use anyhow::Result;
use howdah_tests::{Db, in_time, server_to_crash};

use super::{NOTICE, OK, PROBLEM, WARNING, found, look, mend, states};

/// One test, as a server of one's own takes a second to start.
#[tokio::test]
async fn what_is_wrong_with_a_server_is_found_and_mended() -> Result<()> {
    let server =
        server_to_crash().setting("max_prepared_transactions", "5").setting("autovacuum", "off").start().await?;
    let db = Db::on(&server).await?;
    prepared_transactions(&db).await?;
    replication_slots(&db).await?;
    notifications(&db).await?;
    old_transaction_ids(&db).await?;
    autovacuum(&db).await?;
    settings(&db).await
}

async fn prepared_transactions(db: &Db) -> Result<()> {
    let mut session = db.session().await?;
    session.run("BEGIN; SELECT howdah.enqueue('k'); PREPARE TRANSACTION 'it''s forgotten'").await?;
    assert_eq!(found(db, "horizon", &[]).await?.0, OK);
    db.travel("10 minutes").await?;
    let (state, words) = found(db, "horizon", &[]).await?;
    assert!(state == WARNING && words.starts_with("transaction it's forgotten was prepared 10 min ago"), "{words}");
    mend(db, "horizon", &[]).await?;
    db.travel("0 seconds").await?;
    assert_eq!((found(db, "horizon", &[]).await?.0, db.jobs_in("ready").await?), (OK, 0));
    Ok(())
}

async fn replication_slots(db: &Db) -> Result<()> {
    db.run("SELECT pg_create_physical_replication_slot('forgotten', true)").await?;
    db.run("SELECT count(howdah.enqueue('k')) FROM generate_series(1, 100)").await?;
    assert_eq!(found(db, "horizon", &[]).await?.0, OK, "a little log");
    let (state, words) = found(db, "horizon", &[("slot_wal_bytes", 1000)]).await?;
    assert!(state == PROBLEM && words.starts_with("replication slot forgotten (not in use) keeps "), "{words}");
    mend(db, "horizon", &[("slot_wal_bytes", 1000)]).await?;
    assert_eq!(found(db, "horizon", &[("slot_wal_bytes", 1000)]).await?.0, OK);
    Ok(())
}

async fn notifications(db: &Db) -> Result<()> {
    let full = [("notify_percent", 0)];
    let mut deaf = db.session().await?;
    deaf.run("LISTEN a").await?;
    deaf.run("BEGIN; SELECT 1").await?;
    let mut loud = db.session().await?;
    for n in 0..40 {
        loud.run(&format!("SELECT pg_notify('a', '{n}' || repeat('x', 7000))")).await?;
    }
    assert_eq!(found(db, "notify", &[]).await?.0, OK, "far from full");
    let (state, words) = found(db, "notify", &full).await?;
    assert!(state == WARNING && words.contains("the oldest transaction is that of session "), "{words}");
    mend(db, "notify", &full).await?;
    in_time("the queue to be empty", async {
        while found(db, "notify", &full).await?.0 != OK {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    })
    .await?
}

async fn old_transaction_ids(db: &Db) -> Result<()> {
    assert_eq!(found(db, "wraparound", &[]).await?.0, OK);
    for _ in 0..200 {
        db.run("SELECT pg_current_xact_id()").await?;
    }
    let old = [("freeze_xids", 190)];
    let findings = look(&db.howdah, "wraparound", &old).await?;
    assert!(findings.len() == 2 && findings[0].found.contains("tables of the queue"), "{findings:?}");
    assert!(findings[1].found.starts_with("database "), "{findings:?}");
    mend(db, "wraparound", &old).await?;
    assert_eq!(states(db, "wraparound", &old).await?, "ok");
    Ok(())
}

async fn autovacuum(db: &Db) -> Result<()> {
    assert_eq!(
        found(db, "autovacuum", &[]).await?,
        (PROBLEM, "autovacuum is off for the whole server: dead rows are never cleaned up".to_owned())
    );
    mend(db, "autovacuum", &[]).await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{autovacuum}')", "ok").await
}

async fn settings(db: &Db) -> Result<()> {
    // The server of the tests syncs nothing.
    assert_eq!(states(db, "settings", &[]).await?, "problem problem");
    mend(db, "settings", &[]).await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{settings}')", "ok").await?;
    let name = db.text("current_database()").await?;
    db.run(&format!(
        "ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'serializable'; CREATE ROLE hurried;
         ALTER ROLE hurried SET statement_timeout = '5s'; ALTER ROLE hurried SET search_path = a, b; ALTER ROLE hurried SET lock_timeout = 0;
         ALTER ROLE hurried IN DATABASE \"{name}\" SET synchronous_commit = off"
    ))
    .await?;
    let words: Vec<_> = look(&db.howdah, "settings", &[]).await?.into_iter().map(|f| (f.state, f.found)).collect();
    assert_eq!(
        words,
        [
            (
                NOTICE,
                format!(
                    "default_transaction_isolation is set to serializable for DATABASE {name}: calls that settle jobs are refused (HD012) in its transactions"
                )
            ),
            (NOTICE, "statement_timeout is set to 5s for ROLE hurried: its longer transactions are cut off".to_owned()),
            (
                WARNING,
                format!(
                    "synchronous_commit is set to off for ROLE hurried IN DATABASE {name}: jobs that it has enqueued in the last second or so are lost in a crash"
                )
            ),
        ]
    );
    mend(db, "settings", &[]).await?;
    assert_eq!(found(db, "settings", &[]).await?.0, OK);
    db.run("ALTER SYSTEM SET synchronous_commit = off").await?;
    db.run("SELECT pg_reload_conf()").await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{settings}')", "warning").await?;
    mend(db, "settings", &[]).await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{settings}')", "ok").await
}
