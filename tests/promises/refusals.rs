//! What cannot be done is refused, says which argument is wrong, and leaves nothing behind.

use anyhow::{Context, Result, bail};
use howdah::{Error, Job, JobError, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

/// SQL, and the SQLSTATE and COLUMN with which it is refused.
const REFUSED: &[(&str, &str)] = &[
    ("enqueue('k', queue => 'nowhere')", "HD001 queue"),
    ("enqueue('k', queue => NULL)", "HD001 queue"),
    ("enqueue('k', queue => repeat('q', 10000))", "HD001 queue"),
    ("enqueue(NULL)", "HD002 kind"),
    ("enqueue('')", "HD002 kind"),
    ("enqueue(repeat('k', 129))", "HD002 kind"),
    ("enqueue(repeat('ä', 65))", "HD002 kind"),
    ("enqueue(E'a\\nb')", "HD002 kind"),
    ("enqueue(E'a\\x7f')", "HD002 kind"),
    ("enqueue('k', priority => -1)", "HD002 priority"),
    ("enqueue('k', priority => 10)", "HD002 priority"),
    ("enqueue('k', priority => NULL)", "HD002 priority"),
    ("enqueue('k', delay => '-1 second')", "HD002 delay"),
    ("enqueue('k', delay => '101 years')", "HD002 delay"),
    ("enqueue('k', delay => '150000000 years')", "HD002 delay"),
    ("enqueue('k', delay => '1 second', run_at => now())", "HD002 delay"),
    ("enqueue('k', run_at => '-infinity')", "HD002 run_at"),
    ("enqueue('k', run_at => '9999-12-31')", "HD002 run_at"),
    ("enqueue('k', max_attempts => 0)", "HD002 max_attempts"),
    ("enqueue('k', max_attempts => 1001)", "HD002 max_attempts"),
    ("enqueue('k', NULL)", "HD002 payload"),
    ("enqueue('k', to_jsonb(repeat('x', 1048577)))", "HD002 payload"),
    ("enqueue('k', '\"a\\u0000b\"')", "22P05"),
    ("enqueue('k', options => '[]')", "HD002 options"),
    ("enqueue('k', options => '\"x\"')", "HD002 options"),
    ("enqueue('k', options => '{\"colour\": 1}')", "HD002 options"),
    ("enqueue('k', options => '{\"attributes\": []}')", "HD002 attributes"),
    ("enqueue('k', options => '{\"attributes\": {\"a\": {}}}')", "HD002 attributes"),
    ("enqueue('k', options => '{\"attributes\": {\"a\": [[1]]}}')", "HD002 attributes"),
    // serde_json and others cannot read it, nor any list of jobs that it is in.
    ("enqueue('k', options => '{\"attributes\": {\"a\": 1e309}}')", "HD002 attributes"),
    ("enqueue('k', options => '{\"attributes\": {\"a\": [1, -1e309]}}')", "HD002 attributes"),
    (
        "enqueue('k', options => jsonb_build_object('attributes', jsonb_build_object('a', repeat('x', 9000))))",
        "HD002 attributes",
    ),
    ("enqueue('k', options => '{\"ttl_ms\": -1}')", "HD002 ttl_ms"),
    ("enqueue('k', options => '{\"ttl_ms\": \"1\"}')", "HD002 ttl_ms"),
    ("enqueue('k', options => '{\"ttl_ms\": 1, \"expires_at\": \"2030-01-01\"}')", "HD002 ttl_ms"),
    ("enqueue('k', options => '{\"expires_at\": \"soon\"}')", "HD002 expires_at"),
    ("enqueue('k', options => '{\"expires_at\": \"infinity\"}')", "HD002 expires_at"),
    ("enqueue('k', options => '{\"expires_at\": \"99999999-01-01\"}')", "HD002 expires_at"),
    ("enqueue('k', options => '{\"timeout_ms\": 0}')", "HD002 timeout_ms"),
    ("enqueue('k', options => '{\"timeout_ms\": 1.5}')", "HD002 timeout_ms"),
    ("enqueue('k', options => '{\"version\": 32768}')", "HD002 version"),
    // Whoever reads it later reads an integer: a weight of 5.0 would stop every claim of its queue.
    ("enqueue('k', options => '{\"weight\": 5.0}')", "HD002 weight"),
    ("enqueue('k', options => '{\"version\": 2.0}')", "HD002 version"),
    ("enqueue('k', options => '{\"id\": 1280.0}')", "HD002 id"),
    ("enqueue('k', options => '{\"depends_on\": [128.0]}')", "HD002 depends_on"),
    ("enqueue('k', options => '{\"retry\": {\"jitter\": 1e-400}}')", "HD002 retry"),
    ("set_limit('key', 'a', '{\"rate\": 5.0}')", "HD002 rate"),
    ("enqueue_workflow('w', '[{\"name\": \"a\", \"kind\": \"k\", \"priority\": 3.0}]')", "HD002 jobs"),
    ("enqueue('k', options => '{\"traceparent\": \"00-zz\"}')", "HD002 traceparent"),
    ("enqueue('k', options => '{\"retry\": {\"policy\": \"sometimes\"}}')", "HD002 retry"),
    ("enqueue('k', options => '{\"retry\": {\"jitter\": 2}}')", "HD002 retry"),
    ("enqueue('k', options => '{\"retry\": {\"floor_ms\": 2, \"cap_ms\": 1}}')", "HD002 retry"),
    ("enqueue('k', options => '{\"id\": 127}')", "HD002 id"),
    ("enqueue('k', options => '{\"id\": 129}')", "HD002 id"),
    ("enqueue_many('k', '{1,2}', options => '{\"id\": 128}')", "HD002 id"),
    ("enqueue_unique('k', options => '{\"id\": \"x\"}')", "HD002 id"),
    ("enqueue_unique('k', key => '')", "HD002 key"),
    ("enqueue_unique('k', key => repeat('k', 513))", "HD002 key"),
    ("enqueue_unique('k', scope => 'sometimes')", "HD002 scope"),
    ("enqueue_unique('k', scope => 'period')", "HD002 period"),
    ("enqueue_unique('k', period => '1 hour')", "HD002 period"),
    ("enqueue_unique('k', scope => 'period', period => '0')", "HD002 period"),
    ("enqueue_unique('k', on_hit => 'shout')", "HD002 on_hit"),
    ("enqueue_unique('', on_hit => 'keep')", "HD002 kind"),
    ("enqueue_unique('k', queue => 'nowhere')", "HD001 queue"),
    ("enqueue_unique('k', NULL)", "HD002 payload"),
    ("wait_for(NULL)", "HD002 job_ids"),
    ("wait_for('{1}', 10)", "HD002 ttl_ms"),
    ("enqueue_many('k', '{}', 'nowhere')", "HD001 queue"),
    ("enqueue_many('k', NULL)", "HD002 payloads"),
    ("enqueue_many('k', array_fill('1'::jsonb, '{100001}'))", "HD002 payloads"),
    ("enqueue_many('k', array_fill('1'::jsonb, '{2,2}'))", "HD002 payloads"),
    ("enqueue_many('k', ARRAY['1', NULL]::jsonb[])", "HD002 payload"),
    ("enqueue_many('k', ARRAY['1', to_jsonb(repeat('x', 1048577))])", "HD002 payload"),
    ("enqueue_many('', '{1}')", "HD002 kind"),
    ("enqueue_many('k', '{1}', priority => 10)", "HD002 priority"),
    ("enqueue_many('k', '{1}', delay => '150000000 years')", "HD002 delay"),
    ("enqueue_many('k', '{1}', max_attempts => 0)", "HD002 max_attempts"),
    ("enqueue_many('k', '{1}', options => '1')", "HD002 options"),
    ("create_queue(NULL)", "HD002 queue"),
    ("create_queue('')", "HD002 queue"),
    ("create_queue(repeat('q', 129))", "HD002 queue"),
    ("create_queue(E'a\\tb')", "HD002 queue"),
    ("pause_queue('nowhere')", "HD001 queue"),
    ("resume_queue('nowhere')", "HD001 queue"),
    ("start_worker(NULL)", "HD002 name"),
    ("start_worker('')", "HD002 name"),
    ("start_worker(repeat('w', 257))", "HD002 name"),
    ("start_worker('w', queues => array_fill('q'::text, '{10001}'))", "HD002 queues"),
    ("start_worker('w', kinds => array_fill('k'::text, '{10001}'))", "HD002 kinds"),
    ("start_worker('w', version => repeat('v', 129))", "HD002 version"),
    ("pause_queue('default', repeat('w', 257))", "HD002 by"),
    ("pause_queue('default', 'me', repeat('w', 1025))", "HD002 reason"),
    ("pause_schedule('s', 'me', repeat('w', 1025))", "HD002 reason"),
    ("start_worker('w', 99)", "HD002 lease_ms"),
    ("start_worker('w', 86400001)", "HD002 lease_ms"),
    ("start_worker('w', NULL)", "HD002 lease_ms"),
    ("start_worker('w', 20000, 10001)", "HD002 heartbeat_ms"),
    ("start_worker('w', 20000, 9)", "HD002 heartbeat_ms"),
    ("start_worker('w', 20000, NULL)", "HD002 heartbeat_ms"),
    ("start_worker('w', queues => '{ok,\"\"}')", "HD002 queue"),
    ("claim(999)", "HD004 worker_id"),
    ("claim(NULL)", "HD004 worker_id"),
    ("claim($w, 'default', 0)", "HD002 jobs"),
    ("claim($w, 'default', 501)", "HD002 jobs"),
    ("claim($w, 'default', NULL)", "HD002 jobs"),
    ("claim($w, 'default', 1, NULL, '{0,0}')", "HD002 fronts"),
    ("claim($w, 'default', 1, NULL, '{}')", "HD002 fronts"),
    ("elect_keeper(999)", "HD004 worker_id"),
    ("keep($w, 7, true, true, 100)", "HD011"),
    ("fail($l, '{$j}', '{wrong}')", "HD002 verdicts"),
    ("fail($l, '{$j}', '{retry}', NULL, NULL, '{-1}')", "HD002 delay_ms"),
    ("fail($l, '{$j}', '{retry}', NULL, NULL, '{3155760000001}')", "HD002 delay_ms"),
    ("fail($l, '{$j,$j}')", "HD002 job_ids"),
    ("fail($l, NULL)", "HD002 job_ids"),
    ("complete_in($l, 1)", "HD010"),
    ("complete_in(999, $j)", "HD010"),
    ("complete_in(NULL, NULL)", "HD010"),
];

/// A worker that holds one of two jobs; the names under which the table above knows them.
async fn in_use(db: &Db) -> Result<[(&'static str, String); 3]> {
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue('k') FROM generate_series(1, 2)").await?;
    let lease = db.text(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let job = db.text("SELECT first_ids[1] FROM howdah.lease").await?;
    Ok([("$w", worker.to_string()), ("$l", lease), ("$j", job)])
}

#[tokio::test]
async fn every_bad_argument_is_named_and_writes_nothing() -> Result<()> {
    let db = Db::new().await?;
    let names = in_use(&db).await?;
    let before = db.content().await?;
    let mut session = db.session().await?;
    let mut wrong = Vec::new();
    for (call, wanted) in REFUSED {
        let sql = names.iter().fold(format!("SELECT * FROM howdah.{call}"), |sql, (name, is)| sql.replace(name, is));
        match session.refusal(&sql).await {
            Ok(found) if found == *wanted => {}
            Ok(found) => wrong.push(format!("{sql}: {found} and not {wanted}")),
            Err(error) => wrong.push(format!("{error:#}, wanted {wanted}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn an_insert_is_refused_like_the_function() -> Result<()> {
    let db = Db::new().await?;
    let before = db.content().await?;
    let mut session = db.session().await?;
    for (insert, wanted) in [
        ("(kind, queue) VALUES ('k', 'nowhere')", "HD001 queue"),
        ("(payload) VALUES ('{}')", "HD002 kind"),
        ("(kind, payload) VALUES ('k', NULL)", "HD002 payload"),
        ("(kind, priority) VALUES ('a', 1), ('b', 10)", "HD002 priority"),
        ("(kind, delay, run_at) VALUES ('a', '1 s', now())", "HD002 delay"),
    ] {
        assert_eq!(session.refusal(&format!("INSERT INTO howdah.new_job {insert}")).await?, wanted, "{insert}");
    }
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn what_is_just_allowed_is_taken() -> Result<()> {
    let db = Db::new().await?;
    for call in [
        "enqueue(repeat('k', 128))",
        "enqueue('k', priority => 0)",
        "enqueue('k', priority => 9)",
        "enqueue('k', delay => '0')",
        "enqueue('k', delay => '100 years')",
        "enqueue('k', run_at => '9998-12-31')",
        "enqueue('k', run_at => '4000-01-01 BC')",
        "enqueue('k', max_attempts => 1)",
        "enqueue('k', max_attempts => 1000)",
        "enqueue('k', 'null')",
        "enqueue('k', to_jsonb(repeat('x', 1048560)))",
        "enqueue('k', run_at => 'infinity')",
        "enqueue('k', options => '{\"attributes\": {\"a\": [1, null, \"x\"]}, \"ttl_ms\": 0, \"timeout_ms\": 1, \"retry\": {}, \"version\": 1}')",
        "enqueue('k', options => '{}')",
        "enqueue_unique('k', key => repeat('k', 512), scope => 'period', period => '100 years', on_hit => 'replace_time')",
        "enqueue_many('k', '{}')",
        "enqueue_many('k', array_fill('1'::jsonb, '{100000}'))",
        "create_queue(repeat('q', 128))",
        "start_worker(repeat('w', 256), 100, 50)",
    ] {
        db.run(&format!("SELECT * FROM howdah.{call}")).await.with_context(|| call)?;
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 100_015);
    Ok(())
}

#[tokio::test]
async fn a_payload_is_as_large_as_it_is_wherever_it_comes_from() -> Result<()> {
    let db = Db::new().await?;
    // A megabyte and more of JSON, that a table holds in a few kilobytes.
    db.run("CREATE TABLE draft AS SELECT to_jsonb(repeat('x', 2000000)) AS payload").await?;
    assert!(db.number("SELECT pg_column_size(payload) FROM draft").await? < 100_000);
    db.run("SELECT howdah.enqueue_unique('k', key => 'k')").await?;
    let mut session = db.session().await?;
    for sql in [
        "SELECT howdah.enqueue('k', to_jsonb(repeat('x', 2000000)))",
        "SELECT howdah.enqueue('k', payload) FROM draft",
        "SELECT howdah.enqueue_many('k', array_agg(payload)) FROM draft",
        "SELECT howdah.enqueue_unique('k', payload) FROM draft",
        "SELECT howdah.enqueue_unique('k', payload, key => 'k', on_hit => 'replace') FROM draft",
        "INSERT INTO howdah.new_job (kind, payload) SELECT 'k', payload FROM draft",
    ] {
        assert_eq!(session.refusal(sql).await?, "HD002 payload", "{sql}");
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.job").await?, 1);
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Mail {
    to: Address,
}

#[derive(Serialize, Deserialize)]
struct Address {
    number: u64,
}

/// The field of an error about an argument.
fn field<T>(result: howdah::Result<T>) -> Result<String> {
    match result {
        Err(Error::Invalid { field, message, .. }) if !message.is_empty() => Ok(field),
        Err(Error::UnknownQueue { hint, .. }) if hint.contains("create_queue") => Ok("unknown queue".to_owned()),
        Err(other) => bail!("another error: {other:?}"),
        Ok(_) => bail!("it was not refused"),
    }
}

#[tokio::test]
async fn the_library_names_the_field_that_is_refused() -> Result<()> {
    let db = Db::new().await?;
    let before = db.content().await?;
    let (h, long) = (&db.howdah, "x".repeat(10_000));
    let mail = || Mail { to: Address { number: 1 } };
    assert_eq!(field(h.enqueue(mail()).queue("nowhere").await)?, "unknown queue");
    assert_eq!(field(h.enqueue(mail()).queue(&long).await)?, "unknown queue");
    assert_eq!(field(h.enqueue(mail()).queue("a\0b").await)?, "queue");
    assert_eq!(field(h.enqueue(mail()).priority(10).await)?, "priority");
    assert_eq!(field(h.enqueue(mail()).max_attempts(0).await)?, "max_attempts");
    assert_eq!(field(h.enqueue_raw(&long, &1).await)?, "kind");
    assert_eq!(field(h.enqueue_raw("a\0b", &1).await)?, "kind");
    assert_eq!(field(h.enqueue_raw("k", "a\0b").await)?, "payload");
    assert_eq!(field(h.enqueue_raw("k", &vec!["fine", "a\0b"]).await)?, "payload");
    assert_eq!(field(h.enqueue_raw("k", &"x".repeat(64 << 20)).await)?, "payload");
    assert_eq!(field(h.enqueue_raw("k", &"x".repeat(2 << 20)).await)?, "payload");
    assert_eq!(field(h.enqueue_many_raw("k", ["fine", "a\0b"]).await)?, "payload");
    let late = ["fine".to_owned(), "x".repeat(2 << 20)];
    assert_eq!(field(h.enqueue_many_raw("k", late).await)?, "payload");
    let now = std::time::SystemTime::now();
    assert_eq!(field(h.enqueue(mail()).run_at(now).delay(std::time::Duration::from_secs(1)).await)?, "delay");
    assert_eq!(field(h.enqueue(mail()).delay(std::time::Duration::MAX).await)?, "delay");
    assert_eq!(field(h.create_queue(&long).await)?, "queue");
    assert_eq!(field(h.create_queue("a\0b").await)?, "queue");
    assert_eq!(field(h.pause_queue("nowhere", None, None).await)?, "unknown queue");
    assert_eq!(field(h.resume_queue("nowhere").await)?, "unknown queue");
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_the_library_leaves_the_callers_transaction_whole() -> Result<()> {
    let db = Db::new().await?;
    let mut tx = db.pool().begin().await?;
    let first = db.howdah.enqueue_raw("k", &1).on(&mut tx).await?;
    assert_eq!(field(db.howdah.enqueue_raw("k", "a\0b").on(&mut tx).await)?, "payload");
    assert_eq!(field(db.howdah.enqueue_raw("a\0b", &1).on(&mut tx).await)?, "kind");
    let far = db.howdah.enqueue_many_raw("k", ["fine".to_owned(), "x".repeat(2 << 20)]);
    assert_eq!(field(far.on(&mut tx).await)?, "payload");
    tx.commit().await?;
    assert_eq!(db.text("SELECT string_agg(id::text, ' ') FROM howdah.jobs").await?, first.to_string());
    Ok(())
}

#[tokio::test]
async fn a_payload_that_does_not_fit_fails_and_its_value_is_told_nowhere() -> Result<()> {
    let db = Db::new().await?;
    for payload in [r#"{"to": {"number": "s3cret"}}"#, r#"{"to": {"number": -77001}}"#, r#"{"to": "s3cret"}"#] {
        db.run(&format!("SELECT howdah.enqueue('mail', '{payload}', max_attempts => 1)")).await?;
    }
    let worker = start(Worker::new(&db.howdah).handle(|_: Mail| async { Ok::<(), JobError>(()) }));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'dead'", "3").await?;
    worker.stop().await?;
    let messages = db.text("SELECT string_agg(message || ' ' || reason, E'\\n' ORDER BY job_id) FROM howdah.failures JOIN howdah.jobs ON id = job_id").await?;
    assert_eq!(messages.matches("payload.to").count(), 6, "{messages}");
    assert_eq!(messages.matches("payload.to.number").count(), 4, "{messages}");
    assert!(!messages.contains("s3cret") && !messages.contains("77001"), "the payload is in the error:\n{messages}");
    assert_eq!(db.text("SELECT DISTINCT error_kind FROM howdah.failures").await?, "payload");
    Ok(())
}
