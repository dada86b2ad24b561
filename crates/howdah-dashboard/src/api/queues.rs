//! Queues and workers, and the figure by which a number of workers is set.
//!
//! Invariant: made of the sample that all who look share, so that asking often costs nothing more. Limit: counts are capped, and say so.

use axum::response::Response;
use serde_json::{Value, json};

use super::answer::{answer, moment, text};
use crate::error::Failure;
use crate::live::Sample;
use crate::read::depths::Depth;
use crate::view::View;

/// `GET /api/v1/queues`
pub(super) async fn list(view: View) -> Response {
    answer(async {
        let wanted = text(&view, "queue")?;
        let sample = view.app.sampler.now().await?;
        let queues: Vec<Value> = sample
            .queues
            .iter()
            .filter(|queue| wanted.is_none_or(|name| queue.queue == name))
            .map(|q| of(&sample, q))
            .collect();
        if let (Some(_), true) = (wanted, queues.is_empty()) {
            return Err(missing());
        }
        Ok(json!({ "at": moment(Some(sample.at)), "late": sample.late, "queues": queues }))
    })
    .await
}

fn of(sample: &Sample, queue: &Depth) -> Value {
    let rate = sample.flow.rate(&queue.queue);
    json!({
        "queue": queue.queue,
        "ready": queue.ready,
        "running": queue.running,
        "scheduled": queue.scheduled,
        "blocked": queue.blocked,
        "dead": queue.dead,
        "more": queue.more,
        "oldest_ready_at": moment(queue.oldest_ready_at),
        "paused_at": moment(queue.paused_at),
        "paused_by": queue.paused_by,
        "pause_reason": queue.pause_reason,
        "max_jobs": queue.max_jobs,
        "in_per_minute": rate.and_then(|rate| rate.in_per_minute),
        "out_per_minute": rate.map(|rate| rate.out_per_minute),
        "failed_per_minute": rate.map(|rate| rate.failed_per_minute),
    })
}

/// `GET /api/v1/scale`: what there is to do at once in a queue, or in all of them.
pub(super) async fn scale(view: View) -> Response {
    answer(async {
        let wanted = text(&view, "queue")?;
        let sample = view.app.sampler.now().await?;
        // An old figure would keep workers where there is nothing to do, or away from where there is.
        if let Some(late) = &sample.late {
            return Err(Failure::Late(late.clone()));
        }
        let queues: Vec<&Depth> =
            sample.queues.iter().filter(|queue| wanted.is_none_or(|name| queue.queue == name)).collect();
        if let (Some(_), true) = (wanted, queues.is_empty()) {
            return Err(missing());
        }
        let running: u64 = queues.iter().map(|queue| queue.running).sum();
        // What is paused is not there to be done.
        let going = || queues.iter().filter(|queue| queue.paused_at.is_none());
        let ready: u64 = going().map(|queue| queue.ready).sum();
        let oldest = going().filter_map(|queue| queue.oldest_ready_at).min();
        let waits = oldest.map_or(0, |at| sample.at.duration_since(at).unwrap_or_default().as_millis());
        Ok(json!({
            "queue": wanted,
            "ready": ready,
            "running": running,
            "backlog": ready + running,
            "more": queues.iter().any(|queue| queue.more),
            "oldest_wait_ms": u64::try_from(waits).unwrap_or(u64::MAX),
        }))
    })
    .await
}

/// `GET /api/v1/workers`
pub(super) async fn workers(view: View) -> Response {
    answer(async {
        let sample = view.app.sampler.now().await?;
        let workers: Vec<Value> = sample
            .workers
            .iter()
            .map(|worker| {
                json!({
                    "id": worker.id,
                    "name": worker.name,
                    "version": worker.version,
                    "queues": worker.queues,
                    "kinds": worker.kinds,
                    "running": worker.running,
                    "started_at": moment(Some(worker.started_at)),
                    "heartbeat_at": moment(Some(worker.heartbeat_at)),
                    "keeper": worker.keeper,
                    "asleep": worker.asleep,
                    "stopping": worker.stopping,
                })
            })
            .collect();
        Ok(json!({ "at": moment(Some(sample.at)), "late": sample.late, "workers": workers }))
    })
    .await
}

fn missing() -> Failure {
    Failure::Missing("There is no queue of this name.".into())
}
