//! The language in which people say which jobs they mean.
//!
//! Invariant: a text is read in one pass, in time that grows with its length only; it gives a search or an error that
//! points at the place; what a search prints is read as the same search. Limit: all terms must hold; "or" is between the
//! values of one term. The guide is `docs/search.md`.

mod error;
mod field;
mod json;
mod lex;
mod near;
mod parse;
mod path;
mod pattern;
mod plan;
mod print;
mod range;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::str::FromStr;

use howdah::JobState;

pub use error::SearchError;
pub(crate) use field::{Field, Takes};
pub use field::{FieldInfo, fields};
use json::JsonTest;
pub use near::nearest;
use pattern::Pattern;
use plan::Plan;
pub(crate) use print::quoted;
use range::Range;
use value::{Length, Moment};

/// How long a text may be, in bytes.
pub(crate) const MOST_BYTES: usize = 4096;
/// How many terms it may have.
const MOST_TERMS: usize = 50;
/// How many values a term may have.
const MOST_VALUES: usize = 100;

pub(crate) const STATES: [JobState; 8] = [
    JobState::Scheduled,
    JobState::Blocked,
    JobState::Ready,
    JobState::Running,
    JobState::Completed,
    JobState::Cancelled,
    JobState::Expired,
    JobState::Dead,
];

/// Which jobs somebody means: `kind:send_* state:dead,cancelled -queue:mail age:>10m "timed out"`.
///
/// Made by [`str::parse`]; the empty text means all jobs. It prints itself in its canonical form, which is read as the
/// same search.
///
/// ```
/// use howdah_admin::Search;
///
/// let search: Search = "state:dead   kind:'send'  ".parse().unwrap();
/// assert_eq!(search.to_string(), "state:dead kind:\"'send'\"");
/// let error = "stat:dead".parse::<Search>().unwrap_err();
/// assert_eq!(error.message(), "there is no field \"stat\": did you mean state?");
/// assert_eq!(error.span(), 0..4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    terms: Vec<Term>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    negated: bool,
    test: Test,
}

/// What is asked of a job; of several values, one has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Is somewhere in what is known of the job in words.
    Word(Pattern),
    Text(Field, Vec<Pattern>),
    State(Vec<JobState>),
    Number(Field, Vec<Range<i64>>),
    Length(Field, Vec<Range<Length>>),
    Time(Field, Vec<Range<Moment>>),
    Json(Document, Vec<String>, Vec<JsonTest>),
}

/// The two JSON values of a job that can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    Args,
    Attr,
}

impl Search {
    /// Whether it says nothing, and so means all jobs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// What the database is asked.
    fn plan(&self) -> Plan {
        Plan::of(&self.terms)
    }

    /// The search as the SQL function `howdah.search` takes it: for other languages, and for the curious.
    #[must_use]
    pub fn compiled(&self) -> serde_json::Value {
        self.plan().to_json()
    }
}

impl FromStr for Search {
    type Err = SearchError;

    fn from_str(text: &str) -> Result<Self, SearchError> {
        parse::parse(text)
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::print(&self.terms, f)
    }
}
