//! How jobs ended reaches the database, whatever it says to that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Howdah, Job, JobError, Retry, Worker, testing};
use howdah_tests::{Db, Session, in_time, start};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::PgTransaction;
use tokio::sync::{Notify, Semaphore};

/// Jobs by what became of them.
const ENDS: &str = "SELECT string_agg(line, ', ' ORDER BY line) FROM (
    SELECT concat_ws(' ', kind, state, attempt, count(*)) AS line FROM howdah.jobs GROUP BY kind, state, attempt) l";

type Runs = Arc<Mutex<HashMap<i64, u32>>>;

#[derive(Job, Serialize, Deserialize)]
#[job(output = Box<RawValue>, attempts = 2)]
struct Returns {
    what: String,
}

async fn returns(job: Returns, cx: Ctx<Runs>) -> Result<Box<RawValue>, JobError> {
    *cx.lock().expect("no panic").entry(cx.id().0).or_default() += 1;
    Ok(RawValue::from_string(job.what)?)
}

#[tokio::test]
async fn what_the_server_does_not_take_is_the_end_of_that_job_and_of_no_other() -> Result<()> {
    let db = Db::new().await?;
    let half_a_character = r#"{"name": "cut \ud83d"}"#.to_owned();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let all = [half_a_character, "1e999999".to_owned(), deep].into_iter().chain((0..17).map(|n| n.to_string()));
    db.howdah.enqueue_many(all.map(|what| Returns { what })).await?;
    let runs = Runs::default();
    let worker = start(Worker::new(&db.howdah).state(Arc::clone(&runs)).handle(returns).concurrency(20));
    db.wait_for(ENDS, "returns completed 1 17, returns dead 1 3").await?;
    worker.stop().await?;
    assert_eq!(runs.lock().expect("no panic").values().copied().collect::<Vec<_>>(), [1; 20], "each ran once");
    assert_eq!(db.number("SELECT count(*) FROM howdah.result WHERE result::text::int BETWEEN 0 AND 16").await?, 17);
    let failures =
        "SELECT string_agg(DISTINCT error_kind || ': ' || split_part(message, ':', 1), ', ') FROM howdah.failures";
    assert_eq!(db.text(failures).await?, "output: the database does not take what the job returned");
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
#[job(retry = Retry::constant(Duration::MAX).cap(Duration::MAX))]
struct WaitsForEver {}

#[derive(Job, Serialize, Deserialize)]
#[job(retry = Retry::exponential(Duration::from_secs(1)).factor(f32::MAX).floor(Duration::MAX))]
struct Explodes {}

#[derive(Job, Serialize, Deserialize)]
#[job(retry = Retry::exponential(Duration::from_secs(1)).factor(f32::NAN).jitter(-5.0))]
struct Odd {}

#[derive(Job, Serialize, Deserialize)]
struct Innocent {}

async fn fails<T>(_: T) -> Result<(), JobError> {
    Err(JobError::retry("no"))
}

#[tokio::test]
async fn no_declared_wait_keeps_a_failure_from_being_written_down() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue_many((0..2).map(|_| Innocent {})).await?;
    db.howdah.enqueue(WaitsForEver {}).await?;
    db.howdah.enqueue(Explodes {}).await?;
    db.howdah.enqueue(Odd {}).await?;
    let worker = Worker::new(&db.howdah).concurrency(20).handle(fails::<Innocent>).handle(fails::<Odd>);
    let worker = start(worker.handle(fails::<WaitsForEver>).handle(fails::<Explodes>));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'scheduled' AND attempt = 1", "5").await?;
    worker.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.failures").await?, 5);
    let due = "SELECT string_agg(kind, ' ' ORDER BY kind) FROM howdah.jobs WHERE due_at > now() + interval '80 years'";
    assert_eq!(db.text(due).await?, "explodes waits_for_ever");
    Ok(())
}

/// An error with a cause that PostgreSQL cannot store as it is.
#[derive(Debug, thiserror::Error)]
#[error("cannot be read")]
struct Unreadable(#[source] std::io::Error);

#[tokio::test]
async fn a_drain_in_a_test_writes_a_failure_down_as_a_worker_does() -> Result<()> {
    let db = Db::new().await?;
    let job = db.howdah.enqueue(WaitsForEver {}).await?;
    let worker = Worker::new(&db.howdah)
        .handle(|_: WaitsForEver| async { Err::<(), _>(Unreadable(std::io::Error::other("cut \0 off"))) });
    let drained = testing::drain(&worker, "default").await?;
    assert_eq!(drained.failed, [job]);
    assert_eq!(db.text(ENDS).await?, "waits_for_ever scheduled 1 1");
    assert_eq!(db.text("SELECT causes FROM howdah.failures").await?, "[\"cut \u{fffd} off\"]");
    Ok(())
}

#[tokio::test]
async fn a_failure_in_words_that_the_database_cannot_store_is_written_down_in_others() -> Result<()> {
    let db = Db::new().await?;
    let name = format!("{}_latin", db.database().name());
    db.run(&format!("CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")).await?;
    let howdah = Howdah::connect(&db.url().replace(db.database().name(), &name)).await?;
    howdah.migrate().await?;
    howdah.enqueue_many((0..3).map(|_| Innocent {})).await?;
    let nth = Arc::new(AtomicU32::new(0));
    let worker = Worker::new(&howdah).state(nth).handle(|_: Innocent, cx: Ctx<Arc<AtomicU32>>| async move {
        let arrow = cx.fetch_add(1, Ordering::SeqCst) == 1;
        Err::<(), _>(JobError::discard(if arrow { "not \u{2192} there" } else { "plain" }))
    });
    let worker = start(worker);
    let dead = async {
        while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM howdah.jobs WHERE state = 'dead'")
            .fetch_one(howdah.pool())
            .await?
            < 3
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    in_time("three jobs to be dead", dead).await??;
    worker.stop().await?;
    let messages: Vec<String> =
        sqlx::query_scalar("SELECT left(message, 11) FROM howdah.failures ORDER BY 1").fetch_all(howdah.pool()).await?;
    assert_eq!(messages, ["not ? there", "plain", "plain"]);
    howdah.pool().close().await;
    db.run(&format!("DROP DATABASE {name} (FORCE)")).await
}

#[derive(Clone)]
struct Gate {
    go: Arc<Semaphore>,
    runs: Arc<AtomicU32>,
}

#[derive(Job, Serialize, Deserialize)]
struct Waits {}

async fn waits(_: Waits, cx: Ctx<Gate>) {
    cx.runs.fetch_add(1, Ordering::SeqCst);
    cx.go.acquire().await.expect("never closed").forget();
}

/// Five jobs that run, and a session that is there whatever becomes of the others.
async fn five_that_run(db: &Db) -> Result<(Gate, howdah_tests::Running, Session)> {
    let gate = Gate { go: Arc::new(Semaphore::new(0)), runs: Arc::default() };
    db.howdah.enqueue_many((0..5).map(|_| Waits {})).await?;
    let worker = start(Worker::new(&db.howdah).state(gate.clone()).handle(waits));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'running'", "5").await?;
    let mut admin = db.session().await?;
    admin.run("SET default_transaction_read_only = off").await?;
    Ok((gate, worker, admin))
}

const END_THE_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()";

async fn all_ended_at_their_first_run(mut admin: Session, gate: Gate, worker: howdah_tests::Running) -> Result<()> {
    // Asked in this session: the others have ended.
    let told = async {
        while admin.text(ENDS).await? != "waits completed 1 5" {}
        anyhow::Ok(())
    };
    in_time("five jobs to be told of", told).await??;
    worker.stop().await?;
    assert_eq!(gate.runs.load(Ordering::SeqCst), 5, "what has ended well does not run again");
    Ok(())
}

#[tokio::test]
async fn what_ends_while_the_database_takes_no_connections_is_told_when_it_does() -> Result<()> {
    let db = Db::new().await?;
    let (gate, worker, mut admin) = five_that_run(&db).await?;
    let allow = |yes| format!("UPDATE pg_database SET datallowconn = {yes} WHERE datname = current_database()");
    admin.run(&allow(false)).await?;
    admin.run(END_THE_OTHERS).await?;
    gate.go.add_permits(5);
    // Nothing is to be seen of a connection that is refused.
    tokio::time::sleep(Duration::from_secs(1)).await;
    admin.run(&allow(true)).await?;
    all_ended_at_their_first_run(admin, gate, worker).await
}

#[tokio::test]
async fn what_ends_while_the_server_takes_no_writes_is_told_when_it_does() -> Result<()> {
    let db = Db::new().await?;
    let (gate, worker, mut admin) = five_that_run(&db).await?;
    let name = admin.text("SELECT current_database()").await?;
    admin.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await?;
    admin.run(END_THE_OTHERS).await?;
    gate.go.add_permits(5);
    let tried = async {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'howdah flusher' AND datname = current_database()";
        while admin.number(sessions).await? == 0 {}
        anyhow::Ok(())
    };
    in_time("the worker to tell a server that takes nothing", tried).await??;
    // Sessions that are open stay as they are: the worker has to ask for new ones.
    admin.run(&format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await?;
    all_ended_at_their_first_run(admin, gate, worker).await
}

/// What a handler leaves behind, open.
#[derive(Clone, Default)]
struct Left {
    open: Arc<Mutex<Option<PgTransaction<'static>>>>,
    returned: Arc<Notify>,
}

#[derive(Job, Serialize, Deserialize)]
struct Leaves {}

async fn leaves(_: Leaves, cx: Ctx<Left>) -> Result<(), JobError> {
    let mut tx = cx.howdah().pool().begin().await?;
    cx.complete_in(&mut tx).await?;
    *cx.open.lock().expect("no panic") = Some(tx);
    cx.returned.notify_one();
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_a_handler_left_open_holds_up_its_own_job_alone() -> Result<()> {
    let db = Db::new().await?;
    let left = Left::default();
    db.howdah.enqueue(Leaves {}).await?;
    let worker = Worker::new(&db.howdah).state(left.clone()).handle(leaves).handle(|_: Innocent| async {});
    let worker = start(worker);
    in_time("the handler to return", left.returned.notified()).await?;
    // It is asked about, and whoever asks waits for the transaction.
    db.wait_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%howdah.forget%' AND wait_event_type = 'Lock' AND datname = current_database()", "true").await?;
    db.howdah.enqueue_many((0..50).map(|_| Innocent {})).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE kind = 'innocent' AND state = 'completed'", "50").await?;
    let open = left.open.lock().expect("no panic").take();
    assert_eq!(db.text("SELECT state FROM howdah.jobs WHERE kind = 'leaves'").await?, "running");
    open.expect("a transaction").commit().await?;
    db.wait_for(ENDS, "innocent completed 1 50, leaves completed 1 1").await?;
    worker.stop().await?;
    assert_eq!(
        db.number("SELECT count(*) FROM howdah.lease").await?
            + db.number("SELECT count(*) FROM howdah.settled").await?,
        0
    );
    Ok(())
}
