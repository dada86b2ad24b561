//! What is done to all jobs that a search means, how far it is, and who did what.
//!
//! Invariant: whatever is begun here is a row that anybody can look at, go on with and cancel. Limit: what an operation has done stays done.

use axum::extract::Path;
use axum::response::Response;
use howdah_admin::Operation;
use maud::{Markup, html};

use crate::access::Role;
use crate::error::Failure;
use crate::html::{pieces, text, time};
use crate::named::One;
use crate::read::audit::{self, Deed};
use crate::view::View;

/// So many are listed.
const SHOWN: u32 = 100;
/// What can be done, for whom, and what it says beside.
const ACTIONS: [(&str, Role, &str); 5] = [
    ("retry", Role::Operate, "dead jobs run again; scheduled ones at once, if the search names that state"),
    ("cancel", Role::Operate, "those that wait end, those that run are asked to"),
    ("move", Role::Operate, "those that wait go to another queue"),
    ("priority", Role::Operate, "those that wait have another priority"),
    ("purge", Role::Admin, "dead jobs are deleted for good; others too, if the search names their state"),
];

pub(crate) async fn list(view: View) -> Response {
    let body = async {
        let operations = view.app.admin.operations(SHOWN).await?;
        let head = html! {
            th scope="col" { "Operation" } th scope="col" { "What" } th scope="col" { "Which jobs" } th scope="col" { "State" }
            th.number scope="col" { "Changed" } th.number scope="col" { "Meant" } th scope="col" { "Who" } th scope="col" { "When" }
        };
        let rows = html! { @for operation in &operations { (row(&view, operation)) } };
        Ok(html! {
            h1 { "Operations" }
            p { a href=(view.to("/operations/new")) { "Begin one" } " · " a href=(view.to("/operations/audit")) { "Who did what" } }
            @if operations.is_empty() { p.empty { "There was none yet." } } @else { (pieces::table("Operations", &head, &rows)) }
        })
    };
    view.page("Operations", body).await
}

fn row(view: &View, operation: &Operation) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(view.to(&format!("/operations/{}", operation.id))) { (operation.id) } }
            td { (operation.action) }
            td { code { @if operation.search.is_empty() { "all jobs" } @else { (text::short(&operation.search, 100)) } } }
            td { (pieces::state(&operation.state)) }
            td.number { (operation.changed) }
            td.number { (operation.matched) }
            td { (text::short(&operation.made_by, 60)) }
            td { (time::ago(operation.made_at)) }
        }
    }
}

pub(crate) async fn one(view: View, Path(One { id }): Path<One>) -> Response {
    let missing = || Failure::Missing("There is no such operation.".into());
    let Ok(id) = id.parse::<i64>() else { return view.fail(&missing()) };
    let body = async {
        let operation = view.app.admin.operation(id).await?.ok_or_else(missing)?;
        Ok(html! {
            h1 { "Operation " (operation.id) ": " (operation.action) }
            div id="live" data-live=[(!operation.has_ended()).then(|| view.to("/live").with("operation", id))] { (state(&view, &operation)) }
            (controls(&view, &operation))
        })
    };
    view.page(&format!("Operation {id}"), body).await
}

fn state(view: &View, operation: &Operation) -> Markup {
    let settings = operation.settings.to_string();
    html! {
        dl.facts {
            (pieces::fact("State", Some(pieces::state(&operation.state))))
            (pieces::fact("Error", operation.error.as_ref().map(|error| text::name(error))))
            (pieces::fact("Which jobs", Some(html! { code { @if operation.search.is_empty() { "all jobs" } @else { (pieces::jobs(view, &operation.search, &text::short(&operation.search, 500))) } } })))
            (pieces::fact("To", (settings != "{}").then(|| html! { code { (text::name(&settings)) } })))
            (pieces::fact("Looked at", Some(html! { (operation.looked) })))
            (pieces::fact("Meant", Some(html! { (operation.matched) })))
            (pieces::fact("Changed", Some(html! { (operation.changed) })))
            (pieces::fact("Begun", Some(html! { (time::ago(operation.made_at)) " by " (text::short(&operation.made_by, 80)) })))
            (pieces::fact("Reason", operation.reason.as_ref().map(|reason| text::short(reason, 500))))
            (pieces::fact("Last step", Some(time::ago(operation.stepped_at))))
            (pieces::fact("Ended", operation.ended_at.map(time::ago)))
        }
        @if operation.state == "running" { progress aria-label="It goes on" {} }
    }
}

fn controls(view: &View, operation: &Operation) -> Markup {
    if operation.has_ended() || !view.may(Role::Operate) {
        return html! {};
    }
    let inside = html! {
        (pieces::carry("id", &operation.id))
        div.actions {
            button formaction=(view.to("/operations/resume")) { "Go on with it" } " "
            button formaction=(view.to("/operations/cancel")) { "End it" }
        }
        p { small { "If the process that began it has ended, the keeper goes on with it after a minute; anybody can at once." } }
    };
    pieces::form(view, "/operations/resume", &inside)
}

pub(crate) async fn new(view: View) -> Response {
    let body = async {
        let inside = html! {
            p { label for="q" { "Which jobs" } " " input id="q" name="q" value=(view.asked("q")) maxlength="4096" size="60" autocomplete="off" spellcheck="false" dir="auto"; }
            fieldset {
                legend { "What" }
                @for (action, role, about) in ACTIONS {
                    @if view.may(role) {
                        p { label { input type="radio" name="action" value=(action) required; " " (action) } " " small { (about) } }
                    }
                }
            }
            p { label { "To (queue, or priority 0 to 9) " input name="to" maxlength="256" autocomplete="off"; } }
            p { label { "Reason " input name="reason" maxlength="500" placeholder="for the audit"; } }
            div.actions { button { "Count them…" } }
        };
        Ok(html! {
            h1 { "To all jobs that match" }
            @if !view.may(Role::Operate) { p.alert role="alert" { "This needs the role “operate”." } }
            @else { (pieces::form(&view, "/operations/start", &inside)) }
        })
    };
    view.page("To all jobs that match", body).await
}

pub(crate) async fn audit(view: View) -> Response {
    let body = async {
        let admin = &view.app.admin;
        let deeds = audit::audit(admin, &mut *admin.question().await?).await?;
        let head = html! {
            th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Of what" } th.number scope="col" { "Changed" }
            th scope="col" { "Why" }
        };
        let rows = html! { @for deed in &deeds { (line(&view, deed)) } };
        Ok(html! {
            h1 { "Who did what" }
            @if deeds.is_empty() { p.empty { "Nothing was done yet." } } @else { (pieces::table("Audit", &head, &rows)) }
        })
    };
    view.page("Who did what", body).await
}

fn line(view: &View, deed: &Deed) -> Markup {
    html! {
        tr {
            td { (time::moment(deed.at)) }
            td { (text::short(&deed.by, 80)) }
            td { (text::short(&deed.action, 60)) @if deed.settings != "{}" { " " code { (text::short(&deed.settings, 120)) } } }
            td {
                @if let Some(id) = deed.operation { a href=(view.to(&format!("/operations/{id}"))) { "operation " (id) } " " }
                @if let Some(search) = &deed.search { code { @if search.is_empty() { "all jobs" } @else { (text::short(search, 120)) } } }
                @for id in &deed.jobs { (pieces::job(view, howdah::JobId(*id))) " " }
            }
            td.number { (deed.changed) }
            td { (text::short(deed.reason.as_deref().unwrap_or("–"), 200)) }
        }
    }
}
