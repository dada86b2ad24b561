//! Finds or installs PostgreSQL and runs a private server, for demos, tests and benches.
//!
//! Invariant: a private server never outlives the process that started it, even one that is
//! killed, and its folder goes with it. Limit: Unix only; for throw-away data only, nothing a
//! private server holds is kept.
//!
//! Where the server comes from, the first that fits:
//!
//! 1. a database URL (`DATABASE_URL`, or [`ServerBuilder::database_url`]): that server is used and
//!    nothing is started;
//! 2. installed programs: `HOWDAH_PG_BIN`, else the newest of `PATH` and the usual folders;
//! 3. the system's package, where this user may install one ([`InstallPolicy`]);
//! 4. a download, with the cargo feature `download`;
//! 5. an error with the command to type.
//!
//! ```no_run
//! # async fn example() -> Result<(), howdah_devdb::Error> {
//! use howdah_devdb::{Durability, Server};
//!
//! let server = Server::builder().durability(Durability::Fast).start().await?;
//! let database = server.create_database().await?;
//! println!("{}", database.url());
//! server.stop().await?;
//! # Ok(())
//! # }
//! ```

mod account;
mod address;
mod binaries;
mod builder;
mod database;
#[cfg(feature = "download")]
mod download;
mod error;
mod initdb;
mod install;
mod progress;
mod server;
mod shared;
mod template;
mod watchdog;

pub use binaries::{Binaries, OLDEST_MAJOR};
pub use builder::{Durability, ServerBuilder};
pub use database::Database;
pub use error::{Error, Result};
pub use install::InstallPolicy;
pub use progress::Progress;
pub use server::{Server, StopMode};
pub use shared::shared_for_tests;
pub use template::Template;
