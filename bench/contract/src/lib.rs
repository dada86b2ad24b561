//! The contract between the benchmark and its adapters, for adapters in Rust. bench/README.md has it in words.
//!
//! An adapter implements [`Adapter`], calls [`Seen::ran`] in its handler, and ends its `main` with [`serve`]; loops,
//! clocks and counting are done here, so that they are the same for every library in Rust.
//!
//! Invariant: one line in, one line out, in order; nothing else is printed on standard output. Limit: one worker and
//! one kind of job a process.

mod clock;
mod enqueue;
mod seen;
mod serve;

use std::future::Future;

pub use anyhow::Result;
pub use clock::now_ns;
use serde::{Deserialize, Serialize};

pub use seen::Seen;
pub use serve::serve;

/// The payload of every job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Which one of its run it is.
    pub n: u64,
    /// When it was about to be enqueued, by [`now_ns`]; 0 where nobody asks how long it waited.
    pub at: u64,
}

/// What an adapter cannot do, and why: the benchmark shows it instead of a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(pub &'static str);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unsupported {}

/// Ends a function of an adapter that its system has nothing for.
///
/// # Errors
/// Always [`Unsupported`].
pub fn unsupported<T>(why: &'static str) -> Result<T> {
    Err(Unsupported(why).into())
}

/// A system under measurement, by its public API.
pub trait Adapter: Sized + Send + Sync + 'static {
    /// Who enqueues one job after the other: a connection of its own, or a handle of a pool.
    type Lane: Send + 'static;

    /// The release that is measured.
    const VERSION: &'static str;

    /// Connects. With `install`, to a database with nothing in it: makes whatever the system needs there.
    fn open(url: &str, install: bool) -> impl Future<Output = Result<Self>> + Send;

    /// Enqueues so many jobs in calls of at most `batch`, and returns when all are committed.
    fn enqueue_bulk(&self, jobs: u64, batch: usize) -> impl Future<Output = Result<()>> + Send;

    /// Opens one of the enqueuers of single jobs. There may be 16 of them.
    fn lane(&self) -> impl Future<Output = Result<Self::Lane>> + Send;

    /// Enqueues one job and returns when it is committed.
    fn enqueue_one(lane: &mut Self::Lane, work: Work) -> impl Future<Output = Result<()>> + Send;

    /// Starts a worker whose handler does nothing but call [`Seen::ran`]; returns when it is ready for jobs. With
    /// `other_queue` it serves a queue in which there never are any.
    fn start_worker(
        &mut self,
        concurrency: usize,
        other_queue: bool,
        seen: Seen,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Lets the worker finish what it has and ends it.
    fn stop_worker(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Whether the database has a job that is not over.
    fn unfinished(&self) -> impl Future<Output = Result<bool>> + Send;
}
