//! Rings that cannot turn, and tables and indexes that are larger than their rows.

use anyhow::Result;
use howdah_devdb::{Durability, Server};
use howdah_tests::Db;

use super::{OK, WARNING, apply, found, look, mend, prove, states};

#[tokio::test]
async fn a_ring_that_an_old_job_keeps_from_turning_is_named() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let small = [("ring_bytes", 0)];
    db.run("SELECT howdah.enqueue('old')").await?;
    assert_eq!(found(&db, "rings", &small).await?.0, OK, "it can still turn");
    db.run("UPDATE howdah.ring SET slot = 1 WHERE name = 'ticket'; UPDATE howdah.queue SET fresh_slot = 1; SELECT howdah.enqueue('new')").await?;
    let (state, words) = found(&db, "rings", &small).await?;
    assert!(
        words.starts_with(
            "ring ticket cannot turn: howdah.ticket_1 is written and has 8192 bytes, and howdah.ticket_0 still holds"
        ),
        "{state} {words}"
    );
    assert_eq!(found(&db, "rings", &[("ring_bytes", 8191)]).await?.0, WARNING);
    prove(&mut db.session().await?, &look(&db.howdah, "rings", &small).await?[0]).await?;
    db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker}, jobs => 1)")).await?;
    apply(&db, "rings", &small).await?;
    assert_eq!(states(&db, "rings", &small).await?, "ok");
    Ok(())
}

#[tokio::test]
async fn history_and_jobs_that_nobody_rotates_are_named_and_go_by_hand() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let complete = format!("SELECT howdah.enqueue('k'); SELECT howdah.complete(lease_id) FROM howdah.claim({worker})");
    db.run(&complete).await?;
    db.travel("13 hours").await?;
    while !db.text("SELECT coalesce(howdah.rotate(), '')").await?.is_empty() {}
    assert_eq!(states(&db, "rings", &[]).await?, "ok");
    db.travel("39 hours").await?;
    let (state, words) = found(&db, "rings", &[]).await?;
    assert!(state == WARNING && words.starts_with("slot 0 of the history was left 26 h ago"), "{words}");
    mend(&db, "rings", &[]).await?;
    assert_eq!(states(&db, "rings", &[]).await?, "ok");
    // The next partition of jobs holds one that never ended.
    db.run("SELECT howdah.enqueue('k'); INSERT INTO howdah.job SELECT (((r.slot + 1) & 7)::bigint << 33) + 128, now(), 1, 5, 20, 'old', '{}' FROM howdah.ring r WHERE name = 'job'")
        .await?;
    db.travel("60 hours").await?;
    let (state, words) = found(&db, "rings", &[]).await?;
    assert!(state == WARNING && words.starts_with("ring job should have turned "), "{words}");
    Ok(())
}

#[tokio::test]
async fn a_table_and_its_indexes_that_were_much_larger_are_named_and_made_small() -> Result<()> {
    // Nobody looks at this database meanwhile, not at its catalog either: a table that is written anew keeps what others may still see.
    let server = Server::builder().private().durability(Durability::Fast).setting("autovacuum", "off").start().await?;
    let db = Db::on(&server).await?;
    let little = [("bloat_bytes", 40_000)];
    db.run("INSERT INTO howdah.expiry SELECT g, now() FROM generate_series(1, 5000) g").await?;
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{bloat}', '{\"bloat_bytes\": 40000}')", "ok")
        .await?;
    db.run("DELETE FROM howdah.expiry WHERE job_id > 10").await?;
    db.wait_for(
        "SELECT string_agg(detail ->> 'relation', ' ' ORDER BY detail ->> 'relation') FROM howdah.doctor('{bloat}', '{\"bloat_bytes\": 40000}')",
        "howdah.expiry howdah.expiry_due howdah.expiry_pkey",
    )
    .await?;
    assert_eq!(states(&db, "bloat", &[]).await?, "ok", "it is small");
    mend(&db, "bloat", &little).await?;
    // PostgreSQL 14 counts dead rows a moment later.
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{bloat}', '{\"bloat_bytes\": 40000}')", "ok")
        .await?;
    drop(db);
    Ok(server.stop().await?)
}
