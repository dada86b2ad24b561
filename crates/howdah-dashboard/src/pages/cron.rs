//! Schedules: when each fires, what it has fired, and the word to pause or run it.
//!
//! Invariant: what is shown as next is what the keeper works out. Limit: schedules are made and changed by programs and `howdah cron`.

use std::time::SystemTime;

use axum::response::Response;
use maud::{Markup, html};

use crate::access::Role;
use crate::error::Failure;
use crate::html::{json, pieces, text, time};
use crate::read::cron::{self as read, FiringLine, ScheduleLine};
use crate::view::View;

pub(crate) async fn list(view: View) -> Response {
    let body = async {
        let admin = &view.app.admin;
        let schedules = read::schedules(admin, &mut *admin.question().await?, None).await?;
        let head = html! {
            th scope="col" { "Schedule" } th scope="col" { "When" } th scope="col" { "Next" } th scope="col" { "Last" } th scope="col" { "Became" }
            th scope="col" { "Kind" } th scope="col" { "Queue" }
        };
        let rows = html! { @for schedule in &schedules { (row(&view, schedule)) } };
        Ok(html! {
            h1 { "Cron" }
            @if schedules.is_empty() {
                p.empty { "There are no schedules. " code { "howdah cron set" } " makes one, or a worker that declares it." }
            } @else { (pieces::table("Schedules", &head, &rows)) }
        })
    };
    view.page("Cron", body).await
}

fn row(view: &View, schedule: &ScheduleLine) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(view.to("/cron/one").with("name", &schedule.name)) { (text::short(&schedule.name, 60)) } " "
                @if schedule.paused_at.is_some() { (pieces::state("paused")) }
                @if schedule.error.is_some() { " " (pieces::state("problem")) }
            }
            td { code { (text::name(&schedule.expression)) } " " small { (text::name(&schedule.timezone)) } }
            td { (time::maybe(schedule.next_at)) }
            td { (time::maybe(schedule.last_at)) }
            td {
                @if let Some(job) = schedule.last_job { (pieces::job(view, job)) " " }
                @if let Some(state) = &schedule.last_state { (pieces::state(state)) }
            }
            td { (text::short(&schedule.kind, 60)) }
            td { (text::short(&schedule.queue, 60)) }
        }
    }
}

pub(crate) async fn one(view: View) -> Response {
    let name = view.asked("name").to_owned();
    view.page(&format!("Schedule {name}"), body(&view, &name)).await
}

async fn body(view: &View, name: &str) -> Result<Markup, Failure> {
    let admin = &view.app.admin;
    let missing = || Failure::Missing("There is no schedule of this name.".into());
    if name.is_empty() || name.contains('\0') {
        return Err(missing());
    }
    let mut tx = admin.question().await?;
    let schedule = read::schedules(admin, &mut tx, Some(name)).await?.pop().ok_or_else(missing)?;
    let firings = read::firings(admin, &mut tx, name).await?;
    drop(tx);
    // One that cannot be worked out says so by itself.
    let next = admin.howdah().next_runs(name, 5).await.unwrap_or_default();
    Ok(html! {
        h1 { "Schedule " (text::name(name)) }
        @if let Some(job) = view.number("ran") { p.done role="status" { "Job " (pieces::job(view, howdah::JobId(job))) " was enqueued." } }
        @if let Some(error) = &schedule.error { p.alert role="alert" { (text::name(error)) } }
        (controls(view, &schedule))
        (facts(view, &schedule, &next))
        section aria-labelledby="payload" { h2 id="payload" { "Arguments" } (json::pretty(&schedule.payload, view.rule(&schedule.kind))) }
        (fired(view, &firings))
    })
}

fn controls(view: &View, schedule: &ScheduleLine) -> Markup {
    let paused = schedule.paused_at.map(|at| {
        html! {
            p.alert role="status" {
                (pieces::state("paused")) " " (time::ago(at))
                @if let Some(by) = &schedule.paused_by { " by " (text::short(by, 80)) }
                @if let Some(reason) = &schedule.pause_reason { ": " (text::short(reason, 300)) }
            }
        }
    });
    let inside = html! {
        (pieces::carry("name", schedule.name.as_str()))
        div.actions {
            label { "Reason " input name="reason" maxlength="500" placeholder="for the audit"; } " "
            @if paused.is_some() { button formaction=(view.to("/cron/resume")) { "Resume" } }
            @else { button formaction=(view.to("/cron/pause")) { "Pause" } }
            " " button formaction=(view.to("/cron/run")) { "Run now" }
        }
    };
    html! {
        @if let Some(paused) = paused { (paused) }
        @if view.may(Role::Operate) { (pieces::form(view, "/cron/pause", &inside)) }
    }
}

fn facts(view: &View, schedule: &ScheduleLine, next: &[SystemTime]) -> Markup {
    html! {
        dl.facts {
            (pieces::fact("When", Some(html! { code { (text::name(&schedule.expression)) } " " (text::name(&schedule.timezone)) })))
            (pieces::fact("Next", (!next.is_empty()).then(|| html! { ol.plain { @for at in next { li { (time::moment(*at)) " " small { (time::ago(*at)) } } } } })))
            (pieces::fact("Kind", Some(pieces::jobs(view, &pieces::term("kind", &schedule.kind), &text::name(&schedule.kind)))))
            (pieces::fact("Queue", Some(pieces::queue(view, &schedule.queue))))
            (pieces::fact("Unique key", schedule.unique_key.as_ref().map(|key| text::name(key))))
            (pieces::fact("What was missed", Some(html! { (schedule.missed) })))
        }
    }
}

fn fired(view: &View, firings: &[FiringLine]) -> Markup {
    if firings.is_empty() {
        return html! { p.empty { "It has fired nothing that is still kept." } };
    }
    let head = html! { th scope="col" { "Due" } th scope="col" { "Fired" } th scope="col" { "How" } th scope="col" { "Job" } th scope="col" { "Became" } };
    let rows = html! {
        @for firing in firings {
            tr {
                td { (time::moment(firing.due_at)) }
                td { (time::ago(firing.fired_at)) }
                td { (firing.how) @if firing.hit { ", but its job of before had not ended" } }
                td { (pieces::job(view, firing.job)) }
                td { (pieces::state(firing.state.as_deref().unwrap_or("not kept any more"))) }
            }
        }
    };
    html! { section aria-labelledby="fired" { h2 id="fired" { "What it has fired" } (pieces::table("Firings", &head, &rows)) } }
}
