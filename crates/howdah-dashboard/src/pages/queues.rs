//! Queues, and one of them with its controls.
//!
//! Invariant: a pause says who and why. Limit: settings and limits are shown here and changed by `howdah queues set` and `howdah limits set`.

use std::time::Duration;

use axum::response::Response;
use howdah_admin::StatLine;
use maud::{Markup, html};

use super::{kinds, overview};
use crate::access::Role;
use crate::error::Failure;
use crate::html::{chart, json, pieces, text, time};
use crate::live::Hour;
use crate::read::depths::{self, Depth};
use crate::read::queue::{self as read, LimitLine};
use crate::view::View;

/// So many are listed.
const MOST: usize = 2000;
/// Of so long the attempts are shown.
const LATELY: Duration = Duration::from_secs(3600);

pub(crate) async fn list(view: View) -> Response {
    let body = async {
        let sample = view.app.sampler.now().await?;
        let admin = &view.app.admin;
        let limits = read::limits(admin, &mut *admin.question().await?, None).await?;
        Ok(html! {
            h1 { "Queues" }
            (overview::table(&view, &sample.queues, &sample.flow, MOST))
            (limit_table("Limits, rates and shares", &limits))
        })
    };
    view.page("Queues", body).await
}

pub(crate) async fn one(view: View) -> Response {
    let name = view.asked("name").to_owned();
    view.page(&format!("Queue {name}"), body(&view, &name)).await
}

async fn body(view: &View, name: &str) -> Result<Markup, Failure> {
    let admin = &view.app.admin;
    let missing = || Failure::Missing("There is no queue of this name.".into());
    if name.is_empty() || name.contains('\0') {
        return Err(missing());
    }
    let mut tx = admin.question().await?;
    let depth = depths::depths(admin, &mut tx, Some(name)).await?.pop().ok_or_else(missing)?;
    let limits = read::limits(admin, &mut tx, Some(name)).await?;
    let settings = read::settings(admin, &mut tx, name).await?;
    drop(tx);
    let stats = admin.stats(Some(LATELY), Some(name), None).await?;
    let hour = Hour::of(&admin.minutes(LATELY, Some(name)).await?);
    let sample = view.app.sampler.now().await?;
    let workers: Vec<_> =
        sample.workers.iter().filter(|worker| worker.queues.iter().any(|queue| queue == name)).collect();
    Ok(html! {
        h1 { "Queue " (text::name(name)) }
        (pause(view, &depth))
        (overview::table(view, std::slice::from_ref(&depth), &sample.flow, 1))
        (lately(&stats, &hour))
        @if let Some(most) = depth.max_jobs { p { "It takes at most " (most) " unfinished jobs." } }
        (limit_table("Limits of this queue", &limits))
        section aria-labelledby="workers" {
            h2 id="workers" { "Workers" }
            @if workers.is_empty() { p.empty { "No worker serves it." } }
            ul { @for worker in workers { li { a href=(view.to("/workers")) { (text::short(&worker.name, 60)) } " runs " (worker.running) } } }
        }
        section aria-labelledby="settings" {
            h2 id="settings" { "Settings" }
            (json::pretty(&settings, json::Rule { hook: None, kind: "" }))
        }
    })
}

/// What the attempts of the last hour came to.
fn lately(stats: &[StatLine], hour: &Hour) -> Markup {
    let sum = StatLine::sums(stats, |_| ()).remove(&());
    let head = html! {
        th scope="col" { "Time" } th.number scope="col" { "Jobs" }
        @for name in ["p50", "p95", "p99"] { th.number scope="col" { (name) } }
        th scope="col" { "How many took how long" }
    };
    html! {
        section aria-labelledby="lately" {
            h2 id="lately" { "Last hour" }
            p { (chart::bars(&hour.label(), &hour.counts, 60)) }
            p { small { (hour.label()) "." } }
            @if let Some(sum) = sum {
                @let rows = html! {
                    @for (name, spread) in [("Waited for the first attempt", &sum.waits), ("Ran", &sum.runs)] {
                        tr {
                            th scope="row" { (name) } td.number { (spread.count()) }
                            @for fraction in [0.5, 0.95, 0.99] { (kinds::percentile(spread, fraction)) }
                            td { (chart::spread(name, spread)) }
                        }
                    }
                };
                (pieces::table("Latencies", &head, &rows))
            }
        }
    }
}

/// Whether it is paused, and the form that changes that.
fn pause(view: &View, queue: &Depth) -> Markup {
    let form = |action: &str, inside: &Markup| {
        let inside = html! { (pieces::carry("name", queue.queue.as_str())) div.actions { (inside) } };
        html! { @if view.may(Role::Operate) { (pieces::form(view, action, &inside)) } }
    };
    match queue.paused_at {
        Some(at) => html! {
            p.alert role="status" {
                (pieces::state("paused")) " " (time::ago(at))
                @if let Some(by) = &queue.paused_by { " by " (text::short(by, 80)) }
                @if let Some(reason) = &queue.pause_reason { ": " (text::short(reason, 300)) }
            }
            (form("/queues/resume", &html! { button { "Resume" } }))
        },
        None => form(
            "/queues/pause",
            &html! { label { "Reason " input name="reason" maxlength="500" placeholder="for whoever looks at it next"; } " " button { "Pause" } },
        ),
    }
}

fn limit_table(title: &str, limits: &[LimitLine]) -> Markup {
    if limits.is_empty() {
        return html! {};
    }
    let number = |number: Option<i64>| html! { td.number { @if let Some(number) = number { (number) } @else { "–" } } };
    let head = html! {
        th scope="col" { "Of" } th scope="col" { "Name" } th.number scope="col" { "Running" } th.number scope="col" { "At most" }
        th.number scope="col" { "Wait for it" } th scope="col" { "Rate" } th.number scope="col" { "Weight" }
    };
    let rows = html! {
        @for limit in limits {
            tr {
                td { (text::name(&limit.scope)) }
                th scope="row" { (text::short(&limit.name, 80)) }
                (number(limit.running)) (number(limit.max_running.map(i64::from))) (number(limit.blocked))
                td {
                    @if let Some(rate) = limit.rate {
                        (rate) " in " (time::length(std::time::Duration::from_millis(limit.rate_period_ms.unwrap_or(1000).unsigned_abs())))
                    } @else { "–" }
                }
                (number(limit.weight.map(i64::from)))
            }
        }
    };
    html! { section aria-labelledby="limits" { h2 id="limits" { (title) } (pieces::table(title, &head, &rows)) } }
}
