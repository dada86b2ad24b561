//! From terms as they were typed to terms that are understood.
//!
//! Invariant: whatever is refused is refused with its place. Limit: whether a queue or a kind exists is not asked.

use std::ops::Range as Span;

use howdah::JobState;

use super::error::SearchError;
use super::field::{Field, OTHER_NAMES, Takes, fields};
use super::json::JsonTest;
use super::lex::{Glyph, Piece, Raw, lex};
use super::near::nearest;
use super::pattern::Pattern;
use super::range::Range;
use super::value::{self, Length, Moment, told};
use super::{Document, STATES, Search, Term, Test};

/// How deep a path into a JSON value may go.
const DEEPEST: usize = 16;

pub(super) fn parse(text: &str) -> Result<Search, SearchError> {
    let reader = Reader { text };
    let terms = lex(text)?.into_iter().map(|raw| reader.term(raw)).collect::<Result<_, _>>()?;
    Ok(Search { terms })
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, span: &Span<usize>, message: impl Into<String>) -> SearchError {
        SearchError::new(self.text, span.clone(), message)
    }

    fn term(&self, raw: Raw) -> Result<Term, SearchError> {
        let Raw { negated, name, values } = raw;
        let test = match name {
            Some(name) => self.field(&name, &values)?,
            None => self.word(&values[0])?,
        };
        Ok(Term { negated, test })
    }

    fn word(&self, piece: &Piece) -> Result<Test, SearchError> {
        let text = piece.text();
        let plain = piece.glyphs.iter().all(|g| !g.quoted);
        if plain && ["OR", "AND", "NOT"].contains(&text.as_str()) {
            let message = format!(
                "there is no {text} between terms: all must hold. Give a term several values (state:dead,cancelled), put - before one \
                 (-queue:mail), or quote the word"
            );
            return Err(self.wrong(&piece.span, message));
        }
        if piece.glyphs.first().is_some_and(|g| g.is('(') || g.is(')')) {
            return Err(self.wrong(&piece.span, "terms cannot be grouped; quote a parenthesis that is part of a word"));
        }
        if let Some((name, value)) = text.split_once(['=', '<', '>']).filter(|_| plain)
            && Field::named(name).is_some()
        {
            let operator = &text[name.len()..text.len() - value.len()];
            let operator = operator.trim_start_matches('=');
            return Err(self
                .wrong(&piece.span, format!("a field has a colon behind it: did you mean {name}:{operator}{value}?")));
        }
        let pattern = Pattern::read(&piece.glyphs).map_err(|e| self.wrong(&piece.span, e))?;
        if pattern.is_blank() {
            return Err(self.wrong(&piece.span, "a word needs a letter"));
        }
        Ok(Test::Word(pattern))
    }

    fn field(&self, name: &Piece, values: &[Piece]) -> Result<Test, SearchError> {
        let path = self.path(name)?;
        match path.as_slice() {
            [document, rest @ ..] if !rest.is_empty() && ["args", "attr"].contains(&document.as_str()) => {
                let document = if document == "args" { Document::Args } else { Document::Attr };
                let tests = self.each(values, |piece| JsonTest::read(&piece.glyphs))?;
                Ok(Test::Json(document, rest.to_vec(), tests))
            }
            [document] if ["args", "attr"].contains(&document.as_str()) => {
                Err(self.wrong(&name.span, format!("{document} needs a path, as in {document}.user.id:42")))
            }
            [single] => self.known(name, single, values),
            _ => Err(self.unknown(name)),
        }
    }

    /// The parts of a name, between its dots.
    fn path(&self, name: &Piece) -> Result<Vec<String>, SearchError> {
        let parts: Vec<String> =
            name.glyphs.split(|g| g.is('.')).map(|part| part.iter().map(|g| g.c).collect()).collect();
        if parts.len() > DEEPEST + 1 {
            return Err(self.wrong(&name.span, format!("a path has at most {DEEPEST} parts")));
        }
        if parts.iter().any(String::is_empty) {
            return Err(self.wrong(&name.span, "a name belongs on both sides of a dot, as in args.user.id:42"));
        }
        Ok(parts)
    }

    fn known(&self, name: &Piece, text: &str, values: &[Piece]) -> Result<Test, SearchError> {
        if let Some((_, field, operator)) = OTHER_NAMES.iter().find(|(other, _, _)| *other == text) {
            return self.other_name(field, operator, values);
        }
        let Some(info) = Field::named(text) else { return Err(self.unknown(name)) };
        let field = info.field;
        Ok(match info.takes {
            Takes::Text | Takes::Part => Test::Text(field, self.each(values, |piece| pattern(field, &piece.glyphs))?),
            Takes::State => Test::State(self.each(values, state)?),
            Takes::Number => Test::Number(field, self.each(values, |piece| Range::read(&piece.glyphs, value::number))?),
            Takes::Length => Test::Length(field, self.each(values, |piece| Range::read(&piece.glyphs, Length::read))?),
            Takes::Time => Test::Time(field, self.each(values, |piece| Range::read(&piece.glyphs, Moment::read))?),
        })
    }

    /// `after:` and `before:`, which have their comparison in the name.
    fn other_name(&self, name: &str, operator: &str, values: &[Piece]) -> Result<Test, SearchError> {
        let field = Field::named(name).map_or(Field::Enqueued, |info| info.field);
        let moment = |piece: &Piece| Moment::read(&piece.text()).map(|moment| Range::compared(operator, moment));
        Ok(Test::Time(field, self.each(values, moment)?))
    }

    fn each<T>(&self, values: &[Piece], read: impl Fn(&Piece) -> Result<T, String>) -> Result<Vec<T>, SearchError> {
        values.iter().map(|piece| read(piece).map_err(|e| self.wrong(&piece.span, e))).collect()
    }

    fn unknown(&self, name: &Piece) -> SearchError {
        let typed = name.text();
        let others = OTHER_NAMES.iter().map(|(other, _, _)| *other);
        let names = fields().iter().map(|info| info.name).chain(others).chain(["args.", "attr."]);
        let advice = match (nearest(&typed, names), typed.contains('.')) {
            (Some(name), false) => format!("did you mean {name}?"),
            _ => {
                let names: Vec<&str> = fields().iter().map(|info| info.name).collect();
                format!("there are {}, and args. and attr. with a path", names.join(", "))
            }
        };
        self.wrong(&name.span, format!("there is no field {}: {advice}", told(&typed)))
    }
}

fn pattern(field: Field, glyphs: &[Glyph]) -> Result<Pattern, String> {
    if let Some((operator, _)) = super::range::operator(glyphs) {
        return Err(format!(
            "{} takes a text, and {operator} is for numbers and times; quote it if it is meant",
            field.name()
        ));
    }
    Pattern::read(glyphs)
}

fn state(piece: &Piece) -> Result<JobState, String> {
    let text = piece.text();
    text.parse().map_err(|_| {
        let names = STATES.map(JobState::as_str);
        match nearest(&text, names) {
            Some(name) => format!("there is no state {}: did you mean {name}?", told(&text)),
            None => format!("there is no state {}: there are {}", told(&text), names.join(", ")),
        }
    })
}
