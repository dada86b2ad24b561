//! The file `.env` of the current folder: lines of `KEY=VALUE`.
//!
//! Invariant: the environment wins over the file, and the file never changes the environment. Limit: no
//! substitutions and no values of several lines.

use std::collections::HashMap;
use std::env::VarError;

use crate::failure::{Failure, Result};

/// Variables as a person sees them: the environment, and below it `.env`.
#[derive(Debug, Default)]
pub(crate) struct Variables(HashMap<String, String>);

impl Variables {
    /// Reads `.env`, if it is there and readable.
    pub(crate) fn read() -> Self {
        std::fs::read_to_string(".env").map(|text| Self(parse(&text))).unwrap_or_default()
    }

    /// A variable; one that is empty counts as unset.
    ///
    /// # Errors
    /// It is no text: what it was meant to say is not what happens without it.
    pub(crate) fn get(&self, key: &str) -> Result<Option<String>> {
        let set = match std::env::var(key) {
            Err(VarError::NotUnicode(_)) => return Err(Failure::usage(format!("{key} is not UTF-8"))),
            set => set.ok(),
        };
        Ok(set.or_else(|| self.0.get(key).cloned()).filter(|value| !value.is_empty()))
    }

    /// A variable that only `.env` has.
    pub(crate) fn only_in_file(&self, key: &str) -> Option<&str> {
        if std::env::var_os(key).is_some() { None } else { self.0.get(key).map(String::as_str) }
    }
}

fn parse(text: &str) -> HashMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), unquoted(value.trim()).to_owned()))
        .collect()
}

/// A value without its quotes; without any, also without the comment that follows.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.rsplit_once(quote)) {
            return inside;
        }
    }
    value.split_once(" #").map_or(value, |(before, _)| before.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_exports_are_understood() {
        let read = parse("# no\nA=1\nexport B = 'x # y'\nC=\"z=1\" # yes\nD=a#b # c\nnothing\n");
        let of = |key: &str| read.get(key).map(String::as_str);
        assert_eq!((of("A"), of("B"), of("C"), of("D")), (Some("1"), Some("x # y"), Some("z=1"), Some("a#b")));
        assert_eq!(read.len(), 4);
    }
}
