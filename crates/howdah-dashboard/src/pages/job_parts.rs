//! Parts of the page of a job.
//!
//! Invariant: what there is none of has no heading. Limit: the newest of each, up to a bound.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

use crate::html::{json, pieces, text, time};
use crate::read::job::{FAILED, FailedAttempt, Line, Progress, Step};
use crate::view::View;

pub(super) fn progress(progress: &Progress, rule: json::Rule<'_>) -> Markup {
    html! {
        section aria-labelledby="progress" {
            h2 id="progress" { "Progress" }
            p {
                @if let Some(percent) = progress.percent { progress max="100" value=(percent) aria-labelledby="progress" {} " " (percent) " % " }
                @if let Some(message) = &progress.message { (text::name(message)) " " }
                small { "attempt " (progress.attempt) ", " (time::ago(progress.at)) }
            }
            @if let Some(checkpoint) = &progress.checkpoint { details { summary { "Checkpoint" } (json::pretty(&checkpoint.text, rule)) } }
        }
    }
}

pub(super) fn timeline(events: &[(SystemTime, Markup)]) -> Markup {
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "Timeline" }
            ol.timeline {
                @for (n, (at, what)) in events.iter().enumerate() {
                    li {
                        (time::moment(*at)) " " (what)
                        @if let Some(after) = n.checked_sub(1).and_then(|n| at.duration_since(events[n].0).ok()) {
                            @if !after.is_zero() { " " small { "after " (time::length(after)) } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn failures(view: &View, failures: &[FailedAttempt]) -> Markup {
    if failures.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="failures" {
            h2 id="failures" { "Attempts that failed" }
            @if failures.len() == FAILED as usize { p { "The newest " (FAILED) "." } }
            @for failure in failures {
                article {
                    h3 {
                        "Attempt " (failure.attempt) ": "
                        a href=(view.to("/errors/one").with("id", failure.fingerprint)) { (text::short(&failure.error_kind, 120)) }
                    }
                    p {
                        (time::ago(failure.at))
                        @if let Some(ms) = failure.run_ms { ", after " (time::length(Duration::from_millis(u64::from(ms.unsigned_abs())))) }
                        @if let Some(worker) = failure.worker_id { ", on worker " (worker) }
                    }
                    pre.message dir="auto" tabindex="0" { (text::Visible(&failure.message)) }
                    @if !failure.causes.is_empty() {
                        p { "because of" }
                        ol { @for cause in &failure.causes { li { pre.message dir="auto" { (text::Visible(cause)) } } } }
                    }
                }
            }
        }
    }
}

pub(super) fn steps(steps: &[Step], rule: json::Rule<'_>) -> Markup {
    if steps.is_empty() {
        return html! {};
    }
    let head = html! {
        th scope="col" { "Step" } th scope="col" { "What" } th scope="col" { "State" } th.number scope="col" { "Attempt" }
        th scope="col" { "When" } th scope="col" { "Wakes" } th scope="col" { "Result" }
    };
    let rows = html! {
        @for step in steps {
            tr {
                th scope="row" { (text::short(&step.name, 80)) }
                td { (step.kind) }
                td { (step.state) }
                td.number { (step.attempt) }
                td { (time::ago(step.at)) }
                td { (time::maybe(step.wakes_at)) }
                td.preview { @if let Some(result) = &step.result { code { (text::short(&json::line(&result.text, rule), 120)) } } }
            }
        }
    };
    html! { section aria-labelledby="steps" { h2 id="steps" { "Steps" } (pieces::table("Steps", &head, &rows)) } }
}

pub(super) fn logs(logs: &[Line]) -> Markup {
    if logs.is_empty() {
        return html! {};
    }
    let head = html! {
        th.number scope="col" { "Attempt" } th scope="col" { "When" } th scope="col" { "Level" } th scope="col" { "Target" } th scope="col" { "Message" }
    };
    let rows = html! {
        @for line in logs {
            tr {
                td.number { (line.attempt) }
                td { (time::moment(line.at)) }
                td { (text::name(&line.level)) }
                td { (text::short(&line.target, 60)) }
                td.log { (text::name(&line.message)) }
            }
        }
    };
    html! { section aria-labelledby="logs" { h2 id="logs" { "Logs" } (pieces::table("Logs", &head, &rows)) } }
}
