//! How the pages look: on a phone, in the light and in the dark, and to who cannot see them.

use std::path::Path;

use anyhow::{Context, Result};

use crate::stage::Stage;

/// Every page, and its name in `docs/screenshots`.
const PAGES: [(&str, &str); 11] = [
    ("overview", ""),
    ("jobs", "/jobs?q=state:dead"),
    ("queues", "/queues"),
    ("queue", "/queues/one?name=mail"),
    ("kinds", "/kinds"),
    ("errors", "/errors"),
    ("cron", "/cron"),
    ("workflows", "/workflows"),
    ("workers", "/workers"),
    ("operations", "/operations/new?q=state:dead"),
    ("health", "/health"),
];

/// What is wrong for who reads with a screen reader, or with the keyboard.
const FAULTS: &str = r"(() => {
  const faults = [];
  const named = (element) => element.labels && element.labels.length || element.getAttribute('aria-label') || element.getAttribute('aria-labelledby');
  if (document.querySelectorAll('main').length !== 1) faults.push('main');
  if (document.querySelectorAll('h1').length !== 1) faults.push('h1');
  if (!document.title || !document.documentElement.lang) faults.push('title or lang');
  for (const field of document.querySelectorAll('input:not([type=hidden]), select, textarea')) if (!named(field)) faults.push(field.outerHTML);
  for (const svg of document.querySelectorAll('svg')) if (!svg.getAttribute('aria-label') && svg.getAttribute('role') !== 'presentation') faults.push('svg without a name');
  for (const link of document.querySelectorAll('a, button')) if (!link.textContent.trim() && !link.getAttribute('aria-label')) faults.push(link.outerHTML);
  for (const head of document.querySelectorAll('th')) if (!head.scope) faults.push(head.outerHTML);
  const ids = Array.from(document.querySelectorAll('[id]')).map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push('an id twice');
  return faults;
})()";

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn every_page_fits_a_phone_and_names_what_is_on_it() -> Result<()> {
    let stage = Stage::new().await?;
    stage.lived_in().await?;
    let browser = stage.browser().await?;
    for (name, page) in PAGES {
        browser.driver.set_window_rect(0, 0, 1280, 900).await?;
        browser.go(page).await?;
        browser.see("h1").await?;
        assert_eq!(browser.value(FAULTS).await?, serde_json::json!([]), "{name}");
        browser.driver.set_window_rect(0, 0, 500, 900).await?;
        let over = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth").await?;
        assert_eq!(over, 0, "{name} is wider than a phone");
    }
    browser.close().await
}

#[tokio::test]
#[ignore = "needs Chromium and axe: scripts/browser"]
async fn every_page_is_accessible_as_axe_sees_it_in_the_light_and_in_the_dark() -> Result<()> {
    let axe = std::env::var_os("HOWDAH_AXE")
        .context("HOWDAH_AXE names axe.min.js of axe-core: scripts/browser fetches it")?;
    let axe = std::fs::read_to_string(axe)?;
    let run = "return axe.run().then((seen) => ({
        looked: seen.passes.length,
        faults: seen.violations.map((v) => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(', ')),
    }))";
    let stage = Stage::new().await?;
    stage.lived_in().await?;
    let browser = stage.browser().await?;
    let mut faults = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await?;
        for (name, page) in PAGES.into_iter().chain([("job", "/jobs/128"), ("workflow", "/workflows/1")]) {
            browser.go(page).await?;
            browser.see("h1").await?;
            browser.driver.execute(axe.clone(), Vec::new()).await?;
            let seen = browser.driver.execute(run, Vec::new()).await?.json().clone();
            assert!(seen["looked"].as_u64() > Some(15), "{name}: {seen}");
            faults.extend(
                seen["faults"].as_array().into_iter().flatten().map(|fault| format!("{name}, {scheme}: {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.close().await
}

#[tokio::test]
#[ignore = "needs Chromium: scripts/browser"]
async fn pages_are_light_and_dark_as_people_like_them() -> Result<()> {
    let stage = Stage::new().await?;
    stage.lived_in().await?;
    let browser = stage.browser().await?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots");
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await?;
        for (name, page) in PAGES {
            browser.go(page).await?;
            browser.see("h1").await?;
            if std::env::var_os("HOWDAH_WRITE_SCREENSHOTS").is_some() {
                std::fs::create_dir_all(&folder)?;
                std::fs::write(folder.join(format!("{name}-{scheme}.png")), browser.driver.screenshot_as_png().await?)?;
            }
        }
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor").await?);
    }
    assert_ne!(grounds[0], grounds[1]);
    browser.close().await
}
