//! Values in an order: `3`, `>3`, `>=3`, `<3`, `<=3`, `2..4`, `2..`, `..4`, and `*` for any.
//!
//! Invariant: every way to write the same values gives the same range. Limit: whether a range is empty is not looked at.

use super::lex::Glyph;

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edge<T> {
    Open,
    With(T),
    Without(T),
}

/// From one edge to the other; open on both sides: whatever there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range<T> {
    pub(super) from: Edge<T>,
    pub(super) to: Edge<T>,
}

impl<T: Clone + PartialEq> Range<T> {
    /// Reads a range of what `one` reads.
    pub(super) fn read(glyphs: &[Glyph], one: impl Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        if let [star] = glyphs
            && star.is('*')
        {
            return Ok(Self { from: Edge::Open, to: Edge::Open });
        }
        if let Some((operator, rest)) = operator(glyphs) {
            if rest.is_empty() {
                return Err(format!("something belongs behind {operator}"));
            }
            let value = one(&text(rest))?;
            return Ok(Self::compared(operator, value));
        }
        let Some((low, high)) = dots(glyphs) else { return Ok(Self::only(one(&text(glyphs))?)) };
        if low.is_empty() && high.is_empty() {
            return Err("a range needs an end, as in 2..4, 2.. or ..4".to_owned());
        }
        let edge = |side: &[Glyph]| if side.is_empty() { Ok(Edge::Open) } else { one(&text(side)).map(Edge::With) };
        Ok(Self { from: edge(low)?, to: edge(high)? })
    }

    /// What stands in this relation to a value.
    pub(super) fn compared(operator: &str, value: T) -> Self {
        match operator {
            ">" => Self { from: Edge::Without(value), to: Edge::Open },
            ">=" => Self { from: Edge::With(value), to: Edge::Open },
            "<" => Self { from: Edge::Open, to: Edge::Without(value) },
            "<=" => Self { from: Edge::Open, to: Edge::With(value) },
            _ => Self::only(value),
        }
    }

    pub(super) fn only(value: T) -> Self {
        Self { from: Edge::With(value.clone()), to: Edge::With(value) }
    }

    /// The one value that is in it, if it was written so.
    pub(super) fn single(&self) -> Option<&T> {
        match (&self.from, &self.to) {
            (Edge::With(a), Edge::With(b)) if a == b => Some(a),
            _ => None,
        }
    }
}

fn text(glyphs: &[Glyph]) -> String {
    glyphs.iter().map(|g| g.c).collect()
}

/// A comparison at the beginning, and what is behind it.
pub(super) fn operator(glyphs: &[Glyph]) -> Option<(&'static str, &[Glyph])> {
    let starts = |word: &str| word.chars().enumerate().all(|(n, c)| glyphs.get(n).is_some_and(|g| g.is(c)));
    let found = [">=", "<=", ">", "<", "="].into_iter().find(|word| starts(word))?;
    Some((found, &glyphs[found.len()..]))
}

/// What stands on both sides of the first two dots.
pub(super) fn dots(glyphs: &[Glyph]) -> Option<(&[Glyph], &[Glyph])> {
    let at = glyphs.windows(2).position(|two| two.iter().all(|g| g.is('.')))?;
    Some((&glyphs[..at], &glyphs[at + 2..]))
}
