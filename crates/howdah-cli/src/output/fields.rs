//! `--json=id,state`: the members of objects that are printed.
//!
//! Invariant: the text of a member leaves as the server wrote it, in the order in which members were named. Limit: members of the
//! object itself, or of the objects of a list; for what is inside them there is `jq`.

use std::collections::HashMap;
use std::io;

use serde_json::value::RawValue;

type Object<'t> = HashMap<String, &'t RawValue>;

/// Which members; none are named: all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields(&'static [String]);

/// There is no member of that name.
#[derive(Debug)]
pub(crate) struct UnknownField {
    field: String,
    there_are: Vec<String>,
}

impl std::error::Error for UnknownField {}

impl std::fmt::Display for UnknownField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, there_are } = self;
        write!(f, "there is no {field:?} to be printed with --json: there are {}", there_are.join(", "))
    }
}

impl Fields {
    /// As they were typed, with commas between them.
    pub(super) fn named(typed: &str) -> Self {
        let names: Vec<String> =
            typed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        // Typed once, and used until the end.
        Self(names.leak())
    }

    /// What of a JSON text is wanted: of an object, or of each object of a list.
    ///
    /// # Errors
    /// [`UnknownField`], in an [`io::Error`].
    pub(super) fn of(self, text: String) -> io::Result<String> {
        if self.0.is_empty() {
            return Ok(text);
        }
        if let Ok(rows) = serde_json::from_str::<Vec<Object<'_>>>(&text) {
            let rows: Vec<String> = rows.iter().map(|row| self.chosen(row)).collect::<io::Result<_>>()?;
            return Ok(super::listed(&rows));
        }
        match serde_json::from_str::<Object<'_>>(&text) {
            Ok(object) => self.chosen(&object),
            // A number, a text: it has no members.
            Err(_) => Ok(text),
        }
    }

    fn chosen(self, object: &Object<'_>) -> io::Result<String> {
        let mut members = Vec::with_capacity(self.0.len());
        for name in self.0 {
            let Some(value) = object.get(name) else {
                let mut there_are: Vec<String> = object.keys().cloned().collect();
                there_are.sort_unstable();
                return Err(io::Error::other(UnknownField { field: name.clone(), there_are }));
            };
            members.push(format!("{}: {value}", serde_json::Value::from(name.as_str())));
        }
        Ok(format!("{{{}}}", members.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_chosen_in_the_order_in_which_they_were_named_and_stay_as_they_were_written() {
        let of = |fields, text: &str| Fields::named(fields).of(text.to_owned());
        let rows = r#"[{"a": 1.50e400, "b": {"c":  null}, "d": 3},
 {"d": 4, "a": "x", "b": []}]"#;
        assert_eq!(
            of("b, a", rows).unwrap(),
            "[{\"b\": {\"c\":  null}, \"a\": 1.50e400},\n {\"b\": [], \"a\": \"x\"}]"
        );
        assert_eq!(of("", rows).unwrap(), rows);
        assert_eq!(of("d", r#"{"d": 7}"#).unwrap(), r#"{"d": 7}"#);
        assert_eq!(of("d", "[]").unwrap(), "[]");
        assert_eq!(of("d", "7").unwrap(), "7");
        let refused = of("d,e", rows).unwrap_err().to_string();
        assert!(refused.contains(r#"no "e""#) && refused.contains("there are a, b, d"), "{refused}");
    }
}
