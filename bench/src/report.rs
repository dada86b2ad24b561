//! How figures are shown.
//!
//! Invariant: a ratio is that of the medians, and every round stands beside it. Limit: no statistics beyond that.

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One line for a measurement.
pub(crate) fn line(name: &str, unit: &str, values: &[f64]) {
    let rounds: Vec<String> = values.iter().map(|v| format!("{v:.0}")).collect();
    println!("  {name:<44} {:>10.0} {unit:<10} rounds: {}", median(values), rounds.join(" "));
}

/// One line for what two of them come to.
pub(crate) fn ratio(name: &str, of: &[f64], to: &[f64]) {
    println!("  {name:<44} {:>10.2}", median(of) / median(to));
}
