//! Does random operations to a queue and to the model, one after the other, and compares.
//!
//! Invariant: each call is compared by its answer, and at every fourth one, or when the model has left something open, by all
//! that can be seen.

use anyhow::{Context, Error, Result, bail};
use futures_util::TryStreamExt;
use howdah_tests::{Db, Session};
use sqlx::postgres::{PgDatabaseError, PgRow};
use sqlx::{AssertSqlSafe, Row};

use crate::model::{Answer, Beside, Model, ids};
use crate::operations::{Op, Ref, What};
use crate::script::{Script, beginning};
use crate::sql::Text;

/// What there is in the queue, for operations to name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    pub(crate) jobs: Vec<i64>,
    /// Those that died, the ones among them that were sent again too.
    dead: Vec<i64>,
    /// Each with the jobs that it was given, and those of them that have not been told of, in their order.
    pub(crate) leases: Vec<(i64, Vec<i64>, Vec<i64>)>,
    pub(crate) workers: Vec<i64>,
}

impl Known {
    /// Gives each thing that an operation names its id: the newest are named most.
    pub(crate) fn resolve(&self, op: &Op) -> Op {
        let mut op = op.clone();
        let mut held: &[i64] = &[];
        for one in op.refs() {
            match one.what {
                What::Worker => one.id = latest(&self.workers, one.id),
                What::Lease => {
                    let lease = self.leases.len().checked_sub(1).map(|last| &self.leases[last - nth(one.id, last + 1)]);
                    one.id = lease.map_or(1, |lease| lease.0);
                    held = lease.map_or(&[], |lease| &lease.1);
                }
                // A job of another lease, now and then.
                What::Held if one.id < 15 && !held.is_empty() => one.id = held[nth(one.id, held.len())],
                What::Dead if !self.dead.is_empty() => one.id = latest(&self.dead, one.id),
                What::Held | What::Job | What::Dead => one.id = latest(&self.jobs, one.id),
            }
        }
        // Now, and not when it is its turn: another session may be settling some of them.
        if let Op::CompleteLease { lease, wrong_by, told } = &mut op {
            *told = i64::try_from(self.left(*lease).len()).unwrap_or_default() + *wrong_by;
        }
        op
    }

    /// Takes note of what a call has made.
    pub(crate) fn learn(&mut self, op: &Op, answer: &Answer) {
        let Ok(rows) = answer else { return };
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        match op {
            Op::Enqueue(new) if new.unique.is_some() => {
                let fresh = rows.first().and_then(|row| row.strip_suffix("|f"));
                self.jobs.extend(fresh.map(|id| number(Some(id))));
            }
            Op::Enqueue(_) => self.jobs.extend(ids(rows)),
            Op::StartWorker { .. } => self.workers.extend(ids(rows)),
            Op::Claim { .. } => {
                for row in rows {
                    let mut fields = row.split('|').skip(1);
                    let (lease, job) = (number(fields.next()), number(fields.next()));
                    if self.leases.last().is_none_or(|last| last.0 != lease) {
                        self.leases.push((lease, Vec::new(), Vec::new()));
                    }
                    if let Some((_, given, left)) = self.leases.last_mut() {
                        given.push(job);
                        left.push(job);
                    }
                }
            }
            Op::Complete { lease, jobs: None } | Op::Release { lease, jobs: None } => self.tell(*lease, |_| true),
            Op::Complete { lease, jobs: Some(jobs) }
            | Op::Release { lease, jobs: Some(jobs) }
            | Op::Fail { lease, jobs, .. } => {
                self.tell(*lease, |id| jobs.iter().any(|job| job.id == id));
            }
            _ => {}
        }
        if let Op::Fail { .. } = op {
            self.dead.extend(rows.iter().filter_map(|row| row.strip_suffix("|dead")).map(|id| number(Some(id))));
        }
    }

    fn tell(&mut self, lease: Ref, told: impl Fn(i64) -> bool) {
        for (_, _, left) in self.leases.iter_mut().filter(|(id, ..)| *id == lease.id) {
            left.retain(|id| !told(*id));
        }
    }

    /// What the worker of a lease has not told yet, in the order claimed.
    pub(crate) fn left(&self, lease: Ref) -> &[i64] {
        self.leases.iter().find(|(id, ..)| *id == lease.id).map_or(&[], |(_, _, left)| left)
    }
}

fn nth(pick: i64, of: usize) -> usize {
    usize::try_from(pick).unwrap_or_default() % of
}

/// One of those that there are; 1 is nobody's id.
fn latest(of: &[i64], pick: i64) -> i64 {
    of.len().checked_sub(1).map_or(1, |last| of[last - nth(pick, last + 1)])
}

/// Calls the queue.
pub(crate) async fn call(session: &mut Session, sql: &str) -> Result<Answer> {
    let rows: std::result::Result<Vec<PgRow>, _> =
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch(&mut session.0).try_collect().await;
    match rows {
        Ok(rows) => Ok(Ok(rows.iter().map(as_text).collect::<Result<_>>()?)),
        Err(error) => match error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>()) {
            Some(e) => Ok(Err(format!("{} {}", e.code(), e.column().unwrap_or_default()).trim_end().to_owned())),
            None => Err(error).with_context(|| sql.to_owned()),
        },
    }
}

/// As psql prints it.
fn as_text(row: &PgRow) -> Result<String> {
    let fields: sqlx::Result<Vec<String>> =
        (0..row.len()).map(|n| Ok(row.try_get_unchecked::<Option<String>, _>(n)?.unwrap_or_default())).collect();
    Ok(fields?.join("|"))
}

/// All that can be seen.
pub(crate) async fn seen(session: &mut Session, of: &'static str) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(of).fetch_all(&mut session.0).await?)
}

/// A database in which one history is done after the other.
pub(crate) async fn begin(db: &Db) -> Result<Session> {
    let mut session = db.session().await?;
    session.run(&(beginning() + "CALL model_remember();" + SESSION)).await?;
    Ok(session)
}

/// What every session is told first.
pub(crate) const SESSION: &str = "SET jit = off; SET model.now = '0'; SET statement_timeout = '20 s'";

/// One history, from the beginning; `script` is told all that is done. Gives where it leads.
pub(crate) async fn run(session: &mut Session, ops: &[Op], script: &mut Script) -> Result<(Model, Known)> {
    session.run("CALL model_forget()").await?;
    let (mut model, mut known) = (Model::new(), Known::default());
    model.observe(&seen(session, "TABLE model_seen").await?).map_err(Error::msg)?;
    for (n, op) in ops.iter().enumerate() {
        let op = known.resolve(op);
        let text = Text::of(&op, &known);
        let answer = call(session, &text.plain()).await?;
        script.write(&op, &text, &answer);
        let wrong = match model.step(&op, &answer, Beside::Nobody) {
            // To look costs more than all else.
            Ok(()) if n % 4 < 3 && n + 1 < ops.len() && model.is_certain() => Ok(()),
            Ok(()) => model.observe(&seen(session, "TABLE model_seen").await?),
            wrong => wrong,
        };
        if let Err(wrong) = wrong {
            bail!("step {n}, {}: {wrong}", text.plain());
        }
        known.learn(&op, &answer);
    }
    Ok((model, known))
}
