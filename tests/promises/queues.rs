//! Queues are rows: made, set, paused and deleted while everything runs, and nothing of them is lost sight of.

use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Error, Job, JobError, JobState, KindSettings, QueueSettings, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "mail")]
struct Letter {}

async fn letter(_: Letter, _: Ctx<()>) -> Result<(), JobError> {
    Ok(())
}

async fn mail(settings: &str) -> Result<Db> {
    let db = Db::new().await?;
    db.run(&format!("SELECT howdah.create_queue('mail', '{settings}')")).await?;
    Ok(db)
}

#[tokio::test]
async fn every_setting_can_be_changed_and_reset_and_the_others_stay() -> Result<()> {
    let db = mail(r#"{"max_attempts": 7}"#).await?;
    let before = db.howdah.queue_settings("mail").await?;
    assert_eq!((before.max_attempts, before.max_payload_bytes, before.max_jobs), (Some(7), Some(1 << 20), None));
    let change = QueueSettings::new()
        .max_attempts(3)
        .retry_base(Duration::from_secs(1))
        .retry_factor(1.5)
        .retry_cap(Duration::from_secs(9))
        .retry_jitter(0.0)
        .max_payload_bytes(100)
        .max_jobs(5)
        .lease(Duration::from_secs(60))
        .timeout(Duration::from_secs(2));
    let after = db.howdah.set_queue("mail", &change).await?;
    let mut wished = change;
    wished.others = after.others.clone();
    assert_eq!(after, wished);
    let after = db.howdah.set_queue("mail", &QueueSettings::new().reset("max_attempts").reset("lease_ms")).await?;
    assert_eq!((after.max_attempts, after.lease_ms, after.max_jobs), (Some(20), None, Some(5)));
    assert_eq!(db.howdah.queue_settings("mail").await?, after);
    assert_eq!(db.howdah.queue_settings("default").await?.max_payload_bytes, Some(1 << 20));
    Ok(())
}

#[tokio::test]
async fn a_column_that_a_later_release_adds_is_a_setting() -> Result<()> {
    let db = mail("{}").await?;
    db.run("ALTER TABLE howdah.queue ADD COLUMN keeps interval NOT NULL DEFAULT '7 days' CHECK (keeps > '0')").await?;
    let change = QueueSettings::new().set("keeps", "36 hours");
    assert_eq!(db.howdah.set_queue("mail", &change).await?.others["keeps"], "36:00:00");
    let mut session = db.session().await?;
    for wrong in ["-1 day", "soon"] {
        let set = format!(r#"SELECT howdah.set_queue('mail', '{{"keeps": "{wrong}"}}')"#);
        assert_eq!(session.refusal(&set).await?, "HD002 keeps", "{wrong}");
    }
    assert_eq!(db.howdah.set_queue("mail", &QueueSettings::new().reset("keeps")).await?.others["keeps"], "7 days");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_set_is_named_and_changes_nothing() -> Result<()> {
    let db = mail("{}").await?;
    let before = db.content().await?;
    let mut session = db.session().await?;
    for (settings, wanted) in [
        (r#"{"max_attempts": 5, "max_jobs": 0}"#, "HD002 max_jobs"),
        (r#"{"max_attempts": 5, "colour": "red"}"#, "HD002 colour"),
        (r#"{"max_attempts": 5, "id": 7}"#, "HD002 id"),
        (r#"{"name": "post"}"#, "HD002 name"),
        (r#"{"paused_at": null}"#, "HD002 paused_at"),
        (r#"{"fresh_slot": 1}"#, "HD002 fresh_slot"),
        (r#"{"max_attempts": 5, "lease_ms": "soon"}"#, "HD002 lease_ms"),
        (r#"{"max_attempts": 1.5}"#, "HD002 max_attempts"),
        (r#"{"max_attempts": 99999}"#, "HD002 max_attempts"),
        (r#"{"max_attempts": {}}"#, "HD002 max_attempts"),
        (r#"{"retry_factor": "NaN"}"#, "HD002 retry_factor"),
        ("[]", "HD002 settings"),
    ] {
        let set = format!("SELECT howdah.set_queue('mail', '{settings}')");
        assert_eq!(session.refusal(&set).await?, wanted, "{settings}");
        let create = format!("SELECT howdah.create_queue('other', '{settings}')");
        assert_eq!(session.refusal(&create).await?, wanted, "create with {settings}");
    }
    for (call, wanted) in [
        ("set_queue('nowhere', '{\"max_attempts\": 5}')", "HD001 queue"),
        ("set_queue(NULL, '{}')", "HD001 queue"),
        ("set_queue('mail', NULL)", "HD002 settings"),
        ("queue_settings('nowhere')", "HD001 queue"),
        ("set_kind('', '{}')", "HD002 kind"),
        ("set_kind('k', '{\"max_jobs\": 5}')", "HD002 max_jobs"),
        ("set_kind('k', '{\"retry_policy\": \"quick\"}')", "HD002 retry_policy"),
        ("set_kind('k', '{\"lease_ms\": 99}')", "HD002 lease_ms"),
        ("delete_queue('default', true)", "HD002 queue"),
    ] {
        assert_eq!(session.refusal(&format!("SELECT howdah.{call}")).await?, wanted, "{call}");
    }
    assert_eq!(db.content().await?, before);
    let wrong = QueueSettings::new().max_attempts(0);
    let error = db.howdah.set_queue("mail", &wrong).await.expect_err("set").to_string();
    assert!(error.starts_with("max_attempts: max_attempts must satisfy") && error.contains("1000"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_there_keeps_what_was_set_of_it() -> Result<()> {
    let db = mail(r#"{"max_attempts": 7}"#).await?;
    db.howdah.create_queue_with("mail", &QueueSettings::new().max_attempts(3)).await?;
    db.howdah.create_queue("mail").await?;
    assert_eq!(db.howdah.queue_settings("mail").await?.max_attempts, Some(7));
    Ok(())
}

#[tokio::test]
async fn what_is_set_of_a_kind_is_kept_while_it_differs() -> Result<()> {
    let db = Db::new().await?;
    let change = KindSettings::new().lease(Duration::from_secs(600)).retry_policy("linear");
    let all = db.howdah.set_kind("report", &change).await?;
    assert_eq!((all.lease_ms, all.retry_policy.as_deref(), all.timeout_ms), (Some(600_000), Some("linear"), None));
    assert_eq!(db.howdah.kind_settings("report").await?, all);
    assert_eq!(db.howdah.kind_settings("other").await?.lease_ms, None);
    db.howdah.set_kind("report", &KindSettings::new().reset("lease_ms").reset("retry_policy")).await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.kind").await?, 0);
    Ok(())
}

/// Enqueues in a stream, so that the client goes by what it remembers, until SQL about the last job is true.
async fn stream_until(db: &Db, sql: &str) -> Result<()> {
    in_time(sql, async {
        loop {
            let id = db.howdah.enqueue(Letter {}).await?;
            if db.text(&sql.replace("$job", &id.to_string())).await? == "true" {
                return Ok(());
            }
        }
    })
    .await?
}

#[tokio::test]
async fn a_client_in_a_stream_goes_by_a_change_within_seconds() -> Result<()> {
    let db = mail("{}").await?;
    let attempts = |n: i32| format!("SELECT max_attempts = {n} FROM howdah.job WHERE id = $job");
    stream_until(&db, &attempts(20)).await?;
    db.howdah.set_queue("mail", &QueueSettings::new().max_attempts(3)).await?;
    stream_until(&db, &attempts(3)).await?;
    db.howdah.set_queue("mail", &QueueSettings::new().max_jobs(1)).await?;
    let full = in_time("the bound to hold", async {
        loop {
            if let Err(error) = db.howdah.enqueue(Letter {}).await {
                break error;
            }
        }
    })
    .await?;
    assert!(matches!(&full, Error::QueueFull { queue, .. } if queue == "mail"), "{full}");
    for _ in 0..50 {
        let again = db.howdah.enqueue(Letter {}).await;
        assert!(matches!(again, Err(Error::QueueFull { .. })), "and from then on it holds");
    }
    Ok(())
}

#[tokio::test]
async fn a_pause_for_a_while_ends_by_itself_and_one_without_an_end_does_not() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.create_queue('mail'), howdah.create_queue('fax')").await?;
    let hour = Duration::from_secs(3600);
    assert!(db.howdah.pause_queue_for("mail", hour, Some("ann"), None).await?);
    db.howdah.pause_queue_for("fax", hour, None, None).await?;
    // Whoever pauses it again says how long anew.
    assert!(!db.howdah.pause_queue("fax", None, None).await?);
    let paused = "SELECT string_agg(queue, ' ' ORDER BY queue) FROM howdah.queues WHERE paused";
    db.run("SELECT howdah.resume_due()").await?;
    assert_eq!(db.text(paused).await?, "fax mail");
    db.travel("61 minutes").await?;
    // As the keeper does it.
    let worker = db.worker().await?;
    let term = db.number(&format!("SELECT howdah.elect_keeper({worker}, 5000)")).await?;
    db.run(&format!("SELECT howdah.keep({worker}, {term}, true, false, 2000)")).await?;
    assert_eq!(db.text(paused).await?, "fax");
    assert_eq!(db.text("SELECT count(*) FROM howdah.queue WHERE resume_at IS NOT NULL").await?, "0");
    let refusal = db.session().await?.refusal("SELECT howdah.pause_queue('mail', lasts => '0')").await?;
    assert_eq!(refusal, "HD002 lasts");
    Ok(())
}

#[tokio::test]
async fn a_pause_holds_over_restarts_and_says_who_and_why() -> Result<()> {
    let db = mail("{}").await?;
    db.howdah.pause_queue("mail", Some("ann"), Some("no ink")).await?;
    let job = db.howdah.enqueue(Letter {}).await?;
    for _ in 0..2 {
        let worker = start(Worker::new(&db.howdah).handle(letter));
        // It has looked everywhere, and found nothing.
        db.wait_for("SELECT bool_and(asleep) FROM howdah.workers", "true").await?;
        worker.stop().await?;
        assert_eq!(db.howdah.state(job).await?, Some(JobState::Ready));
        let who = "SELECT paused || ' ' || paused_by || ' ' || pause_reason FROM howdah.queues WHERE queue = 'mail'";
        assert_eq!(db.text(who).await?, "true ann no ink");
    }
    let worker = start(Worker::new(&db.howdah).handle(letter));
    db.wait_for("SELECT bool_and(asleep) FROM howdah.workers", "true").await?;
    db.howdah.resume_queue("mail").await?;
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await
}

#[tokio::test]
async fn a_queue_with_unfinished_jobs_is_not_deleted() -> Result<()> {
    let db = mail("{}").await?;
    let worker = db.worker().await?;
    db.run("SELECT howdah.enqueue_many('letter', '{1,2,3}', 'mail'); SELECT howdah.enqueue('letter', '{}', 'mail', delay => '1 hour')")
        .await?;
    db.run(&format!("SELECT howdah.claim({worker}, 'mail')")).await?;
    let before = db.content().await?;
    let refused = db.howdah.delete_queue("mail", false).await.expect_err("deleted");
    assert!(
        matches!(&refused, Error::QueueNotEmpty { message, .. } if message.ends_with("2 ready, 1 scheduled, 1 running"))
    );
    let refused = db.howdah.delete_queue("mail", true).await.expect_err("deleted");
    assert!(matches!(&refused, Error::QueueNotEmpty { message, .. } if message.ends_with("1 running")), "{refused}");
    assert_eq!(db.content().await?, before, "a refusal leaves everything as it was");
    let refused = db.session().await?.refusal("SELECT howdah.delete_queue('mail')").await?;
    assert_eq!(refused, "HD006 queue");
    db.run("SELECT howdah.complete(id) FROM howdah.lease").await?;
    assert!(db.howdah.delete_queue("mail", true).await?);
    assert!(!db.howdah.delete_queue("mail", true).await?, "there is none any more");
    assert_eq!(db.jobs_in("cancelled").await?, 3);
    assert_eq!(db.number("SELECT count(*) FROM howdah.queues WHERE queue = 'mail'").await?, 0);
    Ok(())
}

/// Does the keeper's chores to their end.
async fn rotate(db: &Db) -> Result<()> {
    while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    Ok(())
}

#[tokio::test]
async fn what_a_forced_deletion_leaves_to_do_is_done_by_the_keeper() -> Result<()> {
    let db = mail("{}").await?;
    db.run("SELECT howdah.enqueue('letter', '{}', 'mail') FROM generate_series(1, 1500)").await?;
    db.run("SELECT howdah.enqueue('letter', '{}', 'mail', delay => '1 hour') FROM generate_series(1, 1500)").await?;
    assert!(db.howdah.delete_queue("mail", true).await?);
    assert_eq!((db.jobs_in("cancelled").await?, db.jobs_in("ready").await?), (2000, 500), "bounded work");
    // A new queue of this name has nothing to do with it.
    db.howdah.create_queue("mail").await?;
    let worker = db.worker().await?;
    assert_eq!(db.number(&format!("SELECT count(*) FROM howdah.claim({worker}, 'mail', 500)")).await?, 0);
    rotate(&db).await?;
    assert_eq!(db.jobs_in("cancelled").await?, 3000);
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE queue = 'mail'").await?, 3000);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_enqueued_while_its_queue_is_deleted_is_seen_and_ends() -> Result<()> {
    let db = mail(r#"{"max_attempts": 7}"#).await?;
    let (mut open, mut worker) = (db.session().await?, db.session().await?);
    open.run("BEGIN").await?;
    let now = open.number("SELECT howdah.enqueue('letter', '{}', 'mail')").await?;
    let later = open.number("SELECT howdah.enqueue('letter', '{}', 'mail', delay => '1 hour')").await?;
    worker.run("SET lock_timeout = '2s'").await?;
    assert_eq!(worker.text("SELECT howdah.delete_queue('mail')").await?, "true", "it waits for nobody");
    open.run("COMMIT").await?;
    let states = format!(
        "SELECT string_agg(queue || ' ' || state, ', ' ORDER BY id) FROM howdah.jobs WHERE id IN ({now}, {later})"
    );
    assert_eq!(db.text(&states).await?, "mail ready, mail scheduled");
    // What was set about its history still holds.
    db.run("CREATE TABLE was AS SELECT * FROM howdah.every_queue()").await?;
    assert_eq!(
        db.text("SELECT string_agg(name || max_attempts, ' ' ORDER BY name) FROM was").await?,
        "default20 mail7"
    );
    rotate(&db).await?;
    assert_eq!(db.text(&states).await?, "mail cancelled, mail cancelled");
    // Its name is kept for as long as its history may be.
    db.travel("59 days").await?;
    rotate(&db).await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.deleted_queue").await?, 1);
    db.travel("61 days").await?;
    rotate(&db).await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.deleted_queue").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_claimed_while_its_queue_is_deleted_ends_by_itself() -> Result<()> {
    let db = mail("{}").await?;
    let worker = db.worker().await?;
    let mut open = db.session().await?;
    open.run("BEGIN; SELECT howdah.delete_queue('mail')").await?;
    db.run("SELECT howdah.enqueue_many('letter', '{1,2}', 'mail')").await?;
    db.run(&format!("SELECT howdah.claim({worker}, 'mail', 2)")).await?;
    open.run("COMMIT").await?;
    let jobs = "SELECT string_agg(queue || ' ' || state || attempt, ', ' ORDER BY id) FROM howdah.jobs";
    assert_eq!(db.text(jobs).await?, "mail running1, mail running1");
    let one =
        "SELECT howdah.complete(id, ARRAY[first_ids[1]]), howdah.fail(id, ARRAY[first_ids[1] + 1]) FROM howdah.lease";
    db.run(one).await?;
    assert_eq!(db.text(jobs).await?, "mail completed1, mail scheduled1", "what fails is not lost on the way");
    rotate(&db).await?;
    assert_eq!(db.text(jobs).await?, "mail completed1, mail cancelled1");
    Ok(())
}

#[tokio::test]
async fn a_dead_job_of_a_deleted_queue_can_be_read_and_not_retried() -> Result<()> {
    let db = mail("{}").await?;
    let worker = db.worker().await?;
    let job = db.number("SELECT howdah.enqueue('letter', '{}', 'mail', max_attempts => 1)").await?;
    db.run(&format!("SELECT howdah.fail(lease_id, ARRAY[id]) FROM howdah.claim({worker}, 'mail')")).await?;
    assert!(db.howdah.delete_queue("mail", false).await?);
    db.howdah.create_queue("mail").await?;
    let read = format!("SELECT queue || ' ' || state FROM howdah.jobs WHERE id = {job}");
    assert_eq!(db.text(&read).await?, "mail dead");
    let refused = db.howdah.retry(howdah::JobId(job)).await.expect_err("retried");
    assert!(matches!(&refused, Error::UnknownQueue { .. }), "{refused}");
    assert_eq!(db.text(&read).await?, "mail dead");
    Ok(())
}

#[tokio::test]
async fn a_worker_goes_on_and_is_woken_by_its_queue_when_it_is_made_again() -> Result<()> {
    let db = mail("{}").await?;
    // A sleeper's row of the queue as it is now: without one, nobody notifies, and a job waits for the next poll.
    let asleep = "SELECT count(*) FROM howdah.sleeper s JOIN howdah.queue q ON q.id = s.queue_id WHERE q.name = 'mail'";
    let worker = start(Worker::new(&db.howdah).handle(letter).queue("mail", 1));
    for round in 1..=3 {
        db.wait_for(asleep, "1").await?;
        db.howdah.enqueue(Letter {}).await?;
        db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", &round.to_string()).await?;
        let id = db.number("SELECT id FROM howdah.queue WHERE name = 'mail'").await?;
        assert!(db.howdah.delete_queue("mail", false).await?);
        db.howdah.create_queue("mail").await?;
        assert_ne!(db.number("SELECT id FROM howdah.queue WHERE name = 'mail'").await?, id);
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.workers").await?, 1, "and it is the same worker");
    worker.stop().await
}

#[tokio::test]
async fn who_declares_a_queue_makes_it_again_when_it_was_deleted() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue(Letter {}).await?;
    let delete = "SELECT howdah.delete_queue('mail', true)";
    db.run(delete).await?;
    db.howdah.enqueue(Letter {}).await?;
    db.run(delete).await?;
    db.howdah.enqueue_many([Letter {}, Letter {}]).await?;
    db.run(delete).await?;
    let mut tx = db.pool().begin().await?;
    let refused = db.howdah.enqueue(Letter {}).on(&mut tx).await.expect_err("enqueued");
    assert!(matches!(refused, Error::UnknownQueue { .. }), "a transaction cannot go on after a refusal");
    tx.rollback().await?;
    let mut tx = db.pool().begin().await?;
    db.howdah.enqueue(Letter {}).on(&mut tx).await?;
    tx.commit().await?;
    let named = db.howdah.enqueue(Letter {}).queue("nowhere").await.expect_err("enqueued");
    assert!(matches!(named, Error::UnknownQueue { .. }), "a queue that is only named is not made");
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_that_changes_queues_makes_nobody_wait() -> Result<()> {
    let db = mail("{}").await?;
    let worker = db.worker().await?;
    let (mut open, mut free) = (db.session().await?, db.session().await?);
    open.run(
        "BEGIN; SELECT howdah.set_queue('default', '{\"max_attempts\": 3}'), howdah.set_kind('k', '{\"timeout_ms\": 5}'),
                howdah.delete_queue('mail', true), howdah.create_queue('other')",
    )
    .await?;
    free.run("SET lock_timeout = '2s'").await?;
    free.run("SELECT howdah.enqueue('k'), howdah.enqueue('k', queue => 'mail'), howdah.enqueue('k', delay => '1 s')")
        .await?;
    free.run("SELECT howdah.enqueue_many('k', '{1,2}', 'mail')").await?;
    for queue in ["default", "mail"] {
        free.run(&format!("SELECT howdah.complete(lease_id) FROM howdah.claim({worker}, '{queue}')")).await?;
    }
    free.run("SELECT howdah.rescue(), howdah.promote()").await?;
    open.run("COMMIT").await
}
