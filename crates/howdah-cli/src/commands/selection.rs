//! Operations on the jobs of a selection: which ones, whether that is meant, and how far it is.
//!
//! Invariant: nothing is done to jobs that were not named by number without `--yes`, or a person who said so. Limit: a
//! dry run counts up to 100,000 jobs.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use howdah::{Filter, Howdah, JobState, Jobs, Many, Progress};
use serde_json::json;

use super::{Answer, note};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::of_so_many;
use crate::sql;

/// As far as a dry run counts: `howdah.find` allows no more.
const MOST: i64 = 100_000;

/// Which jobs, by what they are.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only jobs of this queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Only jobs of this kind
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only jobs whose attributes match, like '$.tenant == 42 && $.plan == "pro"'
    #[arg(long, value_name = "JSONPATH", value_parser = filter)]
    pub(crate) filter: Option<Filter>,
}

impl Selection {
    pub(crate) fn jobs(&self, states: &[JobState]) -> Jobs {
        let mut jobs = states.iter().fold(Jobs::all(), |jobs, state| jobs.in_state(*state));
        if let Some(queue) = &self.queue {
            jobs = jobs.in_queue(queue);
        }
        if let Some(kind) = &self.kind {
            jobs = jobs.of_kind(kind);
        }
        if let Some(filter) = &self.filter {
            jobs = jobs.filter(filter.clone());
        }
        jobs
    }

    fn is_everything(&self) -> bool {
        self.queue.is_none() && self.kind.is_none() && self.filter.is_none()
    }
}

/// How sure somebody is of a selection.
#[derive(Debug, Args)]
pub(crate) struct Sure {
    /// All of them, whatever they are
    #[arg(long)]
    pub(super) all: bool,
    /// Do it without asking
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Only count the jobs that it would be done to
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
}

/// What is done: "cancelled", and to jobs in which states.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deed {
    pub(crate) done: &'static str,
    /// Its name in the audit.
    pub(crate) action: &'static str,
    pub(crate) states: &'static [JobState],
}

fn filter(text: &str) -> Result<Filter, String> {
    Filter::raw(text).map_err(|e| e.to_string().trim_start_matches("filter: ").to_owned())
}

/// Does it to every job of a selection, if that is meant; shows how far it is.
pub(crate) async fn run<'a>(
    howdah: &'a Howdah,
    out: Output,
    deed: Deed,
    (which, states, sure): (&Selection, &[JobState], &Sure),
    operation: impl FnOnce(&'a Howdah, Jobs) -> Many<'a>,
) -> Result<Answer> {
    if which.is_everything() && states.is_empty() && !sure.all {
        return Err(Failure::usage("no jobs are named")
            .hint("name them by number, by --queue, --kind or --filter, or say --all"));
    }
    if sure.dry_run {
        let states = if states.is_empty() { deed.states } else { states };
        let jobs = count(howdah, which, states).await?;
        let more = if jobs >= MOST { " or more" } else { "" };
        out.answer(
            &json!({ "jobs": jobs, "dry_run": true }),
            format_args!("{jobs}{more} jobs would be {}", deed.done),
        )?;
        return Ok(Answer::Yes);
    }
    let mut total = None;
    if !sure.yes {
        somebody_is_there()?;
        let jobs = count(howdah, which, if states.is_empty() { deed.states } else { states }).await?;
        let more = if jobs >= MOST { " or more" } else { "" };
        if !ask(&format!("{jobs}{more} jobs will be {}. Go on?", deed.done))? {
            return Ok(Answer::No);
        }
        total = Some(jobs.unsigned_abs()).filter(|_| jobs < MOST);
    }
    let bar = of_so_many(deed.done, total);
    let seen = bar.clone();
    let told = move |sum: Progress| seen.set_position(sum.done + sum.asked);
    let ended = operation(howdah, which.jobs(states)).progress(told).await;
    bar.finish_and_clear();
    let sum = ended?;
    note::of_selection(howdah, out, deed.action, which, sum.done + sum.asked).await;
    let asked = if sum.asked > 0 { format!(", {} running ones were asked to end", sum.asked) } else { String::new() };
    out.answer(&json!({ deed.done: sum.done, "asked": sum.asked }), format_args!("{} {}{asked}", sum.done, deed.done))?;
    Ok(Answer::Yes)
}

async fn count(howdah: &Howdah, which: &Selection, states: &[JobState]) -> Result<i64> {
    let states: Vec<&str> = states.iter().map(|s| s.as_str()).collect();
    let statement = "SELECT count(*) FROM howdah.find($1, $2, $3, $4, NULL, $5::int4)";
    Ok(sqlx::query_scalar(sql::of(howdah, statement))
        .bind(&which.queue)
        .bind(&which.kind)
        .bind(states)
        .bind(which.filter.as_ref().map(ToString::to_string))
        .bind(MOST)
        .fetch_one(howdah.pool())
        .await?)
}

/// Asks the person who sits there.
///
/// # Errors
/// If there is nobody.
pub(super) fn ask(question: &str) -> Result<bool> {
    somebody_is_there()?;
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn somebody_is_there() -> Result<()> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("this is about many jobs, and nobody is here to be asked")
        .hint("say --yes, or look with --dry-run"))
}
