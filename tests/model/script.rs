//! What was done, as a script that `psql` does again in an empty database in which the queue is installed.
//!
//! Invariant: statement for statement what was done; ids are psql's variables, since they are others the next time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Answer, ids};
use crate::operations::Op;
use crate::sql::Text;

/// Where what can be seen is told.
const SEEN: &str = include_str!("seen.sql");

/// The clock stands still, and three queues differ in what they do with what fails, expires, and is too much.
const SETTINGS: &str = r#"
SET jit = off;
SET model.now = '0';
CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN timestamptz '2100-01-01 00:00:00+00' + interval '1 microsecond' * current_setting('model.now')::float8;
SELECT howdah.set_config('{"history_retention": "30 days"}');
SELECT howdah.set_queue('default', '{"max_attempts": 3}');
SELECT howdah.create_queue('mail', '{"max_attempts": 2, "retry_policy": "constant", "retry_base_ms": 10000, "retry_jitter": 0, "on_expiry": "dead"}');
SELECT howdah.create_queue('small', '{"max_jobs": 4, "retry_policy": "linear", "retry_base_ms": 1000, "retry_jitter": 0}');
"#;

/// What is done before all else.
pub(crate) fn beginning() -> String {
    SEEN.to_owned() + SETTINGS
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    text: String,
    steps: usize,
    /// How ids are called, by what they are of.
    names: BTreeMap<(&'static str, i64), String>,
}

impl Script {
    /// Writes down what was done, and what it answered.
    pub(crate) fn write(&mut self, op: &Op, text: &Text, answer: &Answer) {
        let sql = text.render(|what, id| {
            let number = id.parse::<i64>().unwrap_or_default();
            let name = self.names.iter().find(|((of, id), _)| *of == what && *id == number);
            name.map_or_else(|| id.to_owned(), |(_, name)| name.clone())
        });
        let told = match answer {
            Ok(rows) => rows.join("\n--   "),
            Err(refusal) => format!("refused: {refusal}"),
        };
        let step = self.steps;
        self.steps += 1;
        let (before, after) = self.name(op, answer.as_deref().unwrap_or_default(), step);
        let _ = write!(self.text, "{before}{sql}{after}\n-- {step}: {told}\n\n");
    }

    /// Gives what a call has made its names; what stands before and after the statement so that psql knows them.
    fn name(&mut self, op: &Op, rows: &[String], step: usize) -> (&'static str, String) {
        let Some(row) = rows.first() else { return ("", ";".to_owned()) };
        let set = format!(" \\gset s{step}_");
        let id = |text: &str| text.parse::<i64>().unwrap_or_default();
        match op {
            Op::Enqueue(new) if new.unique.is_some() => {
                if let Some(job) = row.strip_suffix("|f") {
                    self.names.insert(("job", id(job)), format!(":s{step}_id"));
                }
                ("", set)
            }
            Op::Enqueue(new) if new.many.is_none() => {
                self.names.insert(("job", id(row)), format!(":s{step}_enqueue"));
                ("", set)
            }
            Op::Enqueue(_) => {
                let all = ids(rows);
                for job in &all {
                    self.names.insert(("job", *job), format!("(:s{step}_first + {})", job - all[0]));
                }
                ("SELECT min(first_id) AS first FROM (", format!(") runs{set}"))
            }
            Op::StartWorker { .. } => {
                self.names.insert(("worker", id(row)), format!(":s{step}_start_worker"));
                ("", set)
            }
            Op::Claim { queues, .. } => {
                let mut end = ";".to_owned();
                for row in rows {
                    let mut fields = row.split('|').map(id);
                    let (n, lease) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
                    let queue = usize::try_from(n - 1).ok().and_then(|n| queues.get(n)).map_or("", |(queue, _)| queue);
                    let variable = format!("s{step}_{queue}_lease");
                    if self.names.insert(("lease", lease), format!(":{variable}")).is_none() {
                        end += &format!(
                            "\nSELECT max(l.id) AS {variable} FROM howdah.lease l JOIN howdah.queue q ON q.id = l.queue_id WHERE q.name = '{queue}' \\gset"
                        );
                    }
                }
                ("", end)
            }
            _ => ("", ";".to_owned()),
        }
    }

    /// All of it, and why it was written.
    pub(crate) fn end(&self, why: &str) -> String {
        let (why, begin) = (why.replace('\n', "\n-- "), beginning());
        let how = "-- psql -X -f THIS DATABASE, where the queue was just installed. Below each statement stands what it answered.";
        format!("-- {why}\n--\n{how}\n\n{begin}\n{}TABLE model_seen;\n", self.text)
    }
}
