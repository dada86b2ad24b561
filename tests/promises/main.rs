//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod crashing;
mod expiring;
mod leaving;
mod logs;
mod observing;
mod outputs;
mod plain_sql;
mod plans;
mod progress;
mod readme;
mod refusals;
mod removal;
mod retention;
mod retrying;
mod rotation;
mod running;
mod schema;
mod together;
mod uniqueness;
mod waiting;
