//! Lengths of time as people type and read them.
//!
//! Invariant: what is typed has a unit, so that nobody takes minutes for seconds. Limit: days are 24 hours.

use std::time::Duration;

/// Units from the largest, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `5m`, `1h30m`, `250ms`.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    const EXAMPLE: &str = "write it like 5m, 1h30m or 250ms (w, d, h, m, s, ms)";
    if text.starts_with('-') {
        return Err("must not be negative".to_owned());
    }
    let mut rest = text.trim();
    let mut sum: u64 = 0;
    if rest.is_empty() {
        return Err(EXAMPLE.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(format!("has no unit: {EXAMPLE}"))?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| EXAMPLE.to_owned())?;
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| EXAMPLE.to_owned())?;
        sum = number.checked_mul(*ms).and_then(|more| sum.checked_add(more)).ok_or("is too long")?;
        rest = after.trim_start();
    }
    // 10,000 years: longer than anything may be, and what the server still reads as a length of time.
    if sum > 315_576_000_000_000 { Err("is too long".to_owned()) } else { Ok(Duration::from_millis(sum)) }
}

/// Tells a length of time with its largest unit: `3 s`, `12 min`.
pub(crate) fn told(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_needs_a_unit_and_is_not_negative() {
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse("5").unwrap_err().contains("unit"));
        assert!(parse("-5m").unwrap_err().contains("negative"));
        for bad in ["", "m", "5x", "5 m 3", "99999999999999999999s", "18446744073709551615w", "9999999w"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
