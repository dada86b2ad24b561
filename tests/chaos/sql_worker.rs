//! A process that works through the SQL functions alone, and says things that it should not.
//!
//! It settles jobs as a whole or in parts, twice, long after its lease is over, or not at all, and writes down each answer.
//! Invariant: it settles only what a claim gave it. Limit: one thing after another on one connection; its heartbeats are in
//! between, so it is silent while it dawdles.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::actor::{Actor, HEARTBEAT, LEASE};
use super::jobs::{Task, Turn};
use super::setup::QUEUES;
use crate::history::{Event, Settlement, now};
use crate::seed::Seed;

const PATIENCE: Duration = Duration::from_secs(3);

struct Claimed {
    lease: i64,
    id: i64,
    task: Task,
    attempt: i16,
}

struct SqlWorker {
    actor: Actor,
    seed: Seed,
    connection: PgConnection,
    /// How the queue knows it; none: it has to register.
    id: Option<i64>,
    heard: Instant,
}

/// Works until it is killed or told to stop.
pub(super) async fn run(actor: Actor, mut seed: Seed) -> Result<()> {
    let mut id = None;
    loop {
        let Ok(Ok(connection)) = timeout(PATIENCE, PgConnection::connect(&actor.url)).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let heard = Instant::now();
        let mut worker = SqlWorker { actor: actor.clone(), seed, connection, id, heard };
        // What ends a session is no news: it is what this is about.
        if let Ok(Ok(())) = timeout(Duration::from_secs(30), worker.session()).await {
            return Ok(());
        }
        (id, seed) = (worker.id, worker.seed);
    }
}

impl SqlWorker {
    /// One connection's life.
    async fn session(&mut self) -> sqlx::Result<()> {
        if let Some(id) = self.id {
            // Claims whose answer was lost with the last connection.
            sqlx::query("SELECT howdah.disown($1, '{}')").bind(id).execute(&mut self.connection).await?;
        }
        while !self.actor.told_to_stop() || self.busy().await? {
            let Some(id) = self.stay_registered().await? else { continue };
            let queue = QUEUES[self.seed.below(QUEUES.len())];
            let claim = "SELECT lease_id, id, payload, attempt FROM howdah.claim($1, $2, $3) WHERE id IS NOT NULL";
            let claim =
                sqlx::query_as(claim).bind(id).bind(queue).bind(1 + i32::try_from(self.seed.below(5)).unwrap_or(0));
            let jobs: Vec<(i64, i64, Json<Task>, i16)> = claim.fetch_all(&mut self.connection).await?;
            if jobs.is_empty() {
                sleep(Duration::from_millis(20)).await;
            } else {
                let claimed = |(lease, id, task, attempt): (i64, i64, Json<Task>, i16)| Claimed {
                    lease,
                    id,
                    task: task.0,
                    attempt,
                };
                self.work(jobs.into_iter().map(claimed).collect()).await?;
            }
        }
        sqlx::query("SELECT howdah.stop_worker($1)").bind(self.id).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Whether there is anything left to do for anybody.
    async fn busy(&mut self) -> sqlx::Result<bool> {
        sleep(Duration::from_millis(20)).await;
        let left = "SELECT EXISTS (SELECT FROM howdah.ticket) OR EXISTS (SELECT FROM howdah.lease) OR EXISTS (SELECT FROM howdah.deferred)";
        sqlx::query_scalar(left).fetch_one(&mut self.connection).await
    }

    async fn stay_registered(&mut self) -> sqlx::Result<Option<i64>> {
        let Some(id) = self.id else {
            let start = sqlx::query_scalar("SELECT howdah.start_worker($1, $2, $3)")
                .bind(self.actor.log.who())
                .bind(i32::try_from(LEASE.as_millis()).unwrap_or(i32::MAX))
                .bind(i32::try_from(HEARTBEAT.as_millis()).unwrap_or(i32::MAX));
            self.id = Some(start.fetch_one(&mut self.connection).await?);
            return Ok(self.id);
        };
        if self.heard.elapsed() > HEARTBEAT / 2 {
            self.heard = Instant::now();
            let beat = sqlx::query_scalar("SELECT alive FROM howdah.heartbeat($1)").bind(id);
            if !beat.fetch_one(&mut self.connection).await? {
                self.id = None;
            }
        }
        Ok(self.id)
    }

    async fn work(&mut self, jobs: Vec<Claimed>) -> sqlx::Result<()> {
        let lease = jobs[0].lease;
        let (mut begun, mut done, mut failed, mut in_tx) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for job in &jobs {
            if self.seed.chance(5) {
                self.settle(lease, &[job.id], Settlement::Release, "").await?;
                continue;
            }
            begun.push(job.id);
            match self.run(job).await? {
                Turn::Ok => done.push(job.id),
                Turn::Effect => in_tx.push(job.id),
                turn => failed.push((job.id, turn)),
            }
            self.stay_registered().await?;
        }
        if self.seed.chance(3) {
            // Long enough that others have the jobs.
            sleep(LEASE * 2).await;
        }
        if failed.is_empty() && begun.len() == jobs.len() && self.seed.chance(40) {
            // All at once, as the library does it.
            let count = i32::try_from(jobs.len()).unwrap_or(0);
            let complete = sqlx::query("SELECT howdah.complete_leases(ARRAY[$1], ARRAY[$2], array_fill(1, ARRAY[$2]))");
            complete.bind(lease).bind(count).execute(&mut self.connection).await?;
            (done, in_tx) = (Vec::new(), Vec::new());
        }
        if !done.is_empty() {
            self.settle(lease, &done, Settlement::Complete, "").await?;
        }
        if !in_tx.is_empty() {
            let forget = sqlx::query("SELECT howdah.forget($1, $2, $3)").bind(self.id).bind(lease).bind(in_tx);
            forget.execute(&mut self.connection).await?;
        }
        for (job, turn) in failed {
            self.settle(lease, &[job], Settlement::Fail, turn.word()).await?;
        }
        if self.seed.chance(30) {
            // All of it once more: it is over.
            let how = [Settlement::Complete, Settlement::Fail, Settlement::Release][self.seed.below(3)];
            self.settle(lease, &begun, how, "retry").await?;
        }
        Ok(())
    }

    async fn run(&mut self, job: &Claimed) -> sqlx::Result<Turn> {
        let log = self.actor.log.clone();
        let run = log.number();
        let (lease, attempt, tag) = (job.lease, job.attempt, job.task.tag.clone());
        log.write(Event::Began { run, lease, job: job.id, attempt, tag });
        sleep(Duration::from_millis(job.task.ms)).await;
        let turn = job.task.turn(attempt, now() % 2 == 0);
        let says = |verdict: &str| log.write(Event::Ended { run, verdict: verdict.to_owned() });
        match turn {
            Turn::Effect => {
                says("in_tx");
                let done = self.effect(job).await;
                if done.is_err() {
                    says("unsure");
                }
                if done.is_ok() && self.seed.chance(20) {
                    // Once more: it is over, and nothing of this may stay.
                    let _ = self.effect(job).await;
                }
                // A refusal is an answer; a lost connection ends the session.
                match done {
                    Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("HD010") => Ok(turn),
                    done => done.map(|()| turn),
                }
            }
            Turn::Abort => {
                says("abort");
                std::process::abort()
            }
            turn => {
                says(turn.word());
                Ok(turn)
            }
        }
    }

    async fn effect(&mut self, job: &Claimed) -> sqlx::Result<()> {
        let mut tx = self.connection.begin().await?;
        sqlx::query("INSERT INTO public.effect (job) VALUES ($1)").bind(job.id).execute(&mut *tx).await?;
        let complete = sqlx::query("SELECT howdah.complete_in($1, $2)").bind(job.lease).bind(job.id);
        complete.execute(&mut *tx).await?;
        tx.commit().await
    }

    async fn settle(&mut self, lease: i64, jobs: &[i64], how: Settlement, verdict: &str) -> sqlx::Result<()> {
        let call = self.actor.log.number();
        self.actor.log.write(Event::Settles { call, lease, jobs: jobs.to_vec(), how });
        let verdict = if verdict == "panic" { "retry" } else { verdict };
        let sql = match how {
            Settlement::Complete => "SELECT x FROM howdah.complete($1, $2) x WHERE $3::text = ''",
            Settlement::Fail => {
                "SELECT f.job_id FROM howdah.fail($1, $2, array_fill($3::text, ARRAY[cardinality($2)])) f"
            }
            Settlement::Release => "SELECT x FROM howdah.release($1, $2) x WHERE $3::text = ''",
        };
        let verdict = if how == Settlement::Fail { verdict } else { "" };
        let took = sqlx::query_scalar(sql).bind(lease).bind(jobs).bind(verdict).fetch_all(&mut self.connection).await?;
        self.actor.log.write(Event::Settled { call, took });
        Ok(())
    }
}
