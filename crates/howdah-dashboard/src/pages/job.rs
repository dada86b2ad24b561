//! One job: what it is, what became of it, and why it is not further.
//!
//! Invariant: payload and result are shown digit by digit as the database has them. Limit: the first 64 Ki characters, with the whole to
//! be had beside.

use std::time::SystemTime;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use howdah::JobId;
use maud::{Markup, html};

use super::job_parts as parts;
use crate::access::Role;
use crate::error::Failure;
use crate::html::{json, pieces, text, time};
use crate::named::{One, Part};
use crate::pages::jobs;
use crate::read::job::{self as read, FailedAttempt, Job, Json, Relative};
use crate::view::View;

pub(crate) async fn get(view: View, Path(One { id }): Path<One>) -> Response {
    let Some(id) = number(&id) else { return view.fail(&missing(&id)) };
    view.page(&format!("Job {id}"), Box::pin(body(&view, id))).await
}

/// `/jobs/{id}/payload` and `/jobs/{id}/result`: the whole, as a file.
pub(crate) async fn whole(view: View, Path(Part { id, part }): Path<Part>) -> Response {
    let Some(number) = number(&id).filter(|_| part == "payload" || part == "result") else {
        return view.fail(&missing(&id));
    };
    let asked = async {
        let mut tx = view.app.admin.question().await?;
        read::whole(&view.app.admin, &mut tx, number, &part).await?.ok_or_else(|| missing(&id))
    };
    match asked.await {
        Ok((kind, text)) => {
            let name = format!("attachment; filename=\"job-{number}-{part}.json\"");
            let headers = [(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_DISPOSITION, name)];
            (StatusCode::OK, headers, json::line(text.as_deref().unwrap_or("null"), view.rule(&kind))).into_response()
        }
        Err(failure) => view.fail(&failure),
    }
}

fn number(id: &str) -> Option<i64> {
    id.parse().ok().filter(|id| *id > 0)
}

fn missing(id: &str) -> Failure {
    Failure::Missing(format!(
        "There is no job {}, or it ended longer ago than history is kept.",
        id.chars().take(20).collect::<String>()
    ))
}

async fn body(view: &View, id: i64) -> Result<Markup, Failure> {
    let admin = &view.app.admin;
    let mut tx = admin.question().await?;
    let Some(job) = read::job(admin, &mut tx, id).await? else { return Err(missing(&id.to_string())) };
    let failures = read::failures(admin, &mut tx, id).await?;
    let steps = read::steps(admin, &mut tx, id).await?;
    let logs = read::logs(admin, &mut tx, id).await?;
    let family = read::family(admin, &mut tx, id).await?;
    drop(tx);
    // What takes longest, and the page is something without it.
    let why = if job.ended_at.is_some() {
        html! {}
    } else {
        view.part("why", why(view, id)).await
    };
    let rule = view.rule(&job.kind);
    let ended = job.ended_at.is_some();
    Ok(html! {
        h1 { "Job " (job.id) " " small { (text::short(&job.kind, 80)) } }
        (jobs::done(view))
        div id="live" data-live=[(!ended).then(|| view.to("/live").with("job", id))] {
            (facts(view, &job))
            (why)
            @if let Some(progress) = &job.progress { (parts::progress(progress, rule)) }
            (parts::timeline(&events(&job, &failures)))
            (parts::failures(view, &failures))
            (parts::steps(&steps, rule))
            (parts::logs(&logs))
        }
        (actions(view, &job))
        (document(view, id, "payload", "Arguments", Some(&job.payload), rule))
        (document(view, id, "result", "Result", job.result.as_ref(), rule))
        @if let Some(options) = &job.options {
            section aria-labelledby="options" { h2 id="options" { "Options" } (json::pretty(&options.text, rule)) }
        }
        (relatives(view, &family))
    })
}

fn facts(view: &View, job: &Job) -> Markup {
    let run = job.run_ms.map(|ms| time::length(std::time::Duration::from_millis(u64::from(ms.unsigned_abs()))));
    html! {
        dl.facts {
            (pieces::fact("State", Some(html! { (pieces::state(&job.state)) @if let Some(reason) = &job.reason { " " (text::short(reason, 500)) } })))
            (pieces::fact("Queue", Some(pieces::queue(view, &job.queue))))
            (pieces::fact("Kind", Some(pieces::jobs(view, &pieces::term("kind", &job.kind), &text::name(&job.kind)))))
            (pieces::fact("Attempt", Some(html! { (job.attempt) " of " (job.max_attempts) })))
            (pieces::fact("Priority", Some(html! { (job.priority) })))
            (pieces::fact("Enqueued", Some(time::ago(job.enqueued_at))))
            (pieces::fact("Due", job.due_at.map(time::ago)))
            (pieces::fact("Started", job.claimed_at.map(time::ago)))
            (pieces::fact("Worker", job.worker_id.map(|id| html! { (id) })))
            (pieces::fact("Ended", job.ended_at.map(time::ago)))
            (pieces::fact("Ran for", run.map(|run| html! { (run) })))
        }
    }
}

async fn why(view: &View, id: i64) -> Result<Markup, Failure> {
    let admin = &view.app.admin;
    let reasons = read::why(admin, &mut *admin.question().await?, id).await?;
    Ok(html! {
        @if !reasons.is_empty() {
            section aria-labelledby="why" {
                h2 id="why" { "Why" }
                ul { @for reason in &reasons { li { (text::name(&reason.reason)) " " small { (reason.code) } } } }
            }
        }
    })
}

/// What is known to have happened, in the order in which it did.
fn events(job: &Job, failures: &[FailedAttempt]) -> Vec<(SystemTime, Markup)> {
    let mut events = vec![(job.enqueued_at, html! { "enqueued" })];
    for failure in failures {
        if let Some(ms) = failure.run_ms {
            let began = failure.at - std::time::Duration::from_millis(u64::from(ms.unsigned_abs()));
            events.push((began, html! { "attempt " (failure.attempt) " began" }));
        }
        events.push((failure.at, html! { (pieces::state("failed")) " attempt " (failure.attempt) ": " (text::short(&failure.error_kind, 80)) }));
    }
    if let Some(at) = job.claimed_at {
        events.push((
            at,
            html! { "attempt " (job.attempt) " began" @if let Some(worker) = job.worker_id { " on worker " (worker) } },
        ));
    }
    if let Some(at) = job.ended_at {
        events.push((at, pieces::state(&job.state)));
    }
    if let (Some(at), None) = (job.due_at, job.ended_at) {
        events.push((at, html! { "due" }));
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn document(view: &View, id: i64, part: &str, title: &str, document: Option<&Json>, rule: json::Rule<'_>) -> Markup {
    let Some(document) = document else { return html! {} };
    let cut = document.length > read::SHOWN;
    html! {
        section aria-labelledby=(part) {
            h2 id=(part) { (title) }
            @if cut { p { "The first " (read::SHOWN) " of " (document.length) " characters." } }
            (json::pretty(&document.text, rule))
            p { a href=(view.to(&format!("/jobs/{id}/{part}"))) download { "Download the whole" } }
        }
    }
}

fn actions(view: &View, job: &Job) -> Markup {
    if !view.may(Role::Operate) {
        return html! {};
    }
    let inside = html! {
        (pieces::carry("id", &job.id))
        (pieces::carry("back", &format!("/jobs/{}", job.id)))
        div.actions {
            label { "Reason " input name="reason" maxlength="500" placeholder="for the audit"; } " "
            @if matches!(job.state.as_str(), "dead" | "scheduled") { button formaction=(view.to("/jobs/retry")) data-key="r" { "Retry now" } " " }
            @if job.state == "blocked" { button formaction=(view.to("/jobs/unhold")) { "Do not wait for what failed" } " " }
            @if job.ended_at.is_none() { button formaction=(view.to("/jobs/cancel")) { "Cancel" } " " }
            @if view.may(Role::Admin) && job.state != "running" { button.danger formaction=(view.to("/jobs/purge")) { "Delete…" } }
        }
    };
    pieces::form(view, "/jobs/retry", &inside)
}

fn relatives(view: &View, family: &[Relative]) -> Markup {
    let of = |relation: &'static str| family.iter().filter(move |relative| relative.relation == relation);
    let list = |title: &str, relation: &'static str| {
        html! {
            @if of(relation).next().is_some() {
                h3 { (title) }
                ul {
                    @for relative in of(relation) {
                        li {
                            (pieces::job(view, JobId(relative.id))) " " (text::short(relative.kind.as_deref().unwrap_or_default(), 60)) " "
                            (pieces::state(relative.state.as_deref().unwrap_or("not kept any more")))
                        }
                    }
                }
            }
        }
    };
    if family.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="family" {
            h2 id="family" { "Belongs to" }
            @for workflow in of("workflow") {
                p { "Workflow " a href=(view.to(&format!("/workflows/{}", workflow.id))) { (workflow.id) " " (text::short(workflow.name.as_deref().unwrap_or_default(), 80)) } }
            }
            (list("Waits or waited for", "parent"))
            (list("Is waited for by", "child"))
        }
    }
}
