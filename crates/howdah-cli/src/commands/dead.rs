//! `howdah dead`: the dead-letter room: look at jobs whose last attempt failed, send them again, or delete them.
//!
//! Invariant: what is done to one, to some or to all of them is the same operation of the library. Limit: what is
//! purged is gone.

use clap::{Args, Subcommand};
use howdah::{Howdah, JobId, JobState, Jobs};
use serde_json::json;

use super::selection::{self, Deed, Selection, Sure};
use super::{Answer, jobs, near, note};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List dead jobs, newest first, with why they died
    Ls(Ls),
    /// Show one with its payload and the attempts that failed
    Show {
        /// The job's number
        id: i64,
    },
    /// Run dead jobs again with all their attempts: by number, by what they are, or all
    Retry(Which),
    /// Delete dead jobs for good: by number, by what they are, or all
    Purge(Which),
}

/// Which to list.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    which: Selection,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
}

/// Which jobs it is about.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The jobs' numbers
    #[arg(conflicts_with_all = ["queue", "kind", "filter", "all"])]
    ids: Vec<i64>,
    #[command(flatten)]
    which: Selection,
    #[command(flatten)]
    sure: Sure,
}

const LIST: [Column; 7] = [
    Column("id", Show::Number),
    Column("queue", Show::Text),
    Column("kind", Show::Text),
    Column("attempt", Show::Number),
    Column("enqueued_at", Show::Time),
    Column("ended_at", Show::Time),
    Column("reason", Show::Text),
];

const DEAD: &[JobState] = &[JobState::Dead];
const SENT: Deed = Deed { done: "retried", action: "retry", states: DEAD };
const PURGED: Deed = Deed { done: "purged", action: "purge", states: DEAD };

pub(crate) async fn run(global: &Global, out: Output, command: Dead) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Dead::Ls(which) => ls(&howdah, out, &which).await,
        Dead::Show { id } => show(&howdah, out, id).await,
        Dead::Retry(Which { ids, .. }) if !ids.is_empty() => {
            some(&howdah, out, howdah.retry_all(of(&ids)).await?.done, &ids, SENT).await
        }
        Dead::Retry(w) => selection::run(&howdah, out, SENT, (&w.which, DEAD, &w.sure), Howdah::retry_all).await,
        Dead::Purge(Which { ids, .. }) if !ids.is_empty() => {
            some(&howdah, out, howdah.purge_dead(of(&ids)).await?.done, &ids, PURGED).await
        }
        Dead::Purge(w) => selection::run(&howdah, out, PURGED, (&w.which, DEAD, &w.sure), Howdah::purge_dead).await,
    }
}

fn of(ids: &[i64]) -> Jobs {
    Jobs::ids(ids.iter().copied().map(JobId)).in_state(JobState::Dead)
}

/// Notes and says what became of jobs that were named by number.
async fn some(howdah: &Howdah, out: Output, done: u64, ids: &[i64], deed: Deed) -> Result<Answer> {
    note::of_ids(howdah, out, deed.action, ids, done).await;
    let named = ids.len();
    out.answer(&json!({ deed.done: done }), format_args!("{done} {}", deed.done))?;
    let rest = named as u64 - done.min(named as u64);
    if rest > 0 {
        return Err(Failure::no(format!("{rest} of the {named} jobs are not dead, or are not there")));
    }
    Ok(Answer::Yes)
}

async fn ls(howdah: &Howdah, out: Output, ls: &Ls) -> Result<Answer> {
    let statement = "SELECT to_json(x)::text FROM (
        SELECT id, queue, kind, attempt, max_attempts, priority, enqueued_at, ended_at, reason, options
          FROM howdah.jobs_of(ARRAY(SELECT howdah.find($1, $2, '{dead}', $3, NULL, $4::int4)))
         ORDER BY id DESC) x";
    let rows: Vec<String> = sqlx::query_scalar(sql::of(howdah, statement))
        .bind(&ls.which.queue)
        .bind(&ls.which.kind)
        .bind(ls.which.filter.as_ref().map(ToString::to_string))
        .bind(ls.limit)
        .fetch_all(howdah.pool())
        .await?;
    if rows.is_empty() {
        near::no_jobs(howdah, out, &ls.which, "no dead jobs").await;
    }
    out.rows(&LIST, &rows)?;
    Ok(Answer::Yes)
}

async fn show(howdah: &Howdah, out: Output, id: i64) -> Result<Answer> {
    match howdah.state(JobId(id)).await? {
        Some(JobState::Dead) => jobs::show(howdah, out, id, false).await,
        Some(state) => {
            Err(Failure::no(format!("job {id} is {state}, not dead")).hint(format!("howdah jobs show {id}")))
        }
        None => Err(Failure::no(format!("there is no job {id}"))),
    }
}
