//! What the dashboard promises, tried on its router and a real PostgreSQL.
//!
//! Invariant: a test has a database of its own and sees what a browser would: status, headers, HTML. Limit: no browser; what the script
//! does is not seen here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod acting;
mod api;
mod cheap;
mod desk;
mod hostile;
mod html;
mod nested;
mod reading;
mod sizes;
