//! `howdah migrate`: the schema in the database.
//!
//! Invariant: `status` and `sql` change nothing; `up` does all or nothing. Limit: forward only.

use clap::Subcommand;
use howdah::{AppliedMigration, Error, MigrationStatus};
use jiff::Timestamp;
use serde_json::json;

use super::Answer;
use crate::args::Global;
use crate::connect;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show};
use crate::progress::waiting;

/// The verbs.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Migrate {
    /// Install the queue, or bring it to this release; safe while applications run
    Up {
        /// Also divide what may be done among five roles: owner, producer, worker, viewer, operator
        #[arg(long)]
        roles: bool,
        /// Name the roles NAME_owner, NAME_producer, ... [default: the schema]
        #[arg(long, value_name = "NAME", requires = "roles")]
        role_prefix: Option<String>,
    },
    /// Show what the database has had and what is to come; exit status 4 unless it is current
    Status,
    /// Print the SQL of a fresh installation; connects to nothing
    Sql,
}

pub(crate) async fn run(global: &Global, out: Output, command: Migrate) -> Result<Answer> {
    match command {
        Migrate::Up { roles, role_prefix } => up(global, out, roles, role_prefix.as_deref()).await,
        Migrate::Status => status(global, out).await,
        Migrate::Sql => {
            let sql = connect::to_nothing(global)?.migration_sql();
            out.answer(&json!({ "sql": sql }), sql.trim_end())?;
            Ok(Answer::Yes)
        }
    }
}

async fn up(global: &Global, out: Output, roles: bool, prefix: Option<&str>) -> Result<Answer> {
    let howdah = connect::to_database(global).await?;
    let before = howdah.migration_status().await?;
    let shown = waiting("migrating");
    let migrated = howdah.migrate().await;
    shown.finish_and_clear();
    migrated?;
    let after = howdah.migration_status().await?;
    let made = if roles { Some(howdah.create_roles(prefix).await?) } else { None };
    let made = made.map(|r| [r.owner, r.producer, r.worker, r.viewer, r.operator]);
    let is_new = |step: &&AppliedMigration| {
        step.applied_at.is_some()
            && !before.migrations.iter().any(|b| b.version == step.version && b.applied_at.is_some())
    };
    let applied: Vec<_> = after.migrations.iter().filter(is_new).collect();
    if out.is_json() {
        let steps: Vec<_> = applied.iter().map(|s| json!({ "version": s.version, "name": s.name })).collect();
        let functions = !before.code_current;
        out.value(&json!({ "schema": howdah.schema(), "applied": steps, "functions": functions, "roles": made }))?;
        return Ok(Answer::Yes);
    }
    for step in applied {
        out.line(format_args!("applied {:04} {}", step.version, step.name))?;
    }
    if before.is_current() {
        out.line(format_args!("the schema {} is current: nothing to do", howdah.schema()))?;
    } else if !before.code_current {
        out.line("applied functions and views")?;
    }
    if let Some(made) = made {
        out.line(format_args!("the roles are {}: give them to those who log in, with GRANT", made.join(", ")))?;
    }
    Ok(Answer::Yes)
}

async fn status(global: &Global, out: Output) -> Result<Answer> {
    let howdah = connect::to_database(global).await?;
    let status = howdah.migration_status().await?;
    if out.is_json() {
        let steps: Vec<_> = status.migrations.iter().map(of_step).collect();
        out.value(&json!({
            "schema": howdah.schema(), "current": status.is_current(), "code_current": status.code_current,
            "release": status.release, "migrations": steps,
        }))?;
    } else {
        let steps: Vec<String> = status.migrations.iter().map(|step| of_step(step).to_string()).collect();
        let columns = [Column("version", Show::Number), Column("name", Show::Text), Column("applied_at", Show::Time)];
        out.rows(&columns, &steps)?;
    }
    if status.is_current() {
        return Ok(Answer::Yes);
    }
    if let Err(newer @ Error::SchemaMismatch { found, known, .. }) = howdah.check_schema().await
        && found > known
    {
        return Err(newer.into());
    }
    Err(Failure::schema(why(&status, howdah.schema()), howdah.schema()))
}

fn of_step(step: &AppliedMigration) -> serde_json::Value {
    let at = step.applied_at.and_then(|at| Timestamp::try_from(at).ok()).map(|at| at.to_string());
    json!({ "version": step.version, "name": step.name, "applied_at": at })
}

fn why(status: &MigrationStatus, schema: &str) -> String {
    let missing = status.migrations.iter().filter(|step| step.applied_at.is_none()).count();
    match missing {
        _ if missing == status.migrations.len() => {
            format!("there is no queue in the schema {schema:?} of this database")
        }
        0 => format!("the schema {schema:?} has the functions of another release"),
        _ => format!("the schema {schema:?} lacks {missing} migrations"),
    }
}
