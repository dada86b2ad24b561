//! `howdah limits`: how many jobs may run at the same time, or start in a time, over the whole fleet.
//!
//! Invariant: a limit holds as soon as it is set. Limit: how much is in use is told of limits for one key, not of those
//! with a `*`.

use clap::{Subcommand, ValueEnum};

use super::Answer;
use super::settings::{Setting, object, refused, setting, show};
use crate::args::Global;
use crate::failure::Result;
use crate::output::{Column, Output, Show};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// List all limits, with what of them is in use and how many jobs they block
    Ls,
    /// Set a limit, and show it
    Set {
        /// What it is of
        scope: Scope,
        /// Its name; with a `*` at the end: for each key or share that begins so
        name: String,
        /// max_running=5, rate=100, rate_period_ms=1m, rate_burst=10, or weight=3 of a share; nothing after the `=`: not
        /// limited
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = setting)]
        settings: Vec<Setting>,
    },
    /// Take a limit away
    Rm {
        /// What it is of
        scope: Scope,
        /// Its name
        name: String,
    },
}

/// What a limit is of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scope {
    /// All jobs of a queue
    Queue,
    /// All jobs of a kind
    Kind,
    /// All jobs with a limit key
    Key,
    /// The turn of a fair key
    Share,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Kind => "kind",
            Self::Key => "key",
            Self::Share => "share",
        }
    }
}

const COLUMNS: [Column; 9] = [
    Column("scope", Show::Text),
    Column("name", Show::Text),
    Column("max_running", Show::Number),
    Column("rate", Show::Number),
    Column("rate_period_ms", Show::Number),
    Column("rate_burst", Show::Number),
    Column("weight", Show::Number),
    Column("running", Show::Number),
    Column("blocked", Show::Number),
];

pub(crate) async fn run(global: &Global, out: Output, command: Limits) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Limits::Ls => {
            let statement = "SELECT to_json(x)::text FROM (SELECT * FROM howdah.limits ORDER BY scope, name) x";
            let rows: Vec<String> = sqlx::query_scalar(sql::of(&howdah, statement)).fetch_all(howdah.pool()).await?;
            if rows.is_empty() {
                out.nothing("nothing is limited");
            }
            out.rows(&COLUMNS, &rows)?;
        }
        Limits::Set { scope, name, settings } => {
            let rule: Option<String> =
                sqlx::query_scalar(sql::of(&howdah, "SELECT howdah.set_limit($1, $2, $3)::text"))
                    .bind(scope.name())
                    .bind(name)
                    .bind(object(settings))
                    .fetch_one(howdah.pool())
                    .await
                    .map_err(refused)?;
            show(out, &rule.unwrap_or_else(|| "{}".to_owned()))?;
        }
        Limits::Rm { scope, name } => {
            let statement = "WITH was AS (SELECT count(*) AS n FROM howdah.limits WHERE scope = $1 AND name = $2)
                 SELECT n > 0 FROM was, howdah.set_limit($1, $2, NULL)";
            let gone: bool = sqlx::query_scalar(sql::of(&howdah, statement))
                .bind(scope.name())
                .bind(&name)
                .fetch_one(howdah.pool())
                .await
                .map_err(refused)?;
            if !gone {
                out.nothing(&format!("there is no limit of {} {name}", scope.name()));
                return Ok(Answer::No);
            }
        }
    }
    Ok(Answer::Yes)
}
