//! Indexes, vacuum, transactions, rights and connections of one database.

use anyhow::Result;
use howdah_tests::Db;

use super::{NOTICE, OK, PROBLEM, WARNING, found, look, mend, states};

const DEFINITIONS: &str =
    "SELECT string_agg(indexdef, E'\\n' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'howdah'";

#[tokio::test]
async fn every_index_that_is_missing_is_named_and_made_again_as_it_was() -> Result<()> {
    let db = Db::new().await?;
    let made = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE c.relnamespace = 'howdah'::regnamespace AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)";
    let unknown = format!(
        "SELECT string_agg(relname, ' ') FROM ({made} AND c.relname NOT IN (SELECT index FROM howdah.doctor_expected())) m"
    );
    assert_eq!(db.text(&unknown).await?, "", "an index that a migration makes is to be in howdah.doctor_expected");
    assert_eq!(states(&db, "indexes", &[]).await?, "ok");
    let before = db.text(DEFINITIONS).await?;
    let drop = format!("SELECT string_agg('DROP INDEX howdah.' || quote_ident(relname), ';') FROM ({made}) m");
    db.run(&db.text(&drop).await?).await?;
    let expected = usize::try_from(db.number("SELECT count(*) FROM howdah.doctor_expected()").await?)?;
    let findings = look(&db.howdah, "indexes", &[]).await?;
    assert!(findings.len() == expected && findings.iter().all(|f| f.state == PROBLEM), "{findings:?}");
    mend(&db, "indexes", &[]).await?;
    assert_eq!((states(&db, "indexes", &[]).await?, db.text(DEFINITIONS).await?), ("ok".to_owned(), before));
    Ok(())
}

#[tokio::test]
async fn an_index_whose_build_broke_off_is_named_and_built_anew() -> Result<()> {
    let db = Db::new().await?;
    let row = "(1, 'q', 'k', 'completed', 1, 1, 5, now(), now(), '{}', now())";
    db.run(&format!("INSERT INTO howdah.archive (id, queue, kind, state, attempt, max_attempts, priority, enqueued_at, ended_at, payload, archived_at) VALUES {row}, {row}")).await?;
    db.run("CREATE UNIQUE INDEX CONCURRENTLY archive_once ON howdah.archive (id)").await.unwrap_err();
    let (state, words) = found(&db, "indexes", &[]).await?;
    assert!(
        state == PROBLEM && words.starts_with("index howdah.archive_once of howdah.archive is not valid"),
        "{words}"
    );
    db.run("DELETE FROM howdah.archive WHERE ctid = '(0,1)'").await?;
    mend(&db, "indexes", &[]).await?;
    assert_eq!(found(&db, "indexes", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn a_table_without_autovacuum_and_one_that_it_has_not_come_to_are_warnings() -> Result<()> {
    let db = Db::new().await?;
    assert_eq!(found(&db, "autovacuum", &[]).await?.0, OK);
    db.stop_autovacuum().await?;
    let (state, words) = found(&db, "autovacuum", &[]).await?;
    assert!(state == WARNING && words.starts_with("autovacuum is off for "), "{words}");
    mend(&db, "autovacuum", &[]).await?;
    assert_eq!(found(&db, "autovacuum", &[]).await?.0, OK);
    db.run("ALTER TABLE howdah.waiter SET (autovacuum_enabled = off); INSERT INTO howdah.waiter SELECT g, now() FROM generate_series(1, 500) g").await?;
    db.run("DELETE FROM howdah.waiter").await?;
    let many = [("dead_rows", 100)];
    db.wait_for(
        "SELECT string_agg(state, ' ') FROM howdah.doctor('{autovacuum}', '{\"dead_rows\": 100}')",
        "warning warning",
    )
    .await?;
    let findings = look(&db.howdah, "autovacuum", &many).await?;
    assert_eq!(findings[1].found, "table waiter has 500 dead rows beside 0 live ones, and was never vacuumed");
    mend(&db, "autovacuum", &many).await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{autovacuum}', '{\"dead_rows\": 100}')", "ok").await
}

#[tokio::test]
async fn a_transaction_that_stays_open_is_named_and_ended() -> Result<()> {
    let db = Db::new().await?;
    let mut old = db.session().await?;
    old.run("SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM howdah.job")
        .await?;
    assert_eq!(found(&db, "horizon", &[]).await?.0, OK, "it is young");
    db.travel("10 minutes").await?;
    let (state, words) = found(&db, "horizon", &[]).await?;
    assert!(
        state == WARNING
            && words.contains(
                "(report) has had a transaction open for 10 min and is idle in transaction: no row that ended since"
            ),
        "{words}"
    );
    assert_eq!(found(&db, "horizon", &[("transaction_ms", 30_000)]).await?.0, PROBLEM);
    mend(&db, "horizon", &[]).await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{horizon}')", "ok").await
}

#[tokio::test]
async fn what_everybody_may_do_is_a_warning_and_a_superuser_that_works_a_notice() -> Result<()> {
    let db = Db::new().await?;
    assert_eq!(found(&db, "privileges", &[]).await?.0, OK);
    db.run("GRANT USAGE ON SCHEMA howdah TO PUBLIC; GRANT SELECT ON howdah.job TO PUBLIC").await?;
    assert_eq!(states(&db, "privileges", &[]).await?, "warning warning");
    mend(&db, "privileges", &[]).await?;
    assert_eq!(found(&db, "privileges", &[]).await?.0, OK);
    let (worker, mut session) = (db.worker().await?, db.session().await?);
    session.run(&format!("SELECT howdah.attach_session({worker})")).await?;
    let (state, words) = found(&db, "privileges", &[]).await?;
    assert!(
        state == NOTICE && words.starts_with("1 workers are connected as postgres, which is a superuser"),
        "{words}"
    );
    Ok(())
}

#[tokio::test]
async fn connections_are_counted_against_what_the_server_allows() -> Result<()> {
    let db = Db::new().await?;
    let (state, words) = found(&db, "connections", &[("connections_percent", 0)]).await?;
    assert!(state != OK && words.ends_with(" of 297 connections are in use"), "{words}");
    assert_eq!(found(&db, "connections", &[("connections_percent", 101)]).await?.0, OK);
    Ok(())
}
