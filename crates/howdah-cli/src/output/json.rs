//! JSON that the server wrote, taken apart and put together as text.
//!
//! Invariant: what a job carries is shown and passed on as it was written, be it a number of a thousand digits or a hundred thousand
//! lists in each other, of which no value of this program holds either. Limit: the texts must be JSON; that is not looked into.

use std::collections::BTreeMap;
use std::io;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One row, by the names of the SQL view.
pub(crate) type Row = Map<String, Value>;

type Members<'t> = BTreeMap<String, &'t RawValue>;

/// Reads a row that the server wrote. Of what no value holds, the text stands there.
pub(crate) fn parsed(text: &str) -> io::Result<Row> {
    let members: Members<'_> = serde_json::from_str(text).map_err(io::Error::other)?;
    Ok(members.into_iter().map(|(name, raw)| (name, held(raw))).collect())
}

/// A member, which may be a list of rows: one of them does not make the others unreadable.
fn held(raw: &RawValue) -> Value {
    let text = raw.get();
    let row = |members: Members<'_>| members.into_iter().map(|(name, raw)| (name, value_or_text(raw))).collect();
    serde_json::from_str(text).unwrap_or_else(|_| match serde_json::from_str::<Vec<Members<'_>>>(text) {
        Ok(rows) => Value::Array(rows.into_iter().map(|members| Value::Object(row(members))).collect()),
        Err(_) => Value::from(text),
    })
}

fn value_or_text(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::from(raw.get()))
}

/// The text of a member.
pub(crate) fn member(object: &str, name: &str) -> io::Result<String> {
    let members: Members<'_> = serde_json::from_str(object).map_err(io::Error::other)?;
    Ok(members.get(name).map_or("null", |raw| raw.get()).to_owned())
}

/// An object with one more member.
pub(crate) fn with(object: &str, name: &str, value: &str) -> String {
    let open = object.trim_end().strip_suffix('}').unwrap_or(object).trim_end();
    let comma = if open.ends_with('{') { "" } else { ", " };
    format!("{open}{comma}{}: {value}}}", Value::from(name))
}

/// A list of what has been written.
pub(crate) fn listed(values: &[String]) -> String {
    format!("[{}]", values.join(",\n "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_whatever_one_of_its_members_is() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text =
            format!(r#"{{"id": 7, "payload": {{"n": 1e400}}, "steps": [{{"n": 1, "result": {deep}}}, {{"n": 2}}]}}"#);
        let row = parsed(&text).unwrap();
        assert_eq!((&row["id"], &row["payload"]), (&7.into(), &r#"{"n": 1e400}"#.into()));
        assert_eq!((&row["steps"][0]["n"], &row["steps"][0]["result"]), (&1.into(), &deep.into()));
        assert_eq!(row["steps"][1]["n"], 2);
        assert_eq!(member(&text, "payload").unwrap(), r#"{"n": 1e400}"#);
        assert_eq!(member(&text, "none").unwrap(), "null");
    }

    #[test]
    fn a_member_is_added_to_an_object_as_it_is() {
        assert_eq!(with("{}", "a", "1e400"), r#"{"a": 1e400}"#);
        assert_eq!(with(r#"{"b": {}} "#, "a", &listed(&["1".into(), "2".into()])), "{\"b\": {}, \"a\": [1,\n 2]}");
    }
}
