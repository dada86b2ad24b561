//! The main part: all jobs enqueued, one worker killed when half is recorded, and the wait for the rest.
//!
//! Invariant: it ends when nothing is left in the queue, or when nothing has moved for a minute. Limit: progress is
//! what is recorded, asked for a few times a second.

use std::time::{Duration, Instant};

use howdah::Howdah;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::files::{Found, name_of};
use super::fleet::{Fleet, Victim};
use super::worker::HashFile;
use crate::failure::Result;
use crate::sql;

/// How often progress is looked at, and after how long without any it is given up.
const LOOK: Duration = Duration::from_millis(50);
const STALLED: Duration = Duration::from_secs(60);

/// How it went.
#[derive(Debug)]
pub(super) struct Drained {
    pub(super) enqueued_in: Duration,
    pub(super) drained_in: Duration,
    pub(super) rescue: Option<Rescue>,
    /// Jobs that are still in the queue.
    pub(super) left: i64,
}

/// What became of the killed worker's jobs.
#[derive(Debug)]
pub(super) struct Rescue {
    pub(super) worker: String,
    pub(super) pid: i32,
    pub(super) was_keeper: bool,
    /// Jobs that it held when it was killed.
    pub(super) held: i64,
    /// How many of them other workers finished.
    pub(super) finished: i64,
    /// From the kill until the last of them was recorded, by the server's clock.
    pub(super) took: Duration,
}

/// A victim, with what it held.
struct Killed {
    victim: Victim,
    held: Vec<i64>,
}

pub(super) async fn run(howdah: &Howdah, fleet: &mut Fleet, files: &[Found]) -> Result<Drained> {
    let total = files.len();
    let began = Instant::now();
    howdah.enqueue_many(files.iter().map(|file| HashFile { path: name_of(&file.path) })).await?;
    let enqueued_in = began.elapsed();
    eprintln!("enqueued {} jobs in {:.2} s", HumanCount(total as u64), enqueued_in.as_secs_f64());

    let bar = bar(total as u64);
    let began = Instant::now();
    let (mut killed, mut last, mut moved, mut told) = (None, (-1, -1), Instant::now(), 0);
    let (mut drained_in, mut recorded_before) = (Duration::ZERO, 0);
    let left = loop {
        let now = look(howdah, i64::try_from(total).unwrap_or(i64::MAX)).await?;
        let (recorded, left) = now;
        bar.set_position(u64::try_from(recorded).unwrap_or(0));
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        // The lease of a dead worker whose jobs are all done is cleaned up later, and no part of the work.
        if recorded != recorded_before {
            (recorded_before, drained_in) = (recorded, began.elapsed());
        }
        if killed.is_none() && usize::try_from(recorded * 2).unwrap_or(0) >= total {
            let dead = kill(howdah, fleet).await?;
            let (name, pid, held) = (&dead.victim.name, dead.victim.pid, dead.held.len());
            bar.suspend(|| eprintln!("half is done: killed {name} (process {pid}) with SIGKILL; it held {held} jobs"));
            killed = Some(dead);
        }
        if bar.is_hidden() && usize::try_from(recorded * 4).unwrap_or(0) / total > told {
            told += 1;
            eprintln!("{} of {} recorded", HumanCount(u64::try_from(recorded).unwrap_or(0)), HumanCount(total as u64));
        }
        if left == 0 || moved.elapsed() > STALLED {
            break left;
        }
        tokio::time::sleep(LOOK).await;
    };
    bar.finish_and_clear();
    let rescue = match killed {
        Some(killed) => Some(rescued(howdah, killed).await?),
        None => None,
    };
    Ok(Drained { enqueued_in, drained_in, rescue, left })
}

/// How many files are recorded, and how many jobs are not over: all, until as many are recorded as there are files,
/// since counting costs the workers time.
async fn look(howdah: &Howdah, total: i64) -> Result<(i64, i64)> {
    let recorded = sqlx::query_scalar("SELECT count(*) FROM demo_file").fetch_one(howdah.pool()).await?;
    if recorded < total {
        return Ok((recorded, total));
    }
    let statement = "SELECT coalesce(sum(ready + running + scheduled + blocked), 0)::bigint FROM howdah.queues";
    let left = sqlx::query_scalar(sql::of(howdah, statement)).fetch_one(howdah.pool()).await?;
    Ok((recorded, left))
}

/// Kills a worker, and reads from its leases what it held: they stay until it is found out.
async fn kill(howdah: &Howdah, fleet: &mut Fleet) -> Result<Killed> {
    let victim = fleet.kill_one(howdah).await?;
    let statement = "SELECT g.id FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs),
               generate_series(u.first_id, u.first_id + u.jobs - 1) g(id)
         WHERE l.worker_id = $1
           AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = g.id)";
    let held = sqlx::query_scalar(sql::of(howdah, statement)).bind(victim.worker_id).fetch_all(howdah.pool()).await?;
    Ok(Killed { victim, held })
}

/// Who finished them, and when the last was.
async fn rescued(howdah: &Howdah, killed: Killed) -> Result<Rescue> {
    let (finished, last_us): (i64, Option<i64>) = sqlx::query_as(
        "SELECT count(DISTINCT job_id), (extract(epoch FROM max(recorded_at)) * 1000000)::bigint
           FROM demo_file WHERE job_id = ANY ($1) AND worker <> $2",
    )
    .bind(&killed.held)
    .bind(killed.victim.pid)
    .fetch_one(howdah.pool())
    .await?;
    let took_us = last_us.map_or(0, |last| u64::try_from(last - killed.victim.at_us).unwrap_or(0));
    Ok(Rescue {
        worker: killed.victim.name,
        pid: killed.victim.pid,
        was_keeper: killed.victim.was_keeper,
        held: i64::try_from(killed.held.len()).unwrap_or(i64::MAX),
        finished,
        took: Duration::from_micros(took_us),
    })
}

/// On a terminal only; elsewhere it is hidden.
fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = "{bar:30} {human_pos} of {human_len} files, {per_sec}, {eta} to go";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
