//! `howdah errors`: failed attempts in groups of the same cause, and those of one group.
//!
//! Invariant: a look costs of the groups, not of the failures. Limit: failures of a group are counted up to a thousand.

use clap::Args;

use super::Answer;
use crate::args::Global;
use crate::failure::Result;
use crate::output::{Column, Output, Show};
use crate::{connect, duration, sql};

/// Which groups.
#[derive(Debug, Args)]
pub(crate) struct Errors {
    /// The failed attempts of this group, by its number (the last column)
    #[arg(value_name = "GROUP", allow_negative_numbers = true, conflicts_with = "since")]
    group: Option<i64>,
    /// Only groups with a failure in the last so long, like 1h
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    since: Option<std::time::Duration>,
    /// At most so many, groups or attempts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
}

const LIST: [Column; 8] = [
    Column("failures", Show::Number),
    Column("error_kind", Show::Text),
    Column("shape", Show::Text),
    Column("kinds", Show::Text),
    Column("first_at", Show::Time),
    Column("last_at", Show::Time),
    Column("job_id", Show::Number),
    Column("fingerprint", Show::Number),
];

const ATTEMPTS: [Column; 6] = [
    Column("job_id", Show::Number),
    Column("attempt", Show::Number),
    Column("kind", Show::Text),
    Column("state", Show::Text),
    Column("at", Show::Time),
    Column("message", Show::Text),
];

const ONE: &str = "SELECT to_json(x)::text FROM howdah.failures_of_group($1, $2) x";

const GROUPS: &str = "SELECT to_json(x)::text FROM (
    SELECT g.fingerprint, g.failures, g.error_kind, g.shape, array_to_string(g.kinds, ', ') AS kinds, g.first_at, g.last_at, g.job_id, g.message
      FROM howdah.error_groups($1, howdah.now() - make_interval(secs => $2)) g) x";

pub(crate) async fn run(global: &Global, out: Output, which: Errors) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    if let Some(group) = which.group {
        let query = sqlx::query_scalar(sql::of(&howdah, ONE)).bind(group).bind(which.limit);
        let rows: Vec<String> = query.fetch_all(howdah.pool()).await?;
        if rows.is_empty() {
            out.nothing("there is no such group, or its failures are not kept any more");
        }
        out.rows(&ATTEMPTS, &rows)?;
        return Ok((!rows.is_empty()).into());
    }
    let rows: Vec<String> = sqlx::query_scalar(sql::of(&howdah, GROUPS))
        .bind(which.limit)
        .bind(which.since.map(|since| since.as_secs_f64()))
        .fetch_all(howdah.pool())
        .await?;
    if rows.is_empty() {
        out.nothing("nothing has failed");
    }
    out.rows(&LIST, &rows)?;
    Ok(Answer::Yes)
}
