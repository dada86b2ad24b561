//! `howdah config`: look at the settings of the whole installation, and change them.
//!
//! Invariant: the server decides what is a setting and what is a value of it, and says so. Limit: settings of a queue
//! are shown here, as far as they say how long its jobs are kept, and changed elsewhere.

use clap::Subcommand;
use howdah::Howdah;
use serde_json::{Map, Value};

use super::{Answer, settings};
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every setting, and how long the jobs of each queue are kept
    Show,
    /// Change settings, all or none: completed_retention=2h dead_retention=90d
    Set {
        /// What to change; `default` in place of a value takes a setting back
        #[arg(required = true, value_name = "SETTING=VALUE")]
        settings: Vec<String>,
    },
}

const QUEUES: [Column; 9] = [
    Column("queue", Show::Text),
    Column("completed", Show::Text),
    Column("cancelled", Show::Text),
    Column("expired", Show::Text),
    Column("dead", Show::Text),
    Column("on_removal", Show::Text),
    Column("before_removal", Show::Text),
    Column("failed_at", Show::Time),
    Column("failure", Show::Text),
];

pub(crate) async fn run(global: &Global, out: Output, command: Config) -> Result<Answer> {
    let change = match command {
        Config::Show => None,
        Config::Set { settings } => Some(change(&settings)?),
    };
    let howdah = connect::to_queue(global).await?;
    let statement = "SELECT howdah.set_config($1::text::jsonb)::text";
    let text: String = sqlx::query_scalar(sql::of(&howdah, statement))
        .bind(Value::from(change.clone().unwrap_or_default()).to_string())
        .fetch_one(howdah.pool())
        .await?;
    if change.is_some() {
        settings::show(out, &text)?;
    } else {
        show(out, &text, &queues(&howdah).await?)?;
    }
    Ok(Answer::Yes)
}

/// How long each queue keeps what has ended, as the texts of JSON objects.
async fn queues(howdah: &Howdah) -> Result<Vec<String>> {
    let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.retention ORDER BY queue) x";
    Ok(sqlx::query_scalar(sql::of(howdah, statement)).fetch_all(howdah.pool()).await?)
}

fn show(out: Output, settings: &str, queues: &[String]) -> Result<()> {
    if out.is_json() {
        let queues = queues.join(",\n ");
        return Ok(out.line(format_args!("{{\"settings\":{settings},\n \"queues\":[{queues}]}}"))?);
    }
    settings::show(out, settings)?;
    // A pipe reads one kind of line.
    if out.is_terminal() {
        out.heading("queues")?;
        out.rows(&QUEUES, queues)?;
    }
    Ok(())
}

/// What was typed, as the object that `howdah.set_config` takes.
fn change(settings: &[String]) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for typed in settings {
        let Some((setting, value)) = typed.split_once('=').filter(|(setting, _)| !setting.is_empty()) else {
            return Err(
                Failure::usage(format!("{typed:?} is not SETTING=VALUE")).hint("write it like dead_retention=90d")
            );
        };
        let value = if value == "default" { Value::Null } else { Value::from(value) };
        if object.insert(setting.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("{setting} is given twice")));
        }
    }
    Ok(object)
}
