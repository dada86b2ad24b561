//! The limits under the benchmark's contract: what PostgreSQL does for this work without any queue around it.
//!
//! `adapter-limits copy|insert|loop|notify`. Invariant: the same driver, the same columns and the same contract as
//! Howdah's own adapter. Limit: none of them is a queue, so each does a part of the work and refuses the rest.

mod notify;
mod plain;
mod sql_loop;

use anyhow::bail;
use howdah_bench_contract::{Result, serve};

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("copy") => serve::<plain::Plain<true>>().await,
        Some("insert") => serve::<plain::Plain<false>>().await,
        Some("loop") => serve::<sql_loop::Loop>().await,
        Some("notify") => serve::<notify::Bare>().await,
        other => bail!("one of copy, insert, loop, notify; not {other:?}"),
    }
}

/// What the answer is to a command that is no part of a limit.
const NO_QUEUE: &str = "a limit, not a queue";
