//! The dashboard as people use it: in a Chromium without a screen, nested under a prefix, with its script and without.
//!
//! Invariant: every test has a database, a server and a browser of its own; it waits for what it expects to see, and never for time to pass.
//! Limit: it needs `chromium` and `chromedriver`, and is left out of `cargo test` therefore: `scripts/browser` installs them and runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod browser;
mod keys;
mod live;
mod looks;
mod stage;
mod work;
