//! Signals: whoever waits for one gets it, before, during and after, and holds nothing meanwhile.

use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Error, Job, JobError, JobId, Retry, Worker};
use howdah_tests::{Db, HELD_TABLES, Running, note, start};
use serde::{Deserialize, Serialize};

/// Waits for the signal of this name, for so long.
#[derive(Debug, Job, Serialize, Deserialize)]
#[job(retry = Retry::constant(Duration::from_millis(1)))]
struct Waits {
    name: String,
    secs: Option<u64>,
    /// It fails so often after it has heard it.
    fails: u16,
}

impl Waits {
    fn on(name: &str) -> Self {
        Self { name: name.to_owned(), secs: None, fails: 0 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Payment {
    by: String,
}

/// Writes down what it has heard.
async fn waits(job: Waits, cx: Ctx<()>) -> Result<(), JobError> {
    let heard = cx.wait_for_signal::<Payment>(job.name, job.secs.map(Duration::from_secs)).await?;
    note(&cx, &heard.map_or("none".to_owned(), |payment| payment.by)).await?;
    if cx.attempt() <= job.fails { Err(JobError::retry("once more")) } else { Ok(()) }
}

async fn db() -> Result<Db> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    Ok(db)
}

fn worker(db: &Db) -> Running {
    start(Worker::new(&db.howdah).handle(waits).queue("default", 1))
}

fn by(who: &str) -> Payment {
    Payment { by: who.to_owned() }
}

async fn is(db: &Db, job: JobId, state: &str) -> Result<()> {
    db.wait_for(&format!("SELECT state FROM howdah.jobs WHERE id = {job}"), state).await
}

const HEARD: &str = "SELECT string_agg(what, ' ' ORDER BY job, at) FROM seen";

#[tokio::test]
async fn a_signal_is_heard_if_it_was_sent_before_or_comes_while_jobs_wait_and_they_hold_no_slot() -> Result<()> {
    let db = db().await?;
    assert!(db.howdah.signal("early", &by("early")).await?);
    let running = worker(&db);
    let waiting = [db.howdah.enqueue(Waits::on("late")).await?, db.howdah.enqueue(Waits::on("late")).await?];
    for job in waiting {
        is(&db, job, "scheduled").await?;
    }
    let reason = format!("SELECT reason || ' ' || due_at FROM howdah.jobs WHERE id = {}", waiting[0]);
    assert_eq!(db.text(&reason).await?, "waits for signal 'late' infinity");
    // The one slot is free for others.
    is(&db, db.howdah.enqueue(Waits::on("early")).await?, "completed").await?;
    assert!(db.howdah.signal("late", &by("late")).await?);
    for job in waiting {
        is(&db, job, "completed").await?;
    }
    running.stop().await?;
    assert_eq!(db.text(HEARD).await?, "late late early");
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs WHERE attempt = 1").await?, 3, "waiting is no attempt");
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_signal_in_a_transaction_that_commits_late_is_heard_and_one_that_is_rolled_back_is_not() -> Result<()> {
    let db = db().await?;
    let running = worker(&db);
    let before = db.howdah.enqueue(Waits::on("x")).await?;
    is(&db, before, "scheduled").await?;
    let mut tx = db.pool().begin().await?;
    assert!(db.howdah.signal("x", &by("nobody")).on(&mut tx).await?);
    tx.rollback().await?;
    let mut tx = db.pool().begin().await?;
    assert!(db.howdah.signal("x", &by("late")).on(&mut tx).await?);
    // This one begins to wait while the transaction is open: neither sees the other.
    let meanwhile = db.howdah.enqueue(Waits::on("x")).await?;
    is(&db, meanwhile, "scheduled").await?;
    db.wait_for("SELECT count(*) FROM howdah.step WHERE state = 'waiting'", "2").await?;
    tx.commit().await?;
    for job in [before, meanwhile] {
        is(&db, job, "completed").await?;
    }
    running.stop().await?;
    assert_eq!(db.text(HEARD).await?, "late late");
    Ok(())
}

#[tokio::test]
async fn a_signal_that_meets_a_job_on_its_way_aside_is_not_lost() -> Result<()> {
    let db = Db::new().await?;
    let (worker, mut a, mut b) = (db.worker().await?, db.session().await?, db.session().await?);
    let waiting = async |name: &str| -> Result<(i64, JobId)> {
        let job = db.howdah.enqueue_raw(name, &()).await?;
        let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker}, kinds => '{{{name}}}')")).await?;
        let state = db.text(&format!("SELECT state FROM howdah.await_signal({lease}, {job}, '{name}')")).await?;
        assert_eq!(state, "waiting");
        Ok((lease, job))
    };
    let aside = |(lease, job): (i64, JobId)| format!("SELECT state FROM howdah.fail({lease}, '{{{job}}}', '{{wait}}')");
    // It comes before the job is set aside: this sees it.
    let one = waiting("one").await?;
    db.run("SELECT howdah.send_signal('one', '1')").await?;
    assert_eq!(a.text(&aside(one)).await?, "ready");
    // Both happen at once: neither sees the other, and the keeper finds out, not before it can.
    let two = waiting("two").await?;
    a.run(&format!("BEGIN; {}", aside(two))).await?;
    assert_eq!(b.text("SELECT howdah.send_signal('two', '2')").await?, "sent");
    assert_eq!(b.number("SELECT howdah.deliver_signals()").await?, 2);
    a.run("COMMIT").await?;
    let state = format!("SELECT howdah.state({})", two.1);
    assert_eq!(db.text(&state).await?, "scheduled");
    assert_eq!(b.number("SELECT howdah.deliver_signals()").await?, 1, "`one` needs no look any more");
    assert_eq!(db.text(&state).await?, "ready");
    assert_eq!(b.number("SELECT howdah.deliver_signals()").await?, 0);
    // While somebody has the job, it is passed by, and nobody waits.
    let three = waiting("three").await?;
    db.run(&aside(three)).await?;
    a.run(&format!("BEGIN; SELECT howdah.find_for_update('{{{}}}')", three.1)).await?;
    assert_eq!(b.text("SELECT howdah.send_signal('three', '3')").await?, "sent");
    assert_eq!(b.number("SELECT howdah.deliver_signals()").await?, 1);
    a.run("COMMIT").await?;
    b.run("SELECT howdah.deliver_signals()").await?;
    assert_eq!(db.text(&format!("SELECT howdah.state({})", three.1)).await?, "ready");
    let heard = "SELECT string_agg(name || result, ' ' ORDER BY job_id) FROM howdah.steps WHERE state = 'done'";
    assert_eq!(db.text(heard).await?, "one1 two2 three3");
    Ok(())
}

#[tokio::test]
async fn a_sender_that_sees_an_old_snapshot_leaves_it_to_the_keeper() -> Result<()> {
    let db = db().await?;
    let running = worker(&db);
    let job = db.howdah.enqueue(Waits::on("x")).await?;
    is(&db, job, "scheduled").await?;
    let mut session = db.session().await?;
    session.run("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT howdah.send_signal('x', '{\"by\": \"old\"}')").await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.deferred").await?, 1);
    session.run("COMMIT").await?;
    is(&db, job, "completed").await?;
    running.stop().await?;
    assert_eq!(db.text(HEARD).await?, "old");
    Ok(())
}

#[tokio::test]
async fn a_time_that_is_over_without_a_signal_stays_over() -> Result<()> {
    let db = db().await?;
    db.stop_clock("0").await?;
    let running = worker(&db);
    let job = db.howdah.enqueue(Waits { secs: Some(86_400), fails: 2, ..Waits::on("x") }).await?;
    is(&db, job, "scheduled").await?;
    let reason = format!("SELECT reason FROM howdah.jobs WHERE id = {job}");
    assert_eq!(db.text(&reason).await?, "waits for signal 'x' until 2100-01-02 00:00:00Z");
    running.stop().await?;
    // Who sends it on does not give it more time.
    db.stop_clock("23 hours").await?;
    db.howdah.retry(job).await?;
    let running = worker(&db);
    db.wait_for(&reason, "waits for signal 'x' until 2100-01-02 00:00:00Z").await?;
    running.stop().await?;
    db.stop_clock("1 day").await?;
    let running = start(Worker::new(&db.howdah).handle(waits).retry_by(|_| Some(Duration::from_secs(1))));
    db.wait_for("SELECT count(*) FROM seen", "1").await?;
    is(&db, job, "scheduled").await?;
    running.stop().await?;
    assert!(db.howdah.signal("x", &by("too late")).await?);
    db.stop_clock("2 days").await?;
    let running = worker(&db);
    db.wait_for("SELECT count(*) FROM seen", "2").await?;
    running.stop().await?;
    assert_eq!(db.text(HEARD).await?, "none none");
    Ok(())
}

#[tokio::test]
async fn what_was_heard_is_kept_over_retries_even_if_the_signal_is_gone() -> Result<()> {
    let db = db().await?;
    let running = worker(&db);
    let job = db.howdah.enqueue(Waits { fails: 2, ..Waits::on("x") }).await?;
    is(&db, job, "scheduled").await?;
    db.howdah.pause_queue("default", None, None).await?;
    // The one that it has got is its own, also before it runs.
    assert!(db.howdah.signal("x", &by("first")).await?);
    assert!(!db.howdah.signal("x", &by("second")).await?, "the first one counts");
    is(&db, job, "ready").await?;
    assert!(db.howdah.withdraw_signal("x", None).await?);
    assert!(!db.howdah.withdraw_signal("x", None).await?);
    assert!(db.howdah.signal("x", &by("other")).await?);
    db.howdah.resume_queue("default").await?;
    is(&db, job, "completed").await?;
    running.stop().await?;
    assert_eq!(db.text(HEARD).await?, "first first first");
    Ok(())
}

#[tokio::test]
async fn a_signal_to_one_job_is_heard_by_no_other_and_goes_before_one_to_all() -> Result<()> {
    let db = db().await?;
    let running = worker(&db);
    let (one, other) = (db.howdah.enqueue(Waits::on("x")).await?, db.howdah.enqueue(Waits::on("x")).await?);
    is(&db, one, "scheduled").await?;
    is(&db, other, "scheduled").await?;
    assert!(db.howdah.signal("x", &by("mine")).to(one).await?);
    is(&db, one, "completed").await?;
    let later = db.howdah.enqueue(Waits::on("x")).delay(Duration::from_secs(3600)).await?;
    assert!(db.howdah.signal("x", &by("mine too")).to(later).await?);
    assert_eq!(db.text(HEARD).await?, "mine");
    assert!(db.howdah.signal("x", &by("all")).await?);
    is(&db, other, "completed").await?;
    db.howdah.retry(later).await?;
    is(&db, later, "completed").await?;
    running.stop().await?;
    assert_eq!(db.text(HEARD).await?, "mine all mine too");
    let nobody = db.howdah.signal("x", &()).to(JobId(1)).await;
    assert!(matches!(nobody, Err(Error::UnknownJob { job: JobId(1) })), "{nobody:?}");
    Ok(())
}

#[tokio::test]
async fn a_signal_does_not_cut_the_pause_before_a_retry_short() -> Result<()> {
    let db = Db::new().await?;
    let (worker, job) = (db.worker().await?, db.howdah.enqueue_raw("k", &()).await?);
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    db.run(&format!(
        "SELECT howdah.await_signal({lease}, {job}, 'x'); SELECT howdah.fail({lease}, '{{{job}}}', delay_ms => '{{60000}}')"
    ))
    .await?;
    db.run("SELECT howdah.send_signal('x', '7'), howdah.deliver_signals()").await?;
    assert_eq!(db.text(&format!("SELECT howdah.state({job})")).await?, "scheduled");
    assert_eq!(db.text("SELECT state || result FROM howdah.steps").await?, "done7", "but it has it");
    // Nor does a job sleep on that has forgotten what it waited for.
    let other = db.howdah.enqueue_raw("k", &()).await?;
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    db.run(&format!(
        "SELECT howdah.await_signal({lease}, {other}, 'y'); SELECT howdah.fail({lease}, '{{{other}}}', '{{wait}}')"
    ))
    .await?;
    assert_eq!(db.number(&format!("SELECT howdah.forget_steps({other}, 'y')")).await?, 1);
    assert_eq!(db.text(&format!("SELECT howdah.state({other})")).await?, "ready");
    assert_eq!(db.text(&format!("SELECT howdah.cancel({other})")).await?, "cancelled");
    Ok(())
}

#[tokio::test]
async fn a_signal_is_kept_for_a_while_and_then_forgotten() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    db.howdah.signal("short", &1).keep_for(Duration::from_secs(60)).await?;
    db.howdah.signal("as set", &1).await?;
    db.run("SELECT howdah.set_config('{\"signal_retention\": \"2 hours\"}'); SELECT howdah.send_signal('changed')")
        .await?;
    let kept = "SELECT string_agg(name || ' ' || expires_at - sent_at, ', ' ORDER BY name) FROM howdah.signals";
    assert_eq!(db.text(kept).await?, "as set 7 days, changed 02:00:00, short 00:01:00");
    db.stop_clock("1 minute").await?;
    let (worker, job) = (db.worker().await?, db.howdah.enqueue_raw("k", &()).await?);
    let lease = db.number(&format!("SELECT lease_id FROM howdah.claim({worker})")).await?;
    let await_it = |name: &str| format!("SELECT state FROM howdah.await_signal({lease}, {job}, '{name}', 0)");
    assert_eq!(db.text(&await_it("short")).await?, "timed out");
    assert_eq!(db.text(&await_it("as set")).await?, "done");
    assert!(db.howdah.signal("short", &2).await?, "its name is free");
    db.stop_clock("8 days").await?;
    while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    assert_eq!(db.number("SELECT count(*) FROM howdah.signal").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_no_signal_may_be_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    for (arguments, wanted) in [
        ("''", "HD002 name"),
        ("NULL", "HD002 name"),
        ("repeat('x', 129)", "HD002 name"),
        ("E'a\\tb'", "HD002 name"),
        ("'a', to_jsonb(repeat('x', 262143))", "HD002 payload"),
        ("'a', NULL", "HD002 payload"),
        ("'a', keep_for => '-1 second'", "HD002 keep_for"),
        ("'a', keep_for => '1001 years'", "HD002 keep_for"),
    ] {
        let sql = format!("SELECT howdah.send_signal({arguments})");
        assert_eq!(session.refusal(&sql).await?, wanted, "{sql}");
    }
    assert_eq!(session.number("SELECT count(*) FROM howdah.signal").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_that_waits_for_a_signal_and_for_another_job_waits_for_both() -> Result<()> {
    // Without a time-out and with one, the signal first and the other job first.
    for (timeout, signal_first) in [("NULL", true), ("NULL", false), ("86400000", true), ("86400000", false)] {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let claim = |kind: &str| format!("SELECT lease_id FROM howdah.claim({worker}, kinds => '{{{kind}}}')");
        let job = db.number("SELECT howdah.enqueue('waits')").await?;
        let parent = db.number("SELECT howdah.enqueue('parent')").await?;
        let lease = db.number(&claim("waits")).await?;
        db.run(&format!("SELECT FROM howdah.await_signal({lease}, {job}, 'go', {timeout})")).await?;
        db.run(&format!("SELECT howdah.fail({lease}, '{{{job}}}', '{{wait}}')")).await?;
        assert_eq!(db.text(&format!("SELECT howdah.add_dependency({job}, {parent})")).await?, "blocked");
        let state = format!("SELECT state FROM howdah.jobs WHERE id = {job}");
        let signal = "SELECT howdah.send_signal('go', '1')";
        if signal_first {
            db.run(signal).await?;
            assert_eq!(db.text(&state).await?, "blocked");
        }
        db.run(&format!("SELECT howdah.complete(c.lease_id) FROM ({}) c", claim("parent"))).await?;
        assert_eq!(db.text(&state).await?, "ready", "it looks itself whether the signal has come");
        let lease = db.number(&claim("waits")).await?;
        if !signal_first {
            db.run(signal).await?;
        }
        let came = format!("SELECT state FROM howdah.await_signal({lease}, {job}, 'go', {timeout})");
        assert_eq!(db.text(&came).await?, "done");
    }
    Ok(())
}
