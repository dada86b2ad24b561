//! Jobs: a search, what it finds a page at a time, and what can be done to them.
//!
//! Invariant: a page costs what a search may cost at most, and the next one goes on where it ended. Limit: newest first.

use std::time::Duration;

use axum::response::Response;
use howdah_admin::{JobLine, Search, SearchError, fields};
use maud::{Markup, html};

use crate::access::Role;
use crate::error::Failure;
use crate::html::{json, pieces, text, time};
use crate::live::Sample;
use crate::pages::overview;
use crate::read::depths::Depth;
use crate::view::View;

/// So many are on a page.
const PAGE: u32 = 50;
/// So long a search may look before it shows what it has found so far, and how to go on.
const GLANCE: Duration = Duration::from_millis(40);
/// And so long when it is told to look further.
const LOOK: Duration = Duration::from_secs(1);
/// States as tabs, in the order of a life.
const STATES: [&str; 8] = ["scheduled", "blocked", "ready", "running", "completed", "cancelled", "expired", "dead"];

pub(crate) async fn get(view: View) -> Response {
    let typed = view.asked("q").to_owned();
    let body = async {
        let before = view.number("before").map(howdah::JobId);
        let found = match typed.parse::<Search>() {
            Ok(search) => found(&view, &search, before).await?,
            Err(error) => mistake(&error),
        };
        // Of all jobs it is known how many there are in which state, as far as they are counted.
        let sample = if typed.trim().is_empty() { Some(view.app.sampler.now().await?) } else { None };
        Ok(html! { h1 { "Jobs" } (form(&view, &typed)) (tabs(&view, &typed, sample.as_deref())) (done(&view)) (found) })
    };
    view.page("Jobs", body).await
}

/// Where a search is typed.
fn form(view: &View, typed: &str) -> Markup {
    html! {
        form.search role="search" method="get" action=(view.to("/jobs")) {
            label for="q" { "Search" }
            input id="q" name="q" type="search" value=(typed) maxlength="4096" autocomplete="off" autocapitalize="off" spellcheck="false" dir="auto"
                placeholder="kind:send_* state:dead error:\"timed out\" age:>10m" list="suggestions" data-search=(view.to("/suggest"));
            datalist id="suggestions" {}
            button { "Search" }
        }
        details.help {
            summary { "How to search" }
            p { "All terms must hold. " code { "-" } " before a term means not, commas are between values, " code { "*" } " is anything." }
            ul {
                @for field in fields() {
                    li { a href=(view.to("/jobs").with("q", field.example)) { code { (field.example) } } " " (field.about) }
                }
                li { code { "args.user.id:42" } " something in the payload; " code { "attr.tenant:*" } " an attribute" }
            }
        }
    }
}

/// How many jobs of all are in a state, if that is counted.
fn counted(sample: &Sample, state: &str) -> Option<Markup> {
    let of = |jobs: fn(&Depth) -> u64| sample.queues.iter().map(jobs).sum::<u64>();
    let jobs = match state {
        "scheduled" => of(|queue| queue.scheduled),
        "blocked" => of(|queue| queue.blocked),
        "ready" => of(|queue| queue.ready),
        "running" => of(|queue| queue.running),
        "dead" => of(|queue| queue.dead),
        _ => return None,
    };
    Some(overview::figure(jobs, sample.queues.iter().any(|queue| queue.more)))
}

/// The same search in one state.
fn tabs(view: &View, typed: &str, sample: Option<&Sample>) -> Markup {
    // White space in quotes is not between terms: such a search is not taken apart.
    let is_quoted = typed.contains(['"', '\\']);
    if is_quoted && typed.contains("state:") {
        return html! {};
    }
    let other = |term: &&str| !term.starts_with("state:");
    let rest = if is_quoted {
        typed.trim().to_owned()
    } else {
        typed.split_whitespace().filter(other).collect::<Vec<_>>().join(" ")
    };
    html! {
        nav.tabs aria-label="States" {
            a href=(view.to("/jobs").with("q", &rest)) { "any state" }
            @for state in STATES {
                @let search = format!("{rest} state:{state}").trim_start().to_owned();
                a href=(view.to("/jobs").with("q", &search)) aria-current=[(search == typed).then_some("true")] {
                    (pieces::state(state))
                    @if let Some(jobs) = sample.and_then(|sample| counted(sample, state)) { " " (jobs) }
                }
            }
        }
    }
}

/// What was done by the form that led here, in words of ours only.
pub(crate) fn done(view: &View) -> Markup {
    let what = match view.asked("done") {
        "retry" => "sent again",
        "cancel" => "cancelled, or asked to stop",
        "purge" => "deleted",
        _ => return html! {},
    };
    html! { @if let Some(jobs) = view.number("n") { p.done role="status" { (jobs) " jobs were " (what) "." } } }
}

/// Why a text is no search, with the place.
fn mistake(error: &SearchError) -> Markup {
    let told = error.to_string();
    let (message, place) = told.split_once('\n').unwrap_or((&told, ""));
    html! {
        div.alert role="alert" {
            p { (text::Visible(message)) }
            @if !place.is_empty() { pre dir="ltr" { (text::Visible(place)) } }
        }
    }
}

async fn found(view: &View, search: &Search, before: Option<howdah::JobId>) -> Result<Markup, Failure> {
    let admin = &view.app.admin;
    // Nobody has asked for a long look before they know how far a short one gets.
    let patience = if view.asked("further").is_empty() { GLANCE } else { LOOK };
    let page = admin.search(search).before(before).limit(PAGE).patience(patience).await?;
    let lines = admin.lines(&page.ids).await?;
    let is_short = lines.len() < PAGE as usize;
    let more = page.next.map(|next| {
        let more = view.to("/jobs").with("q", view.asked("q")).with("before", next);
        if is_short { more.with("further", "1") } else { more }
    });
    Ok(html! {
        @if lines.is_empty() && page.next.is_none() {
            p.empty {
                @if search.is_empty() { "There are no jobs." }
                @else { "No job fits. " a href=(view.to("/jobs")) { "All jobs" } }
            }
        } @else {
            @if lines.is_empty() { p.empty { "None among the " (page.looked) " jobs that were looked at so far." } }
            @else { (list(view, search, &lines)) }
            @if let Some(more) = more {
                nav aria-label="Pages of jobs" { a.next rel="next" href=(more) { @if is_short { "Look further" } @else { "Older" } } }
            }
        }
    })
}

fn list(view: &View, search: &Search, lines: &[JobLine]) -> Markup {
    let may = view.may(Role::Operate);
    let head = html! {
        @if may { th scope="col" { input type="checkbox" data-all hidden aria-label="Select all on this page"; } }
        th scope="col" { "Job" } th scope="col" { "Kind" } th scope="col" { "State" } th scope="col" { "Queue" }
        th.number scope="col" { "Attempt" } th scope="col" { "When" } th scope="col" { "Payload" }
    };
    let rows = html! { @for line in lines { (row(view, line, may)) } };
    let table = pieces::table("Jobs", &head, &rows);
    if !may {
        return table;
    }
    let all = view.to("/operations/new").with("q", search);
    let inside = html! {
        (pieces::carry("back", view.here()))
        div.actions {
            span data-selected aria-live="polite" { "With those that are ticked:" } " "
            (buttons(view))
            a href=(all) { "With all that match…" }
        }
        (table)
    };
    pieces::form(view, "/jobs/retry", &inside)
}

/// What can be done to those that are ticked.
pub(crate) fn buttons(view: &View) -> Markup {
    html! {
        button formaction=(view.to("/jobs/retry")) data-key="r" { "Retry" } " "
        button formaction=(view.to("/jobs/cancel")) { "Cancel" } " "
        @if view.may(Role::Admin) { button.danger formaction=(view.to("/jobs/purge")) { "Delete…" } " " }
    }
}

fn row(view: &View, line: &JobLine, may: bool) -> Markup {
    let rule = view.rule(&line.kind);
    let state = line.state.as_str();
    html! {
        tr {
            @if may { td { input type="checkbox" name="id" value=(line.id) aria-label={ "Job " (line.id) } data-row; } }
            th scope="row" { (pieces::job(view, line.id)) }
            td { (text::short(&line.kind, 60)) }
            td { (pieces::state(state)) @if let Some(reason) = &line.reason { " " small { (text::short(reason, 80)) } } }
            td { (pieces::queue(view, &line.queue)) }
            td.number { (line.attempt) "/" (line.max_attempts) }
            td { (time::ago(line.ended_at.or(line.claimed_at).or(line.due_at).unwrap_or(line.enqueued_at))) }
            td.preview { code { (text::short(&json::line(&line.payload, rule), 120)) } }
        }
    }
}
