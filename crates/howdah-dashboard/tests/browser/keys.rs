//! The keyboard.

use anyhow::Result;
use thirtyfour::Key;

use crate::stage::Stage;

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn everything_is_reached_by_keys() -> Result<()> {
    let stage = Stage::new().await?;
    stage.dead("print", 3).await?;
    let browser = stage.browser().await?;
    browser.go("").await?;
    browser.keys("gj").await?;
    browser.read("How to search").await?;
    assert_eq!(browser.here().await?, "/jobs");
    browser.keys("/").await?;
    assert_eq!(browser.value("document.activeElement.name").await?, "q");
    browser.keys(&format!("state:dead{}", Key::Enter.value())).await?;
    browser.see("tbody tr:nth-child(3)").await?;
    browser.keys("jjx").await?;
    browser.read("1 ticked").await?;
    assert_eq!(browser.value("document.querySelector('tbody tr:nth-child(2) [data-row]').checked").await?, true);
    // To the button, and not further: a key alone changes nothing.
    browser.keys("r").await?;
    assert_eq!(browser.value("document.activeElement.textContent").await?, "Retry");
    assert_eq!(stage.db.jobs_in("dead").await?, 3);
    browser.keys(&Key::Enter.value().to_string()).await?;
    browser.read("1 jobs were sent again.").await?;
    for (key, page) in [
        ("q", "/queues"),
        ("i", "/kinds"),
        ("e", "/errors"),
        ("c", "/cron"),
        ("w", "/workflows"),
        ("k", "/workers"),
        ("p", "/operations"),
        ("h", "/health"),
    ] {
        browser.keys(&format!("g{key}")).await?;
        browser.see(&format!("nav a[aria-current=page][href$='{page}']")).await?;
    }
    browser.keys("?").await?;
    browser.read("Keys: / search").await?;
    browser.close().await
}
