//! Kinds of jobs: how their attempts ended, how long they ran and waited.
//!
//! Invariant: it reads what workers have reported by the hour, and no job. Limit: the last thirty days, and 500 kinds.

use std::time::Duration;

use axum::response::Response;
use howdah_admin::{Spread, StatLine};
use maud::{Markup, html};

use crate::error::Failure;
use crate::html::{chart, pieces, text, time};
use crate::view::View;

/// What can be asked for: in words of the address, and how long it is.
const SPANS: [(&str, &str, Duration); 4] = [
    ("1h", "the last hour", Duration::from_secs(3600)),
    ("1d", "the last day", Duration::from_secs(86_400)),
    ("7d", "the last seven days", Duration::from_secs(7 * 86_400)),
    ("30d", "the last thirty days", Duration::from_secs(30 * 86_400)),
];
/// So many are listed.
const MOST: usize = 500;

pub(crate) async fn get(view: View) -> Response {
    let body = async {
        let asked = view.asked("since");
        let (word, name, since) = *SPANS.iter().find(|(word, ..)| *word == asked).unwrap_or(&SPANS[0]);
        let lines = view.app.admin.stats(Some(since), None, None).await?;
        let mut kinds: Vec<StatLine> = StatLine::sums(&lines, |line| &*line.kind).into_values().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.run_ms));
        Ok::<_, Failure>(html! {
            h1 { "Kinds" }
            nav.spans aria-label="Time" {
                @for (other, name, _) in SPANS {
                    a href=(view.to("/kinds").with("since", other)) aria-current=[(other == word).then_some("true")] { (name) } " "
                }
            }
            @if kinds.is_empty() { p.empty { "No attempt has ended in " (name) ". Workers report every ten seconds." } }
            @else { (table(&view, &kinds)) }
            p { small { "Those that took most of the workers' time first. Whole hours; times are off by a factor of two at most. "
                "A wait is from the enqueue to the first attempt, a delay that was asked for included." } }
        })
    };
    view.page("Kinds", body).await
}

fn table(view: &View, kinds: &[StatLine]) -> Markup {
    let head = html! {
        th scope="col" { "Kind" }
        @for name in ["Completed", "Failed", "Dead", "Other"] { th.number scope="col" { (name) } }
        th.number scope="col" { "Runs p50" } th.number scope="col" { "p95" } th.number scope="col" { "p99" } th scope="col" { "How long they ran" }
        th.number scope="col" { "Waits p50" } th.number scope="col" { "p99" }
    };
    let rows = html! {
        @for kind in kinds.iter().take(MOST) {
            tr {
                th scope="row" { (pieces::jobs(view, &pieces::term("kind", &kind.kind), &text::short(&kind.kind, 60))) }
                td.number { (kind.completed) }
                td.number { (kind.failed()) @if kind.failed() > 0 { " " small { (share(kind.failed(), kind.attempts())) } } }
                td.number { (kind.dead) }
                td.number { (kind.snoozed + kind.cancelled + kind.released + kind.lost) }
                @for fraction in [0.5, 0.95, 0.99] { (percentile(&kind.runs, fraction)) }
                td { (chart::spread("How long they ran", &kind.runs)) }
                @for fraction in [0.5, 0.99] { (percentile(&kind.waits, fraction)) }
            }
        }
    };
    html! {
        (pieces::table("Kinds", &head, &rows))
        @if kinds.len() > MOST { p { "And " (kinds.len() - MOST) " more." } }
    }
}

/// A cell: how long so many took at most.
pub(super) fn percentile(spread: &Spread, fraction: f64) -> Markup {
    html! { td.number { @match spread.percentile(fraction) { Some(length) => (time::length(length)), None => "–" } } }
}

/// A part of a whole, in percent.
fn share(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{} %", tenths / 10, tenths % 10)
}
