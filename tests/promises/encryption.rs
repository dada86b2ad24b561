//! Encrypted payloads: only who has the key reads them, and nobody changes them unseen.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use howdah::{Change, Ctx, Ended, Error, Graph, Howdah, Job, Jobs, Keyring, RawJob, Schedule, Unique, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};

const SECRET: &str = "4111-1111-1111-1111";
const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

#[derive(Job, Serialize, Deserialize)]
struct Pay {
    card: String,
}

#[derive(Job, Serialize, Deserialize)]
struct Refund {
    card: String,
}

#[derive(Job, Serialize, Deserialize)]
struct Tick {}

fn pay(n: usize) -> Pay {
    Pay { card: format!("{SECRET}/{n}") }
}

fn old(db: &Db) -> Result<Howdah> {
    Ok(db.howdah.clone().with_keys(Keyring::new("old", &OLD)?))
}

fn new(db: &Db) -> Result<Howdah> {
    Ok(db.howdah.clone().with_keys(Keyring::new("new", &NEW)?.and("old", &OLD)?))
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

async fn paid(job: Pay, cx: Ctx<Seen>) {
    cx.0.lock().unwrap_or_else(|e| e.into_inner()).push(job.card);
}

async fn any(job: RawJob, cx: Ctx<Seen>) {
    cx.0.lock().unwrap_or_else(|e| e.into_inner()).push(job.payload.get().to_owned());
}

#[tokio::test]
async fn the_database_never_has_a_payload_and_the_handler_does_over_a_change_of_keys() -> Result<()> {
    let db = Db::new().await?;
    let before = old(&db)?;
    before.enqueue(pay(0)).await?;
    before.enqueue_many([pay(1), pay(2)]).await?;
    let howdah = new(&db)?;
    howdah.enqueue(pay(3)).await?;
    howdah.enqueue(pay(4)).unique(Unique::key("k")).await?;
    let mut tx = howdah.pool().begin().await?;
    howdah.enqueue(pay(5)).on(&mut tx).await?;
    tx.commit().await?;
    let inner = Graph::new().job("in a group", pay(7));
    let graph = Graph::new().job("a", pay(6)).group("g", inner).on_complete(pay(8)).on_end(pay(9));
    howdah.workflow("w", graph).await?;
    howdah.enqueue_raw("raw", &SECRET).await?;
    for _ in 0..30 {
        // A stream, in which nobody asks the function.
        howdah.enqueue(pay(10)).await?;
    }
    let content = db.content().await?;
    assert!(!content.contains(SECRET) && content.contains("$encrypted"), "{content}");
    let keys = "SELECT string_agg(DISTINCT payload #>> '{$encrypted,key}', ' ' ORDER BY payload #>> '{$encrypted,key}') FROM howdah.jobs";
    assert_eq!(db.text(keys).await?, "new old");

    let found = howdah.find(Jobs::kind("raw")).await?;
    assert_eq!(howdah.decrypt(&found[0].kind, &found[0].payload)?.get(), format!("\"{SECRET}\""));
    let refused = before.decrypt(&found[0].kind, &found[0].payload);
    assert!(matches!(&refused, Err(Error::Invalid { message, .. }) if message.contains("key \"new\"")), "{refused:?}");

    let seen = Seen::default();
    let worker = start(Worker::new(&howdah).state(seen.clone()).handle(paid).handle_any(any));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "41").await?;
    worker.stop().await?;
    let mut seen = seen.0.lock().unwrap().clone();
    seen.sort();
    seen.dedup();
    let mut expected: Vec<_> = (0..=10).map(|n| pay(n).card).chain([format!("\"{SECRET}\"")]).collect();
    expected.sort();
    assert_eq!(seen, expected);
    Ok(())
}

#[tokio::test]
async fn a_job_that_cannot_be_decrypted_is_dead_at_once_and_says_why() -> Result<()> {
    async fn refunded(_: Refund, _: Ctx<Seen>) {}
    let db = Db::new().await?;
    let (before, howdah) = (old(&db)?, new(&db)?);
    let changed = before.enqueue(pay(1)).await?;
    let moved = before.enqueue(Refund { card: SECRET.to_owned() }).await?;
    let unknown = db.howdah.clone().with_keys(Keyring::new("lost", &NEW)?).enqueue(pay(1)).await?;
    let wrong = db.howdah.clone().with_keys(Keyring::new("old", &NEW)?).enqueue(pay(1)).await?;
    db.run(&format!(
        "UPDATE howdah.job SET payload = jsonb_set(payload, '{{$encrypted,data}}', to_jsonb(overlay(payload #>> '{{$encrypted,data}}' PLACING 'xxxx' FROM 60)))
           WHERE id = {};
         UPDATE howdah.job SET kind = 'pay' WHERE id = {1}; UPDATE howdah.ticket SET kind = 'pay' WHERE first_id = {1}",
        changed.0, moved.0
    ))
    .await?;
    let worker = start(Worker::new(&howdah).state(Seen::default()).handle(paid).handle(refunded));
    db.wait_for("SELECT count(*) FROM howdah.dead", "4").await?;
    worker.stop().await?;
    for (job, why) in [
        (changed, "the payload cannot be decrypted"),
        (moved, "belongs to a job of another kind"),
        (wrong, "the key of this id is another one"),
        (unknown, "is encrypted with the key \"lost\", which is not in the keyring"),
    ] {
        let told = db.text(&format!("SELECT f.error_kind || ': ' || f.attempt || ' ' || f.message FROM howdah.failures f WHERE f.job_id = {job}")).await?;
        assert!(told.starts_with("encryption: 1 the payload") && told.contains(why), "{told}");
    }
    // With the right key it goes.
    let seen = Seen::default();
    let keys = Keyring::new("new", &NEW)?.and("lost", &NEW)?;
    db.howdah.retry(unknown).await?;
    let worker = start(Worker::new(&db.howdah.clone().with_keys(keys)).state(seen.clone()).handle(paid));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1").await?;
    worker.stop().await?;
    assert_eq!(*seen.0.lock().unwrap(), [pay(1).card]);
    Ok(())
}

#[tokio::test]
async fn a_worker_without_keys_does_not_try_again_and_again_and_one_with_keys_may_refuse_what_is_plain() -> Result<()> {
    let db = Db::new().await?;
    old(&db)?.enqueue(pay(1)).await?;
    let worker = start(Worker::new(&db.howdah).state(Seen::default()).handle(paid));
    let failures = "SELECT string_agg(error_kind || ': ' || message, ';') FROM howdah.failures";
    db.wait_for(failures, "encryption: the payload is encrypted, and this worker has no keys").await?;
    worker.stop().await?;
    assert_eq!(db.jobs_in("dead").await?, 1);

    // What was enqueued before anybody had keys is done, unless they say otherwise.
    let seen = Seen::default();
    db.howdah.enqueue(pay(2)).await?;
    let worker = start(Worker::new(&new(&db)?).state(seen.clone()).handle(paid));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1").await?;
    worker.stop().await?;
    assert_eq!(*seen.0.lock().unwrap(), [pay(2).card]);
    db.howdah.enqueue(pay(3)).await?;
    let strict = db.howdah.clone().with_keys(Keyring::new("old", &OLD)?.refuse_plain());
    let worker = start(Worker::new(&strict).state(seen).handle(paid));
    db.wait_for("SELECT count(*) FROM howdah.dead", "2").await?;
    worker.stop().await?;
    assert!(db.text(failures).await?.ends_with("the payload is not encrypted, and the keyring refuses such"));
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Forgiving {
    #[serde(default)]
    cents: u64,
}

/// Any JSON object fits a type whose fields all have a default, and a handler of whatever comes.
#[tokio::test]
async fn no_handler_is_given_what_its_worker_has_no_keys_for() -> Result<()> {
    async fn forgiving(_: Forgiving, cx: Ctx<Seen>) {
        cx.0.lock().unwrap_or_else(|e| e.into_inner()).push("called".to_owned());
    }
    let db = Db::new().await?;
    let keyed = old(&db)?;
    let typed = keyed.enqueue(Forgiving { cents: 4200 }).await?;
    let raw = keyed.enqueue_raw("raw", &SECRET).await?;
    let seen = Seen::default();
    let worker = start(Worker::new(&db.howdah).state(seen.clone()).handle(forgiving).handle_any(any));
    for job in [typed, raw] {
        let ended = in_time("the end", db.howdah.wait::<Tick>(job)).await??;
        let reason = "encryption: the payload is encrypted, and this worker has no keys".to_owned();
        assert_eq!(ended, Ended::Dead { reason });
    }
    worker.stop().await?;
    assert_eq!(*seen.0.lock().unwrap(), [""; 0]);
    let found = db.howdah.find(Jobs::kind("raw")).await?;
    let refused = db.howdah.decrypt("raw", &found[0].payload);
    assert!(matches!(&refused, Err(Error::Invalid { message, .. }) if message.contains("has no keys")), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_encrypted_is_refused_and_not_stored_as_it_is() -> Result<()> {
    let db = Db::new().await?;
    let howdah = new(&db)?;
    let id = howdah.enqueue(pay(1)).delay(std::time::Duration::from_secs(60)).await?;
    let before = db.content().await?;
    let invalid = |field: &str, error: Option<Error>| {
        assert!(matches!(&error, Some(Error::Invalid { field: f, .. }) if f == field), "{error:?}");
    };
    invalid("key", howdah.enqueue(pay(1)).unique(Unique::by_payload()).await.err());
    invalid("payload", howdah.set_schedule(&Schedule::new("s", "@daily").job(pay(1))).await.err());
    invalid("payload", howdah.change(id, Change::new().payload(&pay(2))).await.err());
    let declared =
        Worker::new(&howdah).state(Seen::default()).handle(paid).cron(Schedule::new("s", "@daily").job(pay(1)));
    invalid("payload", declared.run_until(std::future::ready(())).await.err());
    assert_eq!(db.content().await?, before);
    // One that has nothing to hide.
    howdah.set_schedule(&Schedule::new("s", "@daily").job(Tick {})).await?;
    Ok(())
}

#[tokio::test]
async fn tests_of_a_program_with_keys_see_what_it_enqueues() -> Result<()> {
    use howdah::testing::{Outcome, assert_enqueued, run};
    let db = Db::new().await?;
    let howdah = db.howdah.clone().with_keys(Keyring::new("old", &OLD)?.refuse_plain());
    let seen = Seen::default();
    let worker = Worker::new(&howdah).state(seen.clone()).handle(paid);
    assert_eq!(run(&worker, pay(1)).await, Outcome::Completed);
    howdah.enqueue(pay(2)).await?;
    assert_enqueued(&howdah, |job: &Pay| job.card == pay(2).card).await;
    howdah::testing::drain(&worker, "default").await?;
    assert_eq!(*seen.0.lock().unwrap(), [pay(1).card, pay(2).card]);
    Ok(())
}
