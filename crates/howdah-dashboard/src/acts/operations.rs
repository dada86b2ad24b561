//! Operations: begun, gone on with, ended.
//!
//! Invariant: how many jobs are meant is said before anything is done. Limit: this process goes on with what was begun here, as long as
//! it lives; then anybody can.

use axum::http::StatusCode;
use axum::response::Response;
use howdah_admin::{Action, Search};
use maud::html;

use super::jobs::by;
use super::post::{Operate, Post};
use crate::access::Role;
use crate::app::App;
use crate::error::Failure;
use crate::html::{pieces, text};
use crate::links::Link;

/// As far as jobs are counted before.
const COUNTED: u32 = 10_000;

/// Says how many jobs are meant; the second time, begins.
pub(crate) async fn start(post: Post<Operate>) -> Response {
    let wished = match wish(&post) {
        Ok(wished) => wished,
        Err(failure) => return post.view.fail(&failure),
    };
    if post.text("sure") == "yes" {
        let done = begin(&post, &wished).await;
        return post.answer(done);
    }
    confirm(&post, &wished).await
}

/// What was asked for, if this visitor may.
fn wish(post: &Post<Operate>) -> Result<(Action, Search), Failure> {
    let action = action(post.text("action"), post.text("to")).map_err(|why| Failure::Refused(why.into()))?;
    allow(post, action.name())?;
    let search = post.text("q").parse::<Search>().map_err(|error| Failure::Refused(error.to_string()))?;
    Ok((action, search))
}

fn action(name: &str, to: &str) -> Result<Action, &'static str> {
    Ok(match name {
        "retry" => Action::Retry,
        "cancel" => Action::Cancel,
        "purge" => Action::Purge,
        "move" if to.is_empty() => return Err("Say to which queue they are to go."),
        "move" => Action::Move(to.to_owned()),
        "priority" => {
            let priority = to.parse().ok().filter(|priority| *priority <= 9);
            Action::Priority(priority.ok_or("Say which priority they are to have, 0 to 9.")?)
        }
        _ => return Err("Say what is to be done."),
    })
}

/// What deletes jobs is for who may delete.
fn allow(post: &Post<Operate>, action: &str) -> Result<(), Failure> {
    if action == "purge" && !post.view.may(Role::Admin) {
        return Err(Failure::Forbidden(Role::Admin.as_str()));
    }
    Ok(())
}

async fn confirm(post: &Post<Operate>, (action, search): &(Action, Search)) -> Response {
    let view = &post.view;
    let jobs = match view.app.admin.dry_run(action, search, COUNTED).await {
        Ok(jobs) => jobs,
        Err(error) => return view.fail(&error.into()),
    };
    let typed = search.to_string();
    let inside = html! {
        @for name in ["action", "to", "reason"] { (pieces::carry(name, post.text(name))) }
        (pieces::carry("q", typed.as_str()))
        (pieces::carry("sure", "yes"))
        div.actions { button.danger[*action == Action::Purge] { "Do it" } " " a href=(view.to("/jobs").with("q", &typed)) { "No, look at them" } }
    };
    let body = html! {
        h1 { "To " (jobs.to_string()) " jobs: " (action.name()) "?" }
        dl.facts {
            (pieces::fact("Which jobs", Some(html! { code { @if typed.is_empty() { "all jobs" } @else { (text::name(&typed)) } } })))
            (pieces::fact("To", post.maybe("to").map(text::name)))
            (pieces::fact("Reason", post.maybe("reason").map(text::name)))
        }
        (pieces::form(view, "/operations/start", &inside))
    };
    view.show(StatusCode::OK, "Are you sure?", &body)
}

async fn begin(post: &Post<Operate>, (action, search): &(Action, Search)) -> Result<Link, Failure> {
    let id = post.view.app.admin.start(action, search, by(post)).await?;
    go_on(&post.view.app, id);
    Ok(post.view.to(&format!("/operations/{id}")))
}

/// Goes on with an operation in the background; how far it is, is in its row.
fn go_on(app: &App, id: i64) {
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(error) = app.admin.finish(id, |_| ()).await {
            tracing::warn!(operation = id, %error, "an operation was interrupted; anybody can go on with it");
        }
    });
}

pub(crate) async fn resume(post: Post<Operate>) -> Response {
    let done = async {
        let id = post.id()?;
        let operation = post.view.app.admin.operation(id).await?;
        let operation = operation.ok_or_else(|| Failure::Missing("There is no such operation.".into()))?;
        allow(&post, &operation.action)?;
        go_on(&post.view.app, id);
        Ok(post.view.to(&format!("/operations/{id}")))
    };
    let done = done.await;
    post.answer(done)
}

pub(crate) async fn cancel(post: Post<Operate>) -> Response {
    let done = async {
        let id = post.id()?;
        let was = post.view.app.admin.cancel_operation(id, by(&post)).await?;
        was.ok_or_else(|| Failure::Missing("There is no such operation.".into()))?;
        Ok(post.view.to(&format!("/operations/{id}")))
    };
    let done = done.await;
    post.answer(done)
}
