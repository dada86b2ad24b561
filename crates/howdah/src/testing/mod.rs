//! For the tests of programs that use howdah: run a handler, drain a queue, look at what was enqueued, stop the clock.
//!
//! With the feature `testing`, which belongs into `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! howdah = { version = "0.1", features = ["testing"] }
//! ```
//!
//! What a test gives to these functions is the [`Worker`](crate::Worker) of the program, with its handlers and its state
//! (or a state for tests), that is never run:
//!
//! ```no_run
//! use howdah::{Ctx, Howdah, Job, JobError, Worker, testing};
//!
//! #[derive(Debug, Job, serde::Serialize, serde::Deserialize)]
//! #[job(queue = "mail")]
//! struct Welcome { user: i64 }
//!
//! async fn welcome(job: Welcome) -> Result<(), JobError> {
//!     if job.user == 0 { Err(JobError::discard("nobody")) } else { Ok(()) }
//! }
//!
//! # async fn sign_up(_: &mut sqlx::PgConnection) -> Result<(), howdah::Error> { Ok(()) }
//! # async fn test(howdah: Howdah) -> Result<(), Box<dyn std::error::Error>> {
//! // One handler, without a database: the payload goes through JSON and back.
//! let worker = Worker::new(&testing::without_database()).handle(welcome);
//! assert!(testing::run(&worker, Welcome { user: 1 }).await.is_completed());
//!
//! // What a piece of code enqueues, and what comes of it, in a transaction that is rolled back at the end.
//! let worker = Worker::new(&howdah).handle(welcome);
//! let mut tx = howdah.pool().begin().await?;
//! sign_up(&mut tx).await?;
//! testing::assert_enqueued(&howdah, |job: &Welcome| job.user == 7).on(&mut tx).await;
//! let drained = testing::drain(&worker, "mail").on(&mut tx).await?;
//! assert_eq!(drained.completed.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Invariant: handlers and SQL are the ones that run in production; nothing here is a second queue. Limit: jobs run one
//! at a time, in the order of the queue, on the task of the test.

mod clock;
mod drain;
mod enqueued;
mod run;

pub use clock::Clock;
pub use drain::{Drain, Drained, drain};
pub use enqueued::{AssertEnqueued, Enqueued, assert_enqueued, assert_none_enqueued, enqueued};
pub use run::{Outcome, run, without_database};
