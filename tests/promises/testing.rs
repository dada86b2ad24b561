//! What `howdah::testing` gives to the tests of other programs.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use howdah::testing::{self, Clock, Outcome};
use howdah::{Ctx, Error, Howdah, Job, JobError, JobState, OrVerdict, Tx, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Job, Serialize, Deserialize)]
#[job(queue = "mail", attempts = 3)]
struct Welcome {
    user: i64,
    how: String,
}

#[derive(Debug, Job, Serialize, Deserialize)]
#[job(queue = "mail")]
struct Thank {
    user: i64,
}

fn job(user: i64, how: &str) -> Welcome {
    Welcome { user, how: how.to_owned() }
}

async fn welcome(job: Welcome, cx: Ctx<&'static str>) -> Result<(), JobError> {
    match job.how.as_str() {
        "fail" => Err(JobError::retry_in(Duration::from_secs(60), "down").kind("mine")),
        "parse" => Ok("x".parse::<i32>().map(|_| ())?),
        "discard" => "x".parse::<i32>().map(|_| ()).or_discard(),
        "cancel" => Err(JobError::cancel("no need")),
        "snooze" if cx.attempt() < 2 => Err(JobError::snooze(Duration::from_secs(60))),
        "panic" => panic!("on purpose"),
        "thank" => {
            cx.howdah().enqueue(Thank { user: job.user }).await?;
            Ok(())
        }
        "twice" if cx.attempt() == 1 => Err(JobError::retry("once")),
        _ if cx.state().is_empty() => Err(JobError::retry("no state")),
        _ => Ok(()),
    }
}

async fn thank(_: Thank) {}

#[derive(Job, Serialize, Deserialize)]
#[job(timeout = "50ms")]
struct Hang {}

async fn hang(_: Hang) {
    std::future::pending::<()>().await;
}

fn worker(howdah: &Howdah) -> Worker<&'static str> {
    Worker::new(howdah).state("the test's own").handle(welcome).handle(thank).handle(hang)
}

async fn database() -> Result<Db> {
    let db = Db::new().await?;
    db.howdah.create_queue("mail").await?;
    Ok(db)
}

#[tokio::test]
async fn one_job_runs_through_its_handler_without_a_database() -> Result<()> {
    let worker = worker(&testing::without_database());
    let run = async |how: &str| testing::run(&worker, job(1, how)).await;
    let failed = |kind: &str, message: &str| Outcome::Failed {
        kind: kind.to_owned(),
        message: message.to_owned(),
        retry_in: None,
    };
    assert!(run("well").await.is_completed());
    let down = Outcome::Failed {
        kind: "mine".to_owned(),
        message: "down".to_owned(),
        retry_in: Some(Duration::from_secs(60)),
    };
    assert_eq!(run("fail").await, down);
    let parse = "invalid digit found in string";
    assert_eq!(run("parse").await, failed("ParseIntError", parse));
    assert_eq!(
        run("discard").await,
        Outcome::Discarded { kind: "ParseIntError".to_owned(), message: parse.to_owned() }
    );
    assert_eq!(run("cancel").await, Outcome::Cancelled { message: "no need".to_owned() });
    assert_eq!(run("snooze").await, Outcome::Snoozed { delay: Duration::from_secs(60) });
    assert_eq!(run("panic").await, failed("panic", "on purpose"));
    let hangs = testing::run(&worker, Hang {}).await;
    assert_eq!(hangs, failed("timeout", "the attempt took longer than its timeout of 50ms"));
    // What asks for the database is refused, and not left waiting.
    assert!(matches!(run("thank").await, Outcome::Failed { .. }));
    Ok(())
}

#[tokio::test]
async fn a_payload_that_does_not_survive_json_fails_as_it_would_in_a_worker() {
    #[derive(Job, Serialize, Deserialize)]
    struct Odd {
        #[serde(rename(serialize = "a", deserialize = "b"))]
        n: i64,
    }
    async fn odd(_: Odd) {}
    let worker = Worker::new(&testing::without_database()).handle(odd);
    let outcome = testing::run(&worker, Odd { n: 1 }).await;
    assert!(matches!(&outcome, Outcome::Failed { kind, .. } if kind == "payload"), "{outcome:?}");
}

#[tokio::test]
#[should_panic(expected = "this worker has no handler for the kind \"thank\"")]
async fn running_a_job_without_a_handler_says_so() {
    let worker = Worker::new(&testing::without_database()).state("").handle(welcome);
    testing::run(&worker, Thank { user: 1 }).await;
}

#[tokio::test]
async fn a_drain_runs_what_is_ready_in_order_and_what_that_enqueues() -> Result<()> {
    let db = database().await?;
    let worker = worker(&db.howdah);
    let last = db.howdah.enqueue(job(1, "thank")).priority(9).await?;
    let first = db.howdah.enqueue(job(2, "well")).priority(0).await?;
    let later = db.howdah.enqueue(job(3, "well")).delay(Duration::from_secs(60)).await?;
    let fails = db.howdah.enqueue(job(4, "fail")).await?;
    let dead = db.howdah.enqueue(job(5, "discard")).await?;
    let cancelled = db.howdah.enqueue(job(6, "cancel")).await?;
    let snoozed = db.howdah.enqueue(job(7, "snooze")).await?;
    let other = db.howdah.enqueue_raw("other", &()).queue("mail").await?;
    let drained = testing::drain(&worker, "mail").await?;
    let thanks = db.number("SELECT id FROM howdah.jobs WHERE kind = 'thank'").await?;
    let completed: Vec<i64> = drained.completed.iter().map(|id| id.0).collect();
    // The thanks have a better priority than what is still to come; they are ready before the next claim.
    assert_eq!(completed, [first.0, last.0, thanks]);
    assert_eq!((drained.failed.as_slice(), drained.dead.as_slice()), (&[fails][..], &[dead][..]));
    assert_eq!((drained.cancelled.as_slice(), drained.snoozed.as_slice()), (&[cancelled][..], &[snoozed][..]));
    assert_eq!((drained.attempts(), drained.lost.len()), (7, 0));
    assert!(drained.errors.contains(&(fails, "mine: down".to_owned())), "{:?}", drained.errors);
    assert_eq!(db.howdah.state(later).await?, Some(JobState::Scheduled));
    assert_eq!(db.howdah.state(fails).await?, Some(JobState::Scheduled));
    assert_eq!(db.howdah.state(other).await?, Some(JobState::Ready), "it has no handler");
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.worker) + (SELECT count(*) FROM howdah.lease)").await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_drain_of_what_is_scheduled_runs_every_attempt_to_the_end() -> Result<()> {
    let db = database().await?;
    let later = db.howdah.enqueue(job(1, "well")).delay(Duration::from_secs(7200)).await?;
    let sooner = db.howdah.enqueue(job(2, "twice")).delay(Duration::from_secs(3600)).await?;
    let dead = db.howdah.enqueue(job(3, "parse")).await?;
    let other = db.howdah.enqueue_raw("other", &()).queue("mail").delay(Duration::from_secs(60)).await?;
    let parked = db.howdah.enqueue(job(4, "well")).parked().await?;
    let drained = testing::drain(&worker(&db.howdah), "mail").scheduled().await?;
    assert_eq!(drained.completed, [sooner, later]);
    assert_eq!((drained.failed.as_slice(), drained.dead.as_slice()), (&[dead, dead, sooner][..], &[dead][..]));
    assert_eq!(db.howdah.state(other).await?, Some(JobState::Scheduled));
    assert_eq!(db.howdah.state(parked).await?, Some(JobState::Scheduled));
    Ok(())
}

#[tokio::test]
async fn a_job_that_never_ends_does_not_keep_a_drain_for_ever() -> Result<()> {
    let db = database().await?;
    // The attempt of a snooze does not count, so it is always the first.
    db.howdah.enqueue(job(1, "snooze")).await?;
    let refused = testing::drain(&worker(&db.howdah), "mail").scheduled().await;
    assert!(refused.is_err_and(|e| e.to_string().contains("does not end")));
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_drain_in_a_transaction_that_is_rolled_back_leaves_nothing() -> Result<()> {
    let db = database().await?;
    let worker = worker(&db.howdah);
    db.howdah.enqueue_raw("other", &()).queue("mail").await?;
    let before = db.content().await?;
    let mut tx = db.pool().begin().await?;
    let id = db.howdah.enqueue(job(1, "well")).on(&mut tx).await?;
    let fails = db.howdah.enqueue(job(2, "fail")).on(&mut tx).await?;
    let drained = testing::drain(&worker, "mail").on(&mut tx).await?;
    assert_eq!((drained.completed.as_slice(), drained.failed.as_slice()), (&[id][..], &[fails][..]));
    let waiting = testing::enqueued::<Welcome>(&db.howdah).on(&mut tx).await?;
    assert_eq!(waiting, [(fails, job(2, "fail"))]);
    tx.rollback().await?;
    assert_eq!(db.content().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_drain_runs_handlers_in_transactions_but_not_inside_another_one() -> Result<()> {
    async fn in_tx(job: Thank, cx: Ctx<()>, mut tx: Tx) -> Result<(), JobError> {
        sqlx::query("INSERT INTO thanked (n) VALUES ($1)").bind(job.user).execute(&mut *tx).await?;
        if job.user == 2 {
            cx.cancel_in(&mut tx).await?;
        } else {
            assert_ne!(job.user, 3, "injected");
        }
        Ok(())
    }
    let db = database().await?;
    db.run("CREATE TABLE thanked (n bigint)").await?;
    let worker = Worker::new(&db.howdah).handle_in_tx(in_tx);
    for user in 1..=3 {
        db.howdah.enqueue(Thank { user }).await?;
    }
    let mut tx = db.pool().begin().await?;
    let refused = testing::drain(&worker, "mail").on(&mut tx).await;
    assert!(refused.is_err_and(|e| e.to_string().contains("has a transaction of its own")));
    tx.rollback().await?;
    let drained = testing::drain(&worker, "mail").await?;
    assert_eq!((drained.completed.len(), drained.cancelled.len(), drained.failed.len()), (1, 1, 1));
    assert_eq!(db.text("SELECT string_agg(n::text, ',' ORDER BY n) FROM thanked").await?, "1,2");
    Ok(())
}

#[tokio::test]
async fn a_drain_says_what_did_not_complete() -> Result<()> {
    let db = database().await?;
    let id = db.howdah.enqueue(job(1, "fail")).await?;
    let drained = testing::drain(&worker(&db.howdah), "mail").await?;
    let said = std::panic::catch_unwind(|| drained.assert_all_completed()).unwrap_err();
    let said = said.downcast_ref::<String>().cloned().unwrap_or_default();
    assert_eq!(said, format!("1 of 1 attempts did not complete their job:\n  {id}: mine: down"));
    assert_eq!(testing::drain(&worker(&db.howdah), "mail").await?.attempts(), 0);
    Ok(())
}

#[tokio::test]
async fn what_waits_is_found_with_its_payload() -> Result<()> {
    let db = database().await?;
    let first = db.howdah.enqueue(job(1, "well")).await?;
    let second = db.howdah.enqueue(job(2, "well")).delay(Duration::from_secs(60)).await?;
    db.howdah.enqueue(Thank { user: 3 }).await?;
    assert_eq!(testing::enqueued::<Welcome>(&db.howdah).await?, [(first, job(1, "well")), (second, job(2, "well"))]);
    assert!(testing::enqueued::<Welcome>(&db.howdah).queue("default").await?.is_empty());
    let found = testing::assert_enqueued(&db.howdah, |j: &Welcome| j.user == 2).queue("mail").await;
    assert_eq!(found, [(second, job(2, "well"))]);
    testing::assert_none_enqueued(&db.howdah, |j: &Welcome| j.user == 3).await;
    // What has run does not wait.
    testing::drain(&worker(&db.howdah), "mail").await?.assert_all_completed();
    assert_eq!(testing::enqueued::<Welcome>(&db.howdah).await?.len(), 1);
    Ok(())
}

/// The message with which a task panics.
async fn panic_of(work: impl Future<Output = ()> + Send + 'static) -> String {
    let panic = tokio::spawn(work).await.err().map(tokio::task::JoinError::into_panic);
    panic.and_then(|p| p.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[tokio::test]
async fn a_failed_assertion_says_what_waits_instead_and_where_it_was_made() -> Result<()> {
    let db = database().await?;
    let howdah = db.howdah.clone();
    let said = panic_of(async move {
        testing::assert_enqueued(&howdah, |_: &Welcome| true).await;
    });
    let said = said.await;
    assert!(said.starts_with("no job of the kind \"welcome\" waits that matches\nnothing waits at all\n"), "{said}");
    let id = db.howdah.enqueue(Thank { user: 3 }).await?;
    let howdah = db.howdah.clone();
    let said = panic_of(async move {
        testing::assert_enqueued(&howdah, |j: &Thank| j.user == 4).queue("mail").await;
    });
    let said = said.await;
    let wanted = format!(
        "no job of the kind \"thank\" in the queue \"mail\" waits that matches\nwhat waits:\n  \
         {id} thank in mail, ready: {{\"user\": 3}}\nasserted at "
    );
    assert!(said.starts_with(&wanted) && said.contains("testing.rs:"), "{said}");
    let howdah = db.howdah.clone();
    let said = panic_of(async move {
        testing::assert_none_enqueued(&howdah, |j: &Thank| j.user == 3).await;
    });
    assert!(said.await.starts_with("a job of the kind \"thank\" waits that matches\n"));
    Ok(())
}

#[tokio::test]
async fn a_frozen_clock_stands_and_is_moved_and_restored() -> Result<()> {
    let db = database().await?;
    let clock = Clock::of(&db.howdah);
    let frozen = clock.freeze().await?;
    assert!(frozen.elapsed()? < Duration::from_secs(60));
    let now = "SELECT round(extract(epoch FROM howdah.now()) * 1000000)::bigint";
    let micros = i64::try_from(frozen.duration_since(SystemTime::UNIX_EPOCH)?.as_micros())?;
    assert_eq!(db.number(now).await?, micros);
    // A job that is due tomorrow is run when the clock says so, and not before.
    let id = db.howdah.enqueue(job(1, "well")).delay(Duration::from_secs(86_400)).await?;
    clock.advance(Duration::from_secs(86_399)).await?;
    assert_eq!(testing::drain(&worker(&db.howdah), "mail").await?.attempts(), 0);
    let later = clock.advance(Duration::from_secs(1)).await?;
    assert_eq!(later, frozen + Duration::from_secs(86_400));
    assert_eq!(testing::drain(&worker(&db.howdah), "mail").await?.completed, [id]);
    clock.set(SystemTime::UNIX_EPOCH + Duration::from_micros(4_102_444_800_000_001)).await?;
    assert_eq!(db.number(now).await?, 4_102_444_800_000_001);
    let refused = clock.advance(Duration::from_secs(9000 * 365 * 86_400)).await;
    assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if field == "time"), "{refused:?}");
    clock.restore().await?;
    assert_eq!(db.text("SELECT abs(extract(epoch FROM howdah.now() - clock_timestamp())) < 1").await?, "true");
    assert_eq!(
        db.text("SELECT prosrc = '' AND provolatile = 'v' FROM pg_proc WHERE oid = 'howdah.now'::regproc").await?,
        "true"
    );
    Ok(())
}

#[tokio::test]
async fn the_clock_of_a_schema_in_which_a_worker_lives_is_left_alone() -> Result<()> {
    let db = database().await?;
    let running = start(worker(&db.howdah).name("production"));
    db.wait_for("SELECT count(*) FROM howdah.workers", "1").await?;
    let clock = Clock::of(&db.howdah);
    for refused in [clock.freeze().await, clock.advance(Duration::ZERO).await] {
        let said = refused.map(|_| ()).unwrap_err().to_string();
        assert!(said.starts_with("the worker \"production\" lives in the schema \"howdah\""), "{said}");
    }
    assert!(clock.set(SystemTime::now()).await.is_err() && clock.restore().await.is_err());
    // The test's own worker, whose jobs become due as the clock is moved.
    let clock = clock.despite_workers();
    clock.freeze().await?;
    let id = db.howdah.enqueue(job(1, "well")).delay(Duration::from_secs(10)).await?;
    clock.advance(Duration::from_secs(10)).await?;
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {id}"), "completed").await?;
    clock.restore().await?;
    running.stop().await
}

#[tokio::test]
async fn what_testing_would_leave_out_is_refused() -> Result<()> {
    let db = database().await?;
    let filtered = worker(&db.howdah).filter(howdah::Filter::attr("a").exists());
    let refused = testing::drain(&filtered, "mail").await;
    assert!(matches!(&refused, Err(Error::Worker(text)) if text.contains("without layers and filters")), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_timeout_that_is_set_in_the_database_holds_in_a_drain() -> Result<()> {
    async fn hangs(_: Thank) {
        std::future::pending::<()>().await;
    }
    let db = database().await?;
    db.run("SELECT howdah.set_kind('thank', '{\"timeout_ms\": 33}')").await?;
    db.howdah.enqueue(Thank { user: 1 }).max_attempts(1).await?;
    let worker = Worker::new(&db.howdah).handle(hangs).timeout_grace(Duration::ZERO);
    assert_eq!(testing::drain(&worker, "mail").await?.dead.len(), 1);
    assert!(db.text("SELECT message FROM howdah.failures").await?.contains("its timeout of 33ms"));
    Ok(())
}
