//! What is done to jobs that were ticked.
//!
//! Invariant: it is noted who did it, in the transaction that does it. Limit: a thousand at a time.

use axum::http::StatusCode;
use axum::response::Response;
use howdah::JobId;
use howdah_admin::{Action, By};
use maud::html;

use super::post::{Administer, Operate, Post};
use crate::error::Failure;
use crate::html::pieces;
use crate::links::Link;

pub(crate) async fn retry(post: Post<Operate>) -> Response {
    let done = act(&post, &Action::Retry).await;
    post.answer(done)
}

pub(crate) async fn cancel(post: Post<Operate>) -> Response {
    let done = act(&post, &Action::Cancel).await;
    post.answer(done)
}

/// Asks first: what is deleted does not come back.
pub(crate) async fn purge(post: Post<Administer>) -> Response {
    if post.text("sure") == "yes" {
        let done = act(&post, &Action::Purge).await;
        return post.answer(done);
    }
    let ids = match ids(&post) {
        Ok(ids) => ids,
        Err(failure) => return post.view.fail(&failure),
    };
    let inside = html! {
        @for id in &ids { (pieces::carry("id", &id.0)) }
        (pieces::carry("back", post.text("back")))
        (pieces::carry("sure", "yes"))
        p { label { "Reason " input name="reason" maxlength="500" value=(post.text("reason")) placeholder="for the audit"; } }
        div.actions { button.danger { "Delete " (ids.len()) " jobs" } " " a href=(post.back("/jobs")) { "No, go back" } }
    };
    let body = html! {
        h1 { "Delete " (ids.len()) " jobs?" }
        p { "They are gone then, with their payloads and their history. Those that run are left alone." }
        (pieces::form(&post.view, "/jobs/purge", &inside))
    };
    post.view.show(StatusCode::OK, "Delete jobs?", &body)
}

fn ids<N>(post: &Post<N>) -> Result<Vec<JobId>, Failure> {
    let ids: Result<Vec<JobId>, _> = post.all("id").map(|id| id.parse::<i64>().map(JobId)).collect();
    let ids = ids.map_err(|_| Failure::Refused("What was ticked is no job.".into()))?;
    if ids.is_empty() {
        return Err(Failure::Refused("No job is ticked.".into()));
    }
    Ok(ids)
}

/// Does it, and goes back to where it was asked for.
async fn act<N>(post: &Post<N>, action: &Action) -> Result<Link, Failure> {
    let ids = ids(post)?;
    let changed = post.view.app.admin.act(action, &ids, by(post)).await?;
    let is_gone = *action == Action::Purge && post.text("back").starts_with("/jobs/");
    let page = if is_gone { post.view.to("/jobs") } else { post.back("/jobs") };
    // What is told of an earlier one would stay in the address.
    let page = page.without(&["done", "n"]);
    Ok(page.with("done", action.name()).with("n", changed))
}

/// Who sent a form, and why.
pub(super) fn by<N>(post: &Post<N>) -> By<'_> {
    let by = By::person(post.view.visitor.name());
    post.maybe("reason").map_or(by, |reason| by.because(reason))
}
