//! Settings as they are typed and shown: `key=value`, a line each; and how those of one queue or kind are changed.
//!
//! Invariant: what there is to set and which values are right, the server says; here is only how they are written.
//! Limit: a value that looks like a number is one.

use howdah::{Error, Howdah};
use serde_json::{Map, Value, json};

use super::Answer;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, parsed};
use crate::{duration, sql};

/// What is typed for a setting's default.
const DEFAULT: [&str; 3] = ["", "default", "null"];

/// A setting and its value, typed as `key=value`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting(String, Value);

impl Setting {
    /// Its name and its value.
    pub(super) fn parts(self) -> (String, Value) {
        (self.0, self.1)
    }
}

/// Reads one. Milliseconds may be typed with a unit: `lease_ms=30s`.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn setting(text: &str) -> Result<Setting, String> {
    let (key, value) = text.split_once('=').ok_or("write it like max_attempts=5, or max_attempts= for the default")?;
    let value = if DEFAULT.contains(&value) {
        Value::Null
    } else if let Ok(number) = value.parse::<serde_json::Number>() {
        Value::Number(number)
    } else if key.ends_with("_ms") {
        Value::from(u64::try_from(duration::parse(value)?.as_millis()).unwrap_or(u64::MAX))
    } else {
        Value::from(value)
    };
    Ok(Setting(key.to_owned(), value))
}

/// The object that the SQL functions take.
pub(super) fn object(settings: Vec<Setting>) -> Value {
    Value::Object(settings.into_iter().map(|Setting(key, value)| (key, value)).collect::<Map<_, _>>())
}

/// Changes settings of one queue or kind by such a statement, which takes its name and the object; and shows all of them.
pub(super) async fn change(
    howdah: &Howdah,
    out: Output,
    statement: &'static str,
    name: String,
    settings: Vec<Setting>,
) -> Result<Answer> {
    let all: String = sqlx::query_scalar(sql::of(howdah, statement))
        .bind(name)
        .bind(object(settings))
        .fetch_one(howdah.pool())
        .await
        .map_err(refused)?;
    show(out, &all)?;
    Ok(Answer::Yes)
}

/// Prints all settings, the text of a JSON object.
pub(super) fn show(out: Output, settings: &str) -> Result<()> {
    if out.is_json() {
        return Ok(out.line(settings)?);
    }
    let rows: Vec<String> = parsed(settings)?
        .into_iter()
        .map(|(setting, value)| json!({ "setting": setting, "value": value }).to_string())
        .collect();
    Ok(out.rows(&[Column("setting", Show::Text), Column("value", Show::Text)], &rows)?)
}

/// A refusal in the words of who typed a setting, which is no option.
pub(super) fn refused(error: sqlx::Error) -> Failure {
    match error.into() {
        Error::Invalid { message, hint, .. } => Failure::usage(message).hint(hint),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_number_a_time_a_text_or_its_default() {
        for (text, value) in [
            ("max_jobs=5", json!(5)),
            ("retry_factor=1.5", json!(1.5)),
            ("lease_ms=1m30s", json!(90_000)),
            ("lease_ms=250", json!(250)),
            ("retention=7 days", json!("7 days")),
            ("max_jobs=", Value::Null),
            ("max_jobs=default", Value::Null),
            ("policy=a=b", json!("a=b")),
        ] {
            assert_eq!(setting(text).unwrap().1, value, "{text}");
        }
        assert!(setting("max_jobs").unwrap_err().contains("max_attempts=5"));
        assert!(setting("lease_ms=5x").is_err());
    }
}
