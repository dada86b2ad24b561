//! What the command line promises, tried on the real program and a real PostgreSQL.
//!
//! Invariant: a test has a database of its own and sees only what a person would: output, exit status, the tables.
//! Limit: Unix only, as the program's signals are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod config;
mod cron;
mod demo;
mod enqueue;
mod exit;
mod many;
mod output;
mod queues;
mod signals;
mod support;
mod work;
mod workflows;
