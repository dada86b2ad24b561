//! `howdah stats`: what waits, what runs, who works.
//!
//! Invariant: it reads counts over runs of jobs, never the jobs themselves, so that it is cheap on a full queue.
//! Limit: rates are not kept by the queue, so none are shown.

use super::{Answer, queues, workers};
use crate::args::Global;
use crate::connect;
use crate::failure::Result;
use crate::output::Output;

pub(crate) async fn run(global: &Global, out: Output) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let queues = queues::all(&howdah).await?;
    let workers = workers::all(&howdah).await?;
    if out.is_json() {
        out.line(format_args!("{{\"queues\":[{}],\n \"workers\":[{}]}}", queues.join(","), workers.join(",")))?;
        return Ok(Answer::Yes);
    }
    out.rows(&queues::LIST, &queues)?;
    out.heading("workers")?;
    out.rows(&workers::LIST, &workers)?;
    workers::say_who_is_missing(out, &workers);
    Ok(Answer::Yes)
}
