//! The report as a picture: bars for the two rates that systems are known by.
//!
//! Invariant: it is drawn from the report alone, by hand, and reads on light and dark pages. Limit: the first pass.

use std::fmt::Write;

use super::manifest::Role;
use super::metric::{self, Metric};
use super::report::{Pass, Report, System};
use super::table::number;

const WIDTH: usize = 820;
const LABELS: usize = 250;
const BARS: usize = 440;
const ROW: usize = 22;

/// The drawing, or nothing if there is nothing to draw.
pub(crate) fn svg(report: &Report) -> Option<String> {
    let pass = report.passes.first()?;
    let (mut body, mut y) = (String::new(), 12);
    for metric in [metric::DRAIN_RATE, metric::BULK_RATE] {
        panel(&mut body, &mut y, pass, metric);
    }
    if body.is_empty() {
        return None;
    }
    let said =
        escape(&format!("{}; {}; {}; medians of {} rounds", report.machine, report.server, pass.name, report.rounds));
    let _ = writeln!(body, r#"<text x="8" y="{}" class="s">{said}</text>"#, y + 10);
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<style>text{{fill:#555}}.h{{font-weight:bold;font-size:14px}}.s{{font-size:11px}}.n{{text-anchor:end}}
.howdah{{fill:#2f7d5b}}.peer{{fill:#8a94a6}}.limit{{fill:none;stroke:#8a94a6;stroke-dasharray:3 2}}
@media (prefers-color-scheme:dark){{text{{fill:#bbb}}}}</style>
{body}</svg>
"##,
        height = y + 22
    ))
}

fn panel(body: &mut String, y: &mut usize, pass: &Pass, metric: Metric) {
    let mut rows: Vec<(&System, f64)> = pass.systems.iter().filter_map(|s| Some((s, s.median(metric)?))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some(most) = rows.first().map(|(_, median)| *median) else { return };
    let _ = writeln!(body, r#"<text x="8" y="{}" class="h">{}, {}</text>"#, *y + 12, metric.title, metric.unit);
    *y += 24;
    for (system, median) in rows {
        let (class, title) = match system.role {
            Role::Howdah => ("howdah", system.title.clone()),
            Role::Peer => ("peer", format!("{} ({})", system.title, system.language)),
            Role::Limit => ("limit", format!("limit: {}", system.title)),
        };
        #[allow(clippy::cast_precision_loss)]
        let length = (median / most * BARS as f64).max(1.0);
        let _ = writeln!(body, r#"<text x="{}" y="{}" class="n">{}</text>"#, LABELS - 8, *y + 13, escape(&title));
        let _ = writeln!(
            body,
            r#"<rect x="{LABELS}" y="{}" width="{length:.1}" height="14" rx="2" class="{class}"/>"#,
            *y + 2
        );
        #[allow(clippy::cast_precision_loss)]
        let after = LABELS as f64 + length + 6.0;
        let _ = writeln!(body, r#"<text x="{after:.1}" y="{}">{}</text>"#, *y + 13, number(median));
        *y += ROW;
    }
    *y += 14;
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::compare::samples::Figure;

    fn system(title: &str, role: Role, rate: f64) -> System {
        let figure = Figure { median: rate, least: rate, most: rate, rounds: vec![rate] };
        System {
            name: title.into(),
            title: title.into(),
            language: "sh".into(),
            version: String::new(),
            role,
            settings: String::new(),
            jobs: None,
            missing: None,
            notes: BTreeMap::new(),
            figures: BTreeMap::from([(metric::DRAIN_RATE.key, figure)]),
        }
    }

    #[test]
    fn bars_are_as_long_as_their_rates_and_names_are_escaped() {
        let systems = vec![system("a<b", Role::Peer, 50.0), system("Howdah", Role::Howdah, 200.0)];
        let pass = Pass { name: "durable", systems, bars: Vec::new() };
        let report = Report {
            taken_at: String::new(),
            machine: "m".into(),
            server: "s".into(),
            rounds: 1,
            quick: true,
            metrics: metric::ALL,
            passes: vec![pass],
            alone: Vec::new(),
            failed: Vec::new(),
        };
        let svg = svg(&report).unwrap();
        assert!(svg.contains(r#"width="440.0" height="14" rx="2" class="howdah""#), "{svg}");
        assert!(svg.contains(r#"width="110.0" height="14" rx="2" class="peer""#), "{svg}");
        assert!(svg.contains("a&lt;b (sh)") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
