//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod bulk;
mod crashing;
mod deciding;
mod filters;
mod leaving;
mod plain_sql;
mod plans;
mod readme;
mod refusals;
mod rotation;
mod running;
mod schema;
mod together;
mod waiting;
