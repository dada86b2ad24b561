//! Where the cursor is in a search that is being typed.
//!
//! Invariant: any text and any place are fine; a quote that is still open is no mistake. Limit: what stands behind the
//! cursor is left as it is.

use std::ops::Range;

/// What is being typed, up to the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The name of a field, or a word.
    Name { typed: String, span: Range<usize> },
    /// One of the values of a field.
    Value { name: String, typed: String, span: Range<usize> },
}

/// Finds what is being typed at a cursor, which is a number of bytes; beyond the end is at the end.
pub(crate) fn place(text: &str, cursor: usize) -> Place {
    let text = &text[..text.floor_char_boundary(cursor)];
    let mut scan = Scan::default();
    for (at, c) in text.char_indices() {
        scan.take(at, c);
    }
    let span = scan.start..text.len();
    match scan.name {
        Some(name) => Place::Value { name, typed: scan.typed, span },
        None => Place::Name { typed: scan.typed, span },
    }
}

#[derive(Default)]
struct Scan {
    name: Option<String>,
    typed: String,
    /// Where what is typed begins.
    start: usize,
    quoted: bool,
    escaped: bool,
}

impl Scan {
    fn take(&mut self, at: usize, c: char) {
        let behind = at + c.len_utf8();
        if self.escaped {
            self.escaped = false;
            if !['"', '\\'].contains(&c) {
                self.typed.push('\\');
            }
            self.typed.push(c);
            return;
        }
        match c {
            '"' => self.quoted = !self.quoted,
            '\\' if self.quoted => self.escaped = true,
            c if self.quoted => self.typed.push(c),
            c if c.is_whitespace() => *self = Self { start: behind, ..Self::default() },
            '-' if self.name.is_none() && at == self.start => self.start = behind,
            ':' if self.name.is_none() => {
                self.name = Some(std::mem::take(&mut self.typed));
                self.start = behind;
            }
            ',' if self.name.is_some() => {
                self.typed.clear();
                self.start = behind;
            }
            c => self.typed.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(typed: &str, span: Range<usize>) -> Place {
        Place::Name { typed: typed.to_owned(), span }
    }

    fn value(name: &str, typed: &str, span: Range<usize>) -> Place {
        Place::Value { name: name.to_owned(), typed: typed.to_owned(), span }
    }

    #[test]
    fn the_place_of_the_cursor_is_found_in_whatever_is_typed() {
        assert_eq!(place("", 0), name("", 0..0));
        assert_eq!(place("ki", 2), name("ki", 0..2));
        assert_eq!(place("state:dead ki", 13), name("ki", 11..13));
        assert_eq!(place("-que", 4), name("que", 1..4));
        assert_eq!(place("kind:", 5), value("kind", "", 5..5));
        assert_eq!(place("kind:se rest", 7), value("kind", "se", 5..7));
        assert_eq!(place("state:dead,canc", 99), value("state", "canc", 11..15));
        assert_eq!(place("-kind:\"a b", 10), value("kind", "a b", 6..10));
        assert_eq!(place("kind:\"a\\\"", 9), value("kind", "a\"", 5..9));
        assert_eq!(place("args.user.", 10), name("args.user.", 0..10));
        // In the middle of a character.
        assert_eq!(place("kind:ä", 6), value("kind", "", 5..5));
    }
}
