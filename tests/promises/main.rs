//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod bounds;
mod bulk;
mod chain;
mod crashing;
mod deciding;
mod expiring;
mod filters;
mod groups;
mod in_transaction;
mod layers;
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
mod routing;
mod running;
mod scenarios;
mod schema;
mod testing;
mod timeouts;
mod together;
mod uniqueness;
mod waiting;
