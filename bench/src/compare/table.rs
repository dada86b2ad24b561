//! The report as text: a table for each metric, then what is missing, then the bars.
//!
//! Invariant: a system without a figure is named with the reason. Limit: 100 columns.

use std::fmt::Write;

use super::bars::Bar;
use super::manifest::Role;
use super::metric::{self, Better, Metric};
use super::report::{Pass, Report, System};

/// All of it.
pub(crate) fn text(report: &Report) -> String {
    let mut out = format!("{} · {} · {} rounds", report.machine, report.server, report.rounds);
    if report.quick {
        out.push_str(" · quick: these are no figures");
    }
    out.push('\n');
    for pass in &report.passes {
        let _ = writeln!(out, "\n== {} ==", pass.name);
        for metric in metric::ALL {
            out.push_str(&table(pass, *metric));
        }
        out.push_str(&missing(pass));
        out.push_str(&bars(&pass.bars));
    }
    if !report.alone.is_empty() {
        out.push_str("\n== howdah by itself ==\n");
        out.push_str(&bars(&report.alone));
    }
    for failed in &report.failed {
        let _ = writeln!(out, "  no answer: {failed}");
    }
    out
}

/// Best first; the last column says how many times better Howdah is.
fn table(pass: &Pass, metric: Metric) -> String {
    let mut rows: Vec<(&System, f64)> = pass.systems.iter().filter_map(|s| Some((s, s.median(metric)?))).collect();
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_by(|a, b| match metric.better {
        Better::Higher => b.1.total_cmp(&a.1),
        Better::Lower => a.1.total_cmp(&b.1),
    });
    let own = rows.iter().find(|(s, _)| s.role == Role::Howdah).map(|(_, median)| *median);
    let mut out = format!("\n{}, {}\n", metric.title, metric.unit);
    for (system, median) in rows {
        let figure = system.figures.get(metric.key);
        let spread = figure.map_or_else(String::new, |f| format!("{} .. {}", number(f.least), number(f.most)));
        let jobs = match system.jobs {
            Some(jobs) if metric == metric::DRAIN_RATE => format!("{jobs} jobs"),
            _ => String::new(),
        };
        let times = match (own, system.role) {
            (Some(own), Role::Peer | Role::Limit) => format!("{} ×", number(advantage(own, median, metric.better))),
            _ => String::new(),
        };
        let named = format!("{}{}", system.title, if system.role == Role::Limit { " (limit)" } else { "" });
        let line = format!("  {named:<38} {:>10} {spread:>22} {times:>9}  {jobs}", number(median));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How many times better this is than that.
fn advantage(own: f64, other: f64, better: Better) -> f64 {
    match better {
        Better::Higher => own / other,
        Better::Lower => other / own,
    }
}

fn missing(pass: &Pass) -> String {
    let mut out = String::new();
    for system in &pass.systems {
        if let Some(why) = &system.missing {
            let _ = writeln!(out, "  {}: not measured: {why}", system.title);
        }
        for (scenario, why) in &system.notes {
            let _ = writeln!(out, "  {}: no figure for {scenario}: {why}", system.title);
        }
    }
    if out.is_empty() { out } else { format!("\nNot measured\n{out}") }
}

fn bars(bars: &[Bar]) -> String {
    let mut out = String::new();
    for bar in bars {
        let sign = match bar.better {
            Better::Higher => "≥",
            Better::Lower => "≤",
        };
        let wanted = bar.wanted.map_or_else(String::new, |wanted| format!("{sign} {}", number(wanted)));
        let said = match bar.wanted {
            None => "",
            Some(_) if bar.holds() => "reached",
            Some(_) => "NOT REACHED",
        };
        let _ = writeln!(out, "  {:<52} {:>8} {wanted:>8}  {said:<11}  {}", bar.what, number(bar.reached), bar.beside);
    }
    if out.is_empty() { out } else { format!("\nBars\n{out}") }
}

/// Three digits or so, thousands parted.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => thousands(value),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_exact_as_they_can_be_meant() {
        for (value, said) in [
            (1_234_567.8, "1,234,568"),
            (1000.0, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.5, "1.50"),
            (0.0123, "0.0123"),
        ] {
            assert_eq!(number(value), said);
        }
    }

    #[test]
    fn an_advantage_is_above_one_whichever_way_is_better() {
        assert_eq!(advantage(6.0, 2.0, Better::Higher).to_bits(), 3.0_f64.to_bits());
        assert_eq!(advantage(2.0, 6.0, Better::Lower).to_bits(), 3.0_f64.to_bits());
    }
}
