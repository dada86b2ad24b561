//! Single enqueues, each its own commit, from 16 connections while two workers are idle.
//!
//! The limit is one plain INSERT of a row like howdah.job's, with one index, on the same connections by the same
//! driver. The workers listen for the queue that is enqueued into. Idle: it is paused, so that they are woken and
//! have nothing to do. Working: they run the jobs meanwhile, with the processors that they share with the server.

use std::time::{Duration, Instant};

use anyhow::Result;
use howdah::{Howdah, Job, Worker};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::report::{line, ratio};

const CONNECTIONS: usize = 16;
const ROUND: Duration = Duration::from_secs(4);

#[derive(Job, Serialize, Deserialize)]
struct Welcome {
    user: i64,
}

async fn welcome(_: Welcome) {}

pub(crate) async fn run(howdah: &Howdah, rounds: usize) -> Result<()> {
    println!("single enqueue, {CONNECTIONS} connections, two idle workers");
    sqlx::raw_sql(
        r#"CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(), queue_id integer NOT NULL, priority smallint NOT NULL,
             max_attempts smallint NOT NULL, kind text COLLATE "C" NOT NULL, payload jsonb NOT NULL, options jsonb)"#,
    )
    .execute(howdah.pool())
    .await?;
    let (mut plain, mut alone, mut idle, mut working) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(rate(howdah, false).await?);
        alone.push(rate(howdah, true).await?);
        howdah.pause_queue("default", None, None).await?;
        let workers = Workers::start(howdah).await?;
        idle.push(rate(howdah, true).await?);
        howdah.resume_queue("default").await?;
        working.push(rate(howdah, true).await?);
        workers.stop(howdah).await?;
    }
    line("plain INSERT", "commits/s", &plain);
    line("howdah enqueue, no workers", "commits/s", &alone);
    line("howdah enqueue, two idle workers", "commits/s", &idle);
    line("howdah enqueue, two workers that run the jobs", "commits/s", &working);
    ratio("no workers / INSERT", &alone, &plain);
    ratio("idle workers / INSERT", &idle, &plain);
    ratio("working workers / INSERT", &working, &plain);
    Ok(())
}

/// Two workers, each with its own connections, as two processes have.
struct Workers {
    stop: watch::Sender<()>,
    tasks: JoinSet<howdah::Result<()>>,
}

impl Workers {
    /// Starts them, and waits until they sleep.
    async fn start(howdah: &Howdah) -> Result<Self> {
        let (stop, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        for _ in 0..2 {
            let (worker, mut stopped) = (Worker::new(howdah).handle(welcome), stopped.clone());
            tasks.spawn(worker.run_until(async move { while stopped.changed().await.is_ok() {} }));
        }
        wait(howdah, "SELECT count(*) = 2 FROM howdah.sleeper").await?;
        Ok(Self { stop, tasks })
    }

    /// Lets them finish what is there, and stops them.
    async fn stop(mut self, howdah: &Howdah) -> Result<()> {
        wait(howdah, "SELECT NOT EXISTS (SELECT FROM howdah.ticket)").await?;
        drop(self.stop);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn wait(howdah: &Howdah, sql: &'static str) -> Result<()> {
    while !sqlx::query_scalar::<_, bool>(sql).fetch_one(howdah.pool()).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Commits a second.
async fn rate(howdah: &Howdah, jobs: bool) -> Result<f64> {
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let howdah = howdah.clone();
        let options = PgPool::connect_options(howdah.pool());
        tasks.spawn(async move {
            let mut connection = PgConnection::connect_with(&options).await?;
            let (start, mut done) = (Instant::now(), 0_u32);
            while start.elapsed() < ROUND {
                one(&howdah, &mut connection, jobs, i64::from(done)).await?;
                done += 1;
            }
            connection.close().await?;
            Ok::<_, anyhow::Error>(f64::from(done) / start.elapsed().as_secs_f64())
        });
    }
    let mut sum = 0.0;
    while let Some(rate) = tasks.join_next().await {
        sum += rate??;
    }
    Ok(sum)
}

async fn one(howdah: &Howdah, connection: &mut PgConnection, job: bool, user: i64) -> Result<()> {
    if job {
        howdah.enqueue(Welcome { user }).on(connection).await?;
        return Ok(());
    }
    sqlx::query("INSERT INTO plain (queue_id, priority, max_attempts, kind, payload) VALUES (1, 5, 20, $1, $2)")
        .bind("welcome")
        .bind(sqlx::types::Json(Welcome { user }))
        .execute(connection)
        .await?;
    Ok(())
}
