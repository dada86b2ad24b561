//! Workers that somebody tells to be quiet, to work again, or to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Job, Worker};
use howdah_tests::{Db, Running, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};

#[derive(Job, Serialize, Deserialize)]
struct Letter {
    to: i32,
}

#[derive(Clone)]
struct Desk {
    name: &'static str,
    ran: mpsc::UnboundedSender<(&'static str, i32)>,
}

async fn letter(job: Letter, cx: Ctx<Desk>) {
    let _ = cx.ran.send((cx.name, job.to));
}

/// A worker and its number.
struct Hand {
    running: Running,
    id: i64,
}

impl Hand {
    async fn new(db: &Db, name: &'static str, ran: &mpsc::UnboundedSender<(&'static str, i32)>) -> Result<Self> {
        let desk = Desk { name, ran: ran.clone() };
        let worker = Worker::new(&db.howdah).name(name).heartbeat(Duration::from_millis(200));
        let running = start(worker.state(desk).handle(letter));
        let id = format!("SELECT id FROM howdah.worker WHERE name = '{name}'");
        db.wait_for(&format!("SELECT count(*) FROM ({id}) x"), "1").await?;
        Ok(Self { running, id: db.number(&id).await? })
    }

    /// Tells it something, and waits until it has heard: it sends its next heartbeat but one when it has read the next.
    async fn tell(&self, db: &Db, what: &str) -> Result<()> {
        assert_eq!(db.text(&format!("SELECT howdah.tell_worker({}, '{what}')", self.id)).await?, "true");
        let mut since = db.text("SELECT clock_timestamp()").await?;
        for _ in 0..2 {
            let beat = format!("SELECT heartbeat_at FROM howdah.worker WHERE id = {}", self.id);
            db.wait_for(&format!("SELECT ({beat}) > '{since}'"), "true").await?;
            since = db.text(&beat).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_quiet_worker_claims_nothing_until_it_is_told_to_work() -> Result<()> {
    let db = Db::new().await?;
    let (ran, mut seen) = mpsc::unbounded_channel();
    let ann = Hand::new(&db, "ann", &ran).await?;
    let bob = Hand::new(&db, "bob", &ran).await?;
    for (quiet, works) in [("ann", "bob"), ("bob", "ann")] {
        let (hushed, other) = if quiet == "ann" { (&ann, &bob) } else { (&bob, &ann) };
        hushed.tell(&db, "quiet").await?;
        other.tell(&db, "work").await?;
        let listed = "SELECT string_agg(name, ' ') FROM howdah.workers WHERE told = 'quiet' AND stopping";
        assert_eq!(db.text(listed).await?, quiet);
        for to in 0..20 {
            db.howdah.enqueue(Letter { to }).await?;
            assert_eq!(in_time("a letter", seen.recv()).await?, Some((works, to)));
        }
    }
    ann.running.stop().await?;
    bob.running.stop().await
}

#[derive(Job, Serialize, Deserialize)]
struct Long {}

async fn long(_: Long, cx: Ctx<(Arc<Notify>, mpsc::UnboundedSender<()>)>) {
    let _ = cx.1.send(());
    cx.0.notified().await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_what_it_has_and_leaves() -> Result<()> {
    let db = Db::new().await?;
    let (go_on, (begun, mut has_begun)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let worker = start(Worker::new(&db.howdah).state((Arc::clone(&go_on), begun)).handle(long));
    db.howdah.enqueue(Long {}).await?;
    in_time("the job", has_begun.recv()).await?;
    db.howdah.enqueue(Long {}).delay(Duration::from_secs(3600)).await?;
    db.run("SELECT howdah.tell_worker(id, 'stop') FROM howdah.worker").await?;
    // Told otherwise afterwards, it goes on stopping.
    db.run("SELECT howdah.tell_worker(id, 'work') FROM howdah.worker").await?;
    assert_eq!(db.text("SELECT told FROM howdah.workers").await?, "stop");
    go_on.notify_one();
    worker.ended().await?;
    assert_eq!((db.jobs_in("completed").await?, db.jobs_in("scheduled").await?), (1, 1));
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    assert_eq!(db.text("SELECT howdah.tell_worker(4711, 'stop')").await?, "false");
    for what in ["'dance'", "NULL"] {
        let refusal = db.session().await?.refusal(&format!("SELECT howdah.tell_worker(1, {what})")).await?;
        assert_eq!(refusal, "HD002 what");
    }
    Ok(())
}
