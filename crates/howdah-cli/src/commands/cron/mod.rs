//! `howdah cron`: look at schedules, set, pause, resume, run and delete them.
//!
//! Invariant: what is set here stays over restarts of the programs that declare the same schedule, see
//! `howdah.declare_schedule`. Limit: the next runs are worked out here, with this machine's rules of time zones.

mod set;

use std::time::SystemTime;

use clap::Subcommand;
use howdah::{Howdah, Schedule};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Answer;
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, listed, parsed, with};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Cron {
    /// List schedules with their next and their last run
    Ls,
    /// Show one schedule with its next runs and what it has fired
    Show {
        /// The schedule
        name: String,
    },
    /// Tell when a schedule, or an expression that is none yet, is due next
    Next {
        /// The name of a schedule; or an expression like '0 3 * * *', '*/10 * * * * *', @daily, '@every 90s'
        what: String,
        /// How many times
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
        /// The time zone of an expression, like Europe/Berlin
        #[arg(long, default_value = "UTC")]
        timezone: String,
    },
    /// Make a schedule, or change one to what is given; what is left out goes to its default
    Set(Box<set::Set>),
    /// Fire nothing until it is resumed; what would have been due meanwhile is left out
    Pause {
        /// The schedule
        name: String,
        /// Why, for whoever looks at it next
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a paused schedule go on
    Resume {
        /// The schedule
        name: String,
    },
    /// Enqueue its job now, and change nothing about when it is due; print the job's number
    Run {
        /// The schedule
        name: String,
    },
    /// Delete a schedule and the history of its firings; its jobs stay
    Rm {
        /// The schedule
        name: String,
    },
}

const LIST: [Column; 9] = [
    Column("name", Show::Text),
    Column("expression", Show::Text),
    Column("timezone", Show::Text),
    Column("kind", Show::Text),
    Column("next_at", Show::Time),
    Column("last_at", Show::Time),
    Column("last_state", Show::Text),
    Column("paused", Show::Text),
    Column("error", Show::Text),
];

const ONE: [Column; 24] = [
    Column("name", Show::Text),
    Column("expression", Show::Text),
    Column("timezone", Show::Text),
    Column("next_at", Show::Time),
    Column("last_at", Show::Time),
    Column("last_how", Show::Text),
    Column("last_job", Show::Number),
    Column("last_state", Show::Text),
    Column("paused_at", Show::Time),
    Column("paused_by", Show::Text),
    Column("pause_reason", Show::Text),
    Column("error", Show::Text),
    Column("error_at", Show::Time),
    Column("queue", Show::Text),
    Column("kind", Show::Text),
    Column("payload", Show::Text),
    Column("priority", Show::Number),
    Column("max_attempts", Show::Number),
    Column("options", Show::Text),
    Column("unique_key", Show::Text),
    Column("missed", Show::Text),
    Column("max_missed", Show::Number),
    Column("grace_ms", Show::Number),
    Column("declared", Show::Text),
];

const RUNS: [Column; 2] = [Column("local", Show::Text), Column("at", Show::Time)];

const FIRINGS: [Column; 5] = [
    Column("due_at", Show::Time),
    Column("how", Show::Text),
    Column("job_id", Show::Number),
    Column("state", Show::Text),
    Column("hit", Show::Text),
];

pub(crate) async fn run(global: &Global, out: Output, command: Cron) -> Result<Answer> {
    // Before connecting: an expression is no schedule yet.
    if let Cron::Next { what, count, timezone } = &command
        && (what.contains(' ') || what.starts_with('@'))
    {
        let runs = Schedule::new("", what.as_str())
            .timezone(timezone.as_str())
            .next_runs(SystemTime::now(), usize::from(*count))?;
        return told(out, &runs, timezone);
    }
    if let Cron::Set(set) = &command {
        let schedule = set.schedule()?;
        // What is wrong with the expression is told before connecting as well.
        schedule.next_runs(SystemTime::now(), 1)?;
    }
    let howdah = connect::to_queue(global).await?;
    match command {
        Cron::Ls => list(&howdah, out).await,
        Cron::Show { name } => Box::pin(one(&howdah, out, &name)).await,
        Cron::Next { what, count, .. } => {
            let runs = howdah.next_runs(&what, usize::from(count)).await?;
            let timezone = howdah.schedule(&what).await?.map_or_else(|| "UTC".to_owned(), |s| s.timezone);
            told(out, &runs, &timezone)
        }
        Cron::Set(set) => {
            let schedule = set.schedule()?;
            howdah.set_schedule(&schedule).await?;
            let next = howdah.next_runs(set.name(), 1).await?;
            let next = next.first().map_or(Value::Null, |at| Value::from(utc(*at)));
            let row = json!({ "name": set.name(), "result": "is set", "next_at": next, "done": true });
            tell(out, &row)
        }
        Cron::Pause { name, reason } => {
            let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
            let ran = howdah.pause_schedule(&name, by.as_deref(), reason.as_deref()).await?;
            let result = if ran { "paused" } else { "was paused before" };
            tell(out, &json!({ "name": name, "result": result, "done": true }))
        }
        Cron::Resume { name } => {
            let was_paused = howdah.resume_schedule(&name).await?;
            let result = if was_paused { "resumed" } else { "was not paused" };
            tell(out, &json!({ "name": name, "result": result, "done": was_paused }))
        }
        Cron::Run { name } => {
            let run = howdah.run_schedule(&name).await?;
            out.answer(&json!({ "id": run.id, "hit": run.hit }), run.id)?;
            Ok(Answer::Yes)
        }
        Cron::Rm { name } => {
            let deleted = howdah.delete_schedule(&name).await?;
            let result = if deleted { "deleted" } else { "there is none" };
            tell(out, &json!({ "name": name, "result": result, "done": deleted }))
        }
    }
}

async fn list(howdah: &Howdah, out: Output) -> Result<Answer> {
    let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.schedules ORDER BY name) x";
    let rows: Vec<String> = sqlx::query_scalar(sql::of(howdah, statement)).fetch_all(howdah.pool()).await?;
    if rows.is_empty() {
        out.nothing("there are no schedules");
    }
    out.rows(&LIST, &rows)?;
    Ok(Answer::Yes)
}

/// One schedule, when it is due, and what it has fired.
async fn one(howdah: &Howdah, out: Output, name: &str) -> Result<Answer> {
    let statement = "SELECT to_json(x)::text FROM howdah.schedules x WHERE name = $1";
    let row: Option<String> =
        sqlx::query_scalar(sql::of(howdah, statement)).bind(name).fetch_optional(howdah.pool()).await?;
    let Some(row) = row else {
        return Err(Failure::no(format!("there is no schedule named {name:?}")).hint("see `howdah cron ls`"));
    };
    let text = row;
    let row = parsed(&text)?;
    let timezone = row["timezone"].as_str().unwrap_or("UTC").to_owned();
    // What is wrong with it is in the row.
    let runs: Vec<Value> =
        howdah.next_runs(name, 5).await.unwrap_or_default().into_iter().map(|at| run_of(at, &timezone)).collect();
    let statement = "SELECT to_json(x)::text FROM (SELECT due_at, fired_at, how, job_id, hit, state FROM howdah.firings
                       WHERE schedule = $1 ORDER BY fired_at DESC, due_at DESC LIMIT 20) x";
    let firings: Vec<String> =
        sqlx::query_scalar(sql::of(howdah, statement)).bind(name).fetch_all(howdah.pool()).await?;
    if out.is_json() {
        let text = with(&text, "next_runs", &Value::Array(runs).to_string());
        out.line(with(&text, "firings", &listed(&firings)))?;
        return Ok(Answer::Yes);
    }
    out.fields(&ONE, &row)?;
    let runs: Vec<String> = runs.iter().map(Value::to_string).collect();
    if out.is_terminal() {
        out.heading(if row["paused"] == true { "next runs, if it is resumed" } else { "next runs" })?;
        out.rows(&RUNS, &runs)?;
        out.heading("fired")?;
        out.rows(&FIRINGS, &firings)?;
    } else {
        for run in &runs {
            out.line(format_args!("next\t{}", parsed(run)?["at"].as_str().unwrap_or_default()))?;
        }
    }
    Ok(Answer::Yes)
}

/// A point in time, and what clocks say then.
fn run_of(at: SystemTime, timezone: &str) -> Value {
    let local = TimeZone::get(timezone).ok().and_then(|zone| Some(Timestamp::try_from(at).ok()?.to_zoned(zone)));
    let local = local.map(|local| local.strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string());
    json!({ "at": utc(at), "local": local })
}

fn utc(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| "infinity".to_owned(), |at| at.to_string())
}

fn told(out: Output, runs: &[SystemTime], timezone: &str) -> Result<Answer> {
    let rows: Vec<String> = runs.iter().map(|at| run_of(*at, timezone).to_string()).collect();
    out.rows(&RUNS, &rows)?;
    Ok(Answer::Yes)
}

fn tell(out: Output, row: &Value) -> Result<Answer> {
    if out.is_json() {
        out.value(row)?;
    } else {
        let columns = [Column("name", Show::Text), Column("result", Show::Text), Column("next_at", Show::Time)];
        let shown = if row.get("next_at").is_some() { &columns[..] } else { &columns[..2] };
        out.rows(shown, &[row.to_string()])?;
    }
    Ok((row["done"] == true).into())
}
