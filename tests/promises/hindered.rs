//! A server that refuses, again and again, some of what a worker asks: the rest goes on, and it is not asked too often.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use howdah::{Answer, Job, Statement, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Job, Serialize, Deserialize)]
struct Quick {}

async fn quick(_: Quick) {}

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "other")]
struct Other {}

/// Puts something before what a function does.
async fn hinder(db: &Db, function: &str, by: &str) -> Result<()> {
    let now = db.text(&format!("SELECT pg_get_functiondef('howdah.{function}'::regproc)")).await?;
    let hindered = now.replacen("BEGIN", &format!("BEGIN {by}"), 1);
    ensure!(hindered != now, "{function} has no BEGIN");
    db.run(&hindered).await
}

async fn one_queue_is_refused(lanes: bool) -> Result<()> {
    let db = Db::new().await?;
    hinder(&db, "claim", "IF claim.queue = 'default' THEN RAISE 'not this one'; END IF;").await?;
    db.howdah.enqueue(Quick {}).await?;
    let mut worker = Worker::new(&db.howdah).handle(quick).handle(|_: Other| async {});
    worker = worker.queue("default", 2).queue("other", 2);
    if lanes {
        // Lanes of different kinds are asked for one by one.
        worker = worker.group("others", 1, ["other"]);
    }
    let worker = start(worker);
    for n in 1..=3 {
        db.howdah.enqueue(Other {}).await?;
        db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", &n.to_string()).await?;
    }
    worker.stop().await
}

#[tokio::test]
async fn a_queue_that_cannot_be_claimed_keeps_no_other_waiting() -> Result<()> {
    one_queue_is_refused(false).await
}

#[tokio::test]
async fn a_lane_that_cannot_be_claimed_keeps_no_other_waiting() -> Result<()> {
    one_queue_is_refused(true).await
}

#[tokio::test]
async fn claims_that_are_refused_are_asked_ever_less_often() -> Result<()> {
    let db = Db::new().await?;
    hinder(&db, "claim", "RAISE 'no room' USING ERRCODE = '53100';").await?;
    let (refused, mut refusals) = mpsc::unbounded_channel();
    let watched = db.howdah.clone().on_statement(move |statement: &Statement, answer: &Answer<'_>| {
        if statement.operation == "claim" && answer.error.is_some() {
            let _ = refused.send(Instant::now());
        }
    });
    let worker = start(Worker::new(&watched).handle(quick));
    let mut at = Vec::new();
    while at.len() < 7 {
        // Who hears of a job does not ask sooner.
        db.howdah.enqueue(Quick {}).await?;
        at.push(in_time("a claim", refusals.recv()).await?.context("the worker has gone")?);
    }
    // 50 ms, twice as long each time, and a fifth less by chance.
    ensure!(at[6] - at[0] > Duration::from_secs(2), "{:?}", at[6] - at[0]);
    worker.stop().await
}

#[tokio::test]
async fn a_keeper_whose_chores_are_refused_goes_on_with_its_heartbeat() -> Result<()> {
    let db = Db::new().await?;
    let (asked, mut answers) = mpsc::unbounded_channel();
    let watched = db.howdah.clone().on_statement(move |statement: &Statement, answer: &Answer<'_>| {
        if statement.connection == "chores" {
            let _ = asked.send((statement.operation, answer.error.is_none()));
        }
    });
    let worker = start(Worker::new(&watched).handle(quick).heartbeat(Duration::from_millis(50)));
    db.wait_for("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
    hinder(&db, "resume_due", "RAISE 'no';").await?;
    let (mut refused, mut beats) = (0, 0);
    while refused < 4 {
        match in_time("a chore", answers.recv()).await?.context("the worker has gone")? {
            ("keep", false) => refused += 1,
            ("heartbeat", true) if refused > 0 => beats += 1,
            _ => {}
        }
    }
    ensure!(beats > 0, "no heartbeat while the chores were refused");
    worker.stop().await
}
