//! What the demo found, for a person and as JSON.
//!
//! Invariant: the exit status is that of the lines shown: one ✗ is a failure. Limit: figures are of this machine
//! and this run.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use super::drain::{Drained, Rescue};
use super::files::Walk;
use super::latency::Pickup;
use super::proof::Proof;
use crate::failure::Result;
use crate::output::Output;

/// How long a rescue may take at most: a lease, and a little.
const RESCUE_LIMIT: Duration = Duration::from_secs(25);

/// Everything that was found.
pub(super) struct Report {
    pub(super) found: Walk,
    pub(super) drained: Drained,
    pub(super) pickup: Pickup,
    pub(super) proof: Proof,
}

impl Report {
    /// Whether every line holds.
    pub(super) fn all_holds(&self) -> bool {
        self.checks().iter().all(|(holds, _)| *holds)
    }

    pub(super) fn print(&self, out: Output) -> Result<()> {
        if out.is_json() {
            return Ok(out.value(&self.figures())?);
        }
        for (holds, text) in self.checks() {
            out.line(format_args!("{} {text}", if holds { "✓" } else { "✗" }))?;
        }
        if let Some(example) = &self.proof.example {
            out.line(format_args!("  for example: {example}"))?;
        }
        let (seconds, rate) = (self.drained.drained_in.as_secs_f64(), self.rate());
        out.line(format_args!("  {rate:.0} jobs/s ({seconds:.1} s with the kill and the rescue)"))?;
        out.line(format_args!(
            "  pickup latency p50 {:.1} ms, p99 {:.1} ms ({} single jobs, from COMMIT to handler)",
            ms(self.pickup.percentile(50)),
            ms(self.pickup.percentile(99)),
            self.pickup.len()
        ))?;
        Ok(())
    }

    fn rate(&self) -> f64 {
        self.proof.recorded as f64 / self.drained.drained_in.as_secs_f64().max(0.001)
    }

    fn checks(&self) -> Vec<(bool, String)> {
        let (proof, files) = (&self.proof, self.found.files.len());
        let once = proof.missing + proof.twice + proof.strange == 0;
        let mut checks = vec![
            (
                once && proof.recorded == files,
                format!(
                    "{} files found, {} recorded: {} missing, {} twice, {} strange",
                    HumanCount(files as u64),
                    HumanCount(proof.recorded as u64),
                    proof.missing,
                    proof.twice,
                    proof.strange
                ),
            ),
            (proof.different == 0, self.content()),
            (self.drained.left == 0, format!("{} jobs left in the queue", self.drained.left)),
        ];
        checks.push(match &self.drained.rescue {
            None => (false, "no worker was killed".to_owned()),
            Some(rescue) => (rescue.finished == rescue.held && rescue.took < RESCUE_LIMIT, of_rescue(rescue)),
        });
        checks
    }

    fn content(&self) -> String {
        let proof = &self.proof;
        let mut text = format!(
            "{} and {} lines hashed, {} files unlike a second reading",
            HumanBytes(u64::try_from(proof.bytes).unwrap_or(0)),
            HumanCount(u64::try_from(proof.lines).unwrap_or(0)),
            proof.different
        );
        for (count, what) in [(proof.unreadable, "could not be read"), (proof.changed, "changed meanwhile")] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }

    fn figures(&self) -> serde_json::Value {
        let (proof, drained) = (&self.proof, &self.drained);
        let rescue = drained.rescue.as_ref().map(|r| {
            json!({
                "worker": r.worker, "pid": r.pid, "was_keeper": r.was_keeper, "held": r.held,
                "finished_by_others": r.finished, "seconds": r.took.as_secs_f64(),
            })
        });
        json!({
            "ok": self.all_holds(), "dir": self.found.dir.to_string_lossy(), "files": self.found.files.len(),
            "recorded": proof.recorded, "missing": proof.missing, "twice": proof.twice, "strange": proof.strange,
            "different": proof.different, "changed_meanwhile": proof.changed, "unreadable": proof.unreadable,
            "bytes": proof.bytes, "lines": proof.lines, "left_in_queue": drained.left,
            "enqueue_seconds": drained.enqueued_in.as_secs_f64(), "drain_seconds": drained.drained_in.as_secs_f64(),
            "jobs_per_second": self.rate(), "rescue": rescue,
            "pickup_ms": { "p50": ms(self.pickup.percentile(50)), "p99": ms(self.pickup.percentile(99)),
                           "jobs": self.pickup.len() },
        })
    }
}

fn of_rescue(rescue: &Rescue) -> String {
    let keeper = if rescue.was_keeper { " (also the keeper)" } else { "" };
    format!(
        "{}{keeper} was killed with {} jobs in hand: others finished {}, the last {:.1} s after the kill",
        rescue.worker,
        rescue.held,
        rescue.finished,
        rescue.took.as_secs_f64()
    )
}

fn ms(length: Duration) -> f64 {
    length.as_secs_f64() * 1_000.0
}
