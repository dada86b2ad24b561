//! `howdah tail`: what happens, a line for each event.
//!
//! Invariant: a look costs of what happened since the last one, and asks nothing of those who work: no triggers, no
//! notifications, no session of its own, so that it works through a pooler. Limit: what is enqueued is not told, it only
//! begins.

use std::time::Duration;

use clap::{Args, ValueEnum};
use howdah_admin::{Admin, Error, Event, Search, Tail as Following, What};
use jiff::Timestamp;

use super::{Answer, search};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Output, Paint, colors_are_allowed, cut, escaped, say};
use crate::{connect, duration};

const EXAMPLES: &str = "\
A line has: when, what, the job's number, its queue and kind, the attempt, and how long it ran, or why it failed.
In a pipe these are separated by tabs; with --json each line is an object.

Examples:
  howdah tail
  howdah tail 'kind:send_*'
  howdah tail --event failed --event dead
  howdah tail 'queue:mail' --json | jq 'select(.run_ms > 1000)'";

/// What to follow.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tail {
    /// Only jobs that a search means, like 'kind:send_* queue:mail' (see docs/search.md)
    #[arg(value_parser = search::parse)]
    search: Option<Search>,
    /// Only such events; may be given several times [default: all]
    #[arg(long, value_enum)]
    event: Vec<Sort>,
    /// Look every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    every: u16,
    /// End after so many events
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Events by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// An attempt began
    Began,
    /// A job has completed
    Completed,
    /// An attempt failed, and there will be another one
    Failed,
    /// The last attempt failed
    Dead,
    /// A job was cancelled
    Cancelled,
    /// A job was not started in time
    Expired,
}

impl Sort {
    fn is(self, what: What) -> bool {
        self.to_possible_value().is_some_and(|value| value.get_name() == what.as_str())
    }
}

pub(crate) async fn run(global: &Global, out: Output, what: Tail) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let search =
        what.search.clone().map_or_else(|| "".parse::<Search>().map_err(|e| Failure::usage(e.to_string())), Ok)?;
    let mut following = Admin::new(howdah).tail(&search);
    following.look().await?;
    out.nothing("following what begins, fails and ends; Ctrl-C ends it");
    let mut left = what.count;
    let mut silent = false;
    loop {
        tokio::time::sleep(Duration::from_secs(what.every.into())).await;
        match look(&mut following, out, &what.event, &mut left).await {
            Ok(()) => silent = false,
            // Said once, and it goes on: a restart of the server is among the things that happen.
            Err(failure) if failure.may_pass() => {
                if !std::mem::replace(&mut silent, true) {
                    say(&format!("{}; trying again", escaped(&failure.to_string())));
                }
            }
            Err(failure) => return Err(failure),
        }
        if left == Some(0) {
            return Ok(Answer::Yes);
        }
    }
}

async fn look(following: &mut Following, out: Output, sorts: &[Sort], left: &mut Option<u64>) -> Result<()> {
    let look = following.look().await.map_err(|error| match error {
        late @ Error::TookTooLong { .. } => Failure::unreachable(late.to_string()),
        error => error.into(),
    })?;
    if let Some(gap) = look.gap {
        say(&format!("nobody looked for {}: what happened meanwhile is missing", duration::told(gap)));
    }
    for (event, text) in look.events {
        if *left == Some(0) || !(sorts.is_empty() || sorts.iter().any(|sort| sort.is(event.event))) {
            continue;
        }
        tell(out, &event, &text)?;
        *left = left.map(|left| left - 1);
    }
    if look.more {
        say("more happens than can be told, and some of it is missing: narrow it by a search");
    }
    Ok(())
}

fn tell(out: Output, event: &Event, json: &str) -> Result<()> {
    if out.is_json() {
        return Ok(out.line(json)?);
    }
    let why = match (&event.error_kind, &event.message) {
        (Some(kind), Some(message)) => format!("{}: {}", escaped(kind), escaped(message)),
        (_, message) => message.as_deref().map(escaped).unwrap_or_default(),
    };
    let took =
        event.run_ms.map(|ms| duration::told(Duration::from_millis(ms.unsigned_abs().into()))).unwrap_or_default();
    let (id, queue, kind) = (event.id, escaped(&event.queue), escaped(&event.kind));
    if !out.is_terminal() {
        let run_ms = event.run_ms.map(|ms| ms.to_string()).unwrap_or_default();
        let cells = [
            &event.at,
            event.event.as_str(),
            &id.to_string(),
            &queue,
            &kind,
            &event.attempt.to_string(),
            &run_ms,
            &why,
        ];
        return Ok(out.line(cells.join("\t"))?);
    }
    let at = event.at.parse::<Timestamp>().map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
    let (glyph, paint) = look_of(event.event);
    let rest = format!("{id:>10}  {queue}  {kind}  attempt {}  {took}  {why}", event.attempt);
    let width = crossterm::terminal::size().map_or(80, |(width, _)| usize::from(width));
    // The columns before the rest: 8, 2, 1, 1, 9, 1.
    let rest = cut(rest.trim_end(), width.saturating_sub(22).max(20));
    let word = paint.on(&format!("{glyph} {:<9}", event.event.as_str()), colors_are_allowed());
    Ok(out.line(format_args!("{at}  {word} {rest}"))?)
}

/// A sign and a colour, which repeat what the word says.
fn look_of(what: What) -> (char, Paint) {
    match what {
        What::Began => ('>', Paint::Busy),
        What::Completed => ('+', Paint::Good),
        What::Failed => ('!', Paint::Doubtful),
        What::Dead => ('x', Paint::Bad),
        _ => ('-', Paint::Faint),
    }
}
