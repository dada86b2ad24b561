//! What a place in a JSON value may be compared with.
//!
//! Invariant: what is typed without quotes and looks like a number, a truth value or null, is one; in quotes it is text.
//! Limit: arrays match if one of their elements does; objects only exist.

use super::lex::Glyph;
use super::pattern::Pattern;
use super::range::{Range, dots, operator};

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonTest {
    /// Is there; null, too.
    Exists,
    Null,
    /// This truth value, or the word as a text.
    Bool(bool),
    /// This number, or a text that is written so; or a number in this range. As it was typed: a number of JSON.
    Number(Range<String>),
    Text(Pattern),
    /// A text that comes before or after another, by code points.
    Order(Range<String>),
}

impl JsonTest {
    pub(super) fn read(glyphs: &[Glyph]) -> Result<Self, String> {
        let plain = |glyphs: &[Glyph]| !glyphs.is_empty() && glyphs.iter().all(|g| !g.quoted);
        let text = |glyphs: &[Glyph]| glyphs.iter().map(|g| g.c).collect::<String>();
        let is_number = |glyphs: &[Glyph]| plain(glyphs) && is_number(&text(glyphs));
        if let Some((operator, rest)) = operator(glyphs).filter(|(operator, _)| *operator != "=") {
            if rest.is_empty() {
                return Err(format!("something belongs behind {operator}"));
            }
            if rest.iter().any(|g| g.is('*')) {
                return Err(format!("a star cannot stand behind {operator}"));
            }
            let range = Range::compared(operator, text(rest));
            return Ok(if is_number(rest) { Self::Number(range) } else { Self::Order(range) });
        }
        if let Some((low, high)) = dots(glyphs)
            && (is_number(low) || low.is_empty())
            && (is_number(high) || high.is_empty())
            && !(low.is_empty() && high.is_empty())
        {
            return Ok(Self::Number(Range::read(glyphs, |text| Ok(text.to_owned()))?));
        }
        let glyphs = operator(glyphs).map_or(glyphs, |(_, rest)| rest);
        if is_number(glyphs) {
            return Ok(Self::Number(Range::only(text(glyphs))));
        }
        if plain(glyphs) {
            match text(glyphs).as_str() {
                "null" => return Ok(Self::Null),
                "true" => return Ok(Self::Bool(true)),
                "false" => return Ok(Self::Bool(false)),
                _ => {}
            }
        }
        let pattern = Pattern::read(glyphs)?;
        Ok(if pattern.is_any() { Self::Exists } else { Self::Text(pattern) })
    }
}

/// Whether it is a number of JSON; one with an exponent is taken for text, since a short one may be a very long number.
pub(super) fn is_number(text: &str) -> bool {
    const LONGEST: usize = 64;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.len() <= LONGEST
        && all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
}

/// Whether a text would be read as something else if it were not in quotes.
pub(super) fn needs_quotes(text: &str) -> bool {
    is_number(text) || ["null", "true", "false"].contains(&text)
}
