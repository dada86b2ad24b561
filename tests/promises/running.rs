//! Jobs run: from enqueue to their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use howdah::{Ctx, Job, JobError, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Add {
    n: usize,
}

#[derive(Clone, Default)]
struct Sum(Arc<AtomicUsize>);

async fn add(job: Add, cx: Ctx<Sum>) -> Result<(), JobError> {
    cx.0.fetch_add(job.n, Ordering::Relaxed);
    Ok(())
}

#[tokio::test]
async fn every_job_of_a_call_runs_once() -> Result<()> {
    let db = Db::new().await?;
    let ids = db.howdah.enqueue_many((0..1000).map(|n| Add { n })).await?;
    assert_eq!(ids.len(), 1000);
    let sum = Sum::default();
    let worker = start(Worker::new(&db.howdah).state(sum.clone()).handle(add));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "1000").await?;
    worker.stop().await?;
    assert_eq!(sum.0.load(Ordering::Relaxed), 499_500);
    assert_eq!(db.number("SELECT count(*) FROM howdah.lease").await?, 0);
    assert_eq!(db.number("SELECT count(*) FROM howdah.worker").await?, 0);
    Ok(())
}
