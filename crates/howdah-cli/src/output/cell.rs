//! One value of a row, for a person or for a pipe.
//!
//! Invariant: neither a tab nor a line end nor an escape sequence leaves here as itself. Limit: times are told to
//! the unit, `jobs show` in a pipe or `--json` tells them exactly.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, Show};
use crate::duration;

/// For other programs.
pub(super) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => escaped(text),
        Some(Value::Array(values)) => values.iter().map(|v| plain(Some(v))).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

/// For a person.
pub(super) fn shown(column: Column, value: Option<&Value>) -> String {
    match (column.1, value) {
        (_, Some(Value::Bool(yes))) => if *yes { "yes" } else { "" }.to_owned(),
        (Show::Time, Some(Value::String(text))) => time(text),
        _ => plain(value),
    }
}

/// A time as its distance from now; as it is if it has none, like `infinity`.
fn time(text: &str) -> String {
    let Ok(at) = text.parse::<Timestamp>() else { return escaped(text) };
    let distance = Timestamp::now().duration_since(at);
    let length = Duration::from_millis(u64::try_from(distance.as_millis().unsigned_abs()).unwrap_or(u64::MAX));
    if distance.is_negative() {
        format!("in {}", duration::told(length))
    } else {
        format!("{} ago", duration::told(length))
    }
}

fn escaped(text: &str) -> String {
    if !text.contains(|c: char| c.is_control() || c == '\\') {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if c.is_control() || c == '\\' { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// A text of several lines without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_steer_a_terminal_or_break_a_line() {
        assert_eq!(plain(Some(&Value::from("a\tb\n\u{1b}[31m\\"))), "a\\tb\\n\\u{1b}[31m\\\\");
        assert_eq!(printable("a\nb\u{1b}c"), "a\nb\u{fffd}c");
    }

    #[test]
    fn a_time_is_told_from_now() {
        let at = Timestamp::now() - Duration::from_secs(90);
        assert_eq!(time(&at.to_string()), "90 s ago");
        assert_eq!(time("infinity"), "infinity");
    }
}
