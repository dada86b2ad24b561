//! A drain of many queues with equal shares against a drain of one: as queues of their own, and as shares of one queue.
//!
//! Invariant: the same number of jobs, one worker. Limit: one round; a worker asks queue by queue, so that thousands of
//! queues of their own are shown without a bar: shares are what they are for.

use anyhow::Result;
use howdah::{Howdah, Worker};
use howdah_bench_contract::Seen;

use super::{Nothing, drain, fresh, nothing};
use crate::compare::bars::Bar;
use crate::compare::metric::Better;
use crate::compare::stage::Stage;

const QUEUES: u64 = 10_000;
const EACH: u64 = 50;
const CONCURRENCY: usize = 100;

pub(super) async fn run(stage: &Stage, quick: bool) -> Result<Vec<Bar>> {
    let queues = if quick { QUEUES / 100 } else { QUEUES };
    let jobs = queues * EACH;
    let howdah = fresh(stage).await?;
    howdah.enqueue_many((0..jobs).map(|n| Nothing { n })).await?;
    let one = drained(&howdah, jobs, |worker| worker.concurrency(CONCURRENCY)).await?;

    let howdah = fresh(stage).await?;
    for queue in 0..queues {
        let name = format!("queue {queue}");
        howdah.create_queue(&name).await?;
        howdah.enqueue_many((0..EACH).map(|n| Nothing { n })).queue(name).await?;
    }
    let named =
        |worker: Worker<Seen>| (0..queues).fold(worker, |w, queue| w.queue(format!("queue {queue}"), CONCURRENCY));
    let many = drained(&howdah, jobs, named).await?;

    let howdah = fresh(stage).await?;
    for key in 0..queues {
        howdah.enqueue_many((0..EACH).map(|n| Nothing { n })).fair_key(format!("key {key}")).await?;
    }
    let shared = drained(&howdah, jobs, |worker| worker.concurrency(CONCURRENCY)).await?;

    let bar = |what: &str, rate: f64, wanted: Option<f64>| Bar {
        what: format!("drain of {queues} {what}"),
        beside: "of one queue".into(),
        reached: rate / one,
        wanted,
        better: Better::Higher,
    };
    Ok(vec![bar("queues", many, None), bar("shares of a queue", shared, Some(0.6))])
}

async fn drained(howdah: &Howdah, jobs: u64, set: impl FnOnce(Worker<Seen>) -> Worker<Seen>) -> Result<f64> {
    sqlx::raw_sql("ANALYZE").execute(howdah.pool()).await?;
    let seen = Seen::new(false);
    drain(set(Worker::new(howdah).state(seen.clone()).handle(nothing)), seen, jobs).await
}
