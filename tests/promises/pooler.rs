//! Producers behind PgBouncer in transaction mode, while sessions end and the server crashes; workers go round it.
//!
//! Limit: left out where there is no PgBouncer (see [`Pooler`]).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use howdah::{Error, Howdah, Job, JobId, Worker};
use howdah_devdb::StopMode;
use howdah_tests::pooler::Pooler;
use howdah_tests::seed::Seed;
use howdah_tests::{Db, crash, server_to_crash, start};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

#[derive(Job, Serialize, Deserialize)]
struct Errand {
    tag: String,
}

async fn errand(_: Errand) {}

/// What became of what was meant.
#[derive(Default)]
struct Heard {
    made: Vec<JobId>,
    rolled_back: Vec<String>,
}

/// Sends jobs in transactions, some of which are rolled back.
async fn produce(pool: PgPool, who: usize) -> Result<Heard> {
    let howdah = Howdah::from_pool(pool);
    let (mut seed, mut heard) = (Seed::new(who as u64), Heard::default());
    for n in 0..60 {
        let tags: Vec<String> = (0..=seed.below(3)).map(|m| format!("{who} {n} {m}")).collect();
        let rolls_back = seed.chance(30);
        let work = async {
            let mut tx = howdah.pool().begin().await?;
            let mut ids = Vec::new();
            for tag in &tags {
                ids.push(howdah.enqueue(Errand { tag: tag.clone() }).on(&mut tx).await?);
            }
            let ended = if rolls_back { tx.rollback().await } else { tx.commit().await };
            ended?;
            Ok::<_, Error>(ids)
        };
        match tokio::time::timeout(Duration::from_secs(20), work).await? {
            Ok(_) if rolls_back => heard.rolled_back.extend(tags),
            Ok(ids) => heard.made.extend(ids),
            Err(error) => ensure!(error.is_transient(), "{error}"),
        }
    }
    Ok(heard)
}

#[tokio::test]
async fn producers_behind_a_transaction_pooler_lose_nothing_and_workers_refuse_it() -> Result<()> {
    let server = server_to_crash().start().await?;
    let db = Db::on(&server).await?;
    let direct: PgConnectOptions = db.url().parse()?;
    let password = db.url().split([':', '@']).nth(2).context("the URL has a password")?;
    let Some(pooler) = Pooler::start(direct.get_port(), password)? else {
        println!("left out: there is no pgbouncer");
        return Ok(server.stop().await?);
    };
    let pooled = direct.port(pooler.port()).statement_cache_capacity(0);
    let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(pooled);
    while sqlx::raw_sql("SELECT 1").execute(&pool).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = start(Worker::new(&Howdah::from_pool(pool.clone())).handle(errand)).ended().await;
    println!("a worker behind it: {refused:?}");
    ensure!(refused.is_err(), "a worker has to have sessions of its own");
    let worker = start(Worker::new(&db.howdah).handle(errand));
    let mut tx = pool.begin().await?;
    Howdah::from_pool(pool.clone()).enqueue(Errand { tag: "first".to_owned() }).on(&mut tx).await?;
    tx.commit().await?;
    let producers: Vec<_> = (0..4).map(|who| tokio::spawn(produce(pool.clone(), who))).collect();
    for round in 1..4 {
        let ended = format!("SELECT coalesce(sum(c), 0) > {} FROM howdah.receipt, unnest(counts) c", round * 30);
        db.wait_through(&ended, "true").await?;
        if round == 2 {
            crash(&server, StopMode::Immediate).await?;
        } else {
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND pid % 2 = 0";
            let _ = db.run(end).await;
        }
    }
    let (mut made, mut rolled_back) = (Vec::new(), Vec::new());
    for producer in producers {
        let heard = producer.await??;
        made.extend(heard.made.into_iter().map(|id| id.0));
        rolled_back.extend(heard.rolled_back);
    }
    ensure!(!made.is_empty() && !rolled_back.is_empty());
    db.wait_through("SELECT count(*) FROM howdah.jobs WHERE state <> 'completed'", "0").await?;
    worker.stop().await?;
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM howdah.jobs WHERE id = ANY ($1)")
        .bind(&made)
        .fetch_one(db.pool())
        .await?;
    assert_eq!(usize::try_from(there)?, made.len(), "nothing acknowledged is lost");
    let invented: i64 = sqlx::query_scalar("SELECT count(*) FROM howdah.jobs WHERE payload ->> 'tag' = ANY ($1)")
        .bind(&rolled_back)
        .fetch_one(db.pool())
        .await?;
    assert_eq!(invented, 0, "nothing rolled back is there");
    assert_eq!(
        db.text("SELECT sum(c) = (SELECT count(*) FROM howdah.jobs) FROM howdah.receipt, unnest(counts) c").await?,
        "true"
    );
    drop((pooler, db));
    Ok(server.stop().await?)
}
