//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod bounds;
mod crashing;
mod leases;
mod leaving;
mod plain_sql;
mod plans;
mod queues;
mod readme;
mod refusals;
mod rotation;
mod running;
mod schema;
mod together;
mod waiting;
