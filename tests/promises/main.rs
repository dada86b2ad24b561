//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod bounds;
mod crashing;
mod expiring;
mod leases;
mod leaving;
mod outputs;
mod plain_sql;
mod plans;
mod queues;
mod readme;
mod refusals;
mod retrying;
mod rotation;
mod running;
mod schema;
mod together;
mod uniqueness;
mod waiting;
