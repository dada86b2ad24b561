//! What a job belongs to, the failures of a group, and notes of what people do.

use anyhow::Result;
use howdah_tests::Db;

#[tokio::test]
async fn a_job_knows_its_workflow_what_it_waited_for_and_what_waits_for_it() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    let graph = r#"[{"name": "a", "kind": "fetch"}, {"name": "b", "kind": "sum", "depends_on": ["a"]}]"#;
    db.run(&format!("SELECT howdah.enqueue_workflow('import', '{graph}')")).await?;
    let family = async |kind: &str| {
        let told = "string_agg(concat_ws(' ', relation, name, f.kind, f.state), ', ')";
        db.text(&format!("SELECT {told} FROM howdah.jobs j, howdah.family(j.id) f WHERE j.kind = '{kind}'")).await
    };
    assert_eq!(family("fetch").await?, "workflow import, child sum blocked");
    assert_eq!(family("sum").await?, "workflow import, parent fetch ready");
    db.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker})")).await?;
    assert_eq!(family("fetch").await?, "workflow import");
    assert_eq!(family("sum").await?, "workflow import, parent fetch completed");
    assert_eq!(db.text("SELECT count(*) FROM howdah.family(5)").await?, "0");
    assert_eq!(db.session().await?.refusal("SELECT howdah.family(5, 0)").await?, "HD002 most");
    Ok(())
}

#[tokio::test]
async fn the_failures_of_a_group_are_the_newest_with_what_became_of_their_jobs() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    for message in ["no user 1", "no user 2", "disk is full"] {
        db.run(&format!(
            "SELECT howdah.enqueue('k', max_attempts => 1);
             SELECT howdah.fail(c.lease_id, ARRAY[c.id], error_kinds => '{{E}}', messages => '{{{message}}}') FROM howdah.claim({worker}) c"
        ))
        .await?;
    }
    db.run("SELECT howdah.retry(max(job_id)) FROM howdah.failures WHERE message = 'no user 2'").await?;
    let told = "string_agg(concat_ws(' ', message, kind, state), ', ')";
    let group = "howdah.fingerprint('E', 'no user 7')";
    let found = db.text(&format!("SELECT {told} FROM howdah.failures_of_group({group})")).await?;
    assert_eq!(found, "no user 2 k ready, no user 1 k dead");
    let found = db.text(&format!("SELECT {told} FROM howdah.failures_of_group({group}, 1)")).await?;
    assert_eq!(found, "no user 2 k ready");
    assert_eq!(db.session().await?.refusal("SELECT howdah.failures_of_group(1, 0)").await?, "HD002 most");
    Ok(())
}

#[tokio::test]
async fn a_note_says_who_did_what_and_nothing_that_is_too_long() -> Result<()> {
    let db = Db::new().await?;
    db.run(r#"SELECT howdah.note_command('pause_queue', '{"queue": "mail"}', 'ann', 'a test')"#).await?;
    let noted = db.text("SELECT (made_by, action, settings ->> 'queue', reason, job_ids) FROM howdah.audit").await?;
    assert_eq!(noted, r#"(ann,pause_queue,mail,"a test",{})"#);
    let mut session = db.session().await?;
    assert_eq!(session.refusal("SELECT howdah.note_command('', '{}')").await?, "HD002 action");
    assert_eq!(session.refusal("SELECT howdah.note_command('x', '[]')").await?, "HD002 settings");
    let long = "SELECT howdah.note_command('x', jsonb_build_object('a', repeat('x', 5000)))";
    assert_eq!(session.refusal(long).await?, "HD002 settings");
    Ok(())
}
