//! What a run needs in its database: queues, limits, a schedule, what handlers write to.

use std::time::Duration;

use anyhow::Result;
use howdah::{Howdah, Limit, Schedule};

use super::jobs::{Fate, Task};
use crate::Db;
use crate::history::{Cap, audit};

/// The queues of the workers.
pub(super) const QUEUES: [&str; 3] = ["mixed", "narrow", "shared"];
/// The schedule that fires each second.
pub(super) const SCHEDULE: &str = "tick";
/// How many limit keys there are; the first one lets one job through, the others two.
pub(super) const LIMIT_KEYS: usize = 3;

const NARROW: usize = 3;

/// Longer than a phase, which is checked by what is kept; short enough for a long run to show that it is removed.
const RETENTION: &str = "5 minutes";

/// Makes all of it.
///
/// # Errors
/// What the server says.
pub(super) async fn set_up(db: &Db) -> Result<()> {
    db.run(audit::INSTALL).await?;
    db.run("CREATE TABLE effect (job bigint NOT NULL); CREATE TABLE row_of_app (tag text)").await?;
    for kept in ["history", "dead"] {
        db.run(&format!("SELECT howdah.set_config('{{\"{kept}_retention\": \"{RETENTION}\"}}')")).await?;
    }
    for queue in QUEUES {
        db.run(&format!(
            "SELECT howdah.create_queue('{queue}'); SELECT howdah.set_queue('{queue}', '{{\"retry_base_ms\": 1, \"retry_policy\": \"constant\"}}')"
        ))
        .await?;
    }
    // So that priorities rise while jobs wait.
    db.run("SELECT howdah.set_queue('shared', '{\"aging_ms\": 300}')").await?;
    limits(&db.howdah).await?;
    let task = Task { tag: SCHEDULE.to_owned(), ms: 1, fate: Fate::Succeed };
    let schedule = Schedule::new(SCHEDULE, "@every 1s").job(task).max_attempts(1000);
    db.howdah.set_schedule(&schedule.missed(howdah::Missed::All).max_missed(1000)).await?;
    db.howdah.pause_schedule(SCHEDULE, None, None).await?;
    Ok(())
}

async fn limits(howdah: &Howdah) -> Result<()> {
    howdah.set_limit(Limit::queue(QUEUES[1]).max_running(u32::try_from(NARROW)?)).await?;
    howdah.set_limit(Limit::key("k:*").max_running(2)).await?;
    howdah.set_limit(Limit::key("k:0").max_running(1)).await?;
    howdah.set_limit(Limit::key("rate").rate(200, Duration::from_secs(1)).burst(20)).await?;
    Ok(())
}

/// The limits that a history is held to.
pub(super) fn caps() -> Vec<Cap> {
    let key = |n: usize| Cap { of: format!("key k:{n}"), most: if n == 0 { 1 } else { 2 } };
    let queue = Cap { of: format!("queue {}", QUEUES[1]), most: NARROW };
    (0..LIMIT_KEYS).map(key).chain([queue]).collect()
}
