//! Pages that change while somebody looks.
//!
//! Invariant: the database is asked at most once a second by a process, however many look, and not at all when nobody does. Limit: what
//! changes within a second is seen once.

mod flow;
mod sampler;
mod stream;

pub(crate) use flow::{Flow, Hour};
pub(crate) use sampler::{Sample, Sampler};
pub(crate) use stream::stream;
