//! The address of a server: its URL, and one connection to it for work on whole databases.
//!
//! Invariant: `Debug` and [`Address::redacted`] hold no password; each piece of work opens a
//! connection of its own, so nothing is tied to one tokio runtime. Limit: TLS and the rest of the
//! URL are as the caller wrote them.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use url::Url;

use crate::error::{Error, Result};

/// A server's URL, kept as it was given.
#[derive(Clone)]
pub(crate) struct Address {
    raw: String,
    url: Url,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`Error::BadUrl`] when it is none of PostgreSQL's.
    pub(crate) fn parse(raw: &str) -> Result<Self> {
        let bad = |reason: String| Error::BadUrl { reason };
        let url = Url::parse(raw).map_err(|e| bad(e.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            // The scheme is not quoted: in a mistyped URL it may be any part, even a secret.
            return Err(bad("it starts with neither postgres:// nor postgresql://".into()));
        }
        PgConnectOptions::from_str(raw).map_err(|e| bad(e.to_string()))?;
        Ok(Self { raw: raw.to_owned(), url })
    }

    /// The URL exactly as given, password and all.
    pub(crate) fn as_str(&self) -> &str {
        &self.raw
    }

    /// The same server, another database.
    pub(crate) fn with_database(&self, name: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(&format!("/{name}"));
        // `dbname` in the query would win over the path.
        filter_query(&mut url, |key| key != "dbname");
        url.into()
    }

    /// The URL without its password.
    pub(crate) fn redacted(&self) -> String {
        let mut url = self.url.clone();
        if url.password().is_some() {
            // Only a URL without a host refuses this, and such a one has no password.
            let _ = url.set_password(Some("***"));
        }
        filter_query(&mut url, |key| key != "password");
        url.into()
    }

    /// One connection to the URL's own database.
    ///
    /// # Errors
    /// [`Error::Connect`].
    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        self.try_connect().await.map_err(|source| Error::Connect { url: self.redacted(), source })
    }

    /// As [`Address::connect`], with the driver's own error. Failed statements are not logged.
    pub(crate) async fn try_connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options =
            PgConnectOptions::from_str(&self.raw)?.application_name("howdah-devdb").disable_statement_logging();
        PgConnection::connect_with(&options).await
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.redacted()).finish()
    }
}

/// Keeps only the query's pairs whose key is wanted.
fn filter_query(url: &mut Url, wanted: impl Fn(&str) -> bool) {
    if url.query().is_none() {
        return;
    }
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| wanted(key))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
}

/// Runs one statement that can't take parameters, such as `CREATE DATABASE`. Names in it must
/// have gone through [`quoted`].
pub(crate) async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// A name as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether the server refused with this SQLSTATE.
pub(crate) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|c| c == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_keeps_the_rest_of_the_url() {
        let a = Address::parse("postgres://u:p%40@h:1/a?sslmode=disable&dbname=b").unwrap();
        assert_eq!(a.with_database("c"), "postgres://u:p%40@h:1/c?sslmode=disable");
        let a = Address::parse("postgres:///a?host=/tmp").unwrap();
        assert_eq!(a.with_database("c"), "postgres:///c?host=%2Ftmp");
    }

    #[test]
    fn debug_and_redacted_hold_no_password() {
        for raw in ["postgres://u:secret@h:1/a", "postgres://u@h/a?password=secret"] {
            let a = Address::parse(raw).unwrap();
            assert!(!format!("{a:?} {}", a.redacted()).contains("secret"));
        }
    }

    #[test]
    fn a_url_of_something_else_is_refused() {
        for raw in ["mysql://u:secret@h/a", "what", ""] {
            let error = Address::parse(raw).unwrap_err();
            assert!(matches!(error, Error::BadUrl { .. }));
            assert!(!error.to_string().contains("secret"));
        }
    }
}
