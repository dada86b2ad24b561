//! The figures of a run: one for each round, system and metric.
//!
//! Invariant: nothing is averaged away: medians stand beside the least and the most. Limit: no statistics beyond that.

use std::collections::BTreeMap;

use serde::Serialize;

use super::metric::{Better, Metric};

/// All figures of a pass.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    rounds: BTreeMap<(String, &'static str), Vec<f64>>,
    /// Why there is no figure: by system and scenario.
    notes: BTreeMap<(String, &'static str), String>,
}

/// One system's figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) rounds: Vec<f64>,
}

impl Samples {
    /// Adds a round's value. What could not be read is no value.
    pub(crate) fn add(&mut self, system: &str, metric: Metric, value: f64) {
        if value.is_finite() {
            self.rounds.entry((system.to_owned(), metric.key)).or_default().push(value);
        }
    }

    /// Says why a scenario has no figure.
    pub(crate) fn note(&mut self, system: &str, scenario: &'static str, why: String) {
        self.notes.insert((system.to_owned(), scenario), why);
    }

    /// What is said of a system: scenario and reason.
    pub(crate) fn notes<'a>(&'a self, system: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> {
        self.notes.iter().filter(move |((name, _), _)| name == system).map(|((_, what), why)| (*what, why.as_str()))
    }

    /// The figure of a system, if it has one.
    pub(crate) fn figure(&self, system: &str, metric: Metric) -> Option<Figure> {
        figure(self.rounds.get(&(system.to_owned(), metric.key))?)
    }

    /// The median of a system, if it has one.
    pub(crate) fn median(&self, system: &str, metric: Metric) -> Option<f64> {
        self.figure(system, metric).map(|f| f.median)
    }

    /// The best of these systems, with its median.
    pub(crate) fn best<'s>(&self, systems: &[&'s str], metric: Metric) -> Option<(&'s str, f64)> {
        let medians = systems.iter().filter_map(|s| Some((*s, self.median(s, metric)?)));
        match metric.better {
            Better::Higher => medians.max_by(|a, b| a.1.total_cmp(&b.1)),
            Better::Lower => medians.min_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }
}

fn figure(rounds: &[f64]) -> Option<Figure> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Figure { median: middle(&sorted)?, least: *sorted.first()?, most: *sorted.last()?, rounds: rounds.to_vec() })
}

/// The middle one, or the mean of the two in the middle.
fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(*sorted.get(half - 1)?, upper)) }
}

/// The value that this part of them does not exceed.
pub(crate) fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::metric;
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.5).to_bits(), 50.0_f64.to_bits());
        assert_eq!(percentile(&mut values, 0.99).to_bits(), 99.0_f64.to_bits());
        assert_eq!(percentile(&mut values, 0.999).to_bits(), 100.0_f64.to_bits());
        assert_eq!(percentile(&mut [7.0], 0.01).to_bits(), 7.0_f64.to_bits());
        assert!(percentile(&mut [], 0.5).is_nan());
    }

    #[test]
    fn a_median_has_its_spread_beside_it_and_what_was_not_read_is_left_out() {
        let mut samples = Samples::default();
        for value in [3.0, f64::NAN, 1.0, 4.0, 2.0] {
            samples.add("a", metric::BULK_RATE, value);
        }
        let figure = samples.figure("a", metric::BULK_RATE).unwrap();
        let expected = Figure { median: 2.5, least: 1.0, most: 4.0, rounds: vec![3.0, 1.0, 4.0, 2.0] };
        assert_eq!(figure, expected);
        assert_eq!(samples.figure("b", metric::BULK_RATE), None);
    }

    #[test]
    fn the_best_is_the_most_of_a_rate_and_the_least_of_a_time() {
        let mut samples = Samples::default();
        for (system, value) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
            samples.add(system, metric::DRAIN_RATE, value);
            samples.add(system, metric::PICKUP_P50, value);
        }
        assert_eq!(samples.best(&["a", "b"], metric::DRAIN_RATE), Some(("b", 2.0)));
        assert_eq!(samples.best(&["b", "c"], metric::PICKUP_P50), Some(("b", 2.0)));
        assert_eq!(samples.best(&["d"], metric::PICKUP_P50), None);
    }
}
