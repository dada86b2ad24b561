//! Pieces of pages.
//!
//! Invariant: whatever comes from the database is escaped, kept apart from the direction of the text around it, and shows the
//! characters that could not be seen. Limit: English.

pub(crate) mod chart;
pub(crate) mod json;
pub(crate) mod layout;
pub(crate) mod pieces;
pub(crate) mod text;
pub(crate) mod time;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An answer to who sees no pages.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, format!("{text}\n")).into_response()
}
