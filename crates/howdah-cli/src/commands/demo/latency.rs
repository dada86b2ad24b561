//! How soon an idle fleet begins a job.
//!
//! Invariant: measured from just before the COMMIT is sent until the first line of the handler, on one clock.
//! Limit: one job at a time, with pauses of a few to 60 ms between them.

use std::time::Duration;

use howdah::Howdah;

use super::worker::{Ping, now_us};
use crate::failure::{Failure, Result};

const PATIENCE: Duration = Duration::from_secs(30);

/// Latencies, sorted.
#[derive(Debug)]
pub(super) struct Pickup(Vec<Duration>);

impl Pickup {
    /// The latency that `percent` of the jobs did not exceed.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

pub(super) async fn measure(howdah: &Howdah, pings: u32) -> Result<Pickup> {
    eprintln!("measuring pickup latency with {pings} single jobs");
    let pings = i32::try_from(pings).unwrap_or(i32::MAX);
    // The queue of the pings is there, as the workers serve it; what is asked once is asked before.
    let mut all = Vec::new();
    for n in 0..pings {
        // Uneven, so that it does not keep step with anything of the workers.
        let pause = 2 + u64::try_from(n).unwrap_or(0) * 37 % 59;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let mut tx = howdah.pool().begin().await?;
        howdah.enqueue(Ping { n }).on(&mut tx).await?;
        let committed = now_us();
        tx.commit().await?;
        let started = tokio::time::timeout(PATIENCE, started(howdah, n))
            .await
            .map_err(|_| Failure::no(format!("job {n} of {pings} was not begun within {} s", PATIENCE.as_secs())))??;
        all.push(Duration::from_micros(u64::try_from(started - committed).unwrap_or(0)));
    }
    all.sort();
    Ok(Pickup(all))
}

/// Waits until the job is done, and tells when it began.
async fn started(howdah: &Howdah, n: i32) -> Result<i64> {
    loop {
        let found = sqlx::query_scalar("SELECT started_us FROM demo_ping WHERE n = $1").bind(n);
        if let Some(at) = found.fetch_optional(howdah.pool()).await? {
            return Ok(at);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
