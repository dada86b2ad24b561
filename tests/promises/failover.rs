//! The primary dies, and a streaming standby takes its place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use howdah::{Ctx, Howdah, Job, JobError, Worker};
use howdah_devdb::{Server, StopMode};
use howdah_tests::standby::Standby;
use howdah_tests::{Db, in_time, server_to_crash, start};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::sleep;

#[derive(Job, Serialize, Deserialize)]
struct Survivor {
    n: i64,
}

/// Writes down in its own transaction that it was done.
async fn survive(job: Survivor, cx: Ctx<()>) -> Result<(), JobError> {
    let mut tx = cx.howdah().pool().begin().await?;
    sqlx::query("INSERT INTO did (n) VALUES ($1)").bind(job.n).execute(&mut *tx).await?;
    cx.complete_in(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// The jobs that were acknowledged, in their order.
type Acked = Arc<Mutex<Vec<i64>>>;

/// Enqueues one job after another until the server is gone.
async fn enqueue(howdah: Howdah, acked: Acked, mut gone: oneshot::Receiver<()>) {
    for n in 0.. {
        let made = tokio::select! {
            made = async { howdah.enqueue(Survivor { n }).await } => made,
            _ = &mut gone => return,
        };
        match made {
            Ok(_) => acked.lock().unwrap_or_else(|e| e.into_inner()).push(n),
            Err(_) => return,
        }
    }
}

/// What is left after a failover: the jobs that were acknowledged, and a queue on the new primary in which all has ended.
struct After {
    acked: Vec<i64>,
    there: Vec<i64>,
    effects: String,
    server: Server,
    standby: Standby,
}

/// Kills the primary under load. None: there is no program that makes standbys.
async fn fail_over(synchronous: bool) -> Result<Option<After>> {
    let server = server_to_crash().start().await?;
    let db = Db::on(&server).await?;
    db.run("CREATE TABLE did (n bigint); UPDATE howdah.queue SET retry_base_ms = 1").await?;
    let Some(standby) = Standby::of(&server, &db).await? else {
        println!("left out: there is no pg_basebackup beside this server");
        return Ok(None);
    };
    db.wait_for("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1").await?;
    if synchronous {
        db.run("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        db.run("SELECT pg_reload_conf()").await?;
        db.wait_for("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1").await?;
    }
    let short = |howdah: &Howdah| {
        let worker = Worker::new(howdah).handle(survive);
        worker
            .lease(Duration::from_millis(1500))
            .heartbeat(Duration::from_millis(200))
            .grace(Duration::from_millis(100))
    };
    let mut worker = start(short(&db.howdah));
    let acked = Acked::default();
    let (tell, gone) = oneshot::channel();
    let enqueuing = tokio::spawn(enqueue(db.howdah.clone(), acked.clone(), gone));
    db.wait_for("SELECT count(*) > 200 FROM did", "true").await?;
    server.stop_postmaster(StopMode::Kill).await?;
    // It has heard of that by now, or would wait for an answer that does not come.
    drop(tell);
    enqueuing.await?;
    worker.tell_to_stop();

    let url = standby.url(&server, &db)?;
    standby.promote(&url).await?;
    let howdah = Howdah::connect(&url).await?;
    if synchronous {
        // There is no standby any more.
        sqlx::raw_sql("ALTER SYSTEM RESET synchronous_standby_names").execute(howdah.pool()).await?;
        sqlx::raw_sql("SELECT pg_reload_conf()").execute(howdah.pool()).await?;
    }
    let worker = start(short(&howdah));
    let left = "SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'";
    let all_over = async {
        while sqlx::query_scalar::<_, i64>(left).fetch_one(howdah.pool()).await? > 0 {
            sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, sqlx::Error>(())
    };
    in_time("all jobs to end", all_over).await??;
    worker.stop().await?;
    let there = sqlx::query_scalar("SELECT (payload ->> 'n')::bigint FROM howdah.jobs ORDER BY 1");
    let there = there.fetch_all(howdah.pool()).await?;
    let effects = "SELECT (SELECT count(*) FROM did) || ' ' || (SELECT count(DISTINCT n) FROM did)";
    let effects = sqlx::query_scalar(effects).fetch_one(howdah.pool()).await?;
    howdah.pool().close().await;
    let acked = Arc::into_inner(acked).context("nobody enqueues")?.into_inner().unwrap_or_else(|e| e.into_inner());
    Ok(Some(After { acked, there, effects, server, standby }))
}

impl After {
    /// Each job that is there was done once.
    fn each_was_done_once(&self) {
        assert_eq!(self.effects, format!("{0} {0}", self.there.len()));
    }

    async fn end(self) -> Result<()> {
        drop(self.standby);
        self.server.stop().await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_failover_to_a_synchronous_standby_loses_nothing() -> Result<()> {
    let Some(after) = fail_over(true).await? else { return Ok(()) };
    assert!(
        after.acked.iter().all(|n| after.there.binary_search(n).is_ok()),
        "{} of {}",
        after.there.len(),
        after.acked.len()
    );
    // And one at most whose answer was not there yet.
    assert!(after.there.len() <= after.acked.len() + 1);
    after.each_was_done_once();
    after.end().await
}

#[tokio::test]
async fn a_failover_to_an_asynchronous_standby_loses_the_last_moments_and_nothing_before() -> Result<()> {
    let Some(after) = fail_over(false).await? else { return Ok(()) };
    // What is there is what was enqueued first, without a gap.
    assert_eq!(after.there, (0..i64::try_from(after.there.len())?).collect::<Vec<_>>());
    assert!(after.there.len() <= after.acked.len() + 1);
    println!("{} of {} were there", after.there.len(), after.acked.len());
    after.each_was_done_once();
    after.end().await
}
