//! One value of a row, for a person or for a pipe.
//!
//! Invariant: neither a tab nor a line end nor an escape sequence leaves here as itself, nor a mark that turns the direction in
//! which text is read. Limit: times are told to
//! the unit, `jobs show` in a pipe or `--json` tells them exactly.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Column, Show};
use crate::duration;

/// For other programs.
pub(super) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => escaped(text),
        Some(Value::Array(values)) => values.iter().map(|v| plain(Some(v))).collect::<Vec<_>>().join(","),
        Some(other) => printable_json(&other.to_string()),
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

/// What would steer a terminal, or the eye: control characters, and marks and overrides of direction.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in one line, from which what it was can be told.
pub(crate) fn escaped(text: &str) -> String {
    if !text.contains(|c: char| steers(c) || c == '\\') {
        return text.to_owned();
    }
    text.chars().map(|c| if steers(c) || c == '\\' { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// A text of several lines without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// JSON that means the same and steers no terminal: what would is in its strings, and is written as an escape.
pub(super) fn printable_json(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) && c != '\n' { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// So much of a line as fits into so many columns, without what would steer a terminal.
pub(crate) fn cut(line: &str, width: usize) -> String {
    let line = printable(line).replace('\t', " ");
    if line.width() <= width {
        return line;
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    };
    let mut cut: String = line.chars().take_while(fits).collect();
    cut.push('>');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_steer_a_terminal_or_break_a_line() {
        assert_eq!(plain(Some(&Value::from("a\tb\n\u{1b}[31m\\"))), "a\\tb\\n\\u{1b}[31m\\\\");
        assert_eq!(printable("a\nb\u{1b}c"), "a\nb\u{fffd}c");
        assert_eq!(plain(Some(&Value::from("x\u{202e}y\u{9b}2J"))), "x\\u{202e}y\\u{9b}2J");
        let json = "{\"a\":\"x\u{9b}2J\u{202e}\"}";
        assert_eq!(printable_json(json), r#"{"a":"x\u009b2J\u202e"}"#);
        assert_eq!(
            serde_json::from_str::<Value>(json).unwrap(),
            serde_json::from_str::<Value>(&printable_json(json)).unwrap()
        );
    }

    #[test]
    fn a_line_is_cut_where_the_screen_ends() {
        assert_eq!(cut("日本語日本語", 7), "日本語>");
        assert_eq!((cut("12345678", 7), cut("1234567", 7)), ("123456>".to_owned(), "1234567".to_owned()));
        assert_eq!(cut("a\x1b[31m\tb", 40), "a\u{fffd}[31m b");
    }

    #[test]
    fn a_time_is_told_from_now() {
        let at = Timestamp::now() - Duration::from_secs(90);
        assert_eq!(time(&at.to_string()), "90 s ago");
        assert_eq!(time("infinity"), "infinity");
    }
}
