//! Whether something grows that should not: what a run needs at the end is what it needed in its middle.
//!
//! Invariant: judged by medians over many phases, at rest, so that one look means nothing. Limit: runs of at least twelve phases;
//! what grows by less than half in a third of the run is not told from chance.

use super::report::{Report, Sample};

const PHASES: usize = 12;

/// What is held: its name, its value, and so much more is nothing.
type Held = (&'static str, fn(&Sample) -> f64, f64);

#[allow(clippy::cast_precision_loss)]
const HELD: [Held; 4] = [
    ("memory of a worker, kB", |sample| sample.worker_kb as f64, 4096.0),
    ("sessions", |sample| sample.connections as f64, 4.0),
    ("tables that jobs pass through, kB", |sample| sample.hot_bytes as f64 / 1024.0, 4096.0),
    ("jobs and history, kB", |sample| sample.kept_bytes as f64 / 1024.0, 8192.0),
];

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Compares the last third of a run with the one before it.
fn grown(name: &str, values: &[f64], slack: f64) -> Option<String> {
    let third = values.len() / 3;
    let (before, after) = values[third..].split_at(values.len() - 2 * third);
    let (before, after) = (median(before.to_vec()), median(after.to_vec()));
    (values.len() >= PHASES && after > before * 1.5 + slack)
        .then(|| format!("{name}: {before:.1} in the middle of the run, and {after:.1} at its end"))
}

impl Report {
    /// What has grown.
    #[must_use]
    pub fn growth(&self) -> Vec<String> {
        let held = HELD
            .iter()
            .filter_map(|(name, value, slack)| grown(name, &self.rests.iter().map(value).collect::<Vec<_>>(), *slack));
        let pickups: Vec<f64> = self.pickups.iter().map(|pickup| pickup[0]).collect();
        held.chain(grown("from enqueue to begin, ms", &pickups, 20.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(phases: u32, of: impl Fn(u32) -> (Sample, f64)) -> Report {
        let (rests, pickups) = (0..phases).map(of).map(|(sample, ms)| (sample, [ms, ms, ms])).unzip();
        Report { rests, pickups, ..Report::default() }
    }

    fn steady(phase: u32) -> Sample {
        let at = f64::from(phase);
        Sample { at, worker_kb: 30_000, connections: 20, hot_bytes: 10_000_000, kept_bytes: 50_000_000, live: 0 }
    }

    #[test]
    fn what_is_steady_after_a_while_has_not_grown() {
        let warms_up = |phase: u32| Sample { kept_bytes: 10_000_000 * i64::from(phase.min(4)), ..steady(phase) };
        assert_eq!(report(12, |phase| (warms_up(phase), 10.0)).growth(), Vec::<String>::new());
        // One look means nothing.
        let once = |phase| if phase == 11 { Sample { connections: 90, ..steady(phase) } } else { steady(phase) };
        assert_eq!(report(12, |phase| (once(phase), 10.0)).growth(), Vec::<String>::new());
    }

    #[test]
    fn whatever_grows_is_told() {
        type Grows = fn(u32) -> (Sample, f64);
        let growing: [(&str, Grows); 5] = [
            ("memory", |n| (Sample { worker_kb: 10_000 * u64::from(n), ..steady(n) }, 10.0)),
            ("sessions", |n| (Sample { connections: 10 * i64::from(n), ..steady(n) }, 10.0)),
            ("tables", |n| (Sample { hot_bytes: 10_000_000 * i64::from(n), ..steady(n) }, 10.0)),
            ("jobs and history", |n| (Sample { kept_bytes: 30_000_000 * i64::from(n), ..steady(n) }, 10.0)),
            ("from enqueue", |n| (steady(n), 30.0 * f64::from(n))),
        ];
        for (name, of) in growing {
            let told = report(12, of).growth();
            assert!(told.len() == 1 && told[0].starts_with(name), "{name}: {told:?}");
            assert_eq!(report(11, of).growth(), Vec::<String>::new(), "too short to tell");
        }
    }
}
