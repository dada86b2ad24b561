//! Statistics by hour and by minute.
//!
//! Invariant: as the SQL functions `howdah.stats` and `howdah.minutes` say. Limit: those of the last years, and of the last day.

use std::time::Duration;

use axum::response::Response;
use howdah_admin::{Spread, StatLine};
use serde_json::{Value, json};

use super::answer::{answer, moment, span, text};
use crate::view::View;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// `GET /api/v1/stats`
pub(super) async fn stats(view: View) -> Response {
    answer(async {
        let since = span(&view, "since", HOUR, DAY * 3650)?;
        let lines = view.app.admin.stats(Some(since), text(&view, "queue")?, text(&view, "kind")?).await?;
        Ok(json!({ "stats": lines.iter().map(line).collect::<Vec<Value>>() }))
    })
    .await
}

fn line(line: &StatLine) -> Value {
    json!({
        "queue": line.queue,
        "kind": line.kind,
        "completed": line.completed,
        "retried": line.retried,
        "snoozed": line.snoozed,
        "dead": line.dead,
        "cancelled": line.cancelled,
        "released": line.released,
        "lost": line.lost,
        "run_ms": line.run_ms,
        "wait_ms": line.wait_ms,
        "runs": spread(&line.runs),
        "waits": spread(&line.waits),
    })
}

fn spread(spread: &Spread) -> Value {
    let ms = |fraction: f64| spread.percentile(fraction).map(|length| length.as_secs_f64() * 1000.0);
    json!({ "count": spread.count(), "p50_ms": ms(0.5), "p95_ms": ms(0.95), "p99_ms": ms(0.99) })
}

/// `GET /api/v1/minutes`
pub(super) async fn minutes(view: View) -> Response {
    answer(async {
        let since = span(&view, "since", HOUR, DAY)?;
        let minutes = view.app.admin.minutes(since, text(&view, "queue")?).await?;
        let minutes: Vec<Value> = minutes
            .iter()
            .map(|minute| {
                json!({
                    "at": moment(Some(minute.at)),
                    "queue": minute.queue,
                    "completed": minute.completed,
                    "failed": minute.failed,
                    "unfinished": minute.unfinished,
                })
            })
            .collect();
        Ok(json!({ "minutes": minutes }))
    })
    .await
}
