//! What is wrong with a search, and where.
//!
//! Invariant: the place is a range of bytes of the text that begins and ends between characters. Limit: the first
//! mistake only.

use std::fmt;
use std::ops::Range;

/// Why a text is no search: what is wrong, where, and what could stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchError {
    text: String,
    span: Range<usize>,
    message: String,
}

impl SearchError {
    pub(super) fn new(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { text: text.to_owned(), span, message: message.into() }
    }

    /// What is wrong, and what could stand there instead.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where, in bytes of the text.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// The message, and below it the text with the place underlined:
///
/// ```text
/// there is no field "stat": did you mean state?
///   kind:send_email stat:dead
///                   ^^^^
/// ```
///
/// A text of several lines, or a long one, is cut to what is near the place.
impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How many characters are shown before the place, and from its beginning on.
        const NEAR: usize = 60;
        f.write_str(&self.message)?;
        if self.text.is_empty() {
            return Ok(());
        }
        let (before, after) = (&self.text[..self.span.start], &self.text[self.span.start..]);
        let skipped = before.chars().count().saturating_sub(NEAR);
        let shown = |c: char| if c.is_control() || c.is_whitespace() { ' ' } else { c };
        let line: String = before.chars().skip(skipped).chain(after.chars().take(NEAR)).map(shown).collect();
        let width = self.text[self.span.clone()].chars().take(NEAR).count().max(1);
        let margin = before.chars().count() - skipped;
        write!(f, "\n  {}\n  {}{}", line.trim_end(), " ".repeat(margin), "^".repeat(width))
    }
}

impl std::error::Error for SearchError {}
