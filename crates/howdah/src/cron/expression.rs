//! When a schedule is due: its expression, read in its time zone.
//!
//! Times of day (no `*` in seconds, minutes and hours) are looked for on the wall clock, and then are what the zone makes
//! of them: one in a gap is the first moment after it, one that is there twice is the first of the two. What runs all the
//! time goes by elapsed time instead, through both halves of an overlap.
//!
//! Invariant: every answer is strictly after (or not after) what was asked, and the slots that are found by going back are
//! those that are found by going forth. Whatever the expression, reading it and asking it takes milliseconds. Limit: the
//! rules of a zone are those of this machine's time zone database, or of the one that is built in if it has none.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::every;
use crate::error::{Error, Result};

/// Longer than any sensible expression: sixty minutes one by one are 169 bytes.
const MOST_BYTES: usize = 256;
/// What each field counts to, seconds first.
const FIELDS: [(&str, u32); 6] =
    [("second", 59), ("minute", 59), ("hour", 23), ("day", 31), ("month", 12), ("weekday", 7)];
/// Clocks are not put back by more, and not twice within it.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Names of whole expressions.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// An expression in its zone. Times are microseconds since 1970.
#[derive(Debug)]
pub(crate) enum Timing {
    /// Times of day.
    Daily {
        cron: Box<Cron>,
        zone: TimeZone,
    },
    /// All the time.
    Steady {
        cron: Box<Cron>,
        zone: TimeZone,
    },
    Every {
        from: i64,
        step: i64,
    },
}

impl Timing {
    /// Reads an expression; `every_from` is what `@every` counts from.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `expression` or `timezone`; also if it never comes.
    pub(crate) fn read(expression: &str, timezone: &str, every_from: i64) -> Result<Self> {
        let zone = TimeZone::get(timezone).map_err(|_| {
            Error::invalid("timezone", format!("must be an IANA name such as Europe/Berlin, not {timezone:?}"))
        })?;
        if !(1..=MOST_BYTES).contains(&expression.len()) {
            return Err(wrong(format!("must be 1 to {MOST_BYTES} bytes, not {}", expression.len())));
        }
        let text = expression.trim().to_ascii_lowercase();
        let timing = if let Some(span) = text.strip_prefix("@every ") {
            Self::Every { from: every_from, step: every::micros(span.trim()).map_err(wrong)? }
        } else {
            let (cron, daily) = cron(&text)?;
            let cron = Box::new(cron);
            if daily { Self::Daily { cron, zone } } else { Self::Steady { cron, zone } }
        };
        match timing.next(every_from) {
            Some(_) => Ok(timing),
            None => Err(wrong(format!("{expression:?} never comes: there is no such day"))),
        }
    }

    /// The first slot after this time; `None` if it never comes.
    pub(crate) fn next(&self, after: i64) -> Option<i64> {
        match self {
            Self::Daily { cron, zone } => {
                let mut time = zoned(after, zone)?.datetime();
                loop {
                    time = cron.find_next_occurrence(&time, false).ok()?;
                    let slot = moment(time, zone)?;
                    if slot > after {
                        return Some(slot);
                    }
                }
            }
            Self::Steady { cron, zone } => {
                let found = cron.find_next_occurrence(&zoned(after, zone)?, false).ok()?;
                Some(found.timestamp().as_microsecond()).filter(|slot| *slot > after)
            }
            Self::Every { from, step } => {
                let n = after.saturating_sub(*from).div_euclid(*step).saturating_add(1).max(1);
                from.checked_add(n.checked_mul(*step)?)
            }
        }
    }

    /// The last slot that is not after this time.
    fn previous(&self, until: i64) -> Option<i64> {
        match self {
            Self::Daily { cron, zone } => {
                // In the second half of an overlap, times that are later on the clock were before: what it would be by the
                // offset of the day before.
                let at = Timestamp::from_microsecond(until).ok()?;
                let before = zone.to_offset(at.checked_sub(A_DAY).ok()?).to_datetime(at);
                let (mut time, mut inclusive) = (zone.to_datetime(at).max(before), true);
                loop {
                    time = cron.find_previous_occurrence(&time, inclusive).ok()?;
                    inclusive = false;
                    let slot = moment(time, zone)?;
                    if slot <= until {
                        return Some(slot);
                    }
                }
            }
            Self::Steady { cron, zone } => {
                let mut from = zoned(until, zone)?;
                let mut inclusive = true;
                // What going forth does not find is passed over.
                loop {
                    let found = cron.find_previous_occurrence(&from, inclusive).ok()?;
                    let slot = found.timestamp().as_microsecond();
                    if slot <= until && self.next(slot - 1) == Some(slot) {
                        return Some(slot);
                    }
                    if !inclusive && found.timestamp() >= from.timestamp() {
                        return None;
                    }
                    (from, inclusive) = (found, false);
                }
            }
            Self::Every { from, step } => {
                let n = until.saturating_sub(*from).div_euclid(*step);
                (n >= 1).then(|| from.checked_add(n.checked_mul(*step)?)).flatten()
            }
        }
    }

    /// The last slots, at most so many, after one time and not after another; in order.
    pub(crate) fn last(&self, most: usize, after: i64, until: i64) -> Vec<i64> {
        let mut found = Vec::new();
        let mut until = until;
        while found.len() < most
            && let Some(slot) = self.previous(until).filter(|slot| *slot > after)
        {
            found.push(slot);
            until = slot - 1;
        }
        found.reverse();
        found
    }

    /// The next slots after a time, at most so many.
    pub(crate) fn upcoming(&self, after: i64, most: usize) -> Vec<i64> {
        std::iter::successors(self.next(after), |slot| self.next(*slot)).take(most).collect()
    }
}

fn zoned(micros: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_microsecond(micros).ok()?.to_zoned(zone.clone()))
}

/// What the zone makes of a time on the wall clock.
fn moment(time: DateTime, zone: &TimeZone) -> Option<i64> {
    let ambiguous = zone.to_ambiguous_zoned(time);
    let moment = if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        // The clock is put forward at the first change after what it would have been with the later offset.
        zone.following(ambiguous.earlier().ok()?.timestamp()).next()?.timestamp()
    } else {
        ambiguous.earlier().ok()?.timestamp()
    };
    Some(moment.as_microsecond())
}

fn wrong(message: impl Into<String>) -> Error {
    Error::Invalid {
        field: "expression".to_owned(),
        message: message.into(),
        hint: "Five fields are minute, hour, day, month and weekday; six have seconds first; or @hourly, @daily, \
               @every 90s"
            .to_owned(),
    }
}

/// Reads five or six fields, or a nickname; and whether they are times of day.
fn cron(text: &str) -> Result<(Cron, bool)> {
    let text = match NICKNAMES.iter().find(|(name, _)| *name == text) {
        Some((_, fields)) => fields,
        None => text,
    };
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !" *,/?#+-".contains(*c)) {
        return Err(wrong(format!("must not have the character {bad:?}")));
    }
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    if !(5..=6).contains(&fields.len()) {
        return Err(wrong(format!("has {} fields, and must have five or six", fields.len())));
    }
    for (field, (name, most)) in fields.iter().rev().zip(FIELDS.iter().rev()) {
        check_field(field, name, *most)?;
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|error| wrong(format!("{text:?} cannot be read: {error}")))?;
    let daily = fields.iter().rev().skip(3).all(|field| !field.contains('*'));
    Ok((cron, daily))
}

/// What the parser would take, and nobody means.
fn check_field(field: &str, name: &str, most: u32) -> Result<()> {
    for part in field.split(',') {
        if part.is_empty() {
            return Err(wrong(format!("has a comma with nothing beside it in the field of the {name}")));
        }
        if let Some((_, step)) = part.split_once('/')
            && step.parse::<u32>().is_ok_and(|step| step > most)
        {
            return Err(wrong(format!(
                "has a step of {step} in the field of the {name}, which only goes to {most}: it would start over each \
                 time. For a fixed time between two firings use @every"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
