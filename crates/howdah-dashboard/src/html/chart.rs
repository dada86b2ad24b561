//! Small drawings of counts, as SVG.
//!
//! Invariant: a drawing says in words what it shows, and the figures beside it say the same. Limit: bars that begin at nothing.

use std::fmt::Write as _;

use howdah_admin::Spread;
use maud::{Markup, html};

use super::time;

/// Of a bar, in pixels, with the gap to the next.
const STEP: usize = 4;

/// Bars of counts, one after another; of each the second part is drawn on top of the first.
pub(crate) fn bars(label: &str, counts: &[(u64, u64)], height: usize) -> Markup {
    let most = counts.iter().map(|(one, two)| one + two).max().unwrap_or(0).max(1);
    let width = counts.len().max(1) * STEP;
    html! {
        svg.bars role="img" aria-label=(label) viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
            title { (label) }
            path.good d=(path(counts.iter().map(|(one, _)| (0, *one)), most, height)) {}
            path.bad d=(path(counts.iter().map(|(one, two)| (*one, *two)), most, height)) {}
        }
    }
}

/// Each bar: from where, and how high, in counts.
fn path(bars: impl Iterator<Item = (u64, u64)>, most: u64, height: usize) -> String {
    let pixels = |count: u64| {
        let scaled = u128::from(count) * u128::try_from(height).unwrap_or(1) / u128::from(most);
        let scaled = usize::try_from(scaled).unwrap_or(height);
        // What is there is seen.
        if count > 0 { scaled.max(1) } else { 0 }
    };
    let mut path = String::new();
    for (n, (from, count)) in bars.enumerate().filter(|(_, (_, count))| *count > 0) {
        let (bottom, tall) = (height - pixels(from).min(height - 1), pixels(count));
        let top = bottom.saturating_sub(tall);
        // Writing into a string does not fail.
        let _ = write!(path, "M{} {bottom}V{top}h{}V{bottom}z", n * STEP, STEP - 1);
    }
    path
}

/// How many took how long.
pub(crate) fn spread(label: &str, spread: &Spread) -> Markup {
    let counts: Vec<(u64, u64)> = spread.places().map(|(_, count)| (count, 0)).collect();
    let longest = spread.places().filter(|(_, count)| *count > 0).last().map(|(bound, _)| bound);
    let label = match longest {
        Some(bound) => format!("{label}: {} in all, the longest under {}", spread.count(), time::length(bound)),
        None => format!("{label}: none"),
    };
    bars(&label, &counts, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_counts_and_what_is_there_is_seen() {
        let drawn = bars("x", &[(1000, 0), (0, 0), (1, 0), (500, 500)], 20).into_string();
        assert!(drawn.contains("M0 20V0h3V20z"), "{drawn}");
        assert!(!drawn.contains("M4 "), "nothing is drawn of nothing: {drawn}");
        assert!(drawn.contains("M8 20V19h3V20z"), "{drawn}");
        assert!(drawn.contains("M12 20V10h3V20z") && drawn.contains("M12 10V0h3V10z"), "{drawn}");
        assert!(bars("x", &[], 20).into_string().contains("viewBox=\"0 0 4 20\""));
    }
}
