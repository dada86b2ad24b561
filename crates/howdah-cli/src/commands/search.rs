//! Jobs by the search language: a page of those that a text means, and what is done to all of them.
//!
//! Invariant: a list that was not looked through to its end says so, and how to go on. Limit: the language and its bounds are
//! those of `howdah-admin`.

use howdah::{Howdah, JobId};
use howdah_admin::{Action, Admin, By, Operation, Search};
use serde_json::json;

use super::Answer;
use super::selection::{Sure, ask};
use crate::failure::{Failure, Result};
use crate::output::{Column, Output};
use crate::progress::of_so_many;
use crate::sql;

/// As far as a dry run counts, and as many as a page has.
const MOST: u32 = 10_000;

const SOME: &str = "SELECT to_json(x)::text FROM (
    SELECT id, queue, kind, state, attempt, max_attempts, priority, enqueued_at, due_at, worker_id, claimed_at, ended_at, run_ms
      FROM howdah.jobs_of($1) ORDER BY id DESC) x";

/// Reads a search.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(text: &str) -> Result<Search, String> {
    text.parse::<Search>().map_err(|e| e.to_string())
}

/// Lists the newest jobs that a search means.
pub(super) async fn ls(
    howdah: &Howdah,
    out: Output,
    columns: &[Column],
    (search, before, limit): (&Search, Option<i64>, i64),
) -> Result<Answer> {
    let admin = Admin::new(howdah.clone());
    let (mut rows, mut looked, mut left) = (Vec::new(), 0, u32::try_from(limit).unwrap_or(u32::MAX));
    let mut next = before.map(JobId);
    while left > 0 {
        let most = left.min(MOST);
        let page = admin.search(search).before(next).limit(most).await?;
        let ids: Vec<i64> = page.ids.iter().map(|id| id.0).collect();
        rows.extend(sqlx::query_scalar::<_, String>(sql::of(howdah, SOME)).bind(&ids).fetch_all(howdah.pool()).await?);
        (looked, next) = (looked + page.looked, page.next);
        // One that is not full was cut short, or is the last.
        if next.is_none() || ids.len() < most as usize {
            break;
        }
        left -= most;
    }
    if rows.is_empty() {
        out.nothing("no such jobs");
    }
    out.rows(columns, &rows)?;
    if let Some(next) = next.filter(|_| left > 0) {
        out.aside(&format!("looked at {looked} jobs, and there are more: go on with --before {next}"));
    }
    Ok(Answer::Yes)
}

/// Does something to all jobs that a search means, as an operation, if that is meant.
pub(super) async fn operate(
    howdah: &Howdah,
    out: Output,
    action: &Action,
    search: &Search,
    sure: &Sure,
    reason: Option<&str>,
) -> Result<Answer> {
    if search.is_empty() && !sure.all {
        return Err(Failure::usage("an empty search means all jobs").hint("say --all if that is meant"));
    }
    let admin = Admin::new(howdah.clone());
    let mut total = None;
    if sure.dry_run {
        let jobs = admin.dry_run(action, search, MOST).await?;
        let json = json!({ "jobs": jobs.jobs, "or_more": jobs.or_more, "dry_run": true });
        out.answer(&json, format_args!("{jobs} jobs are meant: {}", action.name()))?;
        return Ok(Answer::Yes);
    }
    if !sure.yes {
        let jobs = admin.dry_run(action, search, MOST).await?;
        total = Some(jobs.jobs).filter(|_| !jobs.or_more);
        if !ask(&format!("{jobs} jobs are meant: {}. Go on?", action.name()))? {
            return Ok(Answer::No);
        }
    }
    let by = reason.map_or(By::session(), |reason| By::session().because(reason));
    let id = admin.start(action, search, by).await?;
    finish(&admin, out, id, total).await
}

/// Goes on with an operation to its end, of so many jobs if that is known.
pub(super) async fn finish(admin: &Admin, out: Output, id: i64, total: Option<u64>) -> Result<Answer> {
    let bar = of_so_many("done", total);
    let seen = bar.clone();
    let told = move |operation: &Operation| seen.set_position(operation.matched.unsigned_abs());
    let ended = admin.finish(id, told).await;
    bar.finish_and_clear();
    let Some(operation) = ended? else { return Err(Failure::no(format!("there is no operation {id}"))) };
    if let Some(error) = &operation.error {
        return Err(Failure::no(format!("operation {id} has stopped after {} jobs: {error}", operation.changed))
            .hint(format!("go on with `howdah operations resume {id}`")));
    }
    let json = json!({ "operation": id, "state": operation.state, "matched": operation.matched, "changed": operation.changed });
    let text = format_args!("{} of {} jobs: {}", operation.changed, operation.matched, operation.action);
    out.answer(&json, text)?;
    Ok(Answer::Yes)
}
