//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod crashing;
mod groups;
mod layers;
mod leaving;
mod plain_sql;
mod plans;
mod readme;
mod refusals;
mod rotation;
mod routing;
mod running;
mod schema;
mod timeouts;
mod together;
mod waiting;
