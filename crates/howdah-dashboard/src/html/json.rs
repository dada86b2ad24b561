//! JSON as it is: never read into numbers, only cut into its pieces.
//!
//! Invariant: every digit and every letter is shown as the database wrote it; what is to be hidden is left out before anything is
//! written. Limit: text that was cut off in the middle is shown up to there.

use std::sync::Arc;

use maud::{Markup, PreEscaped, Render, html};

use super::text::hidden;

/// Whether something of the payload of a kind is to be hidden: the kind, and the names that lead to it.
pub(crate) type Redact = Arc<dyn Fn(&str, &[&str]) -> bool + Send + Sync>;

/// What stands where something is hidden; still JSON.
const HIDDEN: &str = "\"•••\"";
/// Deeper than this, lines are not moved further to the right.
const DEEPEST: usize = 32;

/// What may be hidden, and of which kind of job.
#[derive(Clone, Copy)]
pub(crate) struct Rule<'a> {
    pub(crate) hook: Option<&'a Redact>,
    pub(crate) kind: &'a str,
}

impl Rule<'_> {
    fn hides(&self, path: &[String]) -> bool {
        let Some(hook) = self.hook else { return false };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        hook(self.kind, &path)
    }
}

/// On lines of its own, indented.
pub(crate) fn pretty(text: &str, rule: Rule<'_>) -> Markup {
    let lines = laid_out(text, rule, |out, piece| match piece {
        Piece::Key(text) => html! { span.k { (Escaped(text)) } }.render_to(out),
        Piece::Text(text) => html! { span.s { (Escaped(text)) } }.render_to(out),
        Piece::Bare(text) => html! { span.n { (Escaped(text)) } }.render_to(out),
        Piece::Hidden => html! { span.ctl { (HIDDEN) } }.render_to(out),
        _ => {}
    });
    html! { pre.json dir="ltr" tabindex="0" { code { (PreEscaped(lines)) } } }
}

/// JSON text on lines of its own, indented as the pages have it: every digit and every letter is as it was written.
#[must_use]
pub fn indented(text: &str) -> String {
    laid_out(text, Rule { hook: None, kind: "" }, |out, piece| {
        if let Piece::Key(part) | Piece::Text(part) | Piece::Bare(part) = piece {
            out.push_str(part);
        }
    })
}

/// Lines, in which names and values are written by `put`.
fn laid_out(text: &str, rule: Rule<'_>, put: impl Fn(&mut String, Piece<'_>)) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut fresh) = (0_usize, false);
    walk(text, rule, |piece| {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
        };
        match piece {
            Piece::Close(_) => {
                depth = depth.saturating_sub(1);
                if !fresh {
                    line(&mut out, depth);
                }
            }
            Piece::Comma | Piece::Colon => {}
            _ if fresh => line(&mut out, depth),
            _ => {}
        }
        fresh = false;
        match piece {
            Piece::Open(mark) => {
                out.push_str(mark);
                depth += 1;
                fresh = true;
            }
            Piece::Close(mark) => out.push_str(mark),
            Piece::Comma => {
                out.push(',');
                line(&mut out, depth);
            }
            Piece::Colon => out.push_str(": "),
            Piece::Key(_) | Piece::Text(_) | Piece::Bare(_) | Piece::Hidden => put(&mut out, piece),
        }
    });
    out
}

/// In one line, as the database writes it.
pub(crate) fn line(text: &str, rule: Rule<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    walk(text, rule, |piece| match piece {
        Piece::Open(part) | Piece::Close(part) | Piece::Key(part) | Piece::Text(part) | Piece::Bare(part) => {
            out.push_str(part);
        }
        Piece::Comma => out.push_str(", "),
        Piece::Colon => out.push_str(": "),
        Piece::Hidden => out.push_str(HIDDEN),
    });
    out
}

/// JSON text in which what could not be seen is written as JSON writes it.
struct Escaped<'a>(&'a str);

impl Render for Escaped<'_> {
    fn render_to(&self, buffer: &mut String) {
        use std::fmt::Write as _;
        let mut rest = self.0;
        while let Some(c) = rest.find(hidden).and_then(|at| {
            rest[..at].render_to(buffer);
            rest = &rest[at..];
            rest.chars().next()
        }) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string does not fail.
                let _ = write!(buffer, "\\u{unit:04x}");
            }
            rest = &rest[c.len_utf8()..];
        }
        rest.render_to(buffer);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'t> {
    Open(&'t str),
    Close(&'t str),
    Comma,
    Colon,
    /// The name of a member, with its quotes.
    Key(&'t str),
    /// A string, with its quotes.
    Text(&'t str),
    /// A number, or a word.
    Bare(&'t str),
    /// What stands for a value that is hidden.
    Hidden,
}

#[derive(Debug, Default)]
struct Frame {
    is_object: bool,
    has_key: bool,
}

/// Tells the pieces of a text, without what is hidden.
fn walk(text: &str, rule: Rule<'_>, mut put: impl FnMut(Piece<'_>)) {
    let (mut stack, mut path) = (Vec::<Frame>::new(), Vec::<String>::new());
    // As deep is the value that is being left out.
    let mut left_out: Option<usize> = None;
    for piece in Pieces(text) {
        if let (Piece::Text(key), Some(frame)) = (piece, stack.last_mut())
            && frame.is_object
            && !frame.has_key
        {
            frame.has_key = true;
            path.push(serde_json::from_str(key).unwrap_or_else(|_| key.trim_matches('"').to_owned()));
            if left_out.is_none() {
                put(Piece::Key(key));
            }
            continue;
        }
        let is_value = matches!(piece, Piece::Open(_) | Piece::Text(_) | Piece::Bare(_));
        let hides = is_value && left_out.is_none() && rule.hides(&path);
        if hides {
            put(Piece::Hidden);
        }
        if let Piece::Open(mark) = piece {
            if hides {
                left_out = Some(stack.len());
            }
            stack.push(Frame { is_object: mark == "{", has_key: false });
        }
        let ends_value = matches!(piece, Piece::Close(_) | Piece::Comma);
        if ends_value && stack.last_mut().is_some_and(|frame| std::mem::take(&mut frame.has_key)) {
            path.pop();
        }
        if left_out.is_none() && !hides {
            put(piece);
        }
        if matches!(piece, Piece::Close(_)) {
            stack.pop();
            if left_out == Some(stack.len()) {
                left_out = None;
            }
        }
    }
}

/// The pieces of JSON text, one after another.
struct Pieces<'t>(&'t str);

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let text = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        let first = text.chars().next()?;
        let end = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            '"' => end_of_string(text),
            _ => text.find([' ', '\t', '\n', '\r', '{', '}', '[', ']', ',', ':', '"']).unwrap_or(text.len()),
        };
        let (part, rest) = text.split_at(end);
        self.0 = rest;
        Some(match first {
            '{' | '[' => Piece::Open(part),
            '}' | ']' => Piece::Close(part),
            ',' => Piece::Comma,
            ':' => Piece::Colon,
            '"' => Piece::Text(part),
            _ => Piece::Bare(part),
        })
    }
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Rule<'static> = Rule { hook: None, kind: "k" };

    fn text_of(markup: &Markup) -> String {
        let mut text = String::new();
        for part in markup.0.split('<').skip(1) {
            text.push_str(part.split_once('>').unwrap().1);
        }
        text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn numbers_keep_every_digit() {
        let json = r#"{"big": 9007199254740993, "long": 0.1000000000000000055511151231257827, "exp": 1E+400, "list": [], "o": {}, "a": [1, {"b": null}]}"#;
        assert_eq!(line(json, OPEN), json);
        let shown = text_of(&pretty(json, OPEN));
        let wanted = "{\n  \"big\": 9007199254740993,\n  \"long\": 0.1000000000000000055511151231257827,\n  \"exp\": 1E+400,\n  \"list\": [],\n  \"o\": {},\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ]\n}";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_is_shown_in_lines_is_as_it_would_be_by_the_book_and_keeps_what_no_value_holds() {
        let value = serde_json::json!({"a": [1, -2.5, {}, []], "b\"{,": "x: \\\" [,]\\", "c": {"d": [[null, true]]}, "e": "ä\n"});
        let by_the_book = serde_json::to_string_pretty(&value).unwrap();
        for text in [value.to_string(), by_the_book.clone(), value.to_string().replace(',', " , ").replace("{}", "{ }")]
        {
            let of: serde_json::Value = serde_json::from_str(&indented(&text)).unwrap();
            assert_eq!(of, serde_json::from_str::<serde_json::Value>(&text).unwrap(), "{text}");
        }
        assert_eq!(indented(&value.to_string()), by_the_book);
        assert_eq!(indented("[1e400,12345678901234567890123]"), "[\n  1e400,\n  12345678901234567890123\n]");
        let deep = indented(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(deep.len() < 20_000_000, "{}", deep.len());
    }

    #[test]
    fn strings_are_text_and_what_cannot_be_seen_is_written_as_json() {
        let shown = pretty("{\"<b>\u{202e}\": \"\\\"</pre><script>\u{e0041}\"}", OPEN).into_string();
        assert!(shown.contains("&quot;&lt;b&gt;\\u202e&quot;"), "{shown}");
        assert!(shown.contains("\\&quot;&lt;/pre&gt;&lt;script&gt;\\udb40\\udc41"), "{shown}");
    }

    #[test]
    fn what_is_hidden_is_left_out_with_all_that_is_in_it() {
        let hook: Redact = Arc::new(|kind, path| kind == "k" && path.last() == Some(&"secret"));
        let rule = Rule { hook: Some(&hook), kind: "k" };
        let json = r#"{"secret": {"a": [1, {"b": 2}], "c": "x"}, "after": 1, "list": [{"secret": "y"}, {"s\u0065cret": 7, "z": true}]}"#;
        let wanted = r#"{"secret": "•••", "after": 1, "list": [{"secret": "•••"}, {"s\u0065cret": "•••", "z": true}]}"#;
        assert_eq!(line(json, rule), wanted);
        assert!(!pretty(json, rule).into_string().contains('y'));
        for cut in (0..json.len()).filter(|cut| json.is_char_boundary(*cut)) {
            let shown = line(&json[..cut], rule);
            assert!(!shown.contains("\"x") && !shown.contains("\"y") && !shown.contains('7'), "{shown}");
        }
        let all: Redact = Arc::new(|_, path| path.is_empty());
        assert_eq!(line(json, Rule { hook: Some(&all), kind: "k" }), HIDDEN);
    }
}
