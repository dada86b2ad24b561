//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod crashing;
mod leaving;
mod logs;
mod observing;
mod plain_sql;
mod plans;
mod progress;
mod readme;
mod refusals;
mod rotation;
mod running;
mod schema;
mod together;
mod waiting;
