//! The overview: what waits, what runs, what failed, in each queue.
//!
//! Invariant: it is made of the sample that all who look share. Limit: an hour of history, of up to a hundred queues.

use axum::response::Response;
use maud::{Markup, html};

use crate::html::{chart, pieces, text, time};
use crate::live::{Flow, Sample};
use crate::read::depths::Depth;
use crate::view::View;

/// So many queues are on the page that changes by itself.
const MOST: usize = 100;

pub(crate) async fn get(view: View) -> Response {
    let body = async {
        let sample = view.app.sampler.now().await?;
        Ok(html! {
            h1 { "Overview" }
            div id="live" data-live=(view.to("/live")) { (live(&view, &sample)) }
        })
    };
    view.page("Overview", body).await
}

/// What changes while one looks.
pub(crate) fn live(view: &View, sample: &Sample) -> Markup {
    let total = |of: fn(&Depth) -> u64| sample.queues.iter().map(of).sum::<u64>();
    let more = sample.queues.iter().any(|queue| queue.more);
    let keeper = sample.workers.iter().any(|worker| worker.keeper);
    html! {
        @if let Some(late) = &sample.late {
            p.alert role="status" { (late) " This is what it was " (time::ago(sample.at)) "." }
        }
        dl.figures {
            @for (name, state, jobs) in [
                ("ready", "ready", total(|q| q.ready)), ("running", "running", total(|q| q.running)),
                ("scheduled", "scheduled", total(|q| q.scheduled)), ("blocked", "blocked", total(|q| q.blocked)),
                ("dead", "dead", total(|q| q.dead)),
            ] {
                div { dt { (pieces::state(name)) } dd { (pieces::jobs(view, &format!("state:{state}"), &figure(jobs, more))) } }
            }
            div {
                dt { "workers" }
                dd { a href=(view.to("/workers")) { (sample.workers.len()) } }
            }
        }
        @if sample.workers.is_empty() {
            p.alert role="status" { "No worker is running: nothing that waits will be done." }
        } @else if !keeper {
            p.alert role="status" { "There is no keeper: what is due later is not made ready, and nothing is rescued, until one is elected." }
        }
        (table(view, &sample.queues, &sample.flow, MOST))
    }
}

/// How many in a minute; a dash where that is not known.
fn pace(per_minute: Option<f64>) -> String {
    match per_minute {
        None => "–".to_owned(),
        Some(none) if none <= 0.0 => "0".to_owned(),
        Some(few) if few < 10.0 => format!("{few:.1}"),
        Some(many) => format!("{many:.0}"),
    }
}

/// A number that may be a lower bound.
pub(crate) fn figure(jobs: u64, more: bool) -> Markup {
    html! { (jobs) @if more && jobs > 0 { "+" } }
}

/// The queues, with the one that has waited longest first, up to so many.
pub(crate) fn table(view: &View, queues: &[Depth], flow: &Flow, most: usize) -> Markup {
    let mut queues: Vec<&Depth> = queues.iter().collect();
    queues.sort_by_key(|queue| (queue.oldest_ready_at.is_none(), queue.oldest_ready_at, queue.queue.clone()));
    if queues.is_empty() {
        return html! { p.empty { "There are no queues yet. One is made by the first job that is enqueued into it." } };
    }
    let count = |queue: &Depth, state: &str, jobs: u64| {
        let search = format!("{} state:{state}", pieces::term("queue", &queue.queue));
        html! { td.number { @if jobs == 0 { "0" } @else { (pieces::jobs(view, &search, &figure(jobs, queue.more))) } } }
    };
    let head = html! {
        th scope="col" { "Queue" } th scope="col" { "Oldest waits since" }
        @for name in ["Ready", "Running", "Scheduled", "Blocked", "Dead", "In a minute", "Out", "Failed"] { th.number scope="col" { (name) } }
        th scope="col" { "Last hour" }
    };
    let rows = html! {
        @for queue in queues.iter().take(most) {
            tr {
                th scope="row" {
                    (pieces::queue(view, &queue.queue)) " "
                    @if queue.paused_at.is_some() { (pieces::state("paused")) " " small { (text::short(queue.pause_reason.as_deref().unwrap_or_default(), 80)) } }
                }
                td { (time::maybe(queue.oldest_ready_at)) }
                (count(queue, "ready", queue.ready)) (count(queue, "running", queue.running)) (count(queue, "scheduled", queue.scheduled))
                (count(queue, "blocked", queue.blocked)) (count(queue, "dead", queue.dead))
                @let rate = flow.rate(&queue.queue);
                td.number { (pace(rate.and_then(|rate| rate.in_per_minute))) }
                td.number { (pace(rate.map(|rate| rate.out_per_minute))) }
                td.number { (pace(rate.map(|rate| rate.failed_per_minute))) }
                td { @if let Some(hour) = flow.hour(&queue.queue) { (chart::bars(&hour.label(), &hour.counts, 20)) } }
            }
        }
    };
    html! {
        (pieces::table("Queues", &head, &rows))
        @if queues.len() > most { p { "And " (queues.len() - most) " more. " a href=(view.to("/queues")) { "More queues" } } }
    }
}
