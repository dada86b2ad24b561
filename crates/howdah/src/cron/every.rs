//! The length of time in `@every 1h30m`.
//!
//! Invariant: at least a second and at most ten years, so that nothing overflows and nothing is always due. Limit: a day
//! is 24 hours, whatever the zone.

/// Units in seconds.
const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
const MOST_SECONDS: i64 = 3653 * 86_400;

/// Reads `90s` or `1h30m` as microseconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn micros(text: &str) -> Result<i64, String> {
    const FORM: &str = "@every takes a length of time such as 90s, 1h30m or 2d (w, d, h, m, s)";
    let mut seconds: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(FORM)?;
        let (number, after) = rest.split_at(digits);
        let unit = after.chars().next().ok_or(FORM)?;
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(FORM)?;
        let number: i64 = number.parse().map_err(|_| FORM)?;
        seconds = number.checked_mul(*length).and_then(|more| seconds.checked_add(more)).ok_or(FORM)?;
        rest = &after[unit.len_utf8()..];
    }
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(format!("@every takes a second to ten years, not {text:?}"));
    }
    Ok(seconds * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_units_and_bounds() {
        assert_eq!(micros("90s"), Ok(90_000_000));
        assert_eq!(micros("1h30m"), Ok(5_400_000_000));
        assert_eq!(micros("1w1d"), Ok(8 * 86_400_000_000));
        for bad in
            ["", "90", "0s", "s", "1.5h", "-1s", "1y", "600w", "99999999999999999999s", "9223372036854775807w", "1é"]
        {
            assert!(micros(bad).is_err(), "{bad:?}");
        }
    }
}
