//! What changes something.
//!
//! Invariant: every write is in this list, comes as a form of a page of this dashboard (see `post`), and needs a role. Limit: one
//! form at a time.

mod controls;
mod errors;
mod jobs;
mod operations;
mod post;

use axum::routing::{MethodRouter, post as on_post};

use crate::app::App;

/// Every write: its address, and what is done there.
pub(crate) fn writes() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/jobs/retry", on_post(jobs::retry)),
        ("/jobs/cancel", on_post(jobs::cancel)),
        ("/jobs/purge", on_post(jobs::purge)),
        ("/jobs/unhold", on_post(controls::unhold)),
        ("/errors/retry", on_post(errors::retry)),
        ("/errors/purge", on_post(errors::purge)),
        ("/operations/start", on_post(operations::start)),
        ("/operations/resume", on_post(operations::resume)),
        ("/operations/cancel", on_post(operations::cancel)),
        ("/queues/pause", on_post(controls::pause_queue)),
        ("/queues/resume", on_post(controls::resume_queue)),
        ("/cron/pause", on_post(controls::pause_schedule)),
        ("/cron/resume", on_post(controls::resume_schedule)),
        ("/cron/run", on_post(controls::run_schedule)),
        ("/workflows/cancel", on_post(controls::cancel_workflow)),
        ("/workflows/retry", on_post(controls::retry_workflow)),
    ]
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::request::Parts;
    use axum::http::{Request, StatusCode};
    use howdah::Howdah;
    use tower::ServiceExt as _;

    use super::*;
    use crate::csrf::Secret;
    use crate::{Dashboard, Role, Visitor};

    /// What somebody with this role is answered who sends an empty form; no database is asked for that.
    async fn answered(path: &str, role: Role, token: &str, site: &str) -> StatusCode {
        let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
        let dashboard = Dashboard::new(Howdah::from_pool(pool)).secret(b"test");
        let router: Router = dashboard.auth(move |_: &Parts| Some(Visitor::new("ann", role))).router();
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .body(Body::from(format!("token={token}")));
        router.oneshot(request.unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn every_write_needs_a_role_a_token_and_a_page_of_ours() {
        let (good, of_bob) = (Secret::of(b"test").token("ann"), Secret::of(b"test").token("bob"));
        for (path, _) in writes() {
            for (role, token, site) in [
                (Role::Read, &*good, "same-origin"),
                (Role::Admin, "", "same-origin"),
                (Role::Admin, &*of_bob, "same-origin"),
                (Role::Admin, &*good, "cross-site"),
                (Role::Admin, &*good, "same-site"),
            ] {
                assert_eq!(answered(path, role, token, site).await, StatusCode::FORBIDDEN, "{path} {role} {site}");
            }
            let deletes = path.ends_with("/purge");
            let expected = if deletes { StatusCode::FORBIDDEN } else { StatusCode::UNPROCESSABLE_ENTITY };
            assert_eq!(answered(path, Role::Operate, &good, "same-origin").await, expected, "{path}");
            // It is let in, and told that it has not said what this is about.
            assert_eq!(
                answered(path, Role::Admin, &good, "same-origin").await,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path}"
            );
        }
    }
}
