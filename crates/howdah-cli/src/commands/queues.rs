//! `howdah queues`: look at queues, create, pause and resume them.
//!
//! Invariant: a pause holds over restarts, and says who and why. Limit: what runs when a queue is paused goes on.

use clap::Subcommand;
use howdah::Howdah;
use serde_json::json;

use super::Answer;
use crate::args::Global;
use crate::failure::Result;
use crate::output::{Column, Output, Show};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Queues {
    /// List queues with what waits in them
    Ls,
    /// Create a queue with default settings
    Create {
        /// The queue
        name: String,
    },
    /// Claim nothing more from a queue until it is resumed
    Pause {
        /// The queue
        name: String,
        /// Why, for whoever looks at it next
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a paused queue go on
    Resume {
        /// The queue
        name: String,
    },
}

/// The columns of a list of queues.
pub(super) const LIST: [Column; 9] = [
    Column("queue", Show::Text),
    Column("ready", Show::Number),
    Column("running", Show::Number),
    Column("scheduled", Show::Number),
    Column("dead", Show::Number),
    Column("oldest_ready_at", Show::Time),
    Column("next_due_at", Show::Time),
    Column("paused", Show::Text),
    Column("pause_reason", Show::Text),
];

/// Every queue, as the text of JSON objects.
pub(super) async fn all(howdah: &Howdah) -> Result<Vec<String>> {
    let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.queues ORDER BY queue) x";
    Ok(sqlx::query_scalar(sql::of(howdah, statement)).fetch_all(howdah.pool()).await?)
}

pub(crate) async fn run(global: &Global, out: Output, command: Queues) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Queues::Ls => {
            out.rows(&LIST, &all(&howdah).await?)?;
            Ok(Answer::Yes)
        }
        Queues::Create { name } => {
            howdah.create_queue(&name).await?;
            tell(out, &name, "is there", true)
        }
        Queues::Pause { name, reason } => {
            let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
            let ran = howdah.pause_queue(&name, by.as_deref(), reason.as_deref()).await?;
            tell(out, &name, if ran { "paused" } else { "was paused before" }, true)
        }
        Queues::Resume { name } => {
            let was_paused = howdah.resume_queue(&name).await?;
            tell(out, &name, if was_paused { "resumed" } else { "was not paused" }, was_paused)
        }
    }
}

fn tell(out: Output, name: &str, result: &str, done: bool) -> Result<Answer> {
    let row = json!({ "queue": name, "result": result, "done": done }).to_string();
    if out.is_json() {
        out.line(row)?;
    } else {
        out.rows(&[Column("queue", Show::Text), Column("result", Show::Text)], &[row])?;
    }
    Ok(done.into())
}
