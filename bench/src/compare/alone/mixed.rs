//! Work as applications have it, against a no-op drain of as many jobs: 10 queues, 3 priorities, one first attempt in 20
//! fails and is tried again 0.1 s later, one job in 10 is due 1 s after its enqueue.
//!
//! Invariant: both are timed from the start of the worker to its orderly end, with all jobs there before. Limit: one round.

use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Howdah, Job, JobError, OrVerdict, Worker};
use howdah_bench_contract::{Seen, Work};
use serde::{Deserialize, Serialize};

use super::{Nothing, drain, fresh, nothing};
use crate::compare::bars::Bar;
use crate::compare::metric::Better;
use crate::compare::stage::Stage;

const JOBS: u64 = 300_000;
const QUEUES: u64 = 10;
const PRIORITIES: [u8; 3] = [2, 5, 8];

#[derive(Job, Serialize, Deserialize)]
struct Mixed {
    n: u64,
}

async fn mixed(job: Mixed, cx: Ctx<Seen>) -> Result<(), JobError> {
    if job.n.is_multiple_of(20) && cx.attempt() == 1 {
        return Err(std::io::Error::other("not yet")).or_retry_in(Duration::from_millis(100));
    }
    cx.ran(Work { n: job.n, at: 0 }).await;
    Ok(())
}

pub(super) async fn run(stage: &Stage, quick: bool) -> Result<Vec<Bar>> {
    let jobs = if quick { JOBS / 100 } else { JOBS };
    let howdah = fresh(stage).await?;
    howdah.enqueue_many((0..jobs).map(|n| Nothing { n })).await?;
    sqlx::raw_sql("ANALYZE").execute(howdah.pool()).await?;
    let seen = Seen::new(false);
    let worker = Worker::new(&howdah).state(seen.clone()).handle(nothing).concurrency(100);
    let plain = drain(worker, seen, jobs).await?;

    let howdah = fresh(stage).await?;
    enqueue(&howdah, jobs).await?;
    sqlx::raw_sql("ANALYZE").execute(howdah.pool()).await?;
    let seen = Seen::new(false);
    let worker = Worker::new(&howdah).state(seen.clone()).handle(mixed);
    let worker = (0..QUEUES).fold(worker, |w, queue| w.queue(format!("queue {queue}"), 10));
    let rate = drain(worker, seen, jobs).await?;
    Ok(vec![Bar {
        what: format!("mixed work, {jobs} jobs, {rate:.0} jobs/s"),
        beside: "of a no-op drain".into(),
        reached: rate / plain,
        wanted: None,
        better: Better::Higher,
    }])
}

/// Enqueues them in bulk, a call for each queue, priority and delay.
async fn enqueue(howdah: &Howdah, jobs: u64) -> Result<()> {
    let (mut first, priorities) = (0, PRIORITIES.len() as u64);
    for queue in 0..QUEUES {
        let name = format!("queue {queue}");
        howdah.create_queue(&name).await?;
        let of_queue = jobs / QUEUES;
        for priority in PRIORITIES {
            let of_priority = of_queue / priorities;
            for (part, delay) in
                [(of_priority - of_priority / 10, None), (of_priority / 10, Some(Duration::from_secs(1)))]
            {
                let many = (first..first + part).map(|n| Mixed { n });
                let many = howdah.enqueue_many(many).queue(&name).priority(priority);
                match delay {
                    Some(delay) => many.delay(delay).await?,
                    None => many.await?,
                };
                first += part;
            }
        }
    }
    Ok(())
}
