//! What is done through the dashboard, and that it is noted who did it.

use anyhow::Result;
use axum::http::StatusCode;

use crate::desk::Desk;
use crate::html::words;

#[tokio::test]
async fn jobs_that_are_ticked_are_cancelled_and_the_audit_says_by_whom() -> Result<()> {
    let desk = Desk::new().await?;
    let (one, two) =
        (desk.text("SELECT howdah.enqueue('k', '{}')").await, desk.text("SELECT howdah.enqueue('k', '{}')").await);
    let fields = [("id", &*one), ("id", &*two), ("reason", "a test"), ("back", "/jobs?q=kind%3Ak")];
    let done = desk.post("/jobs", "/jobs/cancel", &fields).await;
    assert_eq!(done.leads_to(), "/jobs?q=kind%3Ak&done=cancel&n=2");
    assert!(words(&desk.get(done.leads_to()).await.ok()).contains("2 jobs were cancelled"));
    let audit = desk.text("SELECT (made_by, action, reason, changed) FROM howdah.audit").await;
    assert_eq!(audit, r#"(ann,cancel,"a test",2)"#);
    assert!(words(&desk.get("/operations/audit").await.ok()).contains("a test"));
    Ok(())
}

#[tokio::test]
async fn a_form_leads_back_to_pages_of_the_dashboard_only() -> Result<()> {
    let desk = Desk::new().await?;
    let id = desk.text("SELECT howdah.enqueue('k', '{}')").await;
    for back in ["//evil.example", "https://evil.example/", "/\\evil.example", "/a\r\nset-cookie: x"] {
        let done = desk.post("/jobs", "/jobs/cancel", &[("id", &id), ("back", back)]).await;
        assert!(done.leads_to().starts_with("/jobs?done="), "{back}: {}", done.leads_to());
    }
    Ok(())
}

#[tokio::test]
async fn deleting_asks_first() -> Result<()> {
    let desk = Desk::new().await?;
    let id = desk.text("SELECT howdah.enqueue('k', '{}')").await;
    desk.db.run(&format!("SELECT howdah.cancel({id})")).await?;
    let asked = desk.post("/jobs", "/jobs/purge", &[("id", &id)]).await.ok();
    assert!(words(&asked).contains("Delete 1 jobs?"));
    assert_eq!(desk.text(&format!("SELECT count(*) FROM howdah.jobs WHERE id = {id}")).await, "1");
    let done = desk.post("/jobs", "/jobs/purge", &[("id", &id), ("sure", "yes")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    Ok(())
}

#[tokio::test]
async fn all_that_match_are_dealt_with_by_an_operation_that_says_how_far_it_is() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.run("SELECT howdah.enqueue_many('k', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, 450)))").await?;
    desk.db.run("SELECT howdah.enqueue('other', '{}')").await?;
    let wish = [("action", "cancel"), ("q", "kind:k"), ("reason", "a test")];
    let asked = desk.post("/operations/new", "/operations/start", &wish).await.ok();
    assert!(words(&asked).contains("To 450 jobs: cancel?"), "{}", words(&asked));
    assert_eq!(desk.text("SELECT count(*) FROM howdah.operation").await, "0");
    let sure = [("action", "cancel"), ("q", "kind:k"), ("reason", "a test"), ("sure", "yes")];
    let begun = desk.post("/operations/new", "/operations/start", &sure).await;
    let page = begun.leads_to().to_owned();
    desk.db
        .wait_for("SELECT (state, changed, made_by, reason) FROM howdah.operation", r#"(done,450,ann,"a test")"#)
        .await?;
    let shown = words(&desk.get(&page).await.ok());
    assert!(shown.contains("done") && shown.contains("450"), "{shown}");
    assert_eq!(desk.text("SELECT count(*) FROM howdah.jobs WHERE state = 'ready'").await, "1");
    Ok(())
}

#[tokio::test]
async fn a_search_that_is_none_and_an_action_that_is_not_for_it_are_said_on_the_page() -> Result<()> {
    let desk = Desk::new().await?;
    let wish = |q: &'static str, action: &'static str, to: &'static str| [("q", q), ("action", action), ("to", to)];
    for (fields, why) in [
        (wish("stat:dead", "retry", ""), "did you mean state?"),
        (wish("state:running", "retry", ""), "retry is not for jobs that are running"),
        (wish("", "move", ""), "to which queue"),
        (wish("", "priority", "12"), "0 to 9"),
        (wish("", "drop", ""), "what is to be done"),
    ] {
        let page = desk.post("/operations/new", "/operations/start", &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.body);
        assert!(words(&page.body).contains(why), "{why}: {}", words(&page.body));
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_is_paused_with_who_and_why() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.howdah.create_queue("mail").await?;
    let page = "/queues/one?name=mail";
    let done = desk.post(page, "/queues/pause", &[("name", "mail"), ("reason", "the printer burns")]).await;
    assert_eq!(done.leads_to(), page);
    let shown = words(&desk.get(page).await.ok());
    assert!(shown.contains("by ann: the printer burns"), "{shown}");
    desk.post(page, "/queues/resume", &[("name", "mail")]).await.leads_to();
    assert_eq!(desk.text("SELECT paused_at IS NULL FROM howdah.queue WHERE name = 'mail'").await, "true");
    let audit = desk.text("SELECT string_agg(made_by || ' ' || action || ' ' || (settings ->> 'queue'), ', ' ORDER BY made_at) FROM howdah.audit WHERE made_by = 'ann'");
    assert_eq!(audit.await, "ann pause_queue mail, ann resume_queue mail");
    let missing = desk.post("/queues/one?name=mail", "/queues/pause", &[("name", "none")]).await;
    assert_eq!(missing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(desk.text("SELECT count(*) FROM howdah.audit WHERE made_by = 'ann'").await, "2");
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_run_paused_and_resumed() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.run(r#"SELECT howdah.set_schedule('nightly', '{"expression": "0 3 * * *", "kind": "report"}')"#).await?;
    let page = "/cron/one?name=nightly";
    desk.post(page, "/cron/run", &[("name", "nightly")]).await.leads_to();
    assert_eq!(desk.text("SELECT kind FROM howdah.jobs").await, "report");
    desk.post(page, "/cron/pause", &[("name", "nightly"), ("reason", "holiday")]).await.leads_to();
    assert!(words(&desk.get(page).await.ok()).contains("by ann: holiday"));
    desk.post(page, "/cron/resume", &[("name", "nightly")]).await.leads_to();
    assert_eq!(desk.text("SELECT paused FROM howdah.schedules").await, "false");
    assert_eq!(desk.text("SELECT count(*) FROM howdah.audit WHERE made_by = 'ann'").await, "3");
    Ok(())
}

#[tokio::test]
async fn the_dead_jobs_of_a_group_of_errors_are_retried() -> Result<()> {
    let desk = Desk::new().await?;
    let worker = desk.db.worker().await?;
    desk.db.run("SELECT howdah.enqueue_many('bill', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, 3)), max_attempts => 1)").await?;
    crate::desk::fail_all(&desk.db, worker, "NoPaper", "no paper in printer 7").await?;
    let list = desk.get("/errors").await.ok();
    let group = crate::html::links(&list).into_iter().find(|link| link.starts_with("/errors/one")).unwrap();
    assert!(words(&list).contains("NoPaper") && words(&list).contains("no paper in printer #"), "{}", words(&list));
    let id = group.split_once("id=").unwrap().1.to_owned();
    assert!(words(&desk.get(&group).await.ok()).contains("no paper in printer 7"));
    let done = desk.post(&group, "/errors/retry", &[("id", &id)]).await;
    assert!(done.leads_to().ends_with("&done=retry&n=3"), "{}", done.leads_to());
    assert_eq!(desk.text("SELECT count(*) FROM howdah.jobs WHERE state = 'ready'").await, "3");
    Ok(())
}

#[tokio::test]
async fn a_workflow_is_cancelled_and_run_again() -> Result<()> {
    let desk = Desk::new().await?;
    let id = desk.text(r#"SELECT howdah.enqueue_workflow('import', '[{"name": "a", "kind": "a"}, {"name": "b", "kind": "b", "depends_on": ["a"]}]')"#).await;
    let page = format!("/workflows/{id}");
    let shown = desk.get(&page).await.ok();
    assert_eq!(shown.matches("<rect").count(), 2);
    assert_eq!(shown.matches(r#"class="edge""#).count(), 1);
    desk.post(&page, "/workflows/cancel", &[("id", &id)]).await.leads_to();
    assert_eq!(desk.text("SELECT state FROM howdah.workflows").await, "cancelled");
    desk.post(&page, "/workflows/retry", &[("id", &id)]).await.leads_to();
    assert_eq!(desk.text("SELECT state FROM howdah.workflows").await, "running");
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_held_is_let_go() -> Result<()> {
    let desk = Desk::new().await?;
    let parent = desk.text("SELECT howdah.enqueue('a', '{}')").await;
    let options = format!(r#"{{"depends_on": [{parent}], "on_parent_failure": "hold"}}"#);
    let child = desk.text(&format!("SELECT howdah.enqueue('b', '{{}}', options => '{options}')")).await;
    desk.db.run(&format!("SELECT howdah.cancel({parent})")).await?;
    let page = format!("/jobs/{child}");
    assert!(words(&desk.get(&page).await.ok()).contains("blocked"));
    desk.post(&page, "/jobs/unhold", &[("id", &child)]).await.leads_to();
    assert_eq!(desk.text(&format!("SELECT howdah.state({child})")).await, "ready");
    assert_eq!(
        desk.text("SELECT (made_by, action, settings ->> 'job') FROM howdah.audit").await,
        format!("(ann,unhold,{child})")
    );
    Ok(())
}
