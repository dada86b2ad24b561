//! Pages that change while somebody looks.

use anyhow::Result;

use crate::stage::Stage;

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn the_overview_changes_while_one_looks_and_leaves_a_selection_alone() -> Result<()> {
    let stage = Stage::new().await?;
    let browser = stage.browser().await?;
    browser.go("").await?;
    browser.read("Live.").await?;
    stage.run("SELECT howdah.create_queue('fresh')").await?;
    browser.read("fresh").await?;
    // Something is selected: it stays, and so does what is around it.
    browser.value("document.getSelection().selectAllChildren(document.querySelector('#live tbody th'))").await?;
    let selected = browser.value("document.getSelection().toString()").await?;
    stage.run("SELECT howdah.create_queue('fresher')").await?;
    browser.read("Updates wait until nothing is selected.").await?;
    assert_eq!(browser.value("document.getSelection().toString()").await?, selected);
    assert!(!browser.text().await?.contains("fresher"));
    browser.value("document.getSelection().removeAllRanges()").await?;
    browser.read("fresher").await?;
    browser.close().await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn a_job_is_seen_to_run_and_to_end() -> Result<()> {
    let stage = Stage::new().await?;
    stage.run("SELECT howdah.enqueue('k', '{}')").await?;
    let id = stage.db.text("SELECT max(id) FROM howdah.jobs").await?;
    let browser = stage.browser().await?;
    browser.go(&format!("/jobs/{id}")).await?;
    browser.read("ready").await?;
    stage.run(&format!("SELECT howdah.claim({})", stage.worker)).await?;
    browser.read("running").await?;
    stage.run("SELECT howdah.complete(id, ARRAY[(SELECT max(id) FROM howdah.jobs)]) FROM howdah.lease").await?;
    browser.read("completed").await?;
    browser.close().await
}
