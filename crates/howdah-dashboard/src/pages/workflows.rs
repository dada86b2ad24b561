//! Workflows, and one of them drawn.
//!
//! Invariant: the table says all that the drawing does. Limit: of one, 300 jobs are drawn and 2,000 listed.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};

use super::graph;
use crate::access::Role;
use crate::error::Failure;
use crate::html::{pieces, text, time};
use crate::named::One;
use crate::read::workflows::{self as read, Node, WorkflowLine};
use crate::view::View;

pub(crate) async fn list(view: View) -> Response {
    let body = async {
        let admin = &view.app.admin;
        let workflows = read::workflows(admin, &mut *admin.question().await?, None, view.number("before")).await?;
        let head = html! {
            th scope="col" { "Workflow" } th scope="col" { "State" } th.number scope="col" { "Jobs" } th.number scope="col" { "Completed" }
            th.number scope="col" { "Failed" } th scope="col" { "Begun" } th scope="col" { "Ended" }
        };
        let rows = html! {
            @for workflow in &workflows {
                tr {
                    th scope="row" { a href=(view.to(&format!("/workflows/{}", workflow.id))) { (workflow.id) " " (text::short(&workflow.name, 80)) } }
                    td { (pieces::state(&workflow.state)) }
                    td.number { (workflow.jobs) }
                    td.number { (workflow.completed) }
                    td.number { (workflow.dead) }
                    td { (time::ago(workflow.created_at)) }
                    td { (time::maybe(workflow.ended_at)) }
                }
            }
        };
        let older = workflows
            .last()
            .filter(|_| workflows.len() == read::PAGE as usize)
            .map(|last| view.to("/workflows").with("before", last.id));
        Ok(html! {
            h1 { "Workflows" }
            @if workflows.is_empty() { p.empty { "There are none." } } @else { (pieces::table("Workflows", &head, &rows)) }
            @if let Some(older) = older { nav aria-label="Pages of workflows" { a.next rel="next" href=(older) { "Older" } } }
        })
    };
    view.page("Workflows", body).await
}

pub(crate) async fn one(view: View, Path(One { id }): Path<One>) -> Response {
    let missing = || Failure::Missing("There is no such workflow, or nothing of it is kept any more.".into());
    let Ok(id) = id.parse::<i64>() else { return view.fail(&missing()) };
    let body = async {
        let admin = &view.app.admin;
        let mut tx = admin.question().await?;
        let workflow = read::workflows(admin, &mut tx, Some(id), None).await?.pop().ok_or_else(missing)?;
        let nodes = read::nodes(admin, &mut tx, id).await?;
        drop(tx);
        Ok(html! {
            h1 { "Workflow " (workflow.id) " " (text::short(&workflow.name, 100)) }
            (facts(&workflow))
            (controls(&view, &workflow))
            div id="live" data-live=[(workflow.state == "running").then(|| view.to("/live").with("workflow", id))] {
                @if nodes.len() > graph::MOST { p { "It has too many jobs to be drawn." } } @else { (graph::draw(&view, &nodes)) }
                (table(&view, &nodes))
            }
        })
    };
    view.page(&format!("Workflow {id}"), body).await
}

fn facts(workflow: &WorkflowLine) -> Markup {
    html! {
        dl.facts {
            (pieces::fact("State", Some(pieces::state(&workflow.state))))
            (pieces::fact("Jobs", Some(html! { (workflow.completed) " of " (workflow.jobs) " completed, " (workflow.dead) " failed" })))
            (pieces::fact("Begun", Some(time::ago(workflow.created_at))))
            (pieces::fact("Ended", workflow.ended_at.map(time::ago)))
        }
    }
}

fn controls(view: &View, workflow: &WorkflowLine) -> Markup {
    if !view.may(Role::Operate) {
        return html! {};
    }
    let inside = html! {
        (pieces::carry("id", &workflow.id))
        div.actions {
            label { "Reason " input name="reason" maxlength="500" placeholder="for the audit"; } " "
            @if workflow.state == "running" { button formaction=(view.to("/workflows/cancel")) { "Cancel what has not ended" } " " }
            button formaction=(view.to("/workflows/retry")) { "Run again what failed" }
        }
    };
    pieces::form(view, "/workflows/retry", &inside)
}

fn table(view: &View, nodes: &[Node]) -> Markup {
    let head = html! {
        th scope="col" { "Name" } th scope="col" { "Job" } th scope="col" { "Kind" } th scope="col" { "State" } th scope="col" { "After" } th scope="col" { "Still waits for" }
    };
    let names = |names: &[String]| {
        html! { @for name in names.iter().take(20) { (text::short(name, 40)) " " } @if names.len() > 20 { "and " (names.len() - 20) " more" } }
    };
    let rows = html! {
        @for node in nodes {
            tr {
                th scope="row" { (text::short(&node.name, 80)) }
                td { (pieces::job(view, node.job)) }
                td { (text::short(node.kind.as_deref().unwrap_or("–"), 60)) }
                td { (pieces::state(node.state.as_deref().unwrap_or("not kept any more"))) }
                td { (names(&node.depends_on)) }
                td { (names(&node.waits_for)) }
            }
        }
    };
    pieces::table("Jobs of the workflow", &head, &rows)
}
