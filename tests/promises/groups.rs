//! Slots that are set aside for some kinds are theirs: reserved for them, and all that they get.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Error, RawJob, Worker};
use howdah_tests::{Db, in_time, start};
use tokio::sync::Semaphore;

/// How many jobs run now, and how many ran at most, by group.
#[derive(Clone)]
struct Hall {
    running: Arc<Mutex<BTreeMap<&'static str, (usize, usize)>>>,
    /// Jobs of the kind `held` wait for it.
    gate: Arc<Semaphore>,
}

impl Hall {
    fn new() -> Self {
        Self { running: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
    }

    fn enter(&self, group: &'static str) {
        let mut running = self.running.lock().unwrap();
        let (now, most) = running.entry(group).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    fn leave(&self, group: &'static str) {
        self.running.lock().unwrap().entry(group).or_default().0 -= 1;
    }

    fn most(&self, group: &str) -> usize {
        self.running.lock().unwrap().get(group).map_or(0, |(_, most)| *most)
    }
}

async fn run(job: RawJob, cx: Ctx<Hall>) {
    let group = match job.kind.as_str() {
        "resize" | "transcode" => "heavy",
        "report" => "reports",
        "sync" => "syncs",
        _ => "general",
    };
    cx.enter(group);
    if job.payload.get() == "\"held\"" {
        cx.gate.acquire().await.unwrap().forget();
    } else {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    cx.leave(group);
}

fn worker(db: &Db, hall: &Hall) -> Worker<Hall> {
    Worker::new(&db.howdah)
        .state(hall.clone())
        .handle_any(run)
        .queue("default", 50)
        .group("heavy", 3, ["resize", "transcode"])
        .group("reports", 5, ["report"])
        .group("syncs", 2, ["sync"])
}

const ENQUEUE: &str = "SELECT howdah.enqueue(k) FROM generate_series(1, 120), \
                       unnest('{resize,transcode,report,sync,mail}'::text[]) k";

#[tokio::test]
async fn no_group_ever_has_more_than_its_slots_and_all_jobs_are_done() -> Result<()> {
    let db = Db::new().await?;
    db.run(ENQUEUE).await?;
    let hall = Hall::new();
    let running = start(worker(&db, &hall));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "600").await?;
    running.stop().await?;
    assert_eq!((hall.most("heavy"), hall.most("reports"), hall.most("syncs")), (3, 5, 2));
    assert!((1..=40).contains(&hall.most("general")), "{}", hall.most("general"));
    assert_eq!(db.number("SELECT max(attempt) FROM howdah.jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_flood_of_other_jobs_leaves_the_slots_of_a_group_free() -> Result<()> {
    let db = Db::new().await?;
    db.run("SELECT howdah.enqueue('mail', '\"held\"') FROM generate_series(1, 60)").await?;
    let hall = Hall::new();
    let running = start(worker(&db, &hall));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'running'", "40").await?;
    db.run("SELECT howdah.enqueue(k) FROM unnest('{resize,report,sync}'::text[]) k").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "3").await?;
    assert_eq!(db.jobs_in("running").await?, 40);
    // The other way round, a group that is full does not borrow.
    db.run("SELECT howdah.enqueue('transcode', '\"held\"') FROM generate_series(1, 10)").await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'running' AND kind = 'transcode'", "3").await?;
    // Claimed is not yet begun, and none would be seen beside another behind an open gate.
    let begun = async {
        while hall.most("heavy") < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time("three jobs of the group to begin", begun).await?;
    hall.gate.add_permits(1000);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "73").await?;
    running.stop().await?;
    assert_eq!((hall.most("heavy"), hall.most("general")), (3, 40));
    Ok(())
}

#[tokio::test]
async fn every_lane_of_a_queue_hears_of_its_jobs_while_the_others_work_or_sleep() -> Result<()> {
    let db = Db::new().await?;
    let hall = Hall::new();
    // Without the announcement of one lane or the other, or a wake that reaches one of them only, it would be the poll
    // that finds them: in none of these rounds.
    let running = start(worker(&db, &hall).poll(Duration::from_secs(600)));
    for round in 1..=20 {
        db.wait_for("SELECT count(*) FROM howdah.sleeper s JOIN howdah.worker w ON w.id = s.worker_id", "1").await?;
        for _ in 0..8 {
            db.run("SELECT howdah.enqueue('mail')").await?;
        }
        db.run("SELECT howdah.enqueue(k) FROM unnest('{sync,resize}'::text[]) k").await?;
        let done = (round * 10).to_string();
        db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", &done).await?;
    }
    running.stop().await?;
    assert_eq!(db.number("SELECT count(*) FROM howdah.sleeper").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_was_given_up_announces_anew_that_it_sleeps() -> Result<()> {
    let db = Db::new().await?;
    let hall = Hall::new();
    let worker = Worker::new(&db.howdah).state(hall.clone()).handle_any(run);
    let running = start(worker.heartbeat(Duration::from_millis(20)).lease(Duration::from_secs(60)));
    let asleep = "SELECT string_agg(w.id::text, ' ') FROM howdah.sleeper s JOIN howdah.worker w ON w.id = s.worker_id";
    db.wait_for(&format!("SELECT ({asleep}) IS NOT NULL"), "true").await?;
    let old = db.text(asleep).await?;
    db.run(&format!("SELECT howdah.stop_worker({old})")).await?;
    db.wait_for(&format!("SELECT ({asleep}) <> '{old}'"), "true").await?;
    db.run("SELECT howdah.enqueue('resize')").await?;
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    running.stop().await
}

#[tokio::test]
async fn groups_that_make_no_sense_are_refused_before_anything_is_written() -> Result<()> {
    let db = Db::new().await?;
    let hall = Hall::new();
    for (worker, text) in [
        (worker(&db, &hall).group("again", 1, ["sync"]), "the kind \"sync\" is in the groups \"syncs\" and \"again\""),
        (worker(&db, &hall).group("all", 40, ["x"]), "take all 50 slots of queue \"default\""),
        (worker(&db, &hall).group("none", 0, ["x"]), "the group \"none\" has no slots"),
    ] {
        match worker.run_until(std::future::pending::<()>()).await {
            Err(Error::Worker(message)) => assert!(message.contains(text), "{message}"),
            other => panic!("not refused: {other:?}, {text}"),
        }
    }
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}
