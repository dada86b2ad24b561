//! Filters on the attributes of jobs, as values.
//!
//! Invariant: a filter is rendered as jsonpath with every name and value quoted as a JSON string, and reaches the
//! server as an argument; whatever is in a name or a value stays a name or a value. Limit: the server has the last
//! word on a [`raw`](Filter::raw) one.

mod raw;

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};
use std::str::FromStr;

use crate::error::{Error, Result};

/// A predicate on the attributes of a job: which jobs a worker claims, and which ones an operation is for.
///
/// A comparison is true only where the attribute is there and of the same type: a string is never compared with a
/// number, nothing is converted, and nothing fails. An attribute that is an array matches if one of its elements does.
/// The SQL function behind it is `howdah.check_filter`.
///
/// ```
/// use howdah::Filter;
///
/// let filter = Filter::attr("tenant").eq(42) & (Filter::attr("plan").one_of(["pro", "team"]) | Filter::attr("trial").missing());
/// assert_eq!(
///     filter.to_string(),
///     r#"($."tenant" == 42) && (($."plan" == "pro" || $."plan" == "team") || (!exists($."trial")))"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// The attribute of this name, to be compared.
    pub fn attr(name: impl AsRef<str>) -> Attribute {
        Attribute(format!("$.{}", quoted(name.as_ref())))
    }

    /// A predicate in the server's own language, jsonpath over the object of attributes: `$.tenant == 42`. Methods that
    /// read times, such as `datetime()`, are refused when it is used, since what a job holds could make them fail.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its parentheses, strings or comments are not closed, so that it could reach beyond its
    /// place in a larger filter. Whether it is a predicate is for the server to say, when it is used.
    pub fn raw(jsonpath: impl Into<String>) -> Result<Self> {
        let text = jsonpath.into();
        raw::check(&text).map_err(|why| Error::invalid("filter", why))?;
        Ok(Self(text))
    }

    /// What no job matches.
    fn never() -> Self {
        Self("1 == 0".to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Filter {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::raw(text)
    }
}

impl BitAnd for Filter {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(format!("({}) && ({})", self.0, other.0))
    }
}

impl BitOr for Filter {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(format!("({}) || ({})", self.0, other.0))
    }
}

/// True where the filter is false. Where it is neither, as in the comparison of a number with a string, nor is this.
impl Not for Filter {
    type Output = Self;
    fn not(self) -> Self {
        Self(format!("!({})", self.0))
    }
}

/// An attribute in a [`Filter`]. Made by [`Filter::attr`].
#[derive(Debug, Clone)]
#[must_use = "an attribute has to be compared with something"]
pub struct Attribute(String);

impl Attribute {
    fn compare(&self, operator: &str, value: impl Into<Value>) -> Filter {
        match value.into().0 {
            Some(literal) => Filter(format!("{} {operator} {literal}", self.0)),
            None => Filter::never(),
        }
    }

    /// Is this.
    #[must_use]
    pub fn eq(&self, value: impl Into<Value>) -> Filter {
        self.compare("==", value)
    }

    /// Is there, of the same type, and not this; or is null.
    #[must_use]
    pub fn ne(&self, value: impl Into<Value>) -> Filter {
        self.compare("!=", value)
    }

    /// Is less than this. Strings are compared by their code points.
    #[must_use]
    pub fn lt(&self, value: impl Into<Value>) -> Filter {
        self.compare("<", value)
    }

    /// Is this or less.
    #[must_use]
    pub fn le(&self, value: impl Into<Value>) -> Filter {
        self.compare("<=", value)
    }

    /// Is more than this.
    #[must_use]
    pub fn gt(&self, value: impl Into<Value>) -> Filter {
        self.compare(">", value)
    }

    /// Is this or more.
    #[must_use]
    pub fn ge(&self, value: impl Into<Value>) -> Filter {
        self.compare(">=", value)
    }

    /// Is one of these. Of none, no job.
    #[must_use]
    pub fn one_of<V: Into<Value>>(&self, values: impl IntoIterator<Item = V>) -> Filter {
        let each: Vec<String> = values.into_iter().map(|value| self.eq(value).0).collect();
        if each.is_empty() { Filter::never() } else { Filter(each.join(" || ")) }
    }

    /// Is a string that looks like this, as in SQL: `%` stands for anything, `_` for one character, and a backslash
    /// takes the meaning from either.
    #[must_use]
    pub fn like(&self, pattern: &str) -> Filter {
        Filter(format!("{} like_regex {} flag \"s\"", self.0, quoted(&regex(pattern))))
    }

    /// Is a string that does not look like this.
    #[must_use]
    pub fn not_like(&self, pattern: &str) -> Filter {
        self.exists() & !self.like(pattern)
    }

    /// Is there; null, too.
    #[must_use]
    pub fn exists(&self) -> Filter {
        Filter(format!("exists({})", self.0))
    }

    /// Is not there.
    #[must_use]
    pub fn missing(&self) -> Filter {
        Filter(format!("!exists({})", self.0))
    }

    /// Is there and null.
    #[must_use]
    pub fn is_null(&self) -> Filter {
        Filter(format!("{} == null", self.0))
    }

    /// Is there and not null.
    #[must_use]
    pub fn is_not_null(&self) -> Filter {
        Filter(format!("{} != null", self.0))
    }
}

/// What an attribute is compared with: a number, a string or a boolean.
#[derive(Debug, Clone)]
pub struct Value(Option<String>);

macro_rules! values {
    ($($type:ty),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self(Some(value.to_string()))
            }
        }
    )*};
}
values!(bool, i8, i16, i32, i64, u8, u16, u32, u64, usize);

/// NaN and the infinities are no numbers in JSON: no attribute compares with them.
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(value.is_finite().then(|| value.to_string()))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self(Some(quoted(value)))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

/// A JSON string, which is what jsonpath takes for names and for values.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A pattern of LIKE as a regular expression for the whole text.
fn regex(pattern: &str) -> String {
    let mut regex = String::from("^");
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '\\' => literal(&mut regex, characters.next().unwrap_or('\\')),
            other => literal(&mut regex, other),
        }
    }
    regex.push('$');
    regex
}

fn literal(regex: &mut String, c: char) {
    // Before a letter or a digit, a backslash would give it a meaning instead of taking it.
    if c.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_quoted() {
        let filter = Filter::attr("a\"b\\$.c\n").eq("x\" || true\u{1}");
        assert_eq!(filter.to_string(), r#"$."a\"b\\$.c\n" == "x\" || true\u0001""#);
        assert_eq!(Filter::attr("größe").ge(-1.5).to_string(), "$.\"größe\" >= -1.5");
    }

    #[test]
    fn a_pattern_of_like_becomes_a_regular_expression_of_its_own_characters() {
        assert_eq!(regex("a.b%c_(\\%\\\\"), r"^a\.b.*c.\(\%\\$");
        assert_eq!(regex("1\\"), r"^1\\$");
        assert_eq!(Filter::attr("p").like("a.%").to_string(), r#"$."p" like_regex "^a\\..*$" flag "s""#);
    }

    #[test]
    fn nothing_compares_with_what_is_no_number_or_is_one_of_none() {
        assert_eq!(Filter::attr("p").ne(f64::NAN), Filter::never());
        assert_eq!(Filter::attr("p").one_of(Vec::<i64>::new()), Filter::never());
    }

    #[test]
    fn a_combination_keeps_its_parts_together() {
        let (a, b) = (Filter::attr("a").eq(1), Filter::attr("b").one_of([true, false]));
        assert_eq!((a & !b).to_string(), r#"($."a" == 1) && (!($."b" == true || $."b" == false))"#);
    }
}
