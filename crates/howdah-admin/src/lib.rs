//! Questions and commands about jobs, for whoever shows them to people: the command line, a dashboard, an API.
//!
//! Invariant: everything is one documented SQL function, bounded in what it looks at, and says how far it got. Limit:
//! nothing here runs jobs.
//!
//! ```no_run
//! # async fn example(howdah: howdah::Howdah) -> Result<(), howdah_admin::Error> {
//! use howdah_admin::{Admin, Search};
//!
//! let admin = Admin::new(howdah);
//! let search: Search = r#"kind:send_* state:dead error:"timed out" age:>10m"#.parse()?;
//! let page = admin.search(&search).limit(20).await?;
//! for job in admin.lines(&page.ids).await? {
//!     println!("{} {} {}", job.id, job.kind, job.state);
//! }
//! # Ok(())
//! # }
//! ```

mod action;
mod admin;
mod complete;
mod control;
mod error;
mod errors;
mod find;
mod line;
mod operation;
mod overview;
mod search;
pub mod sql;
mod stats;
mod suggest;
mod tail;

pub use action::{Action, By};
pub use admin::Admin;
pub use control::Control;
pub use error::{Error, Result};
pub use errors::ErrorGroup;
pub use find::{Count, Finding, Page};
pub use line::JobLine;
pub use operation::Operation;
pub use overview::{Overview, QueueLine, WorkerLine};
pub use search::{FieldInfo, Search, SearchError, fields, nearest};
pub use stats::{Minute, Rate, Spread, StatLine};
pub use suggest::Suggestion;
pub use tail::{Event, Look, Tail, What};
