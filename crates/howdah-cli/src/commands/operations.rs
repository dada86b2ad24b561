//! `howdah operations`: what is done to all jobs that a search means, and who did what.
//!
//! Invariant: whatever is begun here is a row that can be looked at, gone on with and cancelled, here and elsewhere. Limit:
//! what an operation has done stays done.

use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use howdah_admin::{Action, Admin, By, Search};
use serde_json::json;

use super::selection::Sure;
use super::{Answer, search};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show};
use crate::{connect, duration, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Operations {
    /// List operations, newest first
    Ls {
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
    /// Do something to all jobs that a search means
    Start(Start),
    /// Go on with an operation that was interrupted or has stopped
    Resume {
        /// The operation's number
        id: i64,
    },
    /// End an operation; what it has done is done
    Cancel {
        /// The operation's number
        id: i64,
    },
    /// Who did what to jobs, newest first
    Audit {
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
}

/// What to do.
#[derive(Debug, Args)]
pub(crate) struct Start {
    action: Verb,
    /// Which jobs, like 'kind:send_* state:dead age:>1h' (see docs/search.md)
    #[arg(value_parser = search::parse)]
    search: Search,
    /// The priority (0 to 9), the queue, or the time (like 2026-01-31T10:00Z, or 10m from then on)
    #[arg(long, value_name = "VALUE")]
    to: Option<String>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    sure: Sure,
}

/// Actions by their names.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verb {
    /// Run dead jobs again; scheduled ones at once, if the search names that state
    Retry,
    /// Cancel those that wait, and ask those that run
    Cancel,
    /// Delete dead jobs; others but running ones, if the search names their state
    Purge,
    /// Give those that wait another priority
    Priority,
    /// Move those that wait to another queue
    Move,
    /// Let those that wait be due at another time
    Reschedule,
}

const LIST: [Column; 9] = [
    Column("id", Show::Number),
    Column("action", Show::Text),
    Column("search", Show::Text),
    Column("state", Show::Text),
    Column("matched", Show::Number),
    Column("changed", Show::Number),
    Column("made_by", Show::Text),
    Column("made_at", Show::Time),
    Column("error", Show::Text),
];

const AUDIT: [Column; 8] = [
    Column("made_at", Show::Time),
    Column("made_by", Show::Text),
    Column("action", Show::Text),
    Column("settings", Show::Text),
    Column("search", Show::Text),
    Column("job_ids", Show::Text),
    Column("changed", Show::Number),
    Column("reason", Show::Text),
];

pub(crate) async fn run(global: &Global, out: Output, command: Operations) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let newest = "SELECT to_json(x)::text FROM (SELECT id, action, settings, search, state, looked, matched, changed, made_by, reason, made_at,
                         stepped_at, ended_at, ended_by, error FROM howdah.operation ORDER BY id DESC LIMIT $1) x";
    let audit = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.audit ORDER BY made_at DESC LIMIT $1) x";
    let (columns, statement, limit): (&[Column], _, _) = match command {
        Operations::Ls { limit } => (&LIST, newest, limit),
        Operations::Audit { limit } => (&AUDIT, audit, limit),
        Operations::Start(start) => {
            let action = action(start.action, start.to.as_deref())?;
            return search::operate(&howdah, out, &action, &start.search, &start.sure, start.reason.as_deref()).await;
        }
        Operations::Resume { id } => return search::finish(&Admin::new(howdah), out, id, None).await,
        Operations::Cancel { id } => {
            let done = Admin::new(howdah).cancel_operation(id, By::session()).await?;
            let Some(done) = done else { return Err(Failure::no(format!("there is no operation {id}"))) };
            if !done {
                return Err(Failure::no(format!("operation {id} had ended before")));
            }
            out.answer(&json!({ "operation": id, "state": "cancelled" }), format_args!("operation {id} is cancelled"))?;
            return Ok(Answer::Yes);
        }
    };
    let rows: Vec<String> =
        sqlx::query_scalar(sql::of(&howdah, statement)).bind(limit).fetch_all(howdah.pool()).await?;
    if rows.is_empty() {
        out.nothing("nothing was done to jobs yet");
    }
    out.rows(columns, &rows)?;
    Ok(Answer::Yes)
}

fn action(verb: Verb, to: Option<&str>) -> Result<Action> {
    let needs = |what: &str| Failure::usage(format!("--to is missing: {what}"));
    let action = match verb {
        Verb::Retry => Action::Retry,
        Verb::Cancel => Action::Cancel,
        Verb::Purge => Action::Purge,
        Verb::Move => return to.map(|queue| Action::Move(queue.to_owned())).ok_or_else(|| needs("to which queue")),
        Verb::Priority => {
            let to = to.ok_or_else(|| needs("which priority, 0 to 9"))?;
            let priority = to.parse().ok().filter(|p| *p <= 9);
            return priority.map(Action::Priority).ok_or_else(|| Failure::usage("--to must be a priority, 0 to 9"));
        }
        Verb::Reschedule => {
            let to = to.ok_or_else(|| needs("when, like 2026-01-31T10:00Z or 10m"))?;
            if let Ok(at) = to.parse::<jiff::Timestamp>() {
                return Ok(Action::RescheduleAt(SystemTime::from(at)));
            }
            return duration::parse(to).map(Action::RescheduleIn).map_err(|e| Failure::usage(format!("--to {e}")));
        }
    };
    if to.is_some() {
        return Err(Failure::usage("--to is for priority, move and reschedule"));
    }
    Ok(action)
}
