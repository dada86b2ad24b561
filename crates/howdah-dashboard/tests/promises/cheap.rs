//! Watching costs one look a second, however many watch; what cannot be had in time is shown as it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use tower::ServiceExt as _;

use crate::desk::Desk;
use crate::html::words;

/// An open tab.
struct Tab(BodyDataStream, String);

impl Tab {
    async fn open(desk: &Desk, path: &str) -> Self {
        let request = desk.request("GET", path).body(Body::empty()).unwrap();
        let response = desk.app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body().into_data_stream(), String::new())
    }

    /// The next event: its name and its data.
    async fn next(&mut self) -> Result<(String, String)> {
        loop {
            if let Some((event, rest)) = self.1.split_once("\n\n") {
                let of = |field: &str| -> String {
                    event
                        .lines()
                        .filter_map(|line| line.strip_prefix(field))
                        .map(str::trim_start)
                        .collect::<Vec<_>>()
                        .join("\n")
                };
                let told = (of("event:"), of("data:"));
                self.1 = rest.to_owned();
                if !told.0.is_empty() {
                    return Ok(told);
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.0.next()).await.context("no event")?;
            self.1.push_str(std::str::from_utf8(&chunk.context("the stream ended")??)?);
        }
    }

    /// Waits until an event tells this.
    async fn until(&mut self, wanted: &str) -> Result<()> {
        while !words(&format!("<p>{}", self.next().await?.1)).contains(wanted) {}
        Ok(())
    }
}

#[tokio::test]
async fn ten_tabs_cost_one_look_at_a_time_and_none_costs_nothing() -> Result<()> {
    let desk = Desk::new().await?;
    assert_eq!(desk.asked(), 0, "a dashboard that nobody looks at asks nothing");
    let start = Instant::now();
    let mut tabs = Vec::new();
    for _ in 0..10 {
        tabs.push(Tab::open(&desk, "/live").await);
    }
    for n in 1..=3 {
        // Something new, that all of them see.
        desk.db.howdah.create_queue(&format!("new-{n}")).await?;
        for tab in &mut tabs {
            tab.until(&format!("new-{n}")).await?;
        }
    }
    // Two looks are at least nine tenths of a second apart, and with one in ten seconds go two questions for the rates.
    let most = 3 + start.elapsed().as_millis() / 900 + start.elapsed().as_millis() / 5000;
    assert!((3..=most).contains(&(desk.asked() as u128)), "{} looks in {:?}", desk.asked(), start.elapsed());
    // Who loads the page meanwhile is shown what was seen.
    let before = desk.asked();
    let start = Instant::now();
    for _ in 0..20 {
        assert!(words(&desk.get("/").await.ok()).contains("new-3"));
    }
    assert!((desk.asked() - before) as u128 <= 3 + start.elapsed().as_millis() / 900, "{}", desk.asked() - before);
    // The last who holds the counter is this test: whoever looked has ended.
    let questions = desk.questions.clone();
    drop((tabs, desk));
    let start = Instant::now();
    while Arc::strong_count(&questions) > 1 {
        if start.elapsed() > Duration::from_secs(60) {
            bail!("somebody still looks when all tabs are closed");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_tab_of_a_job_is_told_when_it_changes() -> Result<()> {
    let desk = Desk::new().await?;
    let worker = desk.db.worker().await?;
    let id = desk.text("SELECT howdah.enqueue('k', '{}')").await;
    let mut tab = Tab::open(&desk, &format!("/live?job={id}")).await;
    let changed = ("changed".to_owned(), "changed".to_owned());
    // It may have changed since its page was made.
    assert_eq!(tab.next().await?, changed);
    desk.db.run(&format!("SELECT howdah.claim({worker})")).await?;
    assert_eq!(tab.next().await?, changed);
    // What one tab has loaded since that look, others of the same person are given.
    let page = format!("/jobs/{id}");
    let load = async |live: bool| {
        let request = desk.request("GET", &page);
        let request = if live { request.header("x-howdah-live", "1") } else { request };
        desk.send(request.body(Body::empty()).unwrap()).await.ok()
    };
    drop(tab);
    // A page that is loaded by hand is new.
    let before = desk.asked();
    load(false).await;
    let new = desk.asked() - before;
    assert!(new > 0);
    assert!(words(&load(true).await).contains("running"));
    let (before, start) = (desk.asked(), Instant::now());
    for _ in 0..10 {
        assert!(words(&load(true).await).contains("running"));
    }
    // The look that was under way when the tab was closed, and a page after it; where all this takes seconds, one more for each.
    let most = 5 + (new + 1) as u128 * (start.elapsed().as_millis() / 900);
    assert!((desk.asked() - before) as u128 <= most, "{} questions, {most} at most", desk.asked() - before);
    Ok(())
}

#[tokio::test]
async fn what_does_not_come_in_time_is_shown_as_it_was_with_its_age() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.howdah.create_queue("mail").await?;
    desk.get("/queues/one?name=mail").await.ok();
    desk.get("/").await.ok();
    let mut session = desk.db.session().await?;
    session.run("BEGIN; LOCK TABLE howdah.queue IN ACCESS EXCLUSIVE MODE").await?;
    let shown = words(&desk.get("/queues/one?name=mail").await.ok());
    assert!(shown.contains("This is what it was") && shown.contains("Queue mail"), "{shown}");
    // Somebody else was shown nothing before, and is shown nothing of it now.
    let desk = desk.is("bob admin");
    let page = desk.get("/queues/one?name=mail").await;
    assert_eq!(page.status, 503);
    assert!(
        words(&page.body).contains("The database has not answered") || words(&page.body).contains("took too long"),
        "{}",
        page.body
    );
    session.run("ROLLBACK").await?;
    let shown = words(&desk.get("/queues/one?name=mail").await.ok());
    assert!(!shown.contains("This is what it was"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn probes_ask_the_database_seldom_and_say_whether_it_answers() -> Result<()> {
    let desk = Desk::new().await?;
    assert_eq!(desk.get("/health/live").await.status, 200);
    assert_eq!(desk.get("/health/ready").await.status, 200);
    let empty = howdah_tests::Db::empty().await?;
    let app: axum::Router = howdah_dashboard::Dashboard::new(empty.howdah.clone()).router();
    for path in ["/health/live", "/health/ready"] {
        let request = axum::http::Request::builder().uri(path).body(Body::empty())?;
        let status = app.clone().oneshot(request).await?.status();
        assert_eq!(status, if path.ends_with("live") { 200 } else { 503 });
    }
    Ok(())
}
