//! A text to compare with, in which `*` stands for anything.
//!
//! Invariant: the parts between the stars are what they are, whatever they contain. Limit: no other wildcards.

use super::lex::Glyph;

/// How many stars there may be.
const MOST_STARS: usize = 8;

/// The parts between the stars: one part is a text without any. Between two stars there is something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    pub(super) fn read(glyphs: &[Glyph]) -> Result<Self, String> {
        let mut parts: Vec<String> = vec![String::new()];
        for glyph in glyphs {
            let last = parts.len() - 1;
            if !glyph.is('*') {
                parts[last].push(glyph.c);
            } else if last == 0 || !parts[last].is_empty() {
                // Two stars beside each other are one.
                parts.push(String::new());
            }
        }
        if parts.len() > MOST_STARS + 1 {
            return Err(format!("a value has at most {MOST_STARS} stars"));
        }
        Ok(Self(parts))
    }

    #[cfg(test)]
    pub(super) fn of(parts: Vec<String>) -> Self {
        Self(parts)
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.0
    }

    /// Without stars: the text itself.
    pub(super) fn exact(&self) -> Option<&str> {
        match self.0.as_slice() {
            [text] => Some(text),
            _ => None,
        }
    }

    /// A single star.
    pub(super) fn is_any(&self) -> bool {
        self.0.len() == 2 && self.0.iter().all(String::is_empty)
    }

    /// Says nothing: neither a character nor a star, or nothing but a star.
    pub(super) fn is_blank(&self) -> bool {
        self.0.iter().all(|part| part.trim().is_empty())
    }

    /// A star at the end and nowhere else: what comes before it.
    pub(super) fn prefix(&self) -> Option<&str> {
        match self.0.as_slice() {
            [text, end] if end.is_empty() => Some(text),
            _ => None,
        }
    }
}
