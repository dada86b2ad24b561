//! `howdah purge`: remove jobs that have ended before their retention is over.
//!
//! Invariant: what a queue wishes for removal is done; nothing is removed that nobody has said yes to. Limit: a thousand jobs to a
//! transaction, so that what is interrupted has removed a part; what is counted before is counted up to a bound.

use std::time::Duration;

use clap::Args;
use howdah::{Howdah, JobState};
use howdah_admin::{Admin, Count, Search};
use serde_json::json;

use super::Answer;
use super::selection::ask;
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::of_so_many;
use crate::{connect, duration};

/// As far as is counted.
const MOST: u32 = 10_000;

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
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    /// Only count the jobs that would go
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

pub(crate) async fn run(global: &Global, out: Output, what: Purge) -> Result<Answer> {
    if !matches!(what.state, JobState::Completed | JobState::Cancelled | JobState::Expired | JobState::Dead) {
        return Err(Failure::usage(format!("jobs that are {} have not ended", what.state))
            .hint("completed, cancelled, expired or dead"));
    }
    let howdah = connect::to_queue(global).await?;
    let mut total = None;
    if what.dry_run || !what.yes {
        let jobs = count(&howdah, &what).await?;
        if what.dry_run {
            let json = json!({ "jobs": jobs.jobs, "or_more": jobs.or_more, "dry_run": true });
            out.answer(&json, format_args!("{jobs} jobs would be removed"))?;
            return Ok(Answer::Yes);
        }
        if !ask(&format!("{jobs} {} jobs will be removed for good. Go on?", what.state))? {
            return Ok(Answer::No);
        }
        total = Some(jobs.jobs).filter(|_| !jobs.or_more);
    }
    let bar = of_so_many("removed", total);
    let mut removed = 0;
    let ended = loop {
        match howdah.purge(what.state, what.older_than, what.queue.as_deref()).await {
            Ok(0) => break Ok(()),
            Ok(more) => removed += more,
            Err(error) => break Err(error),
        }
        bar.set_position(removed);
    };
    bar.finish_and_clear();
    ended?;
    out.answer(&json!({ "removed": removed }), removed)?;
    Ok(Answer::Yes)
}

/// How many there are, as a search sees it.
async fn count(howdah: &Howdah, what: &Purge) -> Result<Count> {
    let ms = what.older_than.as_millis();
    let ended = if ms == 0 { "now".to_owned() } else { format!("-{ms}ms") };
    let queue = what.queue.as_deref().map(|name| format!(" queue:{}", quoted(name))).unwrap_or_default();
    let search: Search = format!("state:{} ended:<={ended}{queue}", what.state)
        .parse()
        .map_err(|e: howdah_admin::SearchError| Failure::usage(e.to_string()))?;
    Ok(Admin::new(howdah.clone()).count(&search, MOST).await?)
}

/// A value of a search that is exactly this text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
