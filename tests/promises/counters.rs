//! What a job costs in statements and in row versions, counted: no clock, no machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use howdah::{Answer, Ctx, Job, Statement, Worker};
use howdah_tests::{Db, in_time, start};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

const JOBS: usize = 20_000;

#[derive(Job, Serialize, Deserialize)]
struct Small {
    n: usize,
}

#[derive(Clone, Default)]
struct Ran(Arc<(AtomicUsize, Notify)>);

async fn small(job: Small, cx: Ctx<Ran>) {
    assert!(job.n < JOBS);
    if cx.0.0.fetch_add(1, Ordering::Relaxed) + 1 == JOBS {
        cx.0.1.notify_one();
    }
}

#[tokio::test]
async fn a_job_in_bulk_costs_a_hundredth_of_a_statement() -> Result<()> {
    let db = Db::new().await?;
    let sent: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let count = Arc::clone(&sent);
    let howdah = db.howdah.clone().on_statement(move |statement: &Statement, _: &Answer<'_>| {
        count.lock().unwrap_or_else(PoisonError::into_inner).push(statement.operation);
    });
    howdah.enqueue_many((0..JOBS).map(|n| Small { n })).await?;
    let ran = Ran::default();
    let worker = start(Worker::new(&howdah).state(ran.clone()).handle(small));
    in_time("all jobs", ran.0.1.notified()).await?;
    worker.stop().await?;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let times = |operation: &str| sent.iter().filter(|o| **o == operation).count();
    for (operation, most) in [("enqueue_many", JOBS / 1_000), ("claim", JOBS / 100), ("complete_leases", JOBS / 100)] {
        assert!((1..=most).contains(&times(operation)), "{} times {operation} for {JOBS} jobs", times(operation));
    }
    assert_eq!(db.jobs_in("completed").await?, JOBS as i64);
    assert_eq!(times("enqueue"), 0, "one by one: {sent:?}");
    // Where the processors are busy with something else, a lease may be told of in some parts.
    assert!(times("complete") <= JOBS / 200, "leases are told of in parts: {sent:?}");
    Ok(())
}

#[tokio::test]
async fn a_job_in_bulk_leaves_hardly_a_dead_row_behind() -> Result<()> {
    let db = Db::new().await?;
    let (mut session, worker) = (db.session().await?, db.worker().await?);
    session.run("BEGIN; SELECT howdah.enqueue_many('k', array_fill('{}'::jsonb, '{10000}'))").await?;
    let drain = format!(
        "SELECT howdah.complete_leases(ARRAY[l], '{{500}}', NULL) FROM (SELECT max(lease_id) FROM howdah.claim({worker}, jobs => 500)) c(l)"
    );
    for _ in 0..20 {
        session.run(&drain).await?;
    }
    let rows = async |session: &mut howdah_tests::Session, what: &str| {
        session
            .number(&format!("SELECT sum({what})::bigint FROM pg_stat_xact_all_tables WHERE schemaname = 'howdah'"))
            .await
    };
    assert_eq!(
        session.number("SELECT sum(c)::bigint FROM howdah.receipt, unnest(counts) c").await?,
        10_000,
        "all have ended"
    );
    assert!(rows(&mut session, "n_tup_ins").await? >= 10_000);
    let dead = rows(&mut session, "n_tup_upd + n_tup_del").await?;
    assert!((20..=200).contains(&dead), "{dead} row versions died for 10,000 jobs");
    session.run("ROLLBACK").await
}
