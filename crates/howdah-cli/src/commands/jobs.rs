//! `howdah jobs`: look at jobs, cancel them, retry them.
//!
//! Invariant: reads are of the views `howdah.jobs`, `howdah.failures` and `howdah.logs`; every id that is given is answered on a
//! line of its own. Limit: a list is limited, newest first.

use clap::{Args, Subcommand};
use howdah::{Cancelled, Howdah, JobId, JobState};
use howdah_admin::{Action, Search};
use serde_json::{Value, json};

use super::selection::{self, Deed, Selection, Sure};
use super::{Answer, near, note, search, wait};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, member, parsed, printable, say};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs, newest first
    Ls(Ls),
    /// Show one job with its payload, its progress, its steps and the attempts that failed
    Show {
        /// The job's number
        id: i64,
        /// With what its attempts have logged, if the worker keeps it (JobLogs)
        #[arg(long)]
        logs: bool,
    },
    /// Say why a job is not running: plain reasons, the nearest first
    Why {
        /// The job's number
        id: i64,
    },
    /// Cancel jobs, by number or by what they are: those that wait end at once, those that run are asked to
    Cancel(Which),
    /// Wait until jobs have ended, and print what they returned; exit with 1 if any did not end well
    Wait(Ids),
    /// Run dead jobs again with all their attempts, and scheduled ones at once, by number or by what they are
    Retry(Retry),
    /// Let jobs go that are held because a job that they wait for has failed (--on-parent-failure hold)
    Unhold(Ids),
}

/// Which jobs to list.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Which jobs, like 'kind:send_* state:dead error:"timed out" age:>1h' (see docs/search.md)
    #[arg(value_parser = search::parse, conflicts_with_all = ["state", "queue", "kind", "filter"])]
    search: Option<Search>,
    /// Only jobs with smaller numbers: where a search that was cut short goes on
    #[arg(long, value_name = "ID", requires = "search")]
    before: Option<i64>,
    /// Only jobs in this state: scheduled, blocked, ready, running, completed, cancelled, expired, dead
    #[arg(long, value_parser = state)]
    state: Option<JobState>,
    #[command(flatten)]
    which: Selection,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
}

/// Which jobs.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The jobs' numbers
    #[arg(conflicts_with_all = ["queue", "kind", "filter", "state", "all", "search"])]
    ids: Vec<i64>,
    /// All jobs that a search means, like 'kind:send_* error:"timed out"' (see docs/search.md)
    #[arg(long, value_parser = search::parse, conflicts_with_all = ["queue", "kind", "filter", "state"])]
    search: Option<Search>,
    /// Only jobs in this state; may be given several times
    #[arg(long, value_parser = state)]
    state: Vec<JobState>,
    #[command(flatten)]
    which: Selection,
    #[command(flatten)]
    sure: Sure,
}

const CANCELLED: Deed = Deed {
    done: "cancelled",
    action: "cancel",
    states: &[JobState::Scheduled, JobState::Blocked, JobState::Ready, JobState::Running],
};
/// Which jobs, and what of them is done anew.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    jobs: Which,
    /// Forget this step and those after it, so that they are done again; without, a job goes on after its last step
    #[arg(long, value_name = "NAME", requires = "ids", conflicts_with = "from_start")]
    from_step: Option<String>,
    /// Forget all steps
    #[arg(long, requires = "ids")]
    from_start: bool,
}

const RETRIED: Deed = Deed { done: "retried", action: "retry", states: &[JobState::Dead] };

/// Which jobs, by number only.
#[derive(Debug, Args)]
pub(crate) struct Ids {
    /// The jobs' numbers
    #[arg(required = true)]
    ids: Vec<i64>,
}

const LIST: [Column; 8] = [
    Column("id", Show::Number),
    Column("queue", Show::Text),
    Column("kind", Show::Text),
    Column("state", Show::Text),
    Column("attempt", Show::Number),
    Column("enqueued_at", Show::Time),
    Column("due_at", Show::Time),
    Column("ended_at", Show::Time),
];

const ONE: [Column; 20] = [
    Column("id", Show::Number),
    Column("kind", Show::Text),
    Column("queue", Show::Text),
    Column("state", Show::Text),
    Column("reason", Show::Text),
    Column("attempt", Show::Number),
    Column("max_attempts", Show::Number),
    Column("priority", Show::Number),
    Column("enqueued_at", Show::Time),
    Column("due_at", Show::Time),
    Column("worker_id", Show::Number),
    Column("claimed_at", Show::Time),
    Column("ended_at", Show::Time),
    Column("run_ms", Show::Number),
    Column("options", Show::Text),
    Column("percent", Show::Number),
    Column("progress", Show::Text),
    Column("progress_at", Show::Time),
    Column("progress_attempt", Show::Number),
    Column("checkpoint", Show::Text),
];

const FAILURES: [Column; 5] = [
    Column("attempt", Show::Number),
    Column("at", Show::Time),
    Column("run_ms", Show::Number),
    Column("error_kind", Show::Text),
    Column("message", Show::Text),
];

const STEPS: [Column; 7] = [
    Column("name", Show::Text),
    Column("kind", Show::Text),
    Column("state", Show::Text),
    Column("attempt", Show::Number),
    Column("at", Show::Time),
    Column("wakes_at", Show::Time),
    Column("result", Show::Text),
];

const LOGS: [Column; 5] = [
    Column("attempt", Show::Number),
    Column("at", Show::Time),
    Column("level", Show::Text),
    Column("target", Show::Text),
    Column("message", Show::Text),
];

const FOUND: &str = "SELECT to_json(x)::text FROM (
    SELECT id, queue, kind, state, attempt, max_attempts, priority, enqueued_at, due_at, worker_id, claimed_at, ended_at, run_ms
      FROM howdah.jobs_of(ARRAY(SELECT howdah.find($1, $2, $3, $4, NULL, $5::int4)))
     ORDER BY id DESC) x";

fn state(text: &str) -> Result<JobState, String> {
    text.parse().map_err(|e: howdah::Error| e.to_string().trim_start_matches("state: ").to_owned())
}

pub(crate) async fn run(global: &Global, out: Output, command: Jobs) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Jobs::Ls(which) => ls(&howdah, out, &which).await,
        Jobs::Show { id, logs } => show(&howdah, out, id, logs).await,
        Jobs::Why { id } => why(&howdah, out, id).await,
        Jobs::Cancel(Which { search: Some(search), sure, .. }) => {
            search::operate(&howdah, out, &Action::Cancel, &search, &sure, None).await
        }
        Jobs::Cancel(w) if !w.ids.is_empty() => cancel(&howdah, out, &w.ids).await,
        Jobs::Cancel(w) => {
            selection::run(&howdah, out, CANCELLED, (&w.which, &w.state, &w.sure), Howdah::cancel_all).await
        }
        Jobs::Wait(Ids { ids }) => wait::all(&howdah, out, &ids).await,
        Jobs::Unhold(Ids { ids }) => unhold(&howdah, out, &ids).await,
        Jobs::Retry(Retry { jobs: Which { search: Some(search), sure, .. }, .. }) => {
            search::operate(&howdah, out, &Action::Retry, &search, &sure, None).await
        }
        Jobs::Retry(r) if !r.jobs.ids.is_empty() => retry(&howdah, out, &r).await,
        Jobs::Retry(Retry { jobs: w, .. }) => {
            selection::run(&howdah, out, RETRIED, (&w.which, &w.state, &w.sure), Howdah::retry_all).await
        }
    }
}

async fn ls(howdah: &Howdah, out: Output, which: &Ls) -> Result<Answer> {
    if let Some(search) = &which.search {
        return search::ls(howdah, out, &LIST, (search, which.before, which.limit)).await;
    }
    let rows: Vec<String> = sqlx::query_scalar(sql::of(howdah, FOUND))
        .bind(&which.which.queue)
        .bind(&which.which.kind)
        .bind(which.state.map(|state| vec![state.as_str()]))
        .bind(which.which.filter.as_ref().map(ToString::to_string))
        .bind(which.limit)
        .fetch_all(howdah.pool())
        .await?;
    if rows.is_empty() {
        near::no_jobs(howdah, out, &which.which, "no such jobs").await;
    }
    out.rows(&LIST, &rows)?;
    Ok(Answer::Yes)
}

pub(super) async fn show(howdah: &Howdah, out: Output, id: i64, logs: bool) -> Result<Answer> {
    let statement = "SELECT to_json(x)::text FROM (
        SELECT j.*, p.percent, p.message AS progress, p.at AS progress_at, p.attempt AS progress_attempt, p.checkpoint,
               CASE WHEN $2 THEN (SELECT coalesce(json_agg(l ORDER BY l.at, l.line), '[]')
                                    FROM (SELECT attempt, at, line, level, target, message
                                            FROM howdah.logs WHERE job_id = $1) l) END AS logs,
               (SELECT coalesce(json_agg(s ORDER BY s.n), '[]')
                       FROM (SELECT n, name, kind, state, attempt, at, nullif(wakes_at, 'infinity') AS wakes_at, result
                               FROM howdah.steps WHERE job_id = $1) s) AS steps,
               (SELECT coalesce(json_agg(f ORDER BY f.at), '[]')
                       FROM (SELECT attempt, at, error_kind, message, run_ms, worker_id
                               FROM howdah.failures WHERE job_id = $1) f) AS failures
          FROM howdah.jobs j LEFT JOIN howdah.get_progress($1) p ON true WHERE j.id = $1) x";
    let row: Option<String> =
        sqlx::query_scalar(sql::of(howdah, statement)).bind(id).bind(logs).fetch_optional(howdah.pool()).await?;
    let Some(text) = row else {
        return Err(Failure::no(format!("there is no job {id}, or it ended longer ago than history is kept")));
    };
    if out.is_json() {
        out.line(text)?;
        return Ok(Answer::Yes);
    }
    let mut row = parsed(&text)?;
    out.fields(&ONE, &row)?;
    out.heading("payload")?;
    out.line(printable(&howdah_dashboard::indented(&member(&text, "payload")?)))?;
    list(out, "steps", &STEPS, row.remove("steps").map(shortened))?;
    list(out, "failed attempts", &FAILURES, row.remove("failures"))?;
    list(out, "logs", &LOGS, row.remove("logs"))?;
    Ok(Answer::Yes)
}

/// Steps with so much of their results as fits into a table.
fn shortened(mut steps: Value) -> Value {
    const MOST: usize = 200;
    for step in steps.as_array_mut().into_iter().flatten() {
        let text = step["result"].to_string();
        if let Some((cut, _)) = text.char_indices().nth(MOST) {
            step["result"] = format!("{} …", &text[..cut]).into();
        }
    }
    steps
}

/// Shows the rows of a list under a heading, if there are any.
fn list(out: Output, heading: &str, columns: &[Column], list: Option<Value>) -> Result<()> {
    let Some(Value::Array(rows)) = list else { return Ok(()) };
    if rows.is_empty() {
        return Ok(());
    }
    out.heading(heading)?;
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    out.rows(columns, &rows)?;
    Ok(())
}

async fn cancel(howdah: &Howdah, out: Output, ids: &[i64]) -> Result<Answer> {
    let mut results = Vec::new();
    for id in ids {
        results.push(match howdah.cancel(JobId(*id)).await? {
            None => (*id, "not found", false),
            Some(Cancelled::Now) => (*id, "cancelled", true),
            Some(Cancelled::Asked) => (*id, "cancelling", true),
            Some(Cancelled::TooLate(state)) => (*id, state.as_str(), false),
            Some(_) => (*id, "unknown", false),
        });
    }
    note::of_ids(howdah, out, "cancel", ids, changed(&results)).await;
    tell(out, &results, "it had ended before")
}

async fn retry(howdah: &Howdah, out: Output, what: &Retry) -> Result<Answer> {
    let mut results = Vec::new();
    for id in &what.jobs.ids {
        let retried = if what.from_start || what.from_step.is_some() {
            match howdah.retry_from(JobId(*id), what.from_step.as_deref()).await {
                Err(howdah::Error::WrongState { .. }) => howdah.state(JobId(*id)).await,
                told => told,
            }
        } else {
            howdah.retry(JobId(*id)).await
        };
        results.push(match retried? {
            None => (*id, "not found", false),
            Some(state) => (*id, state.as_str(), state == JobState::Ready),
        });
    }
    note::of_ids(howdah, out, "retry", &what.jobs.ids, changed(&results)).await;
    tell(out, &results, "only dead and scheduled jobs can be retried")
}

async fn unhold(howdah: &Howdah, out: Output, ids: &[i64]) -> Result<Answer> {
    let mut results = Vec::new();
    for id in ids {
        let done = howdah.unhold(JobId(*id)).await?;
        let state = if done.is_some() { howdah.state(JobId(*id)).await? } else { None };
        results.push((*id, state.map_or("not found", JobState::as_str), done > Some(0)));
    }
    tell(out, &results, "it is not held by a job that has failed")
}

async fn why(howdah: &Howdah, out: Output, id: i64) -> Result<Answer> {
    let reasons = howdah.why(JobId(id)).await?;
    if reasons.is_empty() {
        out.aside(&format!("there is no job {id}, or it ended longer ago than history is kept"));
        return Ok(Answer::No);
    }
    let rows: Vec<String> = reasons
        .into_iter()
        .map(|r| json!({ "code": r.code, "reason": r.text, "evidence": r.evidence }).to_string())
        .collect();
    out.rows(&[Column("code", Show::Text), Column("reason", Show::Text)], &rows)?;
    Ok(Answer::Yes)
}

/// How many of them it was done to.
fn changed(results: &[(i64, &'static str, bool)]) -> u64 {
    results.iter().filter(|(_, _, done)| *done).count() as u64
}

/// Prints what became of each, and why nothing became of some.
fn tell(out: Output, results: &[(i64, &'static str, bool)], why: &str) -> Result<Answer> {
    let rows: Vec<String> =
        results.iter().map(|(id, state, done)| json!({ "id": id, "state": state, "done": done }).to_string()).collect();
    out.rows(&[Column("id", Show::Number), Column("state", Show::Text)], &rows)?;
    for (id, state, _) in results.iter().filter(|(_, _, done)| !done) {
        match *state {
            "not found" => say(&format!("there is no job {id}")),
            state => say(&format!("job {id} is {state}: {why}")),
        }
    }
    Ok(results.iter().all(|(_, _, done)| *done).into())
}
