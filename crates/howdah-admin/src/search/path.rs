//! A term as a predicate of jsonpath over a document that the database makes of a job.
//!
//! Invariant: every name and text is quoted as a JSON string, and numbers are checked: nothing that was typed has a
//! meaning in jsonpath. A term that is negated is true wherever the term is not. Limit: `$now` has to be given,
//! in microseconds since 1970.

use super::field::{Field, Takes};
use super::json::JsonTest;
use super::pattern::Pattern;
use super::range::{Edge, Range};
use super::value::{Length, MICROS_PER_MS, Moment};
use super::{Term, Test};

/// The predicate of a term; `None` for what is asked in another way, which are states.
pub(super) fn of(term: &Term) -> Option<String> {
    let any = match &term.test {
        Test::State(_) => return None,
        Test::Word(pattern) => vec![word(pattern)],
        Test::Text(field, values) => values.iter().map(|value| text_field(*field, value)).collect(),
        Test::Number(field, values) => {
            let place = place(*field);
            values.iter().map(|value| between(&place, value, i64::to_string)).collect()
        }
        Test::Length(field, values) => values.iter().map(|value| length(*field, value)).collect(),
        Test::Time(field, values) => values.iter().map(|value| time(&place(*field), value)).collect(),
        Test::Json(_, path, values) => {
            let place: String =
                std::iter::once("$".to_owned()).chain(path.iter().map(|part| format!(".{}", string(part)))).collect();
            values.iter().map(|value| json(&place, value)).collect::<Vec<_>>()
        }
    };
    let any = any.join(" || ");
    // Where it is unknown whether it is true, as between a text and a number, it is not true.
    Some(if term.negated { format!("(!({any}) || (({any}) is unknown))") } else { format!("({any})") })
}

/// Where a field is in the document.
fn place(field: Field) -> String {
    format!("$.{}", field.name())
}

/// A JSON string, which is what jsonpath takes for names and texts.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn word(pattern: &Pattern) -> String {
    let contains = part("$.words", pattern);
    match pattern.exact().map(str::parse::<i64>) {
        Some(Ok(id)) => format!("({contains} || {} == {id})", place(Field::Id)),
        _ => contains,
    }
}

fn text_field(field: Field, pattern: &Pattern) -> String {
    let place = place(field);
    match field.info().takes {
        _ if pattern.is_any() => format!("({place} != null)"),
        Takes::Part => part(&place, pattern),
        _ => whole(&place, pattern),
    }
}

/// Is this text.
fn whole(place: &str, pattern: &Pattern) -> String {
    if let Some(text) = pattern.exact() {
        return format!("({place} == {})", string(text));
    }
    if let Some(prefix) = pattern.prefix() {
        return format!("({place} starts with {})", string(prefix));
    }
    format!("({place} like_regex {} flag \"s\")", string(&format!("^{}$", regex(pattern))))
}

/// Has this text in it, in whatever case.
fn part(place: &str, pattern: &Pattern) -> String {
    format!("({place} like_regex {} flag \"is\")", string(&regex(pattern)))
}

fn regex(pattern: &Pattern) -> String {
    let parts: Vec<String> = pattern.parts().iter().map(|part| literal(part)).collect();
    parts.join(".*")
}

/// A text as a regular expression for itself.
fn literal(text: &str) -> String {
    let mut regex = String::with_capacity(text.len());
    for c in text.chars() {
        // Before a letter or a digit, a backslash would give it a meaning instead of taking it.
        if c.is_ascii_punctuation() {
            regex.push('\\');
        }
        regex.push(c);
    }
    regex
}

fn json(place: &str, test: &JsonTest) -> String {
    match test {
        JsonTest::Exists => format!("(exists({place}))"),
        JsonTest::Null => format!("({place} == null)"),
        JsonTest::Bool(value) => format!("({place} == {value} || {place} == \"{value}\")"),
        JsonTest::Number(range) => match range.single() {
            Some(number) => format!("({place} == {number} || {place} == {})", string(number)),
            None => between(place, range, String::clone),
        },
        JsonTest::Text(pattern) => whole(place, pattern),
        JsonTest::Order(range) => between(place, range, |text| string(text)),
    }
}

/// A time is in a range: a day is in it as a whole or not at all.
fn time(place: &str, range: &Range<Moment>) -> String {
    let from = match &range.from {
        Edge::Open => None,
        Edge::With(moment) => Some(format!("{place} >= {}", moment.start())),
        Edge::Without(moment) => Some(match moment.end() {
            Some(end) => format!("{place} >= {end}"),
            None => format!("{place} > {}", moment.start()),
        }),
    };
    let to = match &range.to {
        Edge::Open => None,
        Edge::Without(moment) => Some(format!("{place} < {}", moment.start())),
        Edge::With(moment) => Some(match moment.end() {
            Some(end) => format!("{place} < {end}"),
            None => format!("{place} <= {}", moment.start()),
        }),
    };
    both(place, from, to)
}

fn length(field: Field, range: &Range<Length>) -> String {
    if field != Field::Age {
        return between(&place(field), range, |length| length.0.to_string());
    }
    // The older a job is, the earlier it was enqueued.
    let at = |length: &Length| format!("($now - {})", length.0 * MICROS_PER_MS);
    let reversed = Range { from: range.to.clone(), to: range.from.clone() };
    between(&place(Field::Enqueued), &reversed, at)
}

fn between<T>(place: &str, range: &Range<T>, written: impl Fn(&T) -> String) -> String {
    let from = match &range.from {
        Edge::Open => None,
        Edge::With(value) => Some(format!("{place} >= {}", written(value))),
        Edge::Without(value) => Some(format!("{place} > {}", written(value))),
    };
    let to = match &range.to {
        Edge::Open => None,
        Edge::With(value) => Some(format!("{place} <= {}", written(value))),
        Edge::Without(value) => Some(format!("{place} < {}", written(value))),
    };
    both(place, from, to)
}

fn both(place: &str, from: Option<String>, to: Option<String>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("({from} && {to})"),
        (Some(one), None) | (None, Some(one)) => format!("({one})"),
        // Any: there is one.
        (None, None) => format!("({place} != null)"),
    }
}
