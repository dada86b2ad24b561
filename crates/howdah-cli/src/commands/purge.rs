//! `howdah purge`: remove jobs that have ended before their retention is over.
//!
//! Invariant: what a queue wishes for removal is done. Limit: a thousand jobs to a transaction, so that what is
//! interrupted has removed a part.

use std::time::Duration;

use clap::Args;
use howdah::JobState;
use serde_json::json;

use super::Answer;
use crate::args::Global;
use crate::failure::Result;
use crate::output::Output;
use crate::{connect, duration};

/// What to remove.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// How they ended: completed, cancelled, expired or dead
    state: JobState,
    /// How long ago, at least, like 30d; 0s is all of them
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    older_than: Duration,
    /// Only of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

pub(crate) async fn run(global: &Global, out: Output, what: Purge) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let mut removed = 0;
    loop {
        let more = howdah.purge(what.state, what.older_than, what.queue.as_deref()).await?;
        removed += more;
        if more == 0 {
            break;
        }
    }
    out.answer(&json!({ "removed": removed }), removed)?;
    Ok(Answer::Yes)
}
