//! `howdah queues`: look at queues, create, set, pause, resume and delete them.
//!
//! Invariant: a pause holds over restarts, and says who and why. Limit: what runs when a queue is paused goes on.

use clap::Subcommand;
use howdah::{Error, Howdah};
use serde_json::json;

use super::settings::{Setting, change, object, refused, setting, show};
use super::{Answer, drain};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, parsed, with};
use crate::{connect, duration, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Queues {
    /// List queues with what waits in them
    Ls,
    /// Show one queue with its settings
    Show {
        /// The queue
        name: String,
    },
    /// Create a queue; one that is there is left as it is
    Create {
        /// The queue
        name: String,
        /// Settings that are not the default, such as max_jobs=1000
        #[arg(value_name = "KEY=VALUE", value_parser = setting)]
        settings: Vec<Setting>,
    },
    /// Change settings of a queue, and show all of them
    Set {
        /// The queue
        name: String,
        /// Such as max_attempts=5 or lease_ms=1m; with nothing after the `=`: the default
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = setting)]
        settings: Vec<Setting>,
    },
    /// Delete a queue that has no unfinished jobs; its history stays
    Rm {
        /// The queue
        name: String,
        /// Cancel what waits in it; what runs is not touched, and keeps it
        #[arg(long)]
        force: bool,
    },
    /// Claim nothing more from a queue until it is resumed
    Pause {
        /// The queue
        name: String,
        /// Resume it by itself after so long, like 1h
        #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
        lasts: Option<std::time::Duration>,
        /// Why, for whoever looks at it next
        #[arg(long)]
        reason: Option<String>,
        /// Wait until nothing of it runs any more
        #[arg(long)]
        wait: bool,
        /// Wait no longer than this, like 10m; exit status 1 if something still runs then
        #[arg(long, requires = "wait", value_name = "TIME", value_parser = duration::parse)]
        timeout: Option<std::time::Duration>,
    },
    /// Wait until nothing of a queue waits or runs; workers have to work, and nobody should enqueue meanwhile
    Drain {
        /// The queue
        name: String,
        /// Also what is scheduled, and what is blocked: it is waited for until its time has come
        #[arg(long)]
        all: bool,
        /// Wait no longer than this, like 10m; exit status 1 if something is left then
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        timeout: Option<std::time::Duration>,
    },
    /// Let a paused queue go on
    Resume {
        /// The queue
        name: String,
    },
}

/// The columns of a list of queues.
pub(super) const LIST: [Column; 11] = [
    Column("queue", Show::Text),
    Column("ready", Show::Number),
    Column("running", Show::Number),
    Column("scheduled", Show::Number),
    Column("blocked", Show::Number),
    Column("dead", Show::Number),
    Column("oldest_ready_at", Show::Time),
    Column("next_due_at", Show::Time),
    Column("paused", Show::Text),
    Column("pause_reason", Show::Text),
    Column("paused_by", Show::Text),
];

/// One queue; what is set of it follows.
const ONE: [Column; 13] = [
    Column("queue", Show::Text),
    Column("ready", Show::Number),
    Column("running", Show::Number),
    Column("scheduled", Show::Number),
    Column("blocked", Show::Number),
    Column("dead", Show::Number),
    Column("oldest_ready_at", Show::Time),
    Column("next_due_at", Show::Time),
    Column("paused", Show::Text),
    Column("paused_at", Show::Time),
    Column("paused_by", Show::Text),
    Column("pause_reason", Show::Text),
    Column("resume_at", Show::Time),
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
        Queues::Show { name } => one(&howdah, out, &name).await,
        Queues::Create { name, settings } => create(&howdah, out, &name, settings).await,
        Queues::Set { name, settings } => {
            change(&howdah, out, "SELECT howdah.set_queue($1, $2)::text", name, settings).await
        }
        Queues::Rm { name, force } => match howdah.delete_queue(&name, force).await {
            Ok(deleted) => tell(out, &name, if deleted { "deleted" } else { "there is none" }, deleted),
            Err(Error::QueueNotEmpty { message, .. }) => Err(Failure::no(message).hint(if force {
                format!("pause it, and delete it when nothing runs any more: `howdah queues pause {name}`")
            } else {
                format!("let its workers finish, or cancel what waits: `howdah queues rm {name} --force`")
            })),
            Err(error) => Err(error.into()),
        },
        Queues::Drain { name, all, timeout } => {
            let what = if all { drain::What::All } else { drain::What::Ready };
            drain::wait(&howdah, out, &name, what, timeout).await
        }
        Queues::Pause { name, lasts, reason, wait, timeout } => {
            let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
            let (by, reason) = (by.as_deref(), reason.as_deref());
            let ran = match lasts {
                Some(lasts) => howdah.pause_queue_for(&name, lasts, by, reason).await?,
                None => howdah.pause_queue(&name, by, reason).await?,
            };
            if wait {
                return drain::wait(&howdah, out, &name, drain::What::Running, timeout).await;
            }
            tell(out, &name, if ran { "paused" } else { "was paused before" }, true)
        }
        Queues::Resume { name } => {
            let was_paused = howdah.resume_queue(&name).await?;
            tell(out, &name, if was_paused { "resumed" } else { "was not paused" }, was_paused)
        }
    }
}

/// One queue with its settings.
async fn one(howdah: &Howdah, out: Output, name: &str) -> Result<Answer> {
    let settings = sql::of(howdah, "SELECT howdah.queue_settings($1)::text");
    let settings: String = sqlx::query_scalar(settings).bind(name).fetch_one(howdah.pool()).await?;
    let row = sql::of(howdah, "SELECT to_json(x)::text FROM howdah.queues x WHERE queue = $1");
    let row: Option<String> = sqlx::query_scalar(row).bind(name).fetch_optional(howdah.pool()).await?;
    let row = row.as_deref().unwrap_or("{}");
    if out.is_json() {
        out.line(with(row, "settings", &settings))?;
        return Ok(Answer::Yes);
    }
    out.fields(&ONE, &parsed(row)?)?;
    out.heading("settings")?;
    show(out, &settings)?;
    Ok(Answer::Yes)
}

/// Creates a queue; settings for one that is there are not put in force, and that is said.
async fn create(howdah: &Howdah, out: Output, name: &str, settings: Vec<Setting>) -> Result<Answer> {
    let there = "SELECT EXISTS (SELECT FROM howdah.queue WHERE name = $1)";
    let there: bool = sqlx::query_scalar(sql::of(howdah, there)).bind(name).fetch_one(howdah.pool()).await?;
    let as_is = settings.is_empty();
    sqlx::query(sql::of(howdah, "SELECT howdah.create_queue($1, $2)"))
        .bind(name)
        .bind(object(settings))
        .execute(howdah.pool())
        .await
        .map_err(refused)?;
    if there && !as_is {
        return tell(out, name, "was there before, and is left as it is: see `howdah queues set`", false);
    }
    tell(out, name, "is there", true)
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
