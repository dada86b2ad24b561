//! A note in `howdah.audit` of what was done to jobs that were named by their numbers or by what they are.
//!
//! Invariant: it is of what was done. Limit: it is written afterwards, so that one is missing if the command is killed in between;
//! operations on all that a search means are kept as rows from their beginning.

use howdah::Howdah;
use serde_json::{Value, json};

use super::selection::Selection;
use crate::output::Output;
use crate::sql;

/// So many numbers are kept.
const MOST: usize = 100;

/// What was done to jobs of these numbers.
pub(super) async fn of_ids(howdah: &Howdah, out: Output, action: &str, ids: &[i64], changed: u64) {
    write(howdah, out, action, json!({ "jobs": ids.iter().take(MOST).collect::<Vec<_>>() }), changed).await;
}

/// What was done to a selection of jobs.
pub(super) async fn of_selection(howdah: &Howdah, out: Output, action: &str, which: &Selection, changed: u64) {
    let filter = which.filter.as_ref().map(ToString::to_string);
    let words = [("queue", &which.queue), ("kind", &which.kind), ("filter", &filter)];
    let said = words.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.as_deref()?))));
    write(howdah, out, action, Value::Object(said.collect()), changed).await;
}

async fn write(howdah: &Howdah, out: Output, action: &str, of: Value, changed: u64) {
    if changed == 0 {
        return;
    }
    let note = sqlx::query(sql::of(howdah, "SELECT howdah.note_command($1, $2, changed => $3)"));
    let note = note.bind(action).bind(of).bind(i64::try_from(changed).unwrap_or(i64::MAX));
    if let Err(error) = note.execute(howdah.pool()).await {
        out.aside(&format!("it is done, but not noted in howdah.audit: {error}"));
    }
}
