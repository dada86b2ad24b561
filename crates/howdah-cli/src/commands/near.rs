//! "Did you mean": a queue or a kind that is there, for a name that is not.
//!
//! Invariant: it only adds a hint to what is said anyway. Limit: of the first thousand names.

use howdah::Howdah;
use howdah_admin::nearest;

use super::selection::Selection;
use crate::failure::Failure;
use crate::output::{Output, escaped};
use crate::{connect, sql};

const QUEUES: &str = "SELECT q.name FROM howdah.queue q ORDER BY q.name LIMIT 1000";
const KINDS: &str = "SELECT howdah.suggest('kind', most => 1000)";

/// A failure with the queue that was meant, if it is about one that there is not.
pub(super) async fn advised(failure: Failure) -> Failure {
    let (Some(typed), Some(howdah)) = (failure.unknown_queue(), connect::connected()) else { return failure };
    match name(howdah, QUEUES, typed).await {
        Some(name) => failure.hint(format!("did you mean {name}?")),
        None => failure,
    }
}

/// Tells a person that there are no such jobs, and what may have been meant.
pub(super) async fn no_jobs(howdah: &Howdah, out: Output, which: &Selection, text: &str) {
    if !out.is_terminal() {
        return;
    }
    let mut meant = Vec::new();
    for (statement, typed, field) in [(QUEUES, &which.queue, "--queue"), (KINDS, &which.kind, "--kind")] {
        if let Some(typed) = typed {
            let name = name(howdah, statement, typed).await.filter(|name| name != typed);
            meant.extend(name.map(|name| format!("{field} {}", escaped(&name))));
        }
    }
    let meant = if meant.is_empty() { String::new() } else { format!("; did you mean {}?", meant.join(" ")) };
    out.nothing(&format!("{text}{meant}"));
}

async fn name(howdah: &Howdah, statement: &'static str, typed: &str) -> Option<String> {
    let names: Vec<String> = sqlx::query_scalar(sql::of(howdah, statement)).fetch_all(howdah.pool()).await.ok()?;
    nearest(typed, names.iter().map(String::as_str)).map(str::to_owned)
}
