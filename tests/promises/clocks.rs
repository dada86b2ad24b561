//! The server's clock steps while jobs run: what is dead is found, what lives goes on, and every job ends once.
//!
//! Limit: what is due at a time stays due at that time, and so do tokens of rates and the end of retentions.

use std::time::Duration;

use anyhow::Result;
use howdah::{Howdah, Worker};
use howdah_tests::{Db, HELD_TABLES, Held, Running, WATCHED_TABLE, Watched, start, watched};
use nix::sys::signal::Signal;

use crate::process::Process;

async fn held(_: Held) {}

fn other(howdah: &Howdah) -> Running {
    start(Worker::new(howdah).handle(held).heartbeat(Duration::from_millis(200)))
}

/// Four jobs that a process runs, which is the keeper.
async fn four_of_the_keeper(lease_ms: u32) -> Result<(Db, Process)> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    db.howdah.enqueue_many((0..4).map(|_| Held {})).await?;
    let process = Process::start(db.url(), lease_ms, 200)?;
    db.wait_for("SELECT count(*) FROM seen", "4").await?;
    db.wait_for("SELECT count(*) FROM howdah.workers WHERE keeper", "1").await?;
    Ok((db, process))
}

#[tokio::test]
async fn the_jobs_of_a_killed_keeper_run_elsewhere_though_the_clock_went_back() -> Result<()> {
    // Its lease outlasts the test's patience: it is its session that has ended.
    let (db, process) = four_of_the_keeper(600_000).await?;
    process.signal(Signal::SIGKILL)?;
    // By less than what a term may never be.
    db.travel("-100 seconds").await?;
    let other = other(&db.howdah);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed' AND attempt = 2", "4").await?;
    other.stop().await
}

#[tokio::test]
async fn the_jobs_of_a_silent_keeper_run_elsewhere_a_lease_after_the_clock_went_back() -> Result<()> {
    // Its session is still there.
    let (db, process) = four_of_the_keeper(1_500).await?;
    process.signal(Signal::SIGSTOP)?;
    db.travel("-1 hour").await?;
    let other = other(&db.howdah);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed' AND attempt = 2", "4").await?;
    other.stop().await
}

#[tokio::test]
async fn every_job_ends_once_while_the_clock_steps_back_and_forth() -> Result<()> {
    let db = Db::new().await?;
    db.run(WATCHED_TABLE).await?;
    db.run(r#"SELECT howdah.set_queue('default', '{"retry_base_ms": 1, "retry_policy": "constant"}')"#).await?;
    let workers: Vec<Running> = (0..2)
        .map(|_| start(Worker::new(&db.howdah).handle(watched).heartbeat(Duration::from_millis(100)).concurrency(4)))
        .collect();
    // The last step makes due what was put off by the clock before it.
    for (n, step) in ["1 hour", "0", "-1 hour", "10 minutes", "-3 seconds", "2 hours"].into_iter().enumerate() {
        db.howdah.enqueue_many((0..50).map(|m| Watched { key: format!("{n} {m}"), fails: m % 2 })).await?;
        db.wait_for(&format!("SELECT count(*) >= {} FROM watched", n * 50 + 20), "true").await?;
        db.travel(step).await?;
    }
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "300").await?;
    for worker in workers {
        worker.stop().await?;
    }
    assert_eq!(db.number("SELECT sum(c) FROM howdah.receipt, unnest(counts) c").await?, 300, "each of them once");
    assert_eq!(
        db.number("SELECT count(*) FROM howdah.failures WHERE message <> 'not yet'").await?,
        0,
        "nobody is given up"
    );
    let left = "SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.ticket) + (SELECT count(*) FROM howdah.deferred)";
    assert_eq!(db.number(left).await?, 0);
    Ok(())
}

#[tokio::test]
async fn workers_that_were_all_cut_off_keep_their_jobs_for_another_lease() -> Result<()> {
    let db = Db::new().await?;
    db.stop_clock("0").await?;
    let (a, b) = (db.worker().await?, db.worker().await?);
    let sweep = format!(
        "SELECT rescued FROM howdah.elect_keeper({a}) t, howdah.keep({a}, t, true, false, 2000), howdah.heartbeat({a})"
    );
    assert_eq!(db.text(&sweep).await?, "");
    db.run(&format!("SELECT howdah.enqueue('k'); SELECT howdah.claim({b})")).await?;
    // A server that was away for so long, or a clock that went ahead: the lease is a minute.
    db.stop_clock("10 minutes").await?;
    assert_eq!(db.text(&sweep).await?, "", "nobody could say that it lives");
    // From then on somebody could, and one does not.
    for seconds in (4..=60).step_by(4) {
        db.stop_clock(&format!("10 minutes {seconds} seconds")).await?;
        assert_eq!(db.text(&sweep).await?, "", "after {seconds} seconds");
    }
    db.stop_clock("11 minutes 1 second").await?;
    assert_eq!(db.text(&sweep).await?, "{\"w: 1 jobs\"}");
    Ok(())
}
