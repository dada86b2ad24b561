//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod bounds;
mod bulk;
mod chain;
mod crashing;
mod deciding;
mod expiring;
mod filters;
mod in_transaction;
mod leases;
mod leaving;
mod logs;
mod observing;
mod outputs;
mod plain_sql;
mod plans;
mod progress;
mod pulling;
mod queues;
mod readme;
mod refusals;
mod removal;
mod retention;
mod retrying;
mod rotation;
mod running;
mod schema;
mod testing;
mod together;
mod uniqueness;
mod waiting;
