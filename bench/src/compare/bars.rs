//! How high Howdah means to jump, and whether it did.
//!
//! Invariant: a bar is a ratio to something measured in the same run, or a count that does not depend on the machine.
//! Limit: where the other side is missing there is no bar.

use serde::Serialize;

use super::metric::{self, Better, Metric};
use super::samples::Samples;

/// A bar, and what was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Bar {
    pub(crate) what: String,
    /// Beside what it is held.
    pub(crate) beside: String,
    pub(crate) reached: f64,
    /// Where there is something to reach.
    pub(crate) wanted: Option<f64>,
    pub(crate) better: Better,
}

impl Bar {
    /// Whether it was reached.
    pub(crate) fn holds(&self) -> bool {
        self.wanted.is_none_or(|wanted| match self.better {
            Better::Higher => self.reached >= wanted,
            Better::Lower => self.reached <= wanted,
        })
    }
}

/// Ratios to the best of the peers.
const BESIDE_PEERS: [(Metric, f64); 3] =
    [(metric::DRAIN_RATE, 5.0), (metric::BULK_RATE, 4.0), (metric::SERVER_CPU, 0.25)];

/// Ratios to a limit.
const BESIDE_LIMITS: [(Metric, &str, Metric, f64); 6] = [
    (metric::DRAIN_RATE, "limit-loop", metric::DRAIN_RATE, 0.6),
    (metric::BULK_RATE, "limit-copy", metric::BULK_RATE, 0.5),
    (metric::SINGLE_IDLE, "limit-insert", metric::SINGLE_IDLE, 0.9),
    (metric::SINGLE_BUSY, "limit-insert", metric::SINGLE_IDLE, 0.9),
    (metric::PICKUP_P50, "limit-notify", metric::PICKUP_P50, 1.5),
    (metric::PICKUP_P99, "limit-notify", metric::PICKUP_P99, 3.0),
];

/// Counts.
const ALONE: [(Metric, f64); 3] = [(metric::DEAD, 0.02), (metric::MEMORY, 40.0), (metric::IDLE_STATEMENTS, 1.0)];

/// The bars of a pass.
pub(crate) fn bars(samples: &Samples, peers: &[&str]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (metric, wanted) in BESIDE_PEERS {
        if let (Some(own), Some((peer, best))) = (samples.median("howdah", metric), samples.best(peers, metric)) {
            let beside = format!("of the best peer, {peer}");
            bars.push(Bar {
                what: metric.title.into(),
                beside,
                reached: own / best,
                wanted: Some(wanted),
                better: metric.better,
            });
        }
    }
    for (metric, limit, of_limit, wanted) in BESIDE_LIMITS {
        if let (Some(own), Some(most)) = (samples.median("howdah", metric), samples.median(limit, of_limit)) {
            let beside = format!("of {limit}");
            bars.push(Bar {
                what: metric.title.into(),
                beside,
                reached: own / most,
                wanted: Some(wanted),
                better: metric.better,
            });
        }
    }
    for (metric, wanted) in ALONE {
        if let Some(reached) = samples.median("howdah", metric) {
            bars.push(Bar {
                what: metric.title.into(),
                beside: metric.unit.into(),
                reached,
                wanted: Some(wanted),
                better: metric.better,
            });
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_a_ratio_to_the_best_peer_and_holds_in_its_direction() {
        let mut samples = Samples::default();
        for (system, rate, cpu) in [("howdah", 60.0, 1.0), ("slow", 5.0, 9.0), ("fast", 10.0, 3.0)] {
            samples.add(system, metric::DRAIN_RATE, rate);
            samples.add(system, metric::SERVER_CPU, cpu);
        }
        samples.add("limit-loop", metric::DRAIN_RATE, 120.0);
        let bars = bars(&samples, &["slow", "fast", "missing"]);
        let told: Vec<_> = bars.iter().map(|b| (b.beside.as_str(), b.reached, b.holds())).collect();
        let expected = [
            ("of the best peer, fast", 6.0, true),
            ("of the best peer, fast", 1.0 / 3.0, false),
            ("of limit-loop", 0.5, false),
        ];
        assert_eq!(told, expected);
    }
}
