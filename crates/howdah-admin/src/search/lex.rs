//! From a text to terms whose names and values are not understood yet.
//!
//! Invariant: one pass over the characters; every part knows its place in the text. Limit: it knows white space, quotes,
//! `-`, `:` and `,`, and nothing of fields.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

use super::error::SearchError;
use super::{MOST_BYTES, MOST_TERMS, MOST_VALUES};

/// A character, and whether it was in quotes, where it has no meaning but itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) c: char,
    pub(super) quoted: bool,
}

impl Glyph {
    /// Is this character, with its meaning.
    pub(super) fn is(self, c: char) -> bool {
        self.c == c && !self.quoted
    }
}

/// A part of a term and its place.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) glyphs: Vec<Glyph>,
    pub(super) span: Range<usize>,
}

impl Piece {
    pub(super) fn text(&self) -> String {
        self.glyphs.iter().map(|g| g.c).collect()
    }

    /// Nothing at all, not even an empty pair of quotes.
    fn is_missing(&self) -> bool {
        self.span.is_empty()
    }
}

/// One term as it was typed.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) negated: bool,
    /// What stands before the colon; `None` for a word.
    pub(super) name: Option<Piece>,
    /// A word has one.
    pub(super) values: Vec<Piece>,
}

/// Takes a text apart.
///
/// # Errors
/// Quotes that are not closed, names without values, and too much of anything.
pub(super) fn lex(text: &str) -> Result<Vec<Raw>, SearchError> {
    if text.len() > MOST_BYTES {
        let end = text.floor_char_boundary(MOST_BYTES);
        let message = format!("a search is at most {MOST_BYTES} bytes long, and this is {}", text.len());
        return Err(SearchError::new(text, end..text.len(), message));
    }
    let mut lexer = Lexer { text, rest: text.char_indices().peekable() };
    let mut terms = Vec::new();
    while let Some(start) = lexer.next_term() {
        if terms.len() == MOST_TERMS {
            return Err(SearchError::new(text, start..text.len(), format!("a search has at most {MOST_TERMS} terms")));
        }
        terms.push(lexer.term(start)?);
    }
    Ok(terms)
}

struct Lexer<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Lexer<'_> {
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn next_term(&mut self) -> Option<usize> {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        self.rest.peek().map(|(at, _)| *at)
    }

    fn term(&mut self, start: usize) -> Result<Raw, SearchError> {
        let negated = self.rest.next_if(|(_, c)| *c == '-').is_some();
        let head = self.piece(&[':'])?;
        if self.rest.next_if(|(_, c)| *c == ':').is_none() {
            if head.is_missing() {
                return Err(SearchError::new(
                    self.text,
                    start..self.at(),
                    "a - belongs before a term, as in -state:completed",
                ));
            }
            return Ok(Raw { negated, name: None, values: vec![head] });
        }
        if head.glyphs.is_empty() {
            return Err(SearchError::new(
                self.text,
                start..self.at(),
                "a field belongs before the colon, as in kind:send_email",
            ));
        }
        let mut values = vec![self.value(&head)?];
        while self.rest.next_if(|(_, c)| *c == ',').is_some() {
            if values.len() == MOST_VALUES {
                let message = format!("a term has at most {MOST_VALUES} values");
                return Err(SearchError::new(self.text, head.span.start..self.at(), message));
            }
            values.push(self.value(&head)?);
        }
        Ok(Raw { negated, name: Some(head), values })
    }

    fn value(&mut self, name: &Piece) -> Result<Piece, SearchError> {
        let value = self.piece(&[','])?;
        if value.is_missing() {
            let message = format!("a value belongs behind {}:, or * for any", name.text());
            return Err(SearchError::new(self.text, name.span.start..self.at(), message));
        }
        Ok(value)
    }

    /// Up to white space, or one of these characters, outside of quotes.
    fn piece(&mut self, ends: &[char]) -> Result<Piece, SearchError> {
        let start = self.at();
        let mut glyphs = Vec::new();
        while let Some((at, c)) = self.rest.next_if(|(_, c)| !c.is_whitespace() && !ends.contains(c)) {
            match c {
                '"' => self.quoted(at, &mut glyphs)?,
                '\0' => return Err(self.nul(at)),
                c => glyphs.push(Glyph { c, quoted: false }),
            }
        }
        Ok(Piece { glyphs, span: start..self.at() })
    }

    /// The rest of what a quote has opened. A backslash takes the meaning from a quote and from a backslash.
    fn quoted(&mut self, opened: usize, glyphs: &mut Vec<Glyph>) -> Result<(), SearchError> {
        while let Some((at, c)) = self.rest.next() {
            let c = match c {
                '"' => return Ok(()),
                '\0' => return Err(self.nul(at)),
                '\\' => self.rest.next_if(|(_, c)| ['"', '\\'].contains(c)).map_or('\\', |(_, c)| c),
                c => c,
            };
            glyphs.push(Glyph { c, quoted: true });
        }
        Err(SearchError::new(self.text, opened..self.text.len(), "this quote is not closed"))
    }

    fn nul(&self, at: usize) -> SearchError {
        SearchError::new(
            self.text,
            at..at + 1,
            "the character NUL cannot be searched for: PostgreSQL does not store it",
        )
    }
}
