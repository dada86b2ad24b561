//! What the command line promises, tried on the real program and a real PostgreSQL.
//!
//! Invariant: a test has a database of its own and sees only what a person would: output, exit status, the tables.
//! Limit: Unix only, as the program's signals are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod config;
mod cron;
mod dashboard;
mod demo;
mod doctor;
mod enqueue;
mod exit;
mod live;
mod manual;
mod many;
mod output;
mod queues;
mod roles;
mod signals;
mod support;
mod terminal;
mod work;
mod workflows;
