//! Jobs one by one over many connections, each its own commit: without workers, beside two that sleep, and beside two
//! that run them.
//!
//! Limit: a plain INSERT of such a row, on as many connections by the same driver. Workers sleep on the very queue that
//! is enqueued into, which is paused: they are woken, and have nothing to do.

use std::time::{Duration, Instant};

use howdah::{Howdah, Job, Worker};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::progress::Progress;
use super::report::{Figure, Report};
use crate::failure::{Failure, Result};
use crate::sql;

const EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM howdah.ticket)";

#[derive(Job, Serialize, Deserialize)]
struct Welcome {
    user: i64,
}

async fn welcome(_: Welcome) {}

pub(super) async fn round(
    howdah: &Howdah,
    connections: u16,
    seconds: u16,
    progress: &Progress,
    report: &mut Report,
) -> Result<()> {
    let takes = Duration::from_secs(seconds.into());
    let measure = async |what: &str, is_job: bool| {
        let _phase = progress.timed(what, takes);
        rate(howdah, connections, takes, is_job).await
    };
    report.add(Figure::Insert, measure("single INSERT into a plain table", false).await?);
    report.add(Figure::Single, measure("single enqueue, no worker", true).await?);
    howdah.pause_queue("default", None, None).await?;
    let workers = Workers::start(howdah).await?;
    report.add(Figure::Asleep, measure("single enqueue, workers asleep", true).await?);
    howdah.resume_queue("default").await?;
    wait(howdah, EMPTY).await?;
    report.add(Figure::Busy, measure("single enqueue, workers busy", true).await?);
    let _phase = progress.timed("the workers finish", takes);
    workers.stop(howdah).await
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
        wait(howdah, EMPTY).await?;
        drop(self.stop);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|e| Failure::no(format!("a worker ended: {e}")))??;
        }
        Ok(())
    }
}

async fn wait(howdah: &Howdah, statement: &'static str) -> Result<()> {
    while !sqlx::query_scalar::<_, bool>(sql::of(howdah, statement)).fetch_one(howdah.pool()).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Commits a second.
async fn rate(howdah: &Howdah, connections: u16, takes: Duration, is_job: bool) -> Result<f64> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(PgConnection::connect_with(&PgPool::connect_options(howdah.pool())).await?);
    }
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let howdah = howdah.clone();
        tasks.spawn(async move {
            let (start, mut done) = (Instant::now(), 0_u32);
            while start.elapsed() < takes {
                one(&howdah, &mut connection, is_job, i64::from(done)).await?;
                done += 1;
            }
            let rate = f64::from(done) / start.elapsed().as_secs_f64();
            connection.close().await?;
            Ok::<_, Failure>(rate)
        });
    }
    let mut sum = 0.0;
    while let Some(rate) = tasks.join_next().await {
        sum += rate.map_err(|e| Failure::no(format!("a connection's task ended: {e}")))??;
    }
    Ok(sum)
}

async fn one(howdah: &Howdah, connection: &mut PgConnection, is_job: bool, user: i64) -> Result<()> {
    if is_job {
        howdah.enqueue(Welcome { user }).on(connection).await?;
        return Ok(());
    }
    let insert = "INSERT INTO howdah.plain (queue_id, priority, max_attempts, kind, payload) VALUES (1, 5, 20, 'welcome', $1) RETURNING id";
    let payload = sqlx::types::Json(Welcome { user });
    sqlx::query_scalar::<_, i64>(sql::of(howdah, insert)).bind(payload).fetch_one(connection).await?;
    Ok(())
}
