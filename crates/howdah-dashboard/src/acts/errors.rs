//! What is done to the dead jobs of a group of errors.
//!
//! Invariant: it is noted who did it, in the transaction that does it. Limit: those of the newest thousand failures.

use axum::http::StatusCode;
use axum::response::Response;
use howdah_admin::Action;
use maud::html;

use super::jobs::by;
use super::post::{Administer, Operate, Post};
use crate::error::Failure;
use crate::html::pieces;
use crate::links::Link;
use crate::read::failures::dead_jobs;

pub(crate) async fn retry(post: Post<Operate>) -> Response {
    let done = act(&post, &Action::Retry).await;
    post.answer(done)
}

/// Asks first: what is deleted does not come back.
pub(crate) async fn purge(post: Post<Administer>) -> Response {
    if post.text("sure") == "yes" {
        let done = act(&post, &Action::Purge).await;
        return post.answer(done);
    }
    let asked = async {
        let id = post.id()?;
        Ok::<_, Failure>((id, dead_jobs(&post.view.app.admin, id).await?.len()))
    };
    let (id, jobs) = match asked.await {
        Ok(found) => found,
        Err(failure) => return post.view.fail(&failure),
    };
    let inside = html! {
        (pieces::carry("id", &id))
        (pieces::carry("sure", "yes"))
        p { label { "Reason " input name="reason" maxlength="500" value=(post.text("reason")) placeholder="for the audit"; } }
        div.actions { button.danger { "Delete " (jobs) " jobs" } " " a href=(post.view.to("/errors/one").with("id", id)) { "No, go back" } }
    };
    let body = html! {
        h1 { "Delete " (jobs) " dead jobs?" }
        p { "They are gone then, with their payloads and their history." }
        (pieces::form(&post.view, "/errors/purge", &inside))
    };
    post.view.show(StatusCode::OK, "Delete jobs?", &body)
}

async fn act<N>(post: &Post<N>, action: &Action) -> Result<Link, Failure> {
    let (admin, id) = (&post.view.app.admin, post.id()?);
    let jobs = dead_jobs(admin, id).await?;
    if jobs.is_empty() {
        return Err(Failure::Refused("No job of this group is dead.".into()));
    }
    let changed = admin.act(action, &jobs, by(post)).await?;
    // Of a group whose jobs are gone nothing may be left to show.
    let page =
        if *action == Action::Purge { post.view.to("/jobs") } else { post.view.to("/errors/one").with("id", id) };
    Ok(page.with("done", action.name()).with("n", changed))
}
