//! Logs of attempts: what is logged inside of a job's span is kept with the attempt (feature `logs`).
//!
//! Invariant: without a [`JobLogs`] layer nothing is collected, sent or connected to. Limit: what an attempt leaves
//! running behind it logs to nobody here.

#[cfg(feature = "logs")]
mod layer;
#[cfg(feature = "logs")]
mod lines;
#[cfg(not(feature = "logs"))]
mod off;

#[cfg(feature = "logs")]
pub use layer::JobLogs;
#[cfg(feature = "logs")]
pub(crate) use layer::collect;
#[cfg(feature = "logs")]
pub(crate) use lines::AttemptLog;
#[cfg(not(feature = "logs"))]
pub(crate) use off::collect;
