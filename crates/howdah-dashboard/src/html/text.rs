//! Text of others.
//!
//! Invariant: a name changes neither the markup nor the order of what is around it, and two names that differ look different: what
//! steers writing directions, and what cannot be seen, is shown by its number. Limit: letters that look alike look alike.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

/// A text of others in a line.
pub(crate) fn name(text: &str) -> Markup {
    html! { bdi { (Visible(text)) } }
}

/// The same, cut after so many characters.
pub(crate) fn short(text: &str, most: usize) -> Markup {
    match text.char_indices().nth(most) {
        Some((cut, _)) => html! { bdi { (Visible(&text[..cut])) "…" } },
        None => name(text),
    }
}

/// The same for where there can be no tags: titles and drawings.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == most {
            shown.push('…');
            break;
        }
        if hidden(c) {
            // Writing into a string does not fail.
            let _ = write!(shown, "U+{:04X}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Text that shows what could not be seen.
pub(crate) struct Visible<'a>(pub(crate) &'a str);

impl Render for Visible<'_> {
    fn render_to(&self, buffer: &mut String) {
        let mut rest = self.0;
        while let Some(at) = rest.find(hidden) {
            rest[..at].render_to(buffer);
            let Some(c) = rest[at..].chars().next() else { return };
            html! { span.ctl { (format!("U+{:04X}", u32::from(c))) } }.render_to(buffer);
            rest = &rest[at + c.len_utf8()..];
        }
        rest.render_to(buffer);
    }
}

/// What steers the direction of writing, or takes no place: it would let one name pass for another.
pub(crate) fn hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_marks_of_direction_are_shown_and_do_nothing() {
        let hostile = "<script>\u{202e}\"a&b\u{7}";
        let wanted =
            "<bdi>&lt;script&gt;<span class=\"ctl\">U+202E</span>&quot;a&amp;b<span class=\"ctl\">U+0007</span></bdi>";
        assert_eq!(name(hostile).into_string(), wanted);
        assert_eq!(plain("a\u{202e}b<", 10), "aU+202Eb<");
        assert_eq!(plain("äöü", 2), "äö…");
        assert_eq!(short("äöü", 2).into_string(), "<bdi>äö…</bdi>");
        assert_eq!(short("äöü", 3).into_string(), "<bdi>äöü</bdi>");
    }
}
