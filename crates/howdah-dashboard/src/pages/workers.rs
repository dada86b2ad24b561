//! The worker processes, and what they hold.
//!
//! Invariant: it is made of the sample that all who look share. Limit: what a worker runs is found by a search.

use std::time::SystemTime;

use axum::response::Response;
use maud::{Markup, html};

use crate::html::{pieces, text, time};
use crate::read::workers::Worker;
use crate::view::View;

pub(crate) async fn get(view: View) -> Response {
    let body = async {
        let sample = view.app.sampler.now().await?;
        let mut versions: Vec<_> = sample.workers.iter().filter_map(|worker| worker.version.as_deref()).collect();
        versions.sort_unstable();
        versions.dedup();
        let head = html! {
            th scope="col" { "Worker" } th scope="col" { "State" } th.number scope="col" { "Runs" } th scope="col" { "Queues" } th scope="col" { "Kinds" }
            th scope="col" { "Version" } th scope="col" { "Heard of" } th scope="col" { "Since" }
        };
        let rows = html! { @for worker in &sample.workers { (row(&view, worker)) } };
        Ok(html! {
            h1 { "Workers" }
            @if versions.len() > 1 { p.alert role="status" { "They are of " (versions.len()) " versions: finish the deployment." } }
            @if sample.workers.is_empty() { p.empty { "No worker is running." } } @else { (pieces::table("Workers", &head, &rows)) }
        })
    };
    view.page("Workers", body).await
}

fn row(view: &View, worker: &Worker) -> Markup {
    let silent = worker.expires_at < SystemTime::now();
    let state = if silent {
        "silent"
    } else if worker.stopping {
        "stopping"
    } else if worker.asleep {
        "waits for jobs"
    } else {
        "works"
    };
    html! {
        tr {
            th scope="row" { (text::short(&worker.name, 60)) " " small { (worker.id) } @if worker.keeper { " " span.badge { "keeper" } } }
            td { (state) }
            td.number { @if worker.running == 0 { "0" } @else { (pieces::jobs(view, &format!("state:running worker:\"{}\"", worker.id), &html! { (worker.running) })) } }
            td { @for queue in worker.queues.iter().take(20) { (pieces::queue(view, queue)) " " } @if worker.queues.len() > 20 { "and " (worker.queues.len() - 20) " more" } }
            td {
                @match &worker.kinds {
                    Some(kinds) => { @for kind in kinds.iter().take(20) { (text::short(kind, 40)) " " } @if kinds.len() > 20 { "and " (kinds.len() - 20) " more" } }
                    None => "any"
                }
            }
            td { @if let Some(version) = &worker.version { (text::short(version, 40)) } @else { "–" } }
            td { (time::ago(worker.heartbeat_at)) }
            td { (time::ago(worker.started_at)) }
        }
    }
}
