//! Promises of the whole system, held against a real PostgreSQL.
#![allow(missing_docs)]

mod running;
