//! Who may look, who may write, and from where.

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use howdah::Howdah;
use howdah_dashboard::{Dashboard, Keys, Role};
use howdah_tests::{Db, Guests};

use crate::desk::{Desk, form, token};
use crate::{html, nested};

/// A dashboard of a database that nobody asks.
fn of_nothing() -> Dashboard {
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    Dashboard::new(Howdah::from_pool(pool))
}

async fn status(app: Router, request: Request<Body>) -> StatusCode {
    tower::ServiceExt::oneshot(app, request).await.unwrap().status()
}

#[tokio::test]
async fn without_a_hook_nobody_is_let_in() {
    for path in ["/", "/jobs", "/jobs/1", "/live", "/nowhere"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(status(of_nothing().router(), request).await, StatusCode::FORBIDDEN, "{path}");
    }
    for path in ["/jobs/retry", "/queues/pause"] {
        let request = Request::builder().method("POST").uri(path).body(Body::empty()).unwrap();
        assert_eq!(status(of_nothing().router(), request).await, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn who_has_no_password_is_asked_for_one() {
    let keys: Keys = "ann:admin:correct horse".parse().unwrap();
    let app: Router = of_nothing().keys(keys.token("tok-12345", Role::Read).unwrap()).router();
    let ask = |value: &'static str| {
        Request::builder().uri("/nowhere").header("authorization", value).body(Body::empty()).unwrap()
    };
    let response = tower::ServiceExt::oneshot(app.clone(), ask("Basic YW5uOndyb25nLWhvcnNl")).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
    // ann:correct horse
    assert_eq!(status(app.clone(), ask("Basic YW5uOmNvcnJlY3QgaG9yc2U=")).await, StatusCode::NOT_FOUND);
    assert_eq!(status(app, ask("Bearer tok-12345")).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_address_that_another_site_gave_itself_is_not_answered() {
    let app: Router = of_nothing().auth(crate::desk::visitor).hosts(["localhost", "127.0.0.1", "[::1]"]).router();
    let ask = |host: &str| {
        Request::builder()
            .uri("/nowhere")
            .header("host", host)
            .header("x-visitor", "ann admin")
            .body(Body::empty())
            .unwrap()
    };
    for host in ["localhost", "LocalHost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
        assert_eq!(status(app.clone(), ask(host)).await, StatusCode::NOT_FOUND, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "evil.example:8080", "", "localhost:8080@evil.example"] {
        assert_eq!(status(app.clone(), ask(host)).await, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // Probes are asked by address.
    let live = Request::builder().uri("/health/live").header("host", "10.0.0.1").body(Body::empty()).unwrap();
    assert_eq!(status(app, live).await, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_forbids_what_is_foreign() -> Result<()> {
    let desk = Desk::new().await?;
    let asset = html::tags(&desk.get("/").await.ok()).into_iter().find(|tag| tag.name == "link").unwrap();
    let style = asset.get("href").unwrap().to_owned();
    for path in ["/", "/jobs", "/nowhere", "/jobs/none", "/jobs/retry", "/assets/none", "/health/live", &style] {
        let page = desk.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        let kept = page.header("cache-control");
        assert_eq!(kept, if path == style { "public, max-age=31536000, immutable" } else { "no-store" }, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_form_that_does_not_come_from_a_page_of_ours_is_refused() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.howdah.create_queue("mail").await?;
    let good = token(&desk.get("/queues/one?name=mail").await.ok());
    let post = |token: &str, headers: &[(&'static str, &'static str)]| {
        let request = headers
            .iter()
            .fold(desk.request("POST", "/queues/pause"), |request, (name, value)| request.header(*name, *value));
        form(request, &[("name", "mail"), ("token", token)])
    };
    let other = Desk::new().await?;
    other.db.howdah.create_queue("mail").await?;
    let foreign = token(&other.get("/queues/one?name=mail").await.ok());
    for (token, headers) in [
        ("", &[("sec-fetch-site", "same-origin")][..]),
        (&*foreign, &[("sec-fetch-site", "same-origin")][..]),
        (&*good, &[("sec-fetch-site", "cross-site")][..]),
        (&*good, &[("sec-fetch-site", "same-site"), ("origin", "http://a.example")][..]),
        (&*good, &[("origin", "http://evil.example")][..]),
        (&*good, &[("origin", "null")][..]),
    ] {
        assert_eq!(desk.send(post(token, headers)).await.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert_eq!(desk.text("SELECT paused_at IS NULL FROM howdah.queue WHERE name = 'mail'").await, "true");
    assert_eq!(desk.text("SELECT count(*) FROM howdah.audit WHERE action = 'pause_queue'").await, "0");
    assert_eq!(desk.send(post(&good, &[("origin", "http://a.example")])).await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.text("SELECT paused_at IS NULL FROM howdah.queue WHERE name = 'mail'").await, "false");
    Ok(())
}

#[tokio::test]
async fn a_reader_sees_no_form_and_may_send_none() -> Result<()> {
    let desk = Desk::new().await?.is("bob read");
    let id = desk.text("SELECT howdah.enqueue('k', '{}')").await;
    for path in ["/", "/jobs", &format!("/jobs/{id}"), "/queues/one?name=default", "/operations/new"] {
        let page = desk.get(path).await.ok();
        assert!(!page.contains(r#"method="post""#), "{path}");
    }
    // With the token that a page for somebody else of this name has.
    let operator = desk.is("bob operate");
    let good = token(&operator.get("/jobs").await.ok());
    let desk = operator.is("bob read");
    let post = form(desk.request("POST", "/jobs/cancel"), &[("id", &id), ("token", &good)]);
    assert_eq!(desk.send(post).await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.text(&format!("SELECT howdah.state({id})")).await, "ready");
    Ok(())
}

#[tokio::test]
async fn an_operator_cannot_delete() -> Result<()> {
    let desk = Desk::new().await?.is("bob operate");
    let id = desk.text("SELECT howdah.enqueue('k', '{}')").await;
    assert!(!desk.get("/jobs").await.ok().contains("Delete"));
    let sure = [("id", &*id), ("sure", "yes")];
    assert_eq!(desk.post("/jobs", "/jobs/purge", &sure).await.status, StatusCode::FORBIDDEN);
    let operation = [("action", "purge"), ("q", "state:ready"), ("sure", "yes")];
    assert_eq!(desk.post("/jobs", "/operations/start", &operation).await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.text(&format!("SELECT howdah.state({id})")).await, "ready");
    assert_eq!(desk.text("SELECT count(*) FROM howdah.operation").await, "0");
    Ok(())
}

#[tokio::test]
async fn the_database_role_viewer_is_enough_to_look_and_operator_to_act() -> Result<()> {
    let db = Db::new().await?;
    nested::fill(&db).await?;
    let guests = Guests::new(&db).await?;
    let (viewer, operator) = (guests.howdah("viewer").await?, guests.howdah("operator").await?);
    let desk = Desk::over(db, viewer, |dashboard| dashboard.secret(b"both").router());
    nested::crawl(&desk, "", "/").await;
    let id = desk.text("SELECT max(id) FROM howdah.jobs").await;
    let refused = desk.post("/jobs", "/jobs/cancel", &[("id", &id)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html::words(&refused.body).contains("role of this dashboard may not"), "{}", refused.body);
    let desk = Desk::over(desk.db, operator, |dashboard| dashboard.secret(b"both").router());
    nested::crawl(&desk, "", "/").await;
    desk.post("/jobs", "/jobs/cancel", &[("id", &id)]).await.leads_to();
    desk.post("/jobs", "/queues/pause", &[("name", "default")]).await.leads_to();
    desk.post("/jobs", "/cron/run", &[("name", "nightly")]).await.leads_to();
    desk.post("/jobs", "/workflows/cancel", &[("id", "1")]).await.leads_to();
    assert_eq!(desk.text("SELECT count(*) FROM howdah.audit WHERE made_by = 'ann'").await, "4");
    Ok(())
}
