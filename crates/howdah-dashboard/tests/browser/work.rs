//! What people come for: find, select, send again, pause, follow. With the script and without it.

use anyhow::Result;

use crate::browser::Browser;
use crate::stage::Stage;

async fn finds_dead_jobs_and_sends_all_that_match_again(stage: &Stage, browser: Browser) -> Result<()> {
    stage.dead("print", 70).await?;
    stage.dead("other", 3).await?;
    browser.go("").await?;
    browser.click("nav a[data-go=j]").await?;
    browser.write("input[name=q]", "kind:print state:dead").await?;
    browser.press("Search").await?;
    browser.see("tbody tr").await?;
    assert!(browser.here().await?.starts_with("/jobs?q=kind%3Aprint"), "{}", browser.here().await?);
    // More than a page has.
    browser.press("With all that match…").await?;
    browser.click("input[value=retry]").await?;
    browser.write("input[name=reason]", "there is paper again").await?;
    browser.press("Count them…").await?;
    browser.read("To 70 jobs: retry?").await?;
    browser.press("Do it").await?;
    stage.db.wait_for("SELECT state || ' ' || changed FROM howdah.operation", "done 70").await?;
    assert_eq!(stage.db.text("SELECT count(*) FROM howdah.jobs WHERE state = 'ready' AND kind = 'print'").await?, "70");
    assert_eq!(stage.db.jobs_in("dead").await?, 3, "the others are left alone");
    browser.go("/operations/audit").await?;
    browser.read("there is paper again").await?;
    browser.close().await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn all_that_match_a_search_are_sent_again() -> Result<()> {
    let stage = Stage::new().await?;
    let browser = stage.browser().await?;
    finds_dead_jobs_and_sends_all_that_match_again(&stage, browser).await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn all_that_match_a_search_are_sent_again_without_the_script() -> Result<()> {
    let stage = Stage::new().await?;
    let browser = stage.browser_without_scripts().await?;
    finds_dead_jobs_and_sends_all_that_match_again(&stage, browser).await
}

async fn pauses_and_resumes(stage: &Stage, browser: Browser) -> Result<()> {
    stage.run("SELECT howdah.create_queue('mail & more')").await?;
    browser.go("/queues").await?;
    browser.press("mail & more").await?;
    browser.write("input[name=reason]", "the mail server is down").await?;
    browser.press("Pause").await?;
    browser.read("the mail server is down").await?;
    let paused = "SELECT concat_ws(' ', paused_at IS NOT NULL, paused_by, pause_reason) FROM howdah.queue WHERE name = 'mail & more'";
    let told = stage.db.text(paused).await?;
    assert!(told.starts_with("t") && told.contains("ann") && told.ends_with("the mail server is down"), "{told}");
    browser.press("Resume").await?;
    browser.see("input[name=reason]").await?;
    assert_eq!(stage.db.text("SELECT count(*) FROM howdah.queue WHERE paused_at IS NOT NULL").await?, "0");
    browser.close().await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn a_queue_is_paused_with_a_reason_and_resumed() -> Result<()> {
    let stage = Stage::new().await?;
    let browser = stage.browser().await?;
    pauses_and_resumes(&stage, browser).await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn a_queue_is_paused_with_a_reason_and_resumed_without_the_script() -> Result<()> {
    let stage = Stage::new().await?;
    let browser = stage.browser_without_scripts().await?;
    pauses_and_resumes(&stage, browser).await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn a_workflow_is_followed_from_its_drawing_to_a_job() -> Result<()> {
    let stage = Stage::new().await?;
    stage.workflow().await?;
    let browser = stage.browser().await?;
    browser.go("/workflows").await?;
    browser.click("tbody th a").await?;
    browser.read("order 1041").await?;
    assert_eq!(browser.value("document.querySelectorAll('main svg a').length").await?, 4);
    browser.click("main svg a").await?;
    browser.read("Job ").await?;
    assert!(browser.here().await?.starts_with("/jobs/"), "{}", browser.here().await?);
    browser.read("pick").await?;
    browser.close().await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn what_is_ticked_is_sent_again_and_nothing_else() -> Result<()> {
    let stage = Stage::new().await?;
    stage.dead("print", 5).await?;
    let browser = stage.browser().await?;
    browser.go("/jobs?q=state:dead").await?;
    browser.click("[data-all]").await?;
    browser.read("5 ticked").await?;
    browser.click("tbody tr:nth-child(2) [data-row]").await?;
    browser.read("4 ticked").await?;
    browser.press("Retry").await?;
    browser.read("4 jobs were sent again.").await?;
    assert_eq!(stage.db.jobs_in("dead").await?, 1);
    browser.close().await
}
