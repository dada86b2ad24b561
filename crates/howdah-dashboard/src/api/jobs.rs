//! Jobs and errors.
//!
//! Invariant: a search costs what a page of the dashboard may; payload and result are given digit by digit, but for what is hidden.
//! Limit: newest first.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use howdah::JobId;
use howdah_admin::{JobLine, Search};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::{answer, moment, number};
use crate::error::Failure;
use crate::html::json as exact;
use crate::named::One;
use crate::read::job as read;
use crate::view::View;

/// `GET /api/v1/jobs`
pub(super) async fn list(view: View) -> Response {
    answer(async {
        let limit = number(&view, "limit", 50, 1..=1000)?;
        let before = match view.asked("before") {
            "" => None,
            given => {
                let id = given.parse().ok().filter(|id| *id > 0);
                Some(JobId(id.ok_or_else(|| Failure::Refused("before must be the number of a job.".into()))?))
            }
        };
        let search: Search = view.asked("q").parse().map_err(|e| Failure::Refused(format!("q: {e}")))?;
        let admin = &view.app.admin;
        let page = admin.search(&search).limit(limit).before(before).await?;
        let jobs: Vec<Value> = admin.lines(&page.ids).await?.iter().map(line).collect();
        Ok(json!({ "jobs": jobs, "next": page.next.map(|id| id.0), "looked": page.looked }))
    })
    .await
}

fn line(job: &JobLine) -> Value {
    json!({
        "id": job.id.0,
        "queue": job.queue,
        "kind": job.kind,
        "state": job.state.as_str(),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "priority": job.priority,
        "enqueued_at": moment(Some(job.enqueued_at)),
        "due_at": moment(job.due_at),
        "claimed_at": moment(job.claimed_at),
        "ended_at": moment(job.ended_at),
        "run_ms": job.run.map(|run| u64::try_from(run.as_millis()).unwrap_or(u64::MAX)),
        "reason": job.reason,
    })
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn one(view: View, id: Result<Path<One>, PathRejection>) -> Response {
    answer(async {
        let missing = || Failure::Missing("There is no such job, or it ended longer ago than history is kept.".into());
        let Path(One { id }) = id.map_err(|_| missing())?;
        let id: i64 = id.parse().map_err(|_| missing())?;
        let admin = &view.app.admin;
        let Some(job) = admin.lines(&[JobId(id)]).await?.pop() else { return Err(missing()) };
        let mut tx = admin.question().await?;
        let failures = read::failures(admin, &mut tx, id).await?;
        let payload = read::whole(admin, &mut tx, id, "payload").await?.and_then(|(_, text)| text);
        let result = read::whole(admin, &mut tx, id, "result").await?.and_then(|(_, text)| text);
        drop(tx);
        let shown = |text: Option<String>| {
            let text = exact::line(&text?, view.rule(&job.kind));
            // It is JSON of the database, and stays JSON where something is hidden.
            RawValue::from_string(text).ok()
        };
        let failures: Vec<Value> = failures
            .iter()
            .map(|failure| {
                json!({
                    "attempt": failure.attempt,
                    "at": moment(Some(failure.at)),
                    "run_ms": failure.run_ms,
                    "error_kind": failure.error_kind,
                    "message": failure.message,
                    "causes": failure.causes,
                    // As text: it has more digits than some languages keep.
                    "fingerprint": failure.fingerprint.to_string(),
                })
            })
            .collect();
        Ok(Whole { line: line(&job), payload: shown(payload), result: shown(result), failures })
    })
    .await
}

#[derive(serde::Serialize)]
struct Whole {
    #[serde(flatten)]
    line: Value,
    payload: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    failures: Vec<Value>,
}

/// `GET /api/v1/errors`
pub(super) async fn errors(view: View) -> Response {
    answer(async {
        let limit = number(&view, "limit", 20, 1..=1000)?;
        let groups = view.app.admin.error_groups(limit, None).await?;
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                json!({
                    "fingerprint": group.fingerprint.to_string(),
                    "error_kind": group.error_kind,
                    "shape": group.shape,
                    "failures": group.failures.jobs,
                    "more": group.failures.or_more,
                    "first_at": moment(Some(group.first_at)),
                    "last_at": moment(Some(group.last_at)),
                    "job_id": group.job.0,
                    "message": group.message,
                    "kinds": group.kinds,
                })
            })
            .collect();
        Ok(json!({ "errors": groups }))
    })
    .await
}
