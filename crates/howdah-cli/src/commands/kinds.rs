//! `howdah kinds`: what is set of kinds of jobs, where it differs from their queues.
//!
//! Invariant: a kind's setting goes before its queue's. Limit: a kind of which nothing is set is not listed.

use clap::Subcommand;

use super::Answer;
use super::settings::{Setting, change, setting};
use crate::args::Global;
use crate::failure::Result;
use crate::output::{Column, Output, Show};
use crate::{connect, sql};

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Kinds {
    /// List the kinds that have settings of their own
    Ls,
    /// Change settings of a kind, and show all of them
    Set {
        /// The kind
        name: String,
        /// Such as lease_ms=10m; with nothing after the `=`: as the queue says
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = setting)]
        settings: Vec<Setting>,
    },
}

pub(crate) async fn run(global: &Global, out: Output, command: Kinds) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    match command {
        Kinds::Ls => {
            let statement =
                "SELECT (jsonb_build_object('kind', k.name) || jsonb_strip_nulls(to_jsonb(k) - 'name'))::text
                               FROM howdah.kind k ORDER BY k.name";
            let rows: Vec<String> = sqlx::query_scalar(sql::of(&howdah, statement)).fetch_all(howdah.pool()).await?;
            if rows.is_empty() {
                out.nothing("no kind has settings of its own");
            }
            let columns = [
                Column("kind", Show::Text),
                Column("lease_ms", Show::Number),
                Column("timeout_ms", Show::Number),
                Column("retry_policy", Show::Text),
                Column("retry_base_ms", Show::Number),
                Column("retry_factor", Show::Number),
                Column("retry_floor_ms", Show::Number),
                Column("retry_cap_ms", Show::Number),
                Column("retry_jitter", Show::Number),
            ];
            out.rows(&columns, &rows)?;
            Ok(Answer::Yes)
        }
        Kinds::Set { name, settings } => {
            change(&howdah, out, "SELECT howdah.set_kind($1, $2)::text", name, settings).await
        }
    }
}
