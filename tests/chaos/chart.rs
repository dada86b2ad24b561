//! A report as a picture: what is looked at, over time.
//!
//! Invariant: drawn from the report alone, by hand, and reads on light and dark pages. Limit: each line has a scale of its own,
//! from 0 to its highest point.

use std::fmt::Write;

use super::report::Report;

const WIDTH: f64 = 820.0;
const LEFT: f64 = 12.0;
const HEIGHT: f64 = 70.0;
const GAP: f64 = 34.0;

/// A line: what it is, its unit, and its points.
type Series = (&'static str, &'static str, Vec<(f64, f64)>);

#[allow(clippy::cast_precision_loss)]
fn series(report: &Report) -> Vec<Series> {
    let of = |value: fn(&super::report::Sample) -> f64| report.samples.iter().map(|s| (s.at, value(s))).collect();
    let end = report.samples.last().map_or(0.0, |sample| sample.at);
    let phases = report.pickups.len().max(1) as f64;
    let pickup = |which: usize| {
        let at = |n: usize| end * (n as f64 + 0.5) / phases;
        report.pickups.iter().enumerate().map(|(n, ms)| (at(n), ms[which])).collect()
    };
    vec![
        ("memory of the worker that has lived longest", "MB", of(|s| s.worker_kb as f64 / 1024.0)),
        ("sessions", "", of(|s| s.connections as f64)),
        ("tables that jobs pass through", "MB", of(|s| s.hot_bytes as f64 / 1_048_576.0)),
        ("jobs and history", "MB", of(|s| s.kept_bytes as f64 / 1_048_576.0)),
        ("jobs that wait or run", "", of(|s| s.live as f64)),
        ("from enqueue to begin, median of a phase", "ms", pickup(0)),
        ("from enqueue to begin, 99 of 100", "ms", pickup(1)),
    ]
}

impl Report {
    /// As a picture (SVG).
    #[must_use]
    pub fn svg(&self) -> String {
        let (mut body, mut top) = (String::new(), 18.0);
        let end = self.samples.last().map_or(1.0, |sample| sample.at).max(1.0);
        for (title, unit, points) in series(self) {
            let most = points.iter().map(|point| point.1).fold(0.0, f64::max);
            let _ = writeln!(body, r#"<text x="{LEFT}" y="{top:.0}">{title}, at most {most:.1} {unit}</text>"#);
            let scale = if most > 0.0 { HEIGHT / most } else { 0.0 };
            let mut line = String::new();
            for (at, value) in points {
                let (x, y) = (LEFT + at / end * (WIDTH - 2.0 * LEFT), top + 8.0 + HEIGHT - value * scale);
                let _ = write!(line, "{x:.1},{y:.1} ");
            }
            let _ = writeln!(body, r#"<polyline points="{}"/>"#, line.trim_end());
            top += HEIGHT + GAP;
        }
        let Self { jobs, runs, faults, unknown, .. } = self;
        let _ = writeln!(
            body,
            r#"<text x="{LEFT}" y="{top:.0}">{end:.0} s: {jobs} jobs, {runs} runs, {faults} faults, {unknown} unknown outcomes</text>"#
        );
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {:.0}" font-family="sans-serif" font-size="13">
<style>text{{fill:#555}}polyline{{fill:none;stroke:#2f7d5b;stroke-width:1.5}}@media (prefers-color-scheme:dark){{text{{fill:#bbb}}}}</style>
{body}</svg>
"##,
            top + 14.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::report::Sample;

    #[test]
    fn a_line_goes_from_the_left_to_the_right_and_up_to_its_highest_point() {
        let sample = |at, worker_kb| Sample { at, worker_kb, connections: 1, hot_bytes: 0, kept_bytes: 0, live: 0 };
        let report =
            Report { samples: vec![sample(0.0, 1024), sample(50.0, 2048), sample(100.0, 0)], ..Report::default() };
        let svg = report.svg();
        assert!(svg.contains(r#"<polyline points="12.0,61.0 410.0,26.0 808.0,96.0"/>"#), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
