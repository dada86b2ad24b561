//! One job, and what belongs to it.
//!
//! Invariant: payload, result and the like are text, cut at a bound and with the length that they have. Limit: what is older than history
//! is kept is not there.

use std::time::SystemTime;

use howdah_admin::Admin;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::{moment, sql, time};
use crate::error::Failure;

/// So much of a payload or a result is shown, in characters.
pub(crate) const SHOWN: i32 = 65_536;
/// So many lines and steps.
const MOST: i64 = 500;
/// So many failed attempts, whose messages may be long.
pub(crate) const FAILED: i64 = 50;

/// JSON as text, as much of it as is shown.
#[derive(Debug, Clone)]
pub(crate) struct Json {
    pub(crate) text: String,
    /// How long the whole is, in characters.
    pub(crate) length: i32,
}

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) attempt: i16,
    pub(crate) max_attempts: i16,
    pub(crate) priority: i16,
    pub(crate) enqueued_at: SystemTime,
    pub(crate) due_at: Option<SystemTime>,
    pub(crate) worker_id: Option<i64>,
    pub(crate) claimed_at: Option<SystemTime>,
    pub(crate) ended_at: Option<SystemTime>,
    pub(crate) run_ms: Option<i32>,
    pub(crate) reason: Option<String>,
    pub(crate) payload: Json,
    pub(crate) options: Option<Json>,
    pub(crate) result: Option<Json>,
    pub(crate) progress: Option<Progress>,
}

/// What it has last said of itself.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) attempt: i16,
    pub(crate) at: SystemTime,
    pub(crate) percent: Option<f32>,
    pub(crate) message: Option<String>,
    pub(crate) checkpoint: Option<Json>,
}

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct FailedAttempt {
    pub(crate) attempt: i16,
    pub(crate) at: SystemTime,
    pub(crate) run_ms: Option<i32>,
    pub(crate) worker_id: Option<i64>,
    pub(crate) error_kind: String,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) fingerprint: i64,
}

/// A step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) attempt: i16,
    pub(crate) at: SystemTime,
    pub(crate) wakes_at: Option<SystemTime>,
    pub(crate) result: Option<Json>,
}

/// A line that an attempt has logged.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) attempt: i16,
    pub(crate) at: SystemTime,
    pub(crate) level: String,
    pub(crate) target: String,
    pub(crate) message: String,
}

/// A workflow, a parent or a child.
#[derive(Debug, Clone)]
pub(crate) struct Relative {
    pub(crate) relation: String,
    pub(crate) id: i64,
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) state: Option<String>,
}

/// A reason why it does not run.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) code: String,
    pub(crate) reason: String,
}

const JOB: &str = "SELECT j.id, j.queue, j.kind, j.state, j.attempt, j.max_attempts, j.priority, howdah.micros(j.enqueued_at) AS enqueued_at,
       CASE WHEN pg_catalog.isfinite(j.due_at) THEN howdah.micros(j.due_at) END AS due_at, j.worker_id, howdah.micros(j.claimed_at) AS claimed_at,
       howdah.micros(j.ended_at) AS ended_at, j.run_ms, j.reason,
       pg_catalog.left(j.payload::pg_catalog.text, $2) AS payload, pg_catalog.length(j.payload::pg_catalog.text) AS payload_length,
       pg_catalog.left(j.options::pg_catalog.text, $2) AS options, pg_catalog.length(j.options::pg_catalog.text) AS options_length,
       pg_catalog.left(j.result::pg_catalog.text, $2) AS result, pg_catalog.length(j.result::pg_catalog.text) AS result_length,
       p.attempt AS progress_attempt, howdah.micros(p.at) AS progress_at, p.percent, p.message,
       pg_catalog.left(p.checkpoint::pg_catalog.text, $2) AS checkpoint, pg_catalog.length(p.checkpoint::pg_catalog.text) AS checkpoint_length
  FROM howdah.jobs j LEFT JOIN howdah.get_progress($1) p ON true WHERE j.id OPERATOR(pg_catalog.=) $1 LIMIT 1";

fn json(row: &PgRow, column: &str) -> sqlx::Result<Option<Json>> {
    let (text, length): (Option<String>, Option<i32>) =
        (row.try_get(column)?, row.try_get(&*format!("{column}_length"))?);
    Ok(text.map(|text| Json { text, length: length.unwrap_or_default() }))
}

/// A job; `None`: there is none, or it ended longer ago than history is kept.
pub(crate) async fn job(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Option<Job>, Failure> {
    let row = sqlx::query(sql(admin.howdah(), JOB)).bind(id).bind(SHOWN).fetch_optional(tx).await?;
    let Some(row) = row else { return Ok(None) };
    let said = time(&row, "progress_at")?;
    let progress = said.map(|at| {
        Ok::<_, sqlx::Error>(Progress {
            attempt: row.try_get("progress_attempt")?,
            at,
            percent: row.try_get("percent")?,
            message: row.try_get("message")?,
            checkpoint: json(&row, "checkpoint")?,
        })
    });
    Ok(Some(Job {
        id: row.try_get("id")?,
        queue: row.try_get("queue")?,
        kind: row.try_get("kind")?,
        state: row.try_get("state")?,
        attempt: row.try_get("attempt")?,
        max_attempts: row.try_get("max_attempts")?,
        priority: row.try_get("priority")?,
        enqueued_at: moment(&row, "enqueued_at")?,
        due_at: time(&row, "due_at")?,
        worker_id: row.try_get("worker_id")?,
        claimed_at: time(&row, "claimed_at")?,
        ended_at: time(&row, "ended_at")?,
        run_ms: row.try_get("run_ms")?,
        reason: row.try_get("reason")?,
        payload: json(&row, "payload")?.unwrap_or(Json { text: "null".into(), length: 4 }),
        options: json(&row, "options")?,
        result: json(&row, "result")?,
        progress: progress.transpose()?,
    }))
}

const WHOLE: &str =
    "SELECT j.kind, CASE WHEN $2 OPERATOR(pg_catalog.=) 'payload' THEN j.payload ELSE j.result END::pg_catalog.text
  FROM howdah.jobs j WHERE j.id OPERATOR(pg_catalog.=) $1 LIMIT 1";

/// The kind of a job, and the whole of its `payload` or `result`.
pub(crate) async fn whole(
    admin: &Admin,
    tx: &mut PgConnection,
    id: i64,
    part: &str,
) -> Result<Option<(String, Option<String>)>, Failure> {
    Ok(sqlx::query_as(sql(admin.howdah(), WHOLE)).bind(id).bind(part).fetch_optional(tx).await?)
}

const FAILURES: &str = "SELECT f.attempt, howdah.micros(f.at) AS at, f.run_ms, f.worker_id, f.error_kind, f.message,
       ARRAY(SELECT c FROM pg_catalog.jsonb_array_elements_text(f.causes) c) AS causes,
       howdah.fingerprint(f.error_kind, f.message) AS fingerprint
  FROM howdah.failures f WHERE f.job_id OPERATOR(pg_catalog.=) $1 ORDER BY f.attempt DESC, f.at DESC LIMIT $2";

/// The attempts of a job that failed, the newest first.
pub(crate) async fn failures(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Vec<FailedAttempt>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), FAILURES)).bind(id).bind(FAILED).fetch_all(tx).await?;
    let failure = |row: &PgRow| -> sqlx::Result<FailedAttempt> {
        Ok(FailedAttempt {
            attempt: row.try_get("attempt")?,
            at: moment(row, "at")?,
            run_ms: row.try_get("run_ms")?,
            worker_id: row.try_get("worker_id")?,
            error_kind: row.try_get("error_kind")?,
            message: row.try_get("message")?,
            causes: row.try_get("causes")?,
            fingerprint: row.try_get("fingerprint")?,
        })
    };
    Ok(rows.iter().map(failure).collect::<sqlx::Result<_>>()?)
}

const STEPS: &str = "SELECT s.name, s.kind, s.state, s.attempt, howdah.micros(s.at) AS at,
       CASE WHEN pg_catalog.isfinite(s.wakes_at) THEN howdah.micros(s.wakes_at) END AS wakes_at,
       pg_catalog.left(s.result::pg_catalog.text, 2000) AS result, pg_catalog.length(s.result::pg_catalog.text) AS result_length
  FROM howdah.steps s WHERE s.job_id OPERATOR(pg_catalog.=) $1 ORDER BY s.n LIMIT $2";

/// The steps of a job, in their order.
pub(crate) async fn steps(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Vec<Step>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), STEPS)).bind(id).bind(MOST).fetch_all(tx).await?;
    let step = |row: &PgRow| -> sqlx::Result<Step> {
        Ok(Step {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            state: row.try_get("state")?,
            attempt: row.try_get("attempt")?,
            at: moment(row, "at")?,
            wakes_at: time(row, "wakes_at")?,
            result: json(row, "result")?,
        })
    };
    Ok(rows.iter().map(step).collect::<sqlx::Result<_>>()?)
}

const LOGS: &str = "SELECT l.attempt, howdah.micros(l.at) AS at, l.level, l.target, l.message
  FROM howdah.logs l WHERE l.job_id OPERATOR(pg_catalog.=) $1 ORDER BY l.attempt DESC, l.at DESC, l.line DESC LIMIT $2";

/// The newest lines that its attempts have logged, in the order in which they were.
pub(crate) async fn logs(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Vec<Line>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), LOGS)).bind(id).bind(MOST).fetch_all(tx).await?;
    let line = |row: &PgRow| -> sqlx::Result<Line> {
        Ok(Line {
            attempt: row.try_get("attempt")?,
            at: moment(row, "at")?,
            level: row.try_get("level")?,
            target: row.try_get("target")?,
            message: row.try_get("message")?,
        })
    };
    Ok(rows.iter().rev().map(line).collect::<sqlx::Result<_>>()?)
}

const FAMILY: &str = "SELECT f.relation, f.id, f.name, f.kind, f.state FROM howdah.family($1, 100) f";

/// What a job belongs to, waits for, and is waited for by.
pub(crate) async fn family(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Vec<Relative>, Failure> {
    let rows = sqlx::query(sql(admin.howdah(), FAMILY)).bind(id).fetch_all(tx).await?;
    let relative = |row: &PgRow| -> sqlx::Result<Relative> {
        Ok(Relative {
            relation: row.try_get("relation")?,
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            state: row.try_get("state")?,
        })
    };
    Ok(rows.iter().map(relative).collect::<sqlx::Result<_>>()?)
}

/// Why it does not run, the nearest reason first.
pub(crate) async fn why(admin: &Admin, tx: &mut PgConnection, id: i64) -> Result<Vec<Why>, Failure> {
    let query = sqlx::query_as(sql(admin.howdah(), "SELECT w.code, w.reason FROM howdah.why($1) w"));
    let rows: Vec<(String, String)> = query.bind(id).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|(code, reason)| Why { code, reason }).collect())
}
