//! What the address of a page names.
//!
//! Invariant: taken by name, so that the prefix under which the router is nested may have parameters of its own. Limit: those of the
//! prefix must have other names than these.

use serde::Deserialize;

/// A job, a workflow, an operation.
#[derive(Debug, Deserialize)]
pub(crate) struct One {
    pub(crate) id: String,
}

/// A part of a job.
#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    pub(crate) id: String,
    pub(crate) part: String,
}

/// The stylesheet or the script.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) name: String,
}
