//! Where an enqueue runs: the pool, or a connection or transaction of the caller.
//!
//! Invariant: what is given is borrowed for the one call, so a transaction stays the caller's to end. Limit: sqlx
//! only, so far.

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// Something to run an enqueue on: `&mut Transaction`, `&mut PgConnection`, `&mut PoolConnection` or `&PgPool`.
#[diagnostic::on_unimplemented(
    message = "a job cannot be enqueued on `{Self}`",
    label = "this needs `&mut tx`, `&mut connection` or `&pool` of sqlx"
)]
pub trait On<'e>: private::Sealed {
    #[doc(hidden)]
    fn target(self) -> Target<'e>;
}

#[doc(hidden)]
#[derive(Debug)]
pub enum Target<'e> {
    Pool(&'e PgPool),
    Connection(&'e mut PgConnection),
}

impl<'e> On<'e> for &'e PgPool {
    fn target(self) -> Target<'e> {
        Target::Pool(self)
    }
}
impl<'e> On<'e> for &'e mut PgConnection {
    fn target(self) -> Target<'e> {
        Target::Connection(self)
    }
}
impl<'e> On<'e> for &'e mut Transaction<'_, Postgres> {
    fn target(self) -> Target<'e> {
        Target::Connection(self)
    }
}
impl<'e> On<'e> for &'e mut PoolConnection<Postgres> {
    fn target(self) -> Target<'e> {
        Target::Connection(self)
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for &sqlx::PgPool {}
    impl Sealed for &mut sqlx::PgConnection {}
    impl Sealed for &mut sqlx::Transaction<'_, sqlx::Postgres> {}
    impl Sealed for &mut sqlx::pool::PoolConnection<sqlx::Postgres> {}
}
