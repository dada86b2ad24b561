//! Failures in groups of the same cause.
//!
//! Invariant: a look costs of the groups that there are. Limit: counts are capped, and of a group the newest thousand are dealt with at a time.

use axum::response::Response;
use maud::{Markup, html};

use crate::access::Role;
use crate::error::Failure;
use crate::html::{pieces, text, time};
use crate::pages::jobs;
use crate::read::failures::{self as read, Member};
use crate::view::View;

/// So many groups.
const GROUPS: u32 = 100;
/// So many failures of one.
const SHOWN: i32 = 100;

pub(crate) async fn list(view: View) -> Response {
    let body = async {
        let groups = view.app.admin.error_groups(GROUPS, None).await?;
        let head = html! {
            th scope="col" { "Error" } th.number scope="col" { "Failures" } th scope="col" { "Last" } th scope="col" { "First" }
            th scope="col" { "Kinds" } th scope="col" { "Newest job" }
        };
        let rows = html! {
            @for group in &groups {
                tr {
                    th scope="row" {
                        a href=(view.to("/errors/one").with("id", group.fingerprint)) { (text::short(&group.error_kind, 80)) }
                        br; small { (text::short(&group.shape, 160)) }
                    }
                    td.number { (group.failures.to_string()) }
                    td { (time::ago(group.last_at)) }
                    td { (time::ago(group.first_at)) }
                    td { @for kind in &group.kinds { (text::short(kind, 40)) " " } }
                    td { (pieces::job(&view, group.job)) }
                }
            }
        };
        Ok(html! {
            h1 { "Errors" }
            @if groups.is_empty() { p.empty { "No failed attempt is kept." } } @else { (pieces::table("Errors", &head, &rows)) }
        })
    };
    view.page("Errors", body).await
}

pub(crate) async fn one(view: View) -> Response {
    let Some(id) = view.number("id") else {
        return view.fail(&Failure::Missing("There is no such group of errors.".into()));
    };
    view.page("Error", group(&view, id)).await
}

async fn group(view: &View, id: i64) -> Result<Markup, Failure> {
    let admin = &view.app.admin;
    let members = read::members(admin, &mut *admin.question().await?, id, SHOWN).await?;
    let Some(newest) = members.first() else {
        return Err(Failure::Missing("No failed attempt of this group is kept any more.".into()));
    };
    let head = html! {
        th scope="col" { "Job" } th scope="col" { "Kind" } th scope="col" { "State now" } th.number scope="col" { "Attempt" }
        th scope="col" { "When" } th scope="col" { "Message" }
    };
    let rows = html! { @for member in &members { (row(view, member)) } };
    Ok(html! {
        h1 { (text::short(&newest.error_kind, 120)) }
        pre.message dir="auto" tabindex="0" { (text::Visible(&newest.message)) }
        (jobs::done(view))
        (actions(view, id))
        h2 { "Newest failures" }
        (pieces::table("Failures", &head, &rows))
    })
}

fn row(view: &View, member: &Member) -> Markup {
    html! {
        tr {
            th scope="row" { (pieces::job(view, member.job)) }
            td { (text::short(member.kind.as_deref().unwrap_or("–"), 60)) }
            td { (pieces::state(member.state.as_deref().unwrap_or("not kept any more"))) }
            td.number { (member.attempt) }
            td { (time::ago(member.at)) }
            td { (text::short(&member.message, 160)) }
        }
    }
}

fn actions(view: &View, id: i64) -> Markup {
    if !view.may(Role::Operate) {
        return html! {};
    }
    let inside = html! {
        (pieces::carry("id", &id))
        p { "Of the newest " (read::MOST) " failures of this group, the jobs that are dead:" }
        div.actions {
            label { "Reason " input name="reason" maxlength="500" placeholder="for the audit"; } " "
            button { "Retry them" } " "
            @if view.may(Role::Admin) { button.danger formaction=(view.to("/errors/purge")) { "Delete them…" } }
        }
    };
    pieces::form(view, "/errors/retry", &inside)
}
