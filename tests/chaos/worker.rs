//! A process with the library's worker, whose handler writes down what it does.
//!
//! Invariant: what a handler says is written before it returns. Limit: whether the database has accepted it is seen there only.

use std::time::Duration;

use anyhow::Result;
use howdah::{Ctx, Howdah, JobError, Worker};
use sqlx::Connection;

use super::actor::{Actor, HEARTBEAT, LEASE, Way};
use super::jobs::{SNOOZE, Task, Turn};
use super::setup::QUEUES;
use crate::history::{Event, now};

/// Works until it is told to end.
pub(super) async fn run(actor: Actor) -> Result<()> {
    let howdah = actor.connect().await?;
    let queue = |worker: Worker<Actor>, name: &&str| worker.queue(*name, 8);
    let worker =
        Worker::new(&howdah).state(actor.clone()).handle(task).lease(LEASE).heartbeat(HEARTBEAT).name(actor.log.who());
    let mut worker = QUEUES.iter().fold(worker, queue);
    if actor.way != Way::Direct {
        // As behind a network that loses what is notified.
        worker = worker.poll(Duration::from_millis(50));
    }
    worker.run().await?;
    Ok(())
}

async fn task(task: Task, cx: Ctx<Actor>) -> Result<(), JobError> {
    let attempt = i16::try_from(cx.attempt()).unwrap_or(i16::MAX);
    let log = &cx.state().log;
    let run = log.number();
    log.write(Event::Began { run, lease: cx.lease_id(), job: cx.id().0, attempt, tag: task.tag.clone() });
    tokio::time::sleep(Duration::from_millis(task.ms)).await;
    let turn = task.turn(attempt, now() % 2 == 0);
    if turn != Turn::Effect {
        log.write(Event::Ended { run, verdict: turn.word().to_owned() });
    }
    match turn {
        Turn::Ok => Ok(()),
        Turn::Retry => Err(JobError::retry("not yet")),
        Turn::Panic => panic!("as it was told"),
        Turn::Discard => Err(JobError::discard("never")),
        Turn::Cancel => Err(JobError::cancel("not wanted")),
        Turn::Snooze => Err(JobError::snooze(SNOOZE)),
        Turn::Abort => std::process::abort(),
        Turn::Effect => effect(&cx, run).await,
    }
}

/// Completes the job with a write of its own. Now and then it says something else afterwards, which is to change nothing.
async fn effect(cx: &Ctx<Actor>, run: u64) -> Result<(), JobError> {
    let says = |verdict: &str| cx.state().log.write(Event::Ended { run, verdict: verdict.to_owned() });
    says("in_tx");
    match commit(cx.howdah(), cx).await {
        Ok(()) if now() % 4 == 0 => Err(JobError::retry("said after it was over")),
        Ok(()) => Ok(()),
        Err(error) => {
            says("unsure");
            Err(JobError::retry(error))
        }
    }
}

async fn commit(howdah: &Howdah, cx: &Ctx<Actor>) -> howdah::Result<()> {
    let mut connection = howdah.pool().acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query("INSERT INTO public.effect (job) VALUES ($1)").bind(cx.id().0).execute(&mut *tx).await?;
    cx.complete_in(&mut tx).await?;
    Ok(tx.commit().await?)
}
