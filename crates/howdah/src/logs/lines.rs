//! The lines of one attempt: the newest, up to a number and a size.
//!
//! Invariant: never more than was allowed; what was dropped is counted, and the count is the first line. Limit: a
//! single line is cut at 8 KiB, or at the size for all of them if that is less.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::time::Instant;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The longest line.
const LONGEST: usize = 8192;

#[derive(Debug)]
struct Line {
    at: Instant,
    level: Level,
    target: String,
    message: String,
}

#[derive(Debug)]
pub(super) struct Buffer {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: usize,
    most_lines: usize,
    most_bytes: usize,
}

impl Buffer {
    pub(super) fn new(most_lines: usize, most_bytes: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, dropped: 0, most_lines, most_bytes }
    }

    pub(super) fn push(&mut self, event: &Event<'_>) {
        let mut text = Text { message: String::new(), fields: String::new(), most: LONGEST.min(self.most_bytes) };
        event.record(&mut text);
        let meta = event.metadata();
        self.add(Line {
            at: Instant::now(),
            level: *meta.level(),
            target: meta.target().to_owned(),
            message: text.finish(),
        });
    }

    fn add(&mut self, line: Line) {
        self.bytes += line.message.len();
        self.lines.push_back(line);
        while self.lines.len() > self.most_lines || self.bytes > self.most_bytes {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.message.len();
            self.dropped += 1;
        }
    }

    /// What there is to keep; leaves nothing.
    pub(super) fn take(&mut self, job: i64, attempt: i16) -> Option<AttemptLog> {
        let buffer = std::mem::replace(self, Self::new(0, 0));
        (!buffer.lines.is_empty() || buffer.dropped > 0).then_some(AttemptLog { job, attempt, buffer })
    }
}

/// The lines of an attempt that has ended.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    pub(crate) job: i64,
    pub(crate) attempt: i16,
    buffer: Buffer,
}

/// A line as `howdah.write_logs` takes it.
#[derive(Serialize)]
pub(crate) struct Sent<'a> {
    level: &'a str,
    target: &'a str,
    message: String,
    age_us: u64,
}

impl AttemptLog {
    /// How much it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.bytes + 64 * self.buffer.lines.len()
    }

    /// The lines, oldest first, with how long ago they were logged.
    pub(crate) fn lines(&self, now: Instant) -> Vec<Sent<'_>> {
        let age = |at: Instant| u64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(0);
        let oldest = self.buffer.lines.front().map_or(now, |line| line.at);
        let mark = (self.buffer.dropped > 0).then(|| Sent {
            level: "WARN",
            target: "howdah",
            message: format!("{} earlier lines were dropped", self.buffer.dropped),
            age_us: age(oldest),
        });
        let kept = self.buffer.lines.iter().map(|line| Sent {
            level: line.level.as_str(),
            target: &line.target,
            message: line.message.clone(),
            age_us: age(line.at),
        });
        mark.into_iter().chain(kept).collect()
    }
}

/// The message of an event, then its fields as `name=value`.
struct Text {
    message: String,
    fields: String,
    most: usize,
}

impl Text {
    fn finish(mut self) -> String {
        if !self.message.is_empty() && !self.fields.is_empty() {
            self.message.push(' ');
        }
        self.message.push_str(&self.fields);
        // PostgreSQL stores no NUL.
        let mut text = self.message.replace('\0', "\u{fffd}");
        while text.len() > self.most || !text.is_char_boundary(text.len()) {
            text.pop();
        }
        text
    }

    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.fields.len() < self.most {
            let space = if self.fields.is_empty() { "" } else { " " };
            let _ = write!(self.fields, "{space}{}={value}", field.name());
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.field(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field, format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Line {
        Line { at: Instant::now(), level: Level::INFO, target: String::new(), message: message.to_owned() }
    }

    #[test]
    fn the_oldest_lines_go_first_and_are_counted() {
        let mut buffer = Buffer::new(3, 10);
        for text in ["a", "b", "c", "d", "123456789"] {
            buffer.add(line(text));
        }
        let log = buffer.take(1, 1).unwrap();
        let lines: Vec<_> = log.lines(Instant::now()).into_iter().map(|l| l.message).collect();
        assert_eq!(lines, ["3 earlier lines were dropped", "d", "123456789"]);
        assert!(buffer.take(1, 1).is_none());
    }

    #[test]
    fn a_line_is_cut_between_characters_and_has_no_nul() {
        let text = Text { message: "a\0ää".to_owned(), fields: String::new(), most: 6 };
        assert_eq!(text.finish(), "a\u{fffd}ä");
    }
}
