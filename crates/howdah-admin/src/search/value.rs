//! Numbers, lengths of time and points in time, as people type them.
//!
//! Invariant: what is printed is read as the same value. Limit: all times without an offset are UTC; days have 24 hours.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

pub(super) const MICROS_PER_MS: i64 = 1_000;

/// Reads a whole number.
pub(super) fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{} is no whole number", told(text)))
}

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length(pub(super) i64);

/// Units from the largest, in milliseconds.
const UNITS: [(&str, i64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// A thousand years: every point in time that is so far away is still one.
const LONGEST_MS: i64 = 1_000 * 366 * 86_400_000;

impl Length {
    /// Reads `10m`, `1h30m`, `250ms`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{} is no length of time: write it like 10m, 1h30m or 250ms (w, d, h, m, s, ms)", told(text));
        let mut rest = text;
        let mut sum: i64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest.bytes().skip(digits).take_while(u8::is_ascii_lowercase).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let number: i64 = number.parse().map_err(|_| wrong())?;
            sum = number
                .checked_mul(*ms)
                .and_then(|more| sum.checked_add(more))
                .filter(|sum| *sum <= LONGEST_MS)
                .ok_or_else(|| format!("{} is longer than a thousand years", told(text)))?;
            rest = &rest[digits + letters..];
        }
        Ok(Self(sum))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, ms) in UNITS {
            if rest >= ms {
                write!(f, "{}{name}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

/// A point in time, or a whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Microseconds since 1970.
    At(i64),
    Day(Date),
    /// When the search is made.
    Now,
    /// So long before that.
    Ago(Length),
    /// So long after that.
    Ahead(Length),
}

impl Moment {
    /// Reads `2026-01-31`, `2026-01-31T10:00`, `2026-01-31T10:00:00+02:00`, `now`, `-10m` (ago), `+1h` (from now).
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Some(length) = text.strip_prefix('-') {
            return Length::read(length).map(Self::Ago);
        }
        if let Some(length) = text.strip_prefix('+') {
            return Length::read(length).map(Self::Ahead);
        }
        // Longer texts are days with something behind them.
        if text.len() == 10
            && let Ok(day) = text.parse::<Date>()
        {
            return Ok(Self::Day(day));
        }
        let at = text.parse::<Timestamp>().ok().or_else(|| {
            let local = text.parse::<DateTime>().ok().filter(|_| text.len() > 10)?;
            Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
        });
        at.map(|at| Self::At(at.as_microsecond())).ok_or_else(|| {
            format!(
                "{} is no time: write it like 2026-01-31, 2026-01-31T10:00, -10m (ago), +1h (from now) or now; all UTC",
                told(text)
            )
        })
    }

    /// Its first instant, as a jsonpath expression in which `$now` is known.
    pub(super) fn start(self) -> String {
        match self {
            Self::At(micros) => micros.to_string(),
            Self::Day(day) => midnight(day).to_string(),
            Self::Now => "$now".to_owned(),
            Self::Ago(length) => format!("($now - {})", length.0 * MICROS_PER_MS),
            Self::Ahead(length) => format!("($now + {})", length.0 * MICROS_PER_MS),
        }
    }

    /// The first instant behind it, if it has a length.
    pub(super) fn end(self) -> Option<String> {
        match self {
            Self::Day(day) => Some((midnight(day) + 86_400_000_000).to_string()),
            _ => None,
        }
    }
}

/// When a day begins, in microseconds since 1970.
fn midnight(day: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = epoch.until(day).map_or(0, |span| i64::from(span.get_days()));
    days * 86_400_000_000
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(micros) => match Timestamp::from_microsecond(*micros) {
                Ok(at) => at.fmt(f),
                Err(_) => micros.fmt(f),
            },
            Self::Day(day) => day.fmt(f),
            Self::Now => f.write_str("now"),
            Self::Ago(length) => write!(f, "-{length}"),
            Self::Ahead(length) => write!(f, "+{length}"),
        }
    }
}

/// A text in a message, not more of it than fits.
pub(super) fn told(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
        None => format!("{text:?}"),
    }
}
