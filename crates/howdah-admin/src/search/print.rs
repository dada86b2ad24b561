//! A search as text: the canonical form.
//!
//! Invariant: it is read as the same search. Limit: it is not what was typed: quotes that are not needed are left out,
//! `after:` is written as `enqueued:>=`.

use std::fmt::{self, Display, Formatter, Write};

use super::json::{JsonTest, needs_quotes};
use super::pattern::Pattern;
use super::range::{Edge, Range};
use super::{Document, Term, Test};

pub(super) fn print(terms: &[Term], f: &mut Formatter<'_>) -> fmt::Result {
    for (n, term) in terms.iter().enumerate() {
        if n > 0 {
            f.write_char(' ')?;
        }
        if term.negated {
            f.write_char('-')?;
        }
        match &term.test {
            Test::Word(pattern) => f.write_str(&word(pattern))?,
            Test::Text(field, values) => listed(f, field.name(), values.iter().map(text))?,
            Test::State(states) => listed(f, "state", states.iter().map(ToString::to_string))?,
            Test::Number(field, values) => listed(f, field.name(), values.iter().map(range))?,
            Test::Length(field, values) => listed(f, field.name(), values.iter().map(range))?,
            Test::Time(field, values) => listed(f, field.name(), values.iter().map(range))?,
            Test::Json(document, path, values) => {
                let name = match document {
                    Document::Args => "args",
                    Document::Attr => "attr",
                };
                let path: String = path.iter().map(|part| format!(".{}", name_part(part))).collect();
                listed(f, &format!("{name}{path}"), values.iter().map(json))?;
            }
        }
    }
    Ok(())
}

fn listed(f: &mut Formatter<'_>, name: &str, values: impl Iterator<Item = String>) -> fmt::Result {
    write!(f, "{name}:{}", values.collect::<Vec<_>>().join(","))
}

fn word(pattern: &Pattern) -> String {
    let unclear = |part: &str| {
        part.contains(':')
            || part.starts_with('-')
            || pattern.exact().is_some_and(|t| ["OR", "AND", "NOT"].contains(&t))
    };
    joined(pattern, unclear)
}

fn text(pattern: &Pattern) -> String {
    joined(pattern, |_| false)
}

fn json(test: &JsonTest) -> String {
    match test {
        JsonTest::Exists => "*".to_owned(),
        JsonTest::Null => "null".to_owned(),
        JsonTest::Bool(value) => value.to_string(),
        JsonTest::Number(range) => self::range(range),
        JsonTest::Text(pattern) => {
            let whole = pattern.exact().is_some_and(needs_quotes);
            joined(pattern, |part| whole || part.contains(".."))
        }
        // In quotes, so that it is no number.
        JsonTest::Order(range) => self::range(&Range { from: in_quotes(&range.from), to: in_quotes(&range.to) }),
    }
}

fn in_quotes(edge: &Edge<String>) -> Edge<String> {
    match edge {
        Edge::Open => Edge::Open,
        Edge::With(text) => Edge::With(quoted(text)),
        Edge::Without(text) => Edge::Without(quoted(text)),
    }
}

fn range<T: Display + Clone + PartialEq>(range: &Range<T>) -> String {
    if let Some(only) = range.single() {
        return only.to_string();
    }
    match (&range.from, &range.to) {
        (Edge::Open, Edge::Open) => "*".to_owned(),
        (Edge::With(from), Edge::Open) => format!(">={from}"),
        (Edge::Without(from), Edge::Open) => format!(">{from}"),
        (Edge::Open, Edge::With(to)) => format!("<={to}"),
        (Edge::Open, Edge::Without(to)) => format!("<{to}"),
        (Edge::With(from) | Edge::Without(from), Edge::With(to) | Edge::Without(to)) => format!("{from}..{to}"),
    }
}

fn joined(pattern: &Pattern, unclear: impl Fn(&str) -> bool) -> String {
    let parts: Vec<String> = pattern
        .parts()
        .iter()
        .map(|part| match part.is_empty() {
            true if pattern.parts().len() > 1 => String::new(),
            _ if is_plain(part) && !unclear(part) => part.clone(),
            _ => quoted(part),
        })
        .collect();
    parts.join("*")
}

fn name_part(part: &str) -> String {
    if is_plain(part) && !part.contains([':', '.']) { part.to_owned() } else { quoted(part) }
}

/// Whether it is read as itself without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-./@:+%#$&;!?~".contains(c))
}

/// In quotes: as the shells and JSON write it, but for control characters, which are themselves.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}
