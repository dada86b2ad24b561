//! Doing something to all jobs that a search means: a row that says what, how far it is, and who began it.
//!
//! Invariant: each step is a transaction that changes some jobs and moves the row's cursor, so that every job is dealt with
//! once, whoever crashes and whoever goes on. Limit: nobody goes on with an operation unasked.

use std::time::SystemTime;

use howdah::JobId;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::action::{Action, By};
use crate::admin::Admin;
use crate::error::{Error, Result};
use crate::find::Count;
use crate::search::Search;
use crate::sql;

/// An operation, as far as it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Operation {
    /// Its number.
    pub id: i64,
    /// What it does: `retry`, `cancel`, `purge`, `priority`, `move`, `reschedule`.
    pub action: String,
    /// To what, where the action needs it: `{"queue": "mail"}`.
    pub settings: Value,
    /// To which jobs, as somebody typed it.
    pub search: String,
    /// `running`, `stopped` (a step failed; the next one tries again), `done` or `cancelled`.
    pub state: String,
    /// Who began it.
    pub made_by: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was begun.
    pub made_at: SystemTime,
    /// When the last step was done.
    pub stepped_at: SystemTime,
    /// When it ended.
    pub ended_at: Option<SystemTime>,
    /// How many jobs were looked at.
    pub looked: i64,
    /// How many of them were meant.
    pub matched: i64,
    /// How many of these were changed; the others had gone to a state that the action is not for.
    pub changed: i64,
    /// Why it stopped.
    pub error: Option<String>,
}

impl Operation {
    /// Whether nothing is left to do: it is done, or was cancelled.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended_at.is_some()
    }
}

const COLUMNS: &str =
    "SELECT o.id, o.action, o.settings, o.search, o.state, o.made_by, o.reason, howdah.micros(o.made_at),
       howdah.micros(o.stepped_at), howdah.micros(o.ended_at), o.looked, o.matched, o.changed, o.error
  FROM howdah.step_operation($1, $2) o WHERE o.id IS NOT NULL";

const NEWEST: &str =
    "SELECT o.id, o.action, o.settings, o.search, o.state, o.made_by, o.reason, howdah.micros(o.made_at),
       howdah.micros(o.stepped_at), howdah.micros(o.ended_at), o.looked, o.matched, o.changed, o.error
  FROM howdah.operation o WHERE ($1 IS NULL OR o.id OPERATOR(pg_catalog.=) $1) ORDER BY o.id DESC LIMIT $2";

impl Admin {
    /// How many jobs an operation would be about if it were begun now, counted up to `most` (1 to 10,000). Changes nothing.
    /// The SQL function behind it is `howdah.operation_search`.
    ///
    /// # Errors
    /// [`Error::Queue`] if the action is not for jobs in the states that the search names, or the database cannot be asked;
    /// [`Error::TookTooLong`].
    pub async fn dry_run(&self, action: &Action, search: &Search, most: u32) -> Result<Count> {
        let narrowed = "SELECT howdah.operation_search($1, $2)";
        let mut tx = self.question().await?;
        let query = sqlx::query_scalar(sql::of(self.howdah(), narrowed)).bind(action.name()).bind(search.compiled());
        let compiled: Value = query.fetch_one(&mut *tx).await.map_err(|e| self.told(e))?;
        tx.commit().await?;
        self.count_compiled(compiled, most).await
    }

    /// Begins an operation; nothing is done to any job before [`step`](Self::step) or [`finish`](Self::finish). Jobs that are
    /// enqueued from now on are left alone. The SQL function behind it is `howdah.start_operation`.
    ///
    /// # Errors
    /// As [`dry_run`](Self::dry_run); [`Error::Queue`] for settings that cannot be, such as an unknown queue.
    pub async fn start(&self, action: &Action, search: &Search, by: By<'_>) -> Result<i64> {
        let query = sqlx::query_scalar(sql::of(self.howdah(), "SELECT howdah.start_operation($1, $2, $3, $4, $5, $6)"))
            .bind(action.name())
            .bind(search.to_string())
            .bind(search.compiled())
            .bind(action.settings())
            .bind(by.who)
            .bind(by.reason);
        Ok(query.fetch_one(self.howdah().pool()).await?)
    }

    /// Goes on with an operation by one step of at most `most` jobs (1 to 1,000), in a transaction of its own. Anybody may, also
    /// several at once. `None`: there is no such operation. The SQL function behind it is `howdah.step_operation`.
    ///
    /// # Errors
    /// [`Error::Queue`]. That a step failed is told in the operation, which is `stopped` then.
    pub async fn step(&self, id: i64, most: u32) -> Result<Option<Operation>> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let query = sqlx::query(sql::of(self.howdah(), COLUMNS)).bind(id).bind(most);
        query.fetch_optional(self.howdah().pool()).await?.as_ref().map(operation).transpose()
    }

    /// Goes on with an operation until it has ended or stopped, and tells how far it is after each step. If this is not
    /// awaited to its end, what was done is done, and anybody can go on.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn finish(&self, id: i64, mut progress: impl FnMut(&Operation)) -> Result<Option<Operation>> {
        const STEP: u32 = 200;
        loop {
            let Some(operation) = self.step(id, STEP).await? else { return Ok(None) };
            progress(&operation);
            if operation.state != "running" {
                return Ok(Some(operation));
            }
        }
    }

    /// Ends an operation; what it has done is done. Whether it was under way; `None`: there is no such operation. The SQL
    /// function behind it is `howdah.cancel_operation`.
    ///
    /// # Errors
    /// [`Error::Queue`].
    pub async fn cancel_operation(&self, id: i64, by: By<'_>) -> Result<Option<bool>> {
        let query = sqlx::query_scalar(sql::of(self.howdah(), "SELECT howdah.cancel_operation($1, $2)"));
        Ok(query.bind(id).bind(by.who).fetch_one(self.howdah().pool()).await?)
    }

    /// One operation.
    ///
    /// # Errors
    /// [`Error::Queue`], [`Error::TookTooLong`].
    pub async fn operation(&self, id: i64) -> Result<Option<Operation>> {
        Ok(self.some_operations(Some(id), 1).await?.pop())
    }

    /// The newest operations.
    ///
    /// # Errors
    /// [`Error::Queue`], [`Error::TookTooLong`].
    pub async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        self.some_operations(None, most).await
    }

    async fn some_operations(&self, id: Option<i64>, most: u32) -> Result<Vec<Operation>> {
        let mut tx = self.question().await?;
        let query = sqlx::query(sql::of(self.howdah(), NEWEST)).bind(id).bind(i64::from(most));
        let rows = query.fetch_all(&mut *tx).await.map_err(|e| self.told(e))?;
        tx.commit().await?;
        rows.iter().map(operation).collect()
    }

    /// Does something to these jobs, at most 1,000, in one transaction, and notes who did it. Returns how many were changed.
    /// The SQL function behind it is `howdah.act`.
    ///
    /// # Errors
    /// [`Error::Queue`]: nothing was changed.
    pub async fn act(&self, action: &Action, jobs: &[JobId], by: By<'_>) -> Result<i64> {
        let ids: Vec<i64> = jobs.iter().map(|job| job.0).collect();
        let query = sqlx::query_scalar(sql::of(self.howdah(), "SELECT howdah.act($1, $2, $3, $4, $5)"))
            .bind(action.name())
            .bind(ids)
            .bind(action.settings())
            .bind(by.who)
            .bind(by.reason);
        Ok(query.fetch_one(self.howdah().pool()).await?)
    }
}

fn operation(row: &PgRow) -> Result<Operation> {
    let read = || -> sqlx::Result<Operation> {
        Ok(Operation {
            id: row.try_get(0)?,
            action: row.try_get(1)?,
            settings: row.try_get(2)?,
            search: row.try_get(3)?,
            state: row.try_get(4)?,
            made_by: row.try_get(5)?,
            reason: row.try_get(6)?,
            made_at: sql::time(row.try_get(7)?),
            stepped_at: sql::time(row.try_get(8)?),
            ended_at: row.try_get::<Option<i64>, _>(9)?.map(sql::time),
            looked: row.try_get(10)?,
            matched: row.try_get(11)?,
            changed: row.try_get(12)?,
            error: row.try_get(13)?,
        })
    };
    read().map_err(Error::from)
}
