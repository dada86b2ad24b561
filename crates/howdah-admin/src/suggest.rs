//! What could be typed next.
//!
//! Invariant: a suggestion is put in place of its span, and the text is then read as it was meant. Limit: values of
//! payloads and attributes are not suggested, only their names.

use std::ops::Range;

use serde::Serialize;

use crate::admin::Admin;
use crate::complete::{Place, place};
use crate::error::Result;
use crate::search::{Field, STATES, Takes, fields, quoted};
use crate::sql;

/// How many suggestions there are at most.
const MOST: usize = 20;

/// A way to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Suggestion {
    /// What of the text it takes the place of, in bytes.
    pub span: Range<usize>,
    /// What comes there.
    pub text: String,
    /// What it is; may be empty.
    pub about: &'static str,
}

impl Admin {
    /// What could be typed at a cursor (in bytes) of a search: names of fields, or values that are there, in the order in which
    /// they should be shown; at most 20. The SQL function behind it is `howdah.suggest`.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn suggest(&self, text: &str, cursor: usize) -> Result<Vec<Suggestion>> {
        match place(text, cursor) {
            Place::Name { typed, span } => match typed.rsplit_once('.') {
                Some((path, typed)) => self.names_below(path, typed, span).await,
                None => Ok(names(&typed, &span)),
            },
            Place::Value { name, typed, span } => self.values(&name, &typed, span).await,
        }
    }

    async fn values(&self, name: &str, typed: &str, span: Range<usize>) -> Result<Vec<Suggestion>> {
        let Some(info) = Field::named(name) else { return Ok(Vec::new()) };
        let found = match info.takes {
            Takes::State => {
                STATES.iter().map(|state| state.as_str().to_owned()).filter(|name| name.starts_with(typed)).collect()
            }
            Takes::Text | Takes::Part if info.field != Field::Reason => self.ask(info.name, typed, &[]).await?,
            _ => Vec::new(),
        };
        let suggest = |value: String| Suggestion { span: span.clone(), text: written(&value), about: "" };
        Ok(found.into_iter().map(suggest).collect())
    }

    async fn names_below(&self, path: &str, typed: &str, span: Range<usize>) -> Result<Vec<Suggestion>> {
        let mut parts = path.split('.');
        let Some(document @ ("args" | "attr")) = parts.next() else { return Ok(Vec::new()) };
        let parts: Vec<&str> = parts.collect();
        let found = self.ask(document, typed, &parts).await?;
        let suggest =
            |name: String| Suggestion { span: span.clone(), text: format!("{path}.{}:", written(&name)), about: "" };
        Ok(found.into_iter().map(suggest).collect())
    }

    async fn ask(&self, field: &str, typed: &str, path: &[&str]) -> Result<Vec<String>> {
        if typed.contains('\0') || path.iter().any(|part| part.contains('\0')) {
            return Ok(Vec::new());
        }
        let mut tx = self.question().await?;
        let statement = sql::of(self.howdah(), "SELECT howdah.suggest($1, $2, $3, $4)");
        let query = sqlx::query_scalar(statement).bind(field).bind(typed).bind(path).bind(MOST as i32);
        let found = query.fetch_all(&mut *tx).await.map_err(|e| self.told(e))?;
        tx.commit().await?;
        Ok(found)
    }
}

/// Names of fields that begin so.
fn names(typed: &str, span: &Range<usize>) -> Vec<Suggestion> {
    let known = fields().iter().map(|info| (format!("{}:", info.name), info.about));
    let documents = [("args.", "something in the payload"), ("attr.", "an attribute")].map(|(n, a)| (n.to_owned(), a));
    known
        .chain(documents)
        .filter(|(name, _)| name.starts_with(typed))
        .map(|(text, about)| Suggestion { span: span.clone(), text, about })
        .collect()
}

/// A value as it has to be typed.
fn written(value: &str) -> String {
    if value.chars().all(|c| c.is_alphanumeric() || "_-/@".contains(c)) && !value.is_empty() {
        value.to_owned()
    } else {
        quoted(value)
    }
}
