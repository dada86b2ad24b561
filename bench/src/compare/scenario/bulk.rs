//! Bulk enqueue, then a drain by one worker whose handler does nothing; and what both cost.
//!
//! Invariant: a drain ends when the database says that nothing is left, not when the last handler has run. Limit: the
//! number of jobs is chosen for each system so that its drain takes some seconds, and is shown with its rate.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{Run, all_done, start_worker};
use crate::compare::adapter::Adapter;
use crate::compare::manifest::Manifest;
use crate::compare::metric;
use crate::compare::process::cpu_seconds;
use crate::compare::stage::{Counters, Place};

/// The first guess of how many jobs a system drains in its time.
const FIRST_GUESS: u64 = 200;

/// What was used until a moment: by the server, and by the client's processor.
struct Used(Counters, f64);

pub(super) async fn run(run: &mut Run<'_>, system: &Manifest) -> Result<()> {
    let jobs = match run.drains.get(&system.name) {
        Some(jobs) => *jobs,
        None => choose(run, system).await?,
    };
    let place = run.stage.place(system).await?;
    let mut adapter = run.open(system, &place, true).await?;
    let measured = measure(run, system, &place, &mut adapter, jobs).await;
    adapter.end().await?;
    if measured.is_ok() {
        let dead = run.stage.dead_tuples(&place).await?;
        run.samples.add(&system.name, metric::DEAD, dead / count(jobs));
    }
    place.end().await?;
    measured
}

async fn measure(run: &mut Run<'_>, system: &Manifest, place: &Place, adapter: &mut Adapter, jobs: u64) -> Result<()> {
    let (name, n) = (&system.name, count(jobs));
    let fresh = used(run, place, adapter).await?;
    let enqueue = json!({ "do": "enqueue_bulk", "jobs": jobs, "batch": system.batch });
    let (_, seconds) = adapter.timed(&enqueue).await?;
    run.samples.add(name, metric::BULK_RATE, n / seconds);
    let enqueued = used(run, place, adapter).await?;
    run.stage.analyze(place).await?;
    let waiting = used(run, place, adapter).await?;
    let seconds = drain(adapter, system, jobs).await?;
    run.samples.add(name, metric::DRAIN_RATE, n / seconds);
    let drained = used(run, place, adapter).await?;
    let (first, second) = (enqueued.0 - fresh.0, drained.0 - waiting.0);
    let client = enqueued.1 - fresh.1 + drained.1 - waiting.1;
    // Milliseconds for a thousand jobs are seconds for a million.
    run.samples.add(name, metric::SERVER_CPU, (first.cpu_seconds + second.cpu_seconds) * 1e6 / n);
    run.samples.add(name, metric::CLIENT_CPU, client * 1e6 / n);
    run.samples.add(name, metric::WAL, (first.wal_bytes + second.wal_bytes) / n);
    run.samples.add(name, metric::STATEMENTS, (first.statements + second.statements) / n);
    adapter.say("stop_worker").await?;
    Ok(())
}

async fn used(run: &Run<'_>, place: &Place, adapter: &Adapter) -> Result<Used> {
    Ok(Used(run.stage.counters(place).await?, cpu_seconds(adapter.pid()).unwrap_or(f64::NAN)))
}

/// Starts a worker, waits until everything is done, and says how long that took.
async fn drain(adapter: &mut Adapter, system: &Manifest, jobs: u64) -> Result<f64> {
    let start = Instant::now();
    adapter.ask(&start_worker(system)).await?;
    all_done(adapter, jobs).await?;
    Ok(start.elapsed().as_secs_f64())
}

/// Tries ever more jobs until a drain takes long enough to tell what it would do in its time.
async fn choose(run: &mut Run<'_>, system: &Manifest) -> Result<u64> {
    let (mut jobs, most, wanted) = (FIRST_GUESS, run.sizes.drain_jobs, run.sizes.drain_seconds);
    let chosen = loop {
        if jobs >= most {
            break most;
        }
        let place = run.stage.place(system).await?;
        let mut adapter = run.open(system, &place, true).await?;
        adapter.ask(&json!({ "do": "enqueue_bulk", "jobs": jobs, "batch": system.batch })).await?;
        let tried = drain(&mut adapter, system, jobs).await;
        adapter.end().await?;
        place.end().await?;
        match tried {
            Ok(seconds) if seconds < wanted / 7.0 => jobs *= 8,
            Ok(seconds) => break round(count(jobs) / seconds * wanted).min(most),
            // A limit that has nothing to drain.
            Err(error) if error.downcast_ref::<crate::compare::adapter::Unsupported>().is_some() => break most,
            Err(error) => return Err(error),
        }
    };
    run.drains.insert(system.name.clone(), chosen);
    Ok(chosen)
}

/// To one digit, so that it reads well: 1, 2, 3, 5 or 7 and noughts.
fn round(jobs: f64) -> u64 {
    let ten = 10_f64.powf(jobs.max(1.0).log10().floor());
    let digit = [1.0, 2.0, 3.0, 5.0, 7.0].into_iter().rfind(|d| d * ten <= jobs).unwrap_or(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rounded = (digit * ten) as u64;
    rounded.max(1)
}

#[allow(clippy::cast_precision_loss)]
fn count(jobs: u64) -> f64 {
    jobs as f64
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn a_number_of_jobs_reads_well_and_takes_no_longer_than_wanted() {
        for (jobs, rounded) in [(1999.0, 1000), (2000.0, 2000), (69_999.0, 50_000), (70_001.0, 70_000), (0.3, 1)] {
            assert_eq!(round(jobs), rounded, "{jobs}");
        }
    }
}
