//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod chain;
mod crashing;
mod in_transaction;
mod leaving;
mod plain_sql;
mod plans;
mod pulling;
mod readme;
mod refusals;
mod rotation;
mod running;
mod schema;
mod testing;
mod together;
mod waiting;
