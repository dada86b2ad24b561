//! `howdah enqueue`: one job, or one for each line of standard input.
//!
//! Invariant: what is printed was committed. Limit: a stream is committed piece by piece; what an error left
//! behind is said with it.

pub(super) mod payload;
pub(super) mod settings;
mod stream;
mod unique;

use std::time::{Duration, SystemTime};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use serde_json::value::RawValue;

use settings::Settings;

use super::{Answer, wait};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::{connect, duration};

/// What to enqueue.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  howdah enqueue welcome -a name=Ada -a user:=42
  howdah enqueue welcome '{\"user\": 42}' --delay 5m
  howdah enqueue report @report.json --queue slow --timeout 10m --wait
  howdah enqueue reindex -a shop:=7 --unique --delay 1m --on-hit replace-time
  generate-lines | howdah enqueue import -")]
pub(crate) struct Enqueue {
    /// The kind of the job, by which workers know what to do
    kind: String,
    /// JSON; or @FILE with a JSON document; or - for a JSON document on each line of standard input
    #[arg(conflicts_with = "arguments")]
    payload: Option<String>,
    /// A field of the payload: NAME=TEXT, or NAME:=JSON
    #[arg(short = 'a', long = "arg", value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// The queue, which must exist
    #[arg(long, default_value = "default")]
    queue: String,
    /// 0 runs first, 9 last
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: u8,
    /// Due this long from now, like 5m or 1h30m
    #[arg(long, value_parser = duration::parse, allow_hyphen_values = true, conflicts_with = "run_at")]
    delay: Option<Duration>,
    /// Due at this time, like 2030-01-31T08:00:00Z
    #[arg(long, value_name = "RFC3339", value_parser = time)]
    run_at: Option<SystemTime>,
    /// How often it is tried before it is dead; the queue's own number if left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_attempts: Option<u16>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    unique: unique::UniqueArgs,
    /// Wait until the job has ended, print its output, and exit with 1 if it did not end well
    #[arg(long)]
    wait: bool,
}

fn time(text: &str) -> Result<SystemTime, String> {
    let at: Timestamp = text.parse().map_err(|_| "write it like 2030-01-31T08:00:00Z".to_owned())?;
    Ok(at.into())
}

pub(crate) async fn run(global: &Global, out: Output, command: Enqueue) -> Result<Answer> {
    if command.payload.as_deref() == Some("-") {
        if command.wait || command.unique.read().map_err(Failure::usage)?.is_some() {
            return Err(Failure::usage("--wait and --unique are for one job, not for a stream of them"));
        }
        return stream::run(global, out, &command).await;
    }
    // Before connecting: what was typed may be wrong.
    let payload = payload::of(command.payload.as_deref(), &command.arguments)?;
    let unique = command.unique.read().map_err(Failure::usage)?;
    let howdah = connect::to_queue(global).await?;
    let work = async {
        let job = command.one(&howdah, &payload)?;
        match unique {
            None => Ok::<_, Failure>((job.await?, false)),
            Some(unique) => Ok(job.unique(unique).await.map(|enqueued| (enqueued.id, enqueued.hit))?),
        }
    };
    let (id, hit) = tokio::select! {
        enqueued = work => enqueued?,
        _ = tokio::signal::ctrl_c() => return Err(Failure::interrupted("interrupted: the job may have been enqueued")),
    };
    if command.wait {
        return wait::one(&howdah, out, id).await;
    }
    out.answer(&json!({ "id": id, "hit": hit }), id)?;
    Ok(Answer::Yes)
}

impl Enqueue {
    /// One job with the options that were given.
    fn one<'e>(
        &self,
        howdah: &'e howdah::Howdah,
        payload: &RawValue,
    ) -> Result<howdah::Enqueue<'e, serde_json::Value>> {
        let mut job = howdah.enqueue_raw(&self.kind, payload).queue(&self.queue).priority(self.priority);
        if let Some(delay) = self.delay {
            job = job.delay(delay);
        }
        if let Some(at) = self.run_at {
            job = job.run_at(at);
        }
        if let Some(attempts) = self.max_attempts {
            job = job.max_attempts(attempts);
        }
        self.settings.of_one(job)
    }

    /// Many jobs with the options that were given.
    fn many<'e>(&self, howdah: &'e howdah::Howdah, payloads: &[&RawValue]) -> Result<howdah::EnqueueMany<'e>> {
        let mut jobs = howdah.enqueue_many_raw(&self.kind, payloads).queue(&self.queue).priority(self.priority);
        if let Some(delay) = self.delay {
            jobs = jobs.delay(delay);
        }
        if let Some(at) = self.run_at {
            jobs = jobs.run_at(at);
        }
        if let Some(attempts) = self.max_attempts {
            jobs = jobs.max_attempts(attempts);
        }
        self.settings.of_many(jobs)
    }
}
