//! A chain of jobs, each of which enqueues the next and completes itself in one transaction, whatever goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use howdah::{Ctx, Job, JobError, Tx, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

const STEPS: i32 = 100;

#[derive(Job, Serialize, Deserialize)]
struct Link {
    step: i32,
}

/// How often handlers ran, failed attempts included.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

/// Every seventh step fails at first, every eleventh panics, after it has written everything.
fn goes_wrong(step: i32, attempt: u16) -> Result<(), JobError> {
    if attempt == 1 && step % 7 == 0 {
        return Err(JobError::retry("injected"));
    }
    assert!(attempt > 1 || step % 11 != 0, "injected");
    Ok(())
}

async fn link_in_tx(job: Link, cx: Ctx<Runs>, mut tx: Tx) -> Result<(), JobError> {
    cx.0.fetch_add(1, Ordering::Relaxed);
    sqlx::query("INSERT INTO total (step) VALUES ($1)").bind(job.step).execute(&mut *tx).await?;
    if job.step < STEPS {
        cx.howdah().enqueue(Link { step: job.step + 1 }).on(&mut *tx).await?;
    }
    goes_wrong(job.step, cx.attempt())
}

async fn link_by_hand(job: Link, cx: Ctx<Runs>) -> Result<(), JobError> {
    cx.0.fetch_add(1, Ordering::Relaxed);
    let mut tx = cx.howdah().pool().begin().await?;
    sqlx::query("INSERT INTO total (step) VALUES ($1)").bind(job.step).execute(&mut *tx).await?;
    if job.step < STEPS {
        cx.howdah().enqueue(Link { step: job.step + 1 }).on(&mut tx).await?;
    }
    cx.complete_in(&mut tx).await?;
    goes_wrong(job.step, cx.attempt())?;
    Ok(tx.commit().await?)
}

/// Runs the chain to its end, over two workers.
async fn whole_chain(worker: impl Fn(&Db, Runs) -> Worker<Runs>) -> Result<()> {
    let db = Db::new().await?;
    db.run("CREATE TABLE total (step integer); UPDATE howdah.queue SET retry_base_ms = 1, retry_cap_ms = 2").await?;
    let runs = Runs::default();
    let workers = [start(worker(&db, runs.clone())), start(worker(&db, runs.clone()))];
    db.howdah.enqueue(Link { step: 1 }).await?;
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "100").await?;
    for worker in workers {
        worker.stop().await?;
    }
    assert_eq!(
        db.text("SELECT count(*) || ' ' || count(DISTINCT step) || ' ' || max(step) FROM total").await?,
        "100 100 100"
    );
    assert_eq!(db.number("SELECT count(*) FROM howdah.jobs").await?, 100, "nothing was enqueued twice");
    // 14 multiples of 7 and 9 of 11; of both there is 77, which fails once only.
    assert_eq!(db.text("SELECT string_agg(n::text, ' ' ORDER BY k) FROM (SELECT error_kind k, count(*) n FROM howdah.failures GROUP BY 1) f").await?, "14 8");
    assert_eq!(runs.0.load(Ordering::Relaxed), 122);
    assert_eq!(
        db.number("SELECT (SELECT count(*) FROM howdah.lease) + (SELECT count(*) FROM howdah.settled)").await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_chain_of_100_steps_in_transactions_runs_each_step_once() -> Result<()> {
    whole_chain(|db, runs| Worker::new(&db.howdah).state(runs).handle_in_tx(link_in_tx)).await
}

#[tokio::test]
async fn a_chain_of_100_steps_completed_by_hand_runs_each_step_once() -> Result<()> {
    whole_chain(|db, runs| Worker::new(&db.howdah).state(runs).handle(link_by_hand)).await
}
