//! What is done to queues, schedules and workflows, and to jobs that are held.
//!
//! Invariant: it is noted who did it, in the transaction that does it. Limit: one at a time.

use axum::response::Response;
use howdah::JobId;
use howdah_admin::Control;

use super::jobs::by;
use super::post::{Operate, Post};
use crate::error::Failure;
use crate::links::Link;

pub(crate) async fn pause_queue(post: Post<Operate>) -> Response {
    let done = queue(&post, Control::PauseQueue).await;
    post.answer(done)
}

pub(crate) async fn resume_queue(post: Post<Operate>) -> Response {
    let done = queue(&post, Control::ResumeQueue).await;
    post.answer(done)
}

pub(crate) async fn pause_schedule(post: Post<Operate>) -> Response {
    let done = schedule(&post, Control::PauseSchedule).await;
    post.answer(done)
}

pub(crate) async fn resume_schedule(post: Post<Operate>) -> Response {
    let done = schedule(&post, Control::ResumeSchedule).await;
    post.answer(done)
}

pub(crate) async fn run_schedule(post: Post<Operate>) -> Response {
    let done = schedule(&post, Control::RunSchedule).await;
    post.answer(done)
}

pub(crate) async fn cancel_workflow(post: Post<Operate>) -> Response {
    let done = workflow(&post, Control::CancelWorkflow).await;
    post.answer(done)
}

pub(crate) async fn retry_workflow(post: Post<Operate>) -> Response {
    let done = workflow(&post, Control::RetryWorkflow).await;
    post.answer(done)
}

/// Lets a job go that is held because another one has failed.
pub(crate) async fn unhold(post: Post<Operate>) -> Response {
    let done = async {
        let id = post.id()?;
        post.view.app.admin.control(&Control::Unhold(JobId(id)), by(&post)).await?;
        Ok(post.view.to(&format!("/jobs/{id}")))
    };
    let done = done.await;
    post.answer(done)
}

async fn queue<'p>(post: &'p Post<Operate>, deed: fn(&'p str) -> Control<'p>) -> Result<Link, Failure> {
    let name = post.name()?;
    post.view.app.admin.control(&deed(name), by(post)).await?;
    Ok(post.view.to("/queues/one").with("name", name))
}

async fn schedule<'p>(post: &'p Post<Operate>, deed: fn(&'p str) -> Control<'p>) -> Result<Link, Failure> {
    let name = post.name()?;
    post.view.app.admin.control(&deed(name), by(post)).await?;
    Ok(post.view.to("/cron/one").with("name", name))
}

async fn workflow(post: &Post<Operate>, deed: fn(i64) -> Control<'static>) -> Result<Link, Failure> {
    let id = post.id()?;
    post.view.app.admin.control(&deed(id), by(post)).await?;
    Ok(post.view.to(&format!("/workflows/{id}")))
}
