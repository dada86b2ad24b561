//! The payload of one job, from what was typed.
//!
//! Invariant: it is valid JSON, and its text is kept as it was given. Limit: `-a` makes a flat object.

use std::path::Path;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

const EXAMPLE: &str = "write -a name=text, or -a name:=json like -a user:=42";

/// JSON, `@FILE`, fields, or nothing, which is `{}`.
///
/// # Errors
/// What is wrong, naming the field or the file.
pub(in crate::commands) fn of(given: Option<&str>, arguments: &[String]) -> Result<Box<RawValue>> {
    match given {
        None => fields(arguments),
        Some(text) => match text.strip_prefix('@') {
            Some(file) => from_file(Path::new(file)),
            None => json(text).map_err(|e| {
                Failure::usage(format!("the payload is not JSON: {e}")).hint("give JSON, @FILE, -, or fields with -a")
            }),
        },
    }
}

/// One JSON document.
pub(super) fn json(text: &str) -> serde_json::Result<Box<RawValue>> {
    serde_json::from_str(text)
}

fn from_file(file: &Path) -> Result<Box<RawValue>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Failure::usage(format!("cannot read the file {}: {e}", file.display())))?;
    json(&text).map_err(|e| Failure::usage(format!("the file {} is not one JSON document: {e}", file.display())))
}

fn fields(arguments: &[String]) -> Result<Box<RawValue>> {
    let mut object = Map::new();
    for argument in arguments {
        let (name, value) = field("-a", argument)?;
        if name.is_empty() {
            return Err(Failure::usage(format!("-a {argument:?} has no name")).hint(EXAMPLE));
        }
        if object.insert(name.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("-a gives the field {name:?} twice")));
        }
    }
    serde_json::value::to_raw_value(&object).map_err(|e| Failure::usage(e.to_string()))
}

/// The first `=` parts the name from the value; a colon before it says that the value is JSON.
pub(in crate::commands) fn field<'a>(option: &str, argument: &'a str) -> Result<(&'a str, Value)> {
    let Some((name, value)) = argument.split_once('=') else {
        return Err(Failure::usage(format!("{option} {argument:?} has no =")).hint(EXAMPLE));
    };
    match name.strip_suffix(':') {
        None => Ok((name, Value::from(value))),
        Some(name) => match serde_json::from_str(value) {
            Ok(value) => Ok((name, value)),
            Err(e) => Err(Failure::usage(format!("{option} {name}:= is not followed by JSON: {e}")).hint(EXAMPLE)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_text_unless_a_colon_says_json() {
        let args = ["a=1".to_owned(), "b:=1".to_owned(), "c=x=y:=z".to_owned(), "d:={\"e\":[null]}".to_owned()];
        let payload = of(None, &args).unwrap();
        assert_eq!(payload.get(), r#"{"a":"1","b":1,"c":"x=y:=z","d":{"e":[null]}}"#);
        assert_eq!(of(None, &[]).unwrap().get(), "{}");
        for bad in ["x", "=1", ":=1", "x:=y"] {
            assert!(of(None, &[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
