//! The pages, one a file.
//!
//! Invariant: a page asks in transactions that cannot write. Limit: what is shown is of one moment for each question.

mod cron;
mod errors;
mod graph;
pub(crate) mod health;
mod job;
mod job_parts;
mod jobs;
mod kinds;
mod operations;
pub(crate) mod overview;
mod queues;
mod suggest;
mod workers;
mod workflows;

use axum::Router;
use axum::response::Response;
use axum::routing::get;

use crate::app::App;
use crate::error::Failure;
use crate::view::View;
use crate::{assets, live, probes};

/// The address of each.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/assets/{name}", get(assets::get))
        .route("/health/live", get(probes::live))
        .route("/health/ready", get(probes::ready))
        .route("/live", get(live::stream))
        .route("/", get(overview::get))
        .route("/jobs", get(jobs::get))
        .route("/jobs/{id}", get(job::get))
        .route("/jobs/{id}/{part}", get(job::whole))
        .route("/suggest", get(suggest::get))
        .route("/queues", get(queues::list))
        .route("/queues/one", get(queues::one))
        .route("/kinds", get(kinds::get))
        .route("/errors", get(errors::list))
        .route("/errors/one", get(errors::one))
        .route("/cron", get(cron::list))
        .route("/cron/one", get(cron::one))
        .route("/workflows", get(workflows::list))
        .route("/workflows/{id}", get(workflows::one))
        .route("/workers", get(workers::get))
        .route("/operations", get(operations::list))
        .route("/operations/new", get(operations::new))
        .route("/operations/audit", get(operations::audit))
        .route("/operations/{id}", get(operations::one))
        .route("/health", get(health::get))
}

/// There is no such page.
pub(crate) async fn missing(view: View) -> Response {
    view.fail(&Failure::Missing("There is no such page.".into()))
}
