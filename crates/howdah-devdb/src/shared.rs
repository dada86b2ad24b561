//! One fast server for all tests of a process.
//!
//! Invariant: started once, however many tests ask at once and on whatever runtimes. Limit: a test
//! runner with a process for each test gets a server for each.

use tokio::sync::OnceCell;

use crate::builder::Durability;
use crate::error::Result;
use crate::server::Server;

/// Never dropped, as statics are not; the end of the process is what the watchdog sees.
static SHARED: OnceCell<Server> = OnceCell::const_new();

/// The process's own [`Durability::Fast`] server, or the one `DATABASE_URL` names.
///
/// # Errors
/// Those of [`ServerBuilder::start`](crate::ServerBuilder::start); the next call tries again.
pub async fn shared_for_tests() -> Result<&'static Server> {
    SHARED.get_or_try_init(|| Box::pin(Server::builder().durability(Durability::Fast).start())).await
}
