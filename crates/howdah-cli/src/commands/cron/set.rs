//! A schedule, from what was typed.
//!
//! Invariant: says what `howdah::Schedule` says. Limit: it is the whole schedule; to change one setting and leave the
//! rest, there is `SELECT howdah.set_schedule(name, settings)`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use howdah::{Missed, Retry, Schedule};

use crate::commands::enqueue::{payload, settings};
use crate::duration;
use crate::failure::Result;

/// What to set.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  howdah cron set nightly '0 3 * * *' report --timezone Europe/Berlin --missed one
  howdah cron set poll '@every 90s' poll -a url=https://example.org --unique-key poll
  howdah cron set tick '*/10 * * * * *' tick '{\"n\": 1}' --queue fast --ttl 5s

An expression has five fields: minute, hour, day of the month, month, day of the week (0 to 7, or sun to sat); six with
seconds first. @hourly, @daily, @weekly, @monthly and @yearly are names of some.")]
pub(crate) struct Set {
    /// The name of the schedule
    name: String,
    /// When it is due: '0 3 * * *', '*/10 * * * * *', @daily, '@every 90s'
    expression: String,
    /// The kind of its jobs
    kind: String,
    /// The payload of its jobs: JSON; or @FILE with a JSON document
    #[arg(conflicts_with = "arguments")]
    payload: Option<String>,
    /// A field of the payload: NAME=TEXT, or NAME:=JSON
    #[arg(short = 'a', long = "arg", value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// The time zone of the expression, like Europe/Berlin
    #[arg(long, default_value = "UTC")]
    timezone: String,
    /// The queue of its jobs, which must exist
    #[arg(long, default_value = "default")]
    queue: String,
    /// 0 runs first, 9 last
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: u8,
    /// How often a job is tried before it is dead; the queue's own number if left out
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_attempts: Option<u16>,
    /// Enqueue none while a job of this kind with this key has not ended
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Do not start a job later than this after it was due, like 30m
    #[arg(long, value_parser = duration::parse, allow_hyphen_values = true)]
    ttl: Option<Duration>,
    /// How long one attempt may take, like 30s
    #[arg(long, value_parser = duration::parse, allow_hyphen_values = true)]
    timeout: Option<Duration>,
    /// When a job is tried again: constant:30s, linear:10s or exponential:2s
    #[arg(long, value_name = "POLICY:TIME", value_parser = settings::retry)]
    retry: Option<Retry>,
    /// Something to find and to filter the jobs by: NAME=TEXT, or NAME:=JSON
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// What becomes of what nobody fired in time
    #[arg(long, value_enum, default_value_t = OnMissed::Skip)]
    missed: OnMissed,
    /// How many of what was missed are fired at most, with --missed all
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_missed: u16,
    /// How late it may be fired without counting as missed, 1s to 24h
    #[arg(long, default_value = "1m", value_parser = duration::parse, allow_hyphen_values = true)]
    grace: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnMissed {
    /// It is left out
    Skip,
    /// The last is fired
    One,
    /// All are fired, the last --max-missed of them
    All,
}

impl Set {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// # Errors
    /// A payload or an attribute that is none.
    pub(super) fn schedule(&self) -> Result<Schedule> {
        let payload = payload::of(self.payload.as_deref(), &self.arguments)?;
        let mut schedule = Schedule::new(&self.name, &self.expression)
            .raw(&self.kind, &payload)
            .timezone(&self.timezone)
            .queue(&self.queue)
            .priority(self.priority)
            .max_missed(self.max_missed)
            .grace(self.grace)
            .missed(match self.missed {
                OnMissed::Skip => Missed::Skip,
                OnMissed::One => Missed::One,
                OnMissed::All => Missed::All,
            });
        if let Some(attempts) = self.max_attempts {
            schedule = schedule.max_attempts(attempts);
        }
        if let Some(key) = &self.unique_key {
            schedule = schedule.unique(key);
        }
        if let Some(ttl) = self.ttl {
            schedule = schedule.ttl(ttl);
        }
        if let Some(timeout) = self.timeout {
            schedule = schedule.timeout(timeout);
        }
        if let Some(retry) = self.retry {
            schedule = schedule.retry(retry);
        }
        for attribute in &self.attributes {
            let (name, value) = payload::field("--attribute", attribute)?;
            schedule = schedule.attribute(name, value);
        }
        Ok(schedule)
    }
}
