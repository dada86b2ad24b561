//! Workers, their keeper, their leases, their releases, their clocks and the way to them.

use anyhow::Result;
use howdah::{Ctx, Error, RawJob, Worker};
use howdah_tests::{Db, start};

use super::{NOTICE, OK, PROBLEM, WARNING, found, mend};

#[tokio::test]
async fn jobs_that_are_due_without_a_keeper_are_a_problem_until_there_is_one() -> Result<()> {
    let db = Db::new().await?;
    assert_eq!(found(&db, "keeper", &[]).await?.0, OK, "there is nothing to do");
    db.run("SELECT howdah.enqueue('k', delay => '1 minute')").await?;
    assert_eq!(found(&db, "keeper", &[]).await?.0, OK, "nothing is due");
    db.travel("5 minutes").await?;
    let (state, words) = found(&db, "keeper", &[]).await?;
    assert!(
        state == PROBLEM
            && words.starts_with("nobody is the keeper: ")
            && words.ends_with("the first one has been due for 4 min"),
        "{words}"
    );
    let worker = start(Worker::new(&db.howdah).handle_any(async |_: RawJob, _: Ctx| {}));
    db.wait_for("SELECT string_agg(state, ' ') FROM howdah.doctor('{keeper}')", "ok").await?;
    worker.stop().await
}

#[tokio::test]
async fn jobs_that_a_keeper_does_not_make_ready_are_a_warning() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.enqueue('k', delay => '1 minute')").await?;
    db.travel("5 minutes").await?;
    let keeper = db.worker().await?;
    db.run(&format!("SELECT howdah.elect_keeper({keeper}, 60000)")).await?;
    assert_eq!(found(&db, "keeper", &[]).await?.0, WARNING);
    mend(&db, "keeper", &[]).await?;
    assert_eq!((found(&db, "keeper", &[]).await?.0, db.jobs_in("ready").await?), (OK, 1));
    Ok(())
}

#[tokio::test]
async fn a_silent_worker_is_noticed_and_its_expired_leases_are_a_problem() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(&format!("SELECT howdah.enqueue('k'); SELECT howdah.claim({worker})")).await?;
    assert_eq!(found(&db, "leases", &[]).await?.0, OK);
    db.travel("30 seconds").await?;
    let (state, words) = found(&db, "leases", &[]).await?;
    assert!(state == NOTICE && words.contains("its 1 leases are kept until 60.0 s"), "{words}");
    db.travel("2 minutes").await?;
    let (state, words) = found(&db, "leases", &[]).await?;
    assert!(
        state == PROBLEM && words.starts_with("worker w has not been heard of for 2 min; its lease of 60.0 s is over"),
        "{words}"
    );
    mend(&db, "leases", &[]).await?;
    assert_eq!((found(&db, "leases", &[]).await?.0, db.jobs_in("ready").await?), (OK, 1));
    Ok(())
}

#[tokio::test]
async fn a_lease_whose_worker_is_gone_is_a_problem() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(&format!("SELECT howdah.enqueue('k'); SELECT howdah.claim({worker}); DELETE FROM howdah.worker")).await?;
    assert_eq!(found(&db, "leases", &[]).await?.0, OK, "it may have been given up at this moment");
    db.travel("1 minute").await?;
    let (state, words) = found(&db, "leases", &[]).await?;
    assert!(state == PROBLEM && words.starts_with(&format!("1 leases belong to worker {worker}, ")), "{words}");
    mend(&db, "leases", &[]).await?;
    assert_eq!(found(&db, "leases", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_went_back_is_a_problem_and_one_that_differs_a_warning() -> Result<()> {
    let db = Db::new().await?;
    assert_eq!(found(&db, "clock", &[]).await?.0, OK);
    db.travel("1 hour").await?;
    db.worker().await?;
    let (state, words) = found(&db, "clock", &[]).await?;
    assert!(state == WARNING && words.contains("s behind that of the server"), "{words}");
    db.travel("0 seconds").await?;
    let (state, words) = found(&db, "clock", &[]).await?;
    assert!(
        state == PROBLEM && words.starts_with("the server's clock has gone back: the heartbeat of worker w "),
        "{words}"
    );
    db.run("SELECT howdah.stop_worker(id) FROM howdah.worker").await?;
    assert_eq!(found(&db, "clock", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn functions_of_another_build_are_a_warning_until_they_are_installed() -> Result<()> {
    let db = Db::new().await?;
    assert_eq!(found(&db, "schema", &[]).await?.0, OK);
    db.run("UPDATE howdah.code SET hash = 'other', release = '0.0.1'").await?;
    let (state, words) = found(&db, "schema", &[]).await?;
    assert!(state == WARNING && words.contains("another build (release 0.0.1)"), "{words}");
    db.howdah.migrate().await?;
    assert_eq!(found(&db, "schema", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn a_schema_of_another_version_is_a_problem_and_one_without_a_doctor_an_error() -> Result<()> {
    let db = Db::new().await?;
    db.run("INSERT INTO howdah.migration (version, name) VALUES (9999, 'later')").await?;
    let (state, words) = found(&db, "schema", &[]).await?;
    assert!(state == PROBLEM && words.starts_with("the schema is at migration 9999, "), "{words}");
    db.run("DELETE FROM howdah.migration WHERE version = 9999").await?;
    let last = db.text("SELECT max(version) FROM howdah.migration").await?;
    db.run(&format!("DELETE FROM howdah.migration WHERE version = {last}")).await?;
    let (state, words) = found(&db, "schema", &[]).await?;
    assert!(state == PROBLEM && words.ends_with(&format!("made for {last}")), "{words}");
    db.run("DROP VIEW howdah.health; DROP FUNCTION howdah.doctor").await?;
    assert!(matches!(db.howdah.doctor().await, Err(Error::SchemaMismatch { .. })));
    assert!(matches!(Db::empty().await?.howdah.doctor().await, Err(Error::NotInstalled { .. })));
    Ok(())
}

#[tokio::test]
async fn workers_of_another_release_are_a_notice_and_a_warning_when_it_lasts() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.start_worker('new', version => release) FROM howdah.code; SELECT howdah.start_worker('sql')")
        .await?;
    assert_eq!(found(&db, "schema", &[]).await?.0, OK);
    db.run("SELECT howdah.start_worker('old', version => '0.0.1')").await?;
    let (state, words) = found(&db, "schema", &[]).await?;
    assert!(state == NOTICE && words.starts_with("1 of 3 workers run release 0.0.1, "), "{words}");
    db.travel("2 hours").await?;
    assert_eq!(found(&db, "schema", &[]).await?.0, WARNING);
    db.run("SELECT howdah.stop_worker(id) FROM howdah.worker WHERE name = 'old'").await?;
    assert_eq!(found(&db, "schema", &[]).await?.0, OK);
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_session_is_gone_and_who_is_heard_of_hears_nothing() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    assert_eq!(found(&db, "pooler", &[]).await?.0, OK, "this program is connected directly");
    let mut listening = db.session().await?;
    listening.run(&format!("SELECT howdah.attach_session({worker})")).await?;
    assert_eq!(found(&db, "pooler", &[]).await?.0, OK);
    drop(listening);
    let seen = format!(
        "SELECT (SELECT string_agg(state, ' ') FROM howdah.doctor('{{pooler}}')) FROM howdah.heartbeat({worker})"
    );
    db.wait_for(&seen, "warning").await?;
    let mut again = db.session().await?;
    again.run(&format!("SELECT howdah.attach_session({worker})")).await?;
    assert_eq!(found(&db, "pooler", &[]).await?.0, OK);
    let pooled = "SELECT state || ': ' || found FROM howdah.doctor('{pooler}', client => '{\"pooled\": true}')";
    assert!(db.text(pooled).await?.starts_with("notice: this program is handed from session to session"));
    Ok(())
}
