//! A job that takes its process with it does so no more often than it has attempts, and the others end.

use std::time::Duration;

use anyhow::{Result, ensure};
use howdah_tests::{Db, HELD_TABLES, Poison, WATCHED_TABLE, Watched};

use crate::process::Process;

const UNFINISHED: &str = "SELECT count(*) FROM howdah.jobs WHERE state NOT IN ('completed', 'dead')";
/// Enough for a worker, and soon too little for one that asks for more and more.
const MEMORY: u64 = 2 << 30;

#[tokio::test]
async fn jobs_that_end_their_process_or_take_its_memory_die_and_the_others_end() -> Result<()> {
    let db = Db::new().await?;
    db.run(HELD_TABLES).await?;
    db.run(WATCHED_TABLE).await?;
    db.run(r#"SELECT howdah.set_queue('default', '{"retry_base_ms": 1, "retry_policy": "constant"}')"#).await?;
    for takes_memory in [false, true] {
        db.howdah.enqueue(Poison { takes_memory }).max_attempts(3).await?;
    }
    db.howdah.enqueue_many((0..20).map(|n| Watched { key: n.to_string(), fails: 0 })).await?;
    // As a process manager would: whenever it has ended, another is started.
    let mut processes = 0;
    let mut process = None;
    while db.number(UNFINISHED).await? > 0 {
        if process.as_mut().map_or(Ok(true), Process::has_ended)? {
            ensure!(processes < 7, "two jobs of three attempts each have ended {processes} processes");
            process = Some(Process::limited(db.url(), 60_000, 100, MEMORY)?);
            processes += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(processes > 3, "{processes} processes");
    let ends = "SELECT string_agg(concat_ws(' ', kind, state, jobs), ', ' ORDER BY kind)
                  FROM (SELECT kind, state, count(*) AS jobs FROM howdah.jobs GROUP BY 1, 2) x";
    assert_eq!(db.text(ends).await?, "poison dead 2, watched completed 20");
    // Each attempt is written down, as lost with its worker.
    let failures = "SELECT string_agg(concat_ws(' ', attempts, error_kind), ', ') FROM (
        SELECT f.job_id, array_agg(f.attempt ORDER BY f.attempt) AS attempts, f.error_kind FROM howdah.failures f
          JOIN howdah.jobs j ON j.id = f.job_id WHERE j.kind = 'poison' GROUP BY 1, 3) x";
    assert_eq!(db.text(failures).await?, "{1,2,3} worker_lost, {1,2,3} worker_lost");
    // One may have been claimed and not begun when the other ended the process: that counts, too.
    ensure!((3..=6).contains(&db.number("SELECT count(*) FROM seen").await?), "they started as often");
    Ok(())
}
