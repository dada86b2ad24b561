//! Who changed what: noted by the functions that change it, whoever calls them.

use anyhow::Result;
use howdah_tests::Db;

/// What was noted since the last time.
async fn noted(db: &Db) -> Result<String> {
    let told = "SELECT string_agg(concat_ws(' ', action, settings, nullif(changed, 0)), E'\\n' ORDER BY id) FROM howdah.command WHERE made_by = session_user";
    let noted = db.text(told).await?;
    db.run("DELETE FROM howdah.command").await?;
    Ok(noted)
}

#[tokio::test]
async fn what_is_changed_with_sql_alone_is_noted_and_what_is_not_changed_is_not() -> Result<()> {
    let db = Db::new().await?;
    let schedule = r#"howdah.set_schedule('nightly', '{"expression": "0 3 * * *", "kind": "report"}')"#;
    for (call, wanted) in [
        (r#"howdah.create_queue('mail', '{"max_jobs": 7}')"#, r#"create_queue {"queue": "mail", "max_jobs": 7}"#),
        ("howdah.create_queue('mail')", ""),
        (
            r#"howdah.set_queue('mail', '{"max_jobs": 7, "max_attempts": 5}')"#,
            r#"set_queue {"queue": "mail", "max_attempts": 5}"#,
        ),
        (r#"howdah.set_queue('mail', '{"max_attempts": 5}')"#, ""),
        (r#"howdah.set_kind('a', '{"timeout_ms": 900}')"#, r#"set_kind {"kind": "a", "timeout_ms": 900}"#),
        (r#"howdah.set_kind('a', '{"timeout_ms": 900}')"#, ""),
        (r#"howdah.set_config('{"history_retention": "2 days"}')"#, r#"set_config {"history_retention": "2 days"}"#),
        ("howdah.set_config('{}')", ""),
        (
            r#"howdah.set_limit('key', 'a*', '{"max_running": 3}')"#,
            r#"set_limit {"name": "a*", "scope": "key", "max_running": 3}"#,
        ),
        (r#"howdah.set_limit('key', 'a*', '{"max_running": 3}')"#, ""),
        ("howdah.set_limit('key', 'a*', NULL)", r#"set_limit {"name": "a*", "scope": "key", "max_running": null}"#),
        ("howdah.pause_queue('mail', lasts => '1 hour')", r#"pause_queue {"lasts": "01:00:00", "queue": "mail"}"#),
        ("howdah.resume_queue('mail')", r#"resume_queue {"queue": "mail"}"#),
        ("howdah.resume_queue('mail')", ""),
        (schedule, r#"set_schedule {"kind": "report", "schedule": "nightly", "expression": "0 3 * * *"}"#),
        (schedule, ""),
        ("howdah.pause_schedule('nightly')", r#"pause_schedule {"schedule": "nightly"}"#),
        ("howdah.resume_schedule('nightly')", r#"resume_schedule {"schedule": "nightly"}"#),
        ("howdah.resume_schedule('nightly')", ""),
        ("(howdah.run_schedule('nightly')).hit", r#"run_schedule {"job": 128, "schedule": "nightly"}"#),
        ("howdah.delete_schedule('nightly')", r#"delete_schedule {"schedule": "nightly"}"#),
        ("howdah.delete_schedule('nightly')", ""),
        ("howdah.cancel(128)", ""),
        ("howdah.purge('cancelled', '0')", r#"purge {"state": "cancelled", "older_than": "00:00:00"} 1"#),
        ("howdah.purge('cancelled', '0')", ""),
        ("howdah.enqueue_workflow('w', '[{\"name\": \"a\", \"kind\": \"a\"}]')", ""),
        ("howdah.cancel_workflow(1)", r#"cancel_workflow {"workflow": 1} 1"#),
        ("howdah.retry_workflow(1)", r#"retry_workflow {"workflow": 1} 1"#),
        ("howdah.tell_worker(howdah.start_worker('w'), 'quiet')", r#"tell_worker {"what": "quiet", "worker": 1}"#),
        ("howdah.tell_worker(77, 'quiet')", ""),
        ("howdah.delete_queue('mail')", r#"delete_queue {"queue": "mail"}"#),
        ("howdah.delete_queue('mail')", ""),
    ] {
        db.run(&format!("SELECT {call}")).await?;
        assert_eq!(noted(&db).await?, wanted, "{call}");
    }
    Ok(())
}

#[tokio::test]
async fn a_program_says_for_whom_it_acts_and_a_pause_that_ends_by_itself_is_the_keepers() -> Result<()> {
    let db = Db::new().await?;
    db.run(
        "BEGIN; SET LOCAL howdah.made_by = 'ann'; SET LOCAL howdah.reason = 'holiday';
         SELECT howdah.pause_queue('default', lasts => '1 minute'); COMMIT",
    )
    .await?;
    db.run("SELECT howdah.pause_queue('default', 'bob', 'fire', '1 minute')").await?;
    db.travel("2 minutes").await?;
    db.run("SELECT howdah.resume_due()").await?;
    db.run("SELECT howdah.pause_queue('default')").await?;
    let told = "SELECT string_agg(concat_ws(' ', action, CASE made_by WHEN session_user THEN 'me' ELSE made_by END, reason), ', ' ORDER BY id) FROM howdah.command";
    assert_eq!(
        db.text(told).await?,
        "pause_queue ann holiday, pause_queue bob fire, resume_queue keeper its pause was over, pause_queue me"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_too_long_to_be_noted_is_noted_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    db.run(
        "SELECT howdah.set_schedule('big', jsonb_build_object('expression', '@daily', 'kind', 'a', 'payload', jsonb_build_object('text', repeat('x', 5000))))",
    )
    .await?;
    let told = "SELECT settings FROM howdah.command";
    assert_eq!(db.text(told).await?, r#"{"set": "kind payload expression", "schedule": "big"}"#);
    Ok(())
}
