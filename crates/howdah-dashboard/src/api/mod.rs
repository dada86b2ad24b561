//! What programs ask over HTTP: the API, and metrics for Prometheus.
//!
//! Invariant: everything is read, nothing is changed, by the same visitors as the pages; what the description says
//! (`openapi.json`) is what is answered, which a test holds. Limit: who wants to change something calls the SQL functions or the
//! command line.

mod answer;
mod jobs;
mod metrics;
mod queues;
mod stats;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::error::Failure;

const DESCRIPTION: &str = include_str!("openapi.json");

/// The address of each.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/metrics", get(metrics::get))
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/queues", get(queues::list))
        .route("/api/v1/scale", get(queues::scale))
        .route("/api/v1/workers", get(queues::workers))
        .route("/api/v1/jobs", get(jobs::list))
        .route("/api/v1/jobs/{id}", get(jobs::one))
        .route("/api/v1/errors", get(jobs::errors))
        .route("/api/v1/stats", get(stats::stats))
        .route("/api/v1/minutes", get(stats::minutes))
        .route("/api/{*rest}", get(missing))
}

async fn description() -> Response {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}

async fn missing() -> Response {
    answer::refuse(&Failure::Missing("There is nothing at this address: see /api/v1/openapi.json.".into()))
}
