//! `howdah doctor`: what is wrong, what shows it, and what mends it.
//!
//! Invariant: it changes nothing; the exit status is 1 if something was found that is as bad as `--fail-on`, and 4 if the
//! schema is not of this release. Limit: it sees what its role may see; what it may not is `unknown`, which counts as a
//! warning.

use clap::{Args, ValueEnum};
use howdah::{Finding, FindingState};
use serde_json::{Value, json};

use super::Answer;
use super::settings::{Setting, setting};
use crate::args::Global;
use crate::connect;
use crate::failure::{Failure, Result};
use crate::output::{Column, Output, Show, printable};

const EXAMPLES: &str = "\
Exit status: 0 nothing found; 1 a warning, a problem, or something that could not be looked at (see
--fail-on); 4 no schema, or one of another version.

Examples:
  howdah doctor
  howdah doctor --check waiting --limit waiting_ms=30m --fail-on problem
  howdah doctor --json | jq '.[] | select(.state == \"problem\")'
  howdah doctor --check bloat --fix-sql | psql";

/// What is looked at, and what counts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// Make this check only; may be given several times [default: all]
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// From where on something is worth saying, such as waiting_ms=10m or dead_per_hour=0; may be given several times
    #[arg(long = "limit", value_name = "KEY=VALUE", value_parser = setting)]
    limits: Vec<Setting>,
    /// What makes the exit status 1: this, or something worse
    #[arg(long, value_enum, default_value = "warning")]
    fail_on: FailOn,
    /// Print nothing but the SQL that mends what was found, to be read before it is run
    #[arg(long)]
    fix_sql: bool,
}

/// How bad something must be to count.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    Notice,
    Warning,
    Problem,
}

impl FailOn {
    fn counts(self, state: FindingState) -> bool {
        match state {
            FindingState::Ok => false,
            FindingState::Notice => matches!(self, Self::Notice),
            FindingState::Problem => true,
            _ => !matches!(self, Self::Problem),
        }
    }
}

const SHORT: [Column; 3] = [Column("name", Show::Text), Column("state", Show::Text), Column("found", Show::Text)];
const WHOLE: [Column; 5] = [SHORT[0], SHORT[1], SHORT[2], Column("fix", Show::Text), Column("proof", Show::Text)];

pub(crate) async fn run(global: &Global, out: Output, command: Doctor) -> Result<Answer> {
    // Whether the schema fits is one of the findings.
    let howdah = connect::to_database(global).await?;
    let mut look = howdah.doctor();
    for check in command.checks {
        look = look.check(check);
    }
    for limit in command.limits {
        let (name, value) = limit.parts();
        let from = value.as_u64().ok_or_else(|| Failure::usage(format!("--limit: {name} must be a whole number")))?;
        look = look.limit(name, from);
    }
    let findings = look.await?;
    if command.fix_sql {
        fixes(out, &findings)?;
    } else {
        show(out, &findings)?;
    }
    howdah.check_schema().await?;
    Ok(Answer::from(!findings.iter().any(|f| command.fail_on.counts(f.state))))
}

fn show(out: Output, findings: &[Finding]) -> Result<()> {
    let rows: Vec<String> = findings.iter().map(|f| of(f).to_string()).collect();
    out.rows(if out.is_terminal() { &SHORT[..] } else { &WHOLE[..] }, &rows)?;
    if out.is_terminal() {
        for finding in findings.iter().filter(|f| f.state != FindingState::Ok) {
            out.heading(&printable(&format!("{}: {}", finding.name, finding.found)))?;
            for (what, text) in [("fix", &finding.fix), ("seen by", &finding.proof)] {
                if let Some(text) = text {
                    out.line(format_args!("  {what}: {}", printable(text)))?;
                }
            }
        }
    }
    Ok(())
}

fn of(finding: &Finding) -> Value {
    json!({
        "name": finding.name, "state": finding.state.as_str(), "found": finding.found, "proof": finding.proof,
        "fix": finding.fix, "detail": finding.detail,
    })
}

/// The statements alone, each after what it is for.
fn fixes(out: Output, findings: &[Finding]) -> Result<()> {
    for finding in findings {
        if let Some(sql) = finding.detail.get("sql").and_then(Value::as_str) {
            // In one line, or the rest of it would be taken for SQL.
            out.line(format_args!("-- {}", printable(&finding.found).replace('\n', " ")))?;
            let sql = if out.is_terminal() { printable(sql) } else { sql.to_owned() };
            out.line(format_args!("{sql};"))?;
        }
    }
    Ok(())
}
