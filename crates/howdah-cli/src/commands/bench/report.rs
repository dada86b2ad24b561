//! What was measured, for a person and as JSON.
//!
//! Invariant: a ratio is that of two medians of the same run, or of two percentiles. Limit: figures are of this server at
//! this time; ratios carry over to others, figures do not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::failure::Result;
use crate::output::{Column, Output, Show};

const TABLE: [Column; 7] = [
    Column("measurement", Show::Text),
    Column("value", Show::Number),
    Column("least", Show::Number),
    Column("most", Show::Number),
    Column("unit", Show::Text),
    Column("ratio", Show::Number),
    Column("to", Show::Text),
];

/// What is measured, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    Copy,
    Bulk,
    Loop,
    Drain,
    Wal,
    Insert,
    Single,
    Asleep,
    Busy,
    Notify,
    InsertNotify,
    Pickup,
    FromCommit,
}

impl Figure {
    const fn title(self) -> &'static str {
        match self {
            Self::Copy => "COPY into a plain table",
            Self::Bulk => "bulk enqueue",
            Self::Loop => "claim and complete in a loop of SQL",
            Self::Drain => "drain by one worker",
            Self::Wal => "WAL, enqueue and run in bulk",
            Self::Insert => "single INSERT into a plain table",
            Self::Single => "single enqueue, no worker",
            Self::Asleep => "single enqueue, workers asleep",
            Self::Busy => "single enqueue, workers busy",
            Self::Notify => "NOTIFY to SELECT",
            Self::InsertNotify => "INSERT and NOTIFY to SELECT",
            Self::Pickup => "enqueue to handler, idle worker",
            Self::FromCommit => "commit to handler, idle worker",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Copy => "rows/s",
            Self::Bulk | Self::Loop | Self::Drain => "jobs/s",
            Self::Wal => "bytes/job",
            Self::Insert | Self::Single | Self::Asleep | Self::Busy => "commits/s",
            Self::Notify | Self::InsertNotify | Self::Pickup | Self::FromCommit => "ms",
        }
    }

    /// What it is compared with.
    const fn limit(self) -> Option<Self> {
        match self {
            Self::Bulk => Some(Self::Copy),
            Self::Drain => Some(Self::Loop),
            Self::Single | Self::Asleep | Self::Busy => Some(Self::Insert),
            Self::Pickup => Some(Self::InsertNotify),
            Self::FromCommit => Some(Self::Notify),
            _ => None,
        }
    }

    const fn has_percentiles(self) -> bool {
        matches!(self, Self::Notify | Self::InsertNotify | Self::Pickup | Self::FromCommit)
    }
}

/// Everything that was measured.
pub(super) struct Report {
    server: Vec<(String, String)>,
    values: BTreeMap<Figure, Vec<f64>>,
}

impl Report {
    pub(super) fn new(server: Vec<(String, String)>) -> Self {
        Self { server, values: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, figure: Figure, value: f64) {
        self.extend(figure, [value]);
    }

    pub(super) fn extend(&mut self, figure: Figure, values: impl IntoIterator<Item = f64>) {
        self.values.entry(figure).or_default().extend(values);
    }

    pub(super) fn print(&self, out: Output) -> Result<()> {
        let rows: Vec<Value> = self.values.keys().flat_map(|figure| self.rows(*figure)).collect();
        if out.is_json() {
            let server: serde_json::Map<_, _> = self.server.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
            return Ok(out.value(&json!({ "server": server, "measurements": rows }))?);
        }
        let server: Vec<String> = self.server.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        out.heading(&server.join(", "))?;
        out.rows(&TABLE, &rows.iter().map(Value::to_string).collect::<Vec<_>>())?;
        Ok(())
    }

    fn rows(&self, figure: Figure) -> Vec<Value> {
        if figure.has_percentiles() {
            vec![self.row(figure, Some(0.5)), self.row(figure, Some(0.99))]
        } else {
            vec![self.row(figure, None)]
        }
    }

    /// A rate has a median, the least and the most of its rounds; a wait has percentiles over all rounds.
    fn row(&self, figure: Figure, part: Option<f64>) -> Value {
        let at = |figure, part| self.values.get(&figure).map_or(f64::NAN, |values| percentile(values, part));
        let middle = part.unwrap_or(0.5);
        let name = part.map_or_else(String::new, |p| format!(", p{:.0}", p * 100.0));
        let mut row = json!({ "measurement": format!("{}{name}", figure.title()), "value": rounded(at(figure, middle)), "unit": figure.unit() });
        if part.is_none() {
            row["least"] = rounded(at(figure, 0.0));
            row["most"] = rounded(at(figure, 1.0));
        }
        if let Some(limit) = figure.limit() {
            row["ratio"] = json!((at(figure, middle) / at(limit, middle) * 100.0).round() / 100.0);
            row["to"] = json!(limit.title());
        }
        row
    }
}

/// Three digits are enough for what varies by some per cent.
fn rounded(value: f64) -> Value {
    if value < 100.0 { json!((value * 100.0).round() / 100.0) } else { json!(value.round() as i64) }
}

/// The value below which this part of them lies.
fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_medians_and_of_the_percentiles() {
        let mut report = Report::new(Vec::new());
        report.extend(Figure::Copy, [100.0, 400.0, 200.0]);
        report.extend(Figure::Bulk, [50.0, 120.0, 90.0]);
        let row = &report.rows(Figure::Bulk)[0];
        assert_eq!((&row["value"], &row["least"], &row["most"]), (&json!(90.0), &json!(50.0), &json!(120)));
        assert_eq!((&row["ratio"], &row["to"]), (&json!(0.45), &json!("COPY into a plain table")));

        report.extend(Figure::Notify, (1..=100).map(f64::from));
        report.extend(Figure::FromCommit, (1..=100).map(|n| f64::from(n) * 1.5));
        let rows = report.rows(Figure::FromCommit);
        assert_eq!((&rows[0]["value"], &rows[1]["value"]), (&json!(76.5), &json!(150)));
        assert_eq!((&rows[1]["ratio"], &rows[1]["least"]), (&json!(1.5), &Value::Null));
    }
}
