//! For orchestrators: does it live, can it answer.
//!
//! Invariant: they are open to everybody, say nothing of the queue, and ask the database at most once a second however often they
//! are asked. Limit: that the database answers says nothing of jobs; that is the doctor's.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use tokio::sync::Mutex;

use crate::app::{App, PATIENCE};

/// As long is an answer good.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer of the database.
#[derive(Debug, Default)]
pub(crate) struct Probe(Mutex<Option<(Instant, bool)>>);

/// The process answers.
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// The database answers, and has the queue in a version that fits.
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    let mut last = app.probe.0.lock().await;
    let fresh = last.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, is_ready)| is_ready);
    let is_ready = match fresh {
        Some(is_ready) => is_ready,
        None => {
            let asked = tokio::time::timeout(PATIENCE, app.admin.howdah().check_schema()).await;
            let is_ready = matches!(asked, Ok(Ok(())));
            *last = Some((Instant::now(), is_ready));
            is_ready
        }
    };
    if is_ready {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
    }
}
