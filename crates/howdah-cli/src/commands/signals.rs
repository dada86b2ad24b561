//! `howdah signal`: tell jobs that wait for a name; `howdah signals`: which are kept.
//!
//! Invariant: a signal that was not the first of its name is the answer no: nothing was changed. Limit: jobs that wait are
//! seen in `howdah jobs show`.

use std::time::Duration;

use clap::Args;
use howdah::JobId;
use serde_json::json;
use serde_json::value::RawValue;

use super::Answer;
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, say};
use crate::{connect, duration, sql};

/// What to send.
#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// What it is about, like 'order 42 paid'
    name: String,
    /// JSON for those who hear it; nothing is null
    #[arg(conflicts_with = "withdraw")]
    payload: Option<String>,
    /// Only this job hears it
    #[arg(long, value_name = "ID")]
    job: Option<i64>,
    /// How long it is kept for jobs that begin to wait later, like 2h; signal_retention otherwise, 7 days
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "withdraw")]
    keep_for: Option<Duration>,
    /// Take it back instead, so that another one of the name can be sent
    #[arg(long)]
    withdraw: bool,
}

const LIST: [Column; 5] = [
    Column("name", Show::Text),
    Column("job_id", Show::Number),
    Column("sent_at", Show::Time),
    Column("expires_at", Show::Time),
    Column("payload", Show::Text),
];

pub(crate) async fn send(global: &Global, out: Output, signal: Signal) -> Result<Answer> {
    let payload: Box<RawValue> = serde_json::from_str(signal.payload.as_deref().unwrap_or("null")).map_err(|e| {
        Failure::usage(format!("the payload is not JSON: {e}")).hint("a text is JSON in quotes: '\"like this\"'")
    })?;
    let howdah = connect::to_queue(global).await?;
    let job = signal.job.map(JobId);
    if signal.withdraw {
        let done = howdah.withdraw_signal(&signal.name, job).await?;
        out.answer(&json!({ "withdrawn": done }), if done { "withdrawn" } else { "there is none" })?;
        return Ok(done.into());
    }
    let mut sending = howdah.signal(&signal.name, &payload);
    if let Some(job) = job {
        sending = sending.to(job);
    }
    if let Some(length) = signal.keep_for {
        sending = sending.keep_for(length);
    }
    let sent = sending.await?;
    out.answer(&json!({ "sent": sent }), if sent { "sent" } else { "already sent" })?;
    if !sent {
        say("the first one is kept, and counts: take it back with --withdraw");
    }
    Ok(sent.into())
}

pub(crate) async fn list(global: &Global, out: Output) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.signals ORDER BY sent_at, name, job_id) x";
    let rows: Vec<String> = sqlx::query_scalar(sql::of(&howdah, statement)).fetch_all(howdah.pool()).await?;
    if rows.is_empty() {
        out.nothing("no signals are kept");
    }
    out.rows(&LIST, &rows)?;
    Ok(Answer::Yes)
}
