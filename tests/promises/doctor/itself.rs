//! The doctor itself: all checks, each by itself, for who may only read, in every schema.

use anyhow::Result;
use howdah::{Error, Finding, FindingState};
use howdah_tests::Db;

use super::OK;

fn unknown(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().filter(|f| f.state == FindingState::Unknown).map(|f| (f.name.as_str(), f.found.as_str())).collect()
}

#[tokio::test]
async fn a_new_queue_is_well_but_for_the_server_that_syncs_nothing() -> Result<()> {
    let db = Db::new().await?;
    let findings = db.howdah.doctor().await?;
    let checks = db
        .text("SELECT string_agg(name, ' ' ORDER BY n) FROM howdah.doctor_checks() WITH ORDINALITY c(name, healthy, n)")
        .await?;
    let mut made: Vec<_> = findings.iter().map(|f| f.name.as_str()).collect();
    made.dedup();
    assert_eq!(made.join(" "), checks);
    let ill: Vec<_> = findings.iter().filter(|f| f.state != OK && f.name != "settings").collect();
    assert!(ill.is_empty(), "{ill:?}");
    assert!(findings.iter().filter(|f| f.state == OK).all(|f| f.fix.is_none() && !f.found.is_empty()));
    // As a view it is the same but for what a program says of itself.
    let view = db.text("SELECT string_agg(DISTINCT name, ' ') FROM howdah.health WHERE state NOT IN ('ok')").await?;
    assert_eq!(view, "settings");
    Ok(())
}

#[tokio::test]
async fn a_check_that_fails_or_waits_takes_no_other_down() -> Result<()> {
    let db = Db::new().await?;
    db.run("ALTER TABLE howdah.removal_failure RENAME TO gone").await?;
    let mut session = db.session().await?;
    session.run("BEGIN; LOCK TABLE howdah.dead").await?;
    let findings = db.howdah.doctor().check("removal").check("dead").check("paused").check("notify").await?;
    let unknown = unknown(&findings);
    assert!(unknown[0].0 == "dead" && unknown[0].1.contains("lock timeout"), "{findings:?}");
    assert!(unknown[1].0 == "removal" && unknown[1].1.contains("howdah.removal_failure"), "{findings:?}");
    assert_eq!(findings.iter().filter(|f| f.state == OK).count(), 2, "{findings:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_check_or_no_limit_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (sql, refusal) in [
        ("howdah.doctor('{paused,nonsense}')", "HD002 checks"),
        ("howdah.doctor(limits => '{\"nonsense\": 1}')", "HD002 limits"),
        ("howdah.doctor(limits => '{\"waiting_ms\": -1}')", "HD002 limits"),
        ("howdah.doctor(limits => '{\"waiting_ms\": \"1\"}')", "HD002 limits"),
        ("howdah.doctor(limits => '[]')", "HD002 limits"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT * FROM {sql}")).await?, refusal, "{sql}");
    }
    assert_eq!(
        session.text("SELECT howdah.doctor_limits('{\"waiting_ms\": null}') = howdah.doctor_limits()").await?,
        "true"
    );
    let refused = db.howdah.doctor().check("nonsense").await;
    assert!(
        matches!(&refused, Err(Error::Invalid { field, hint, .. }) if field == "checks" && hint.contains("paused")),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn who_may_only_read_sees_all_of_it_in_a_transaction_that_only_reads() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(&format!("SELECT howdah.enqueue('k'); SELECT howdah.enqueue_unique('k', key => 'a'); SELECT howdah.claim({worker}, jobs => 1)")).await?;
    let role = format!("reader_{}", db.text("current_database()").await?);
    db.run(&format!(
        "CREATE ROLE \"{role}\"; GRANT USAGE ON SCHEMA howdah TO \"{role}\"; GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO \"{role}\";
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA howdah TO \"{role}\""
    ))
    .await?;
    let mut session = db.session().await?;
    // Each by itself: together they would be one transaction, and the role would end with it.
    session.run(&format!("SET ROLE \"{role}\"")).await?;
    session.run("BEGIN READ ONLY").await?;
    let wrong = "SELECT string_agg(name || ': ' || found, E'\\n') FROM howdah.doctor() WHERE state = 'unknown'";
    assert_eq!(session.text(wrong).await?, "");
    session.run("ROLLBACK").await?;
    // What it may not see of others, it says, and what to do about it.
    let mut old = db.session().await?;
    old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await?;
    let hidden =
        "SELECT string_agg(state || ' ' || fix, E'\\n') FROM howdah.doctor('{horizon}', '{\"horizon_xids\": 0}')";
    let said = session.text(hidden).await?;
    assert!(said.starts_with("unknown let it see them: GRANT pg_read_all_stats TO "), "{said}");
    db.run(&format!("GRANT pg_read_all_stats TO \"{role}\"")).await?;
    assert_eq!(session.text("SELECT state FROM howdah.doctor('{horizon}', '{\"horizon_xids\": 0}')").await?, "ok");
    session.run("RESET ROLE").await?;
    db.run(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"")).await
}

#[tokio::test]
async fn in_a_schema_of_another_name_every_proof_and_every_fix_names_that() -> Result<()> {
    let db = Db::empty().await?;
    let howdah = db.howdah.clone().with_schema("jobs_eu")?;
    howdah.migrate().await?;
    db.run(
        "SELECT jobs_eu.enqueue('k'); SELECT jobs_eu.start_worker('w', queues => '{default}'); SELECT jobs_eu.pause_queue('default', NULL, NULL); DROP INDEX jobs_eu.deferred_queue;
         INSERT INTO jobs_eu.settled VALUES (4, 1); GRANT USAGE ON SCHEMA jobs_eu TO PUBLIC; ALTER TABLE jobs_eu.dead SET (autovacuum_enabled = off)",
    )
    .await?;
    let findings = howdah.doctor().await?;
    assert_eq!(unknown(&findings), []);
    let mut session = db.session().await?;
    let ill: Vec<_> = findings.iter().filter(|f| f.state != OK && f.name != "settings").collect();
    assert_eq!(
        ill.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
        ["paused", "orphans", "indexes", "autovacuum", "privileges"]
    );
    for finding in ill {
        assert!(!format!("{finding:?}").contains("howdah."), "{finding:?}");
        super::prove(&mut session, finding).await?;
        session.run(finding.detail["sql"].as_str().unwrap_or_default()).await?;
    }
    let left: Vec<_> = howdah.doctor().await?.into_iter().filter(|f| f.state != OK && f.name != "settings").collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}
